# Two entry points, each does all of its own set-up on a fresh machine: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What the WHEP clients of others need, for tests/clients.
CLIENTS := tests/clients
CLIENT_PACKAGES := coturn gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-bad \
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good python3-gi

# Tests that only compute run two at a time, the longest first; those that stream have both cores to themselves.
COMPUTING := tests/export tests/engines tests/tensorrt tests/device tests/test_compiling.py tests/test_replay.py \
	tests/test_render.py tests/media tests/audience tests/rtp tests/moderation tests/log tests/timeline tests/access

.PHONY: test serve setup browser check-page client-packages npm-clients clean

$(VENV)/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "torch==2.13.0"
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@

setup: $(VENV)/ready

test: setup browser check-page client-packages npm-clients
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile $(COMPUTING)
	$(BIN)/pytest $(addprefix --ignore=,$(COMPUTING))

# The page is tested in Debian's Chromium, driven by Playwright, which brings no browser of its own here.
browser:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; \
	else echo "The browser tests need Chromium: apt-get install chromium"; fi

# Unit tests and type check of the page's modules. The page itself needs no build and no node.
check-page:
	@if command -v npx >/dev/null; then \
		node --test tests/client/web/*.test.mjs && \
		npx --yes --package typescript@5.9 tsc --project client/streamgen_client/web --noEmit; \
	else echo "node and npm are not installed: the page's unit tests and type check are left out"; fi

# GStreamer and a TURN server. Debian starts the TURN server once it is installed; the tests start their own.
client-packages:
	@missing=$$(for each in $(CLIENT_PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}' $$each 2>/dev/null | grep -qx installed || echo $$each; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing && \
		if [ -d /run/systemd/system ] && echo "$$missing" | grep -qx coturn; then systemctl disable --now coturn; fi; \
	else echo "The tests of other WHEP clients need: apt-get install --no-install-recommends" $$missing; fi

# Exactly the versions of package-lock.json; nothing of theirs runs while they are installed.
npm-clients:
	@if command -v npm >/dev/null; then \
		test $(CLIENTS)/node_modules/.package-lock.json -nt $(CLIENTS)/package-lock.json || \
		npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund; \
	else echo "npm is not installed: the tests of the WHEP clients from npm are left out; install node 18 or newer"; fi

# What serving needs and nothing more, unless the development set-up is there already.
$(VENV)/serving: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test $(VENV)/ready -nt pyproject.toml || $(BIN)/pip install --quiet -e .
	touch $@

# Flags go into ARGS: make serve ARGS="--port 9000"
serve: $(VENV)/serving
	@exec $(BIN)/streamgen serve $(ARGS)

clean:
	rm -rf $(VENV) $(CLIENTS)/node_modules
