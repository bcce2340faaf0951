# Two entry points, each does all of its own set-up on a fresh machine: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: test serve setup browser check-page clean

$(VENV)/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "torch==2.13.0"
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@

setup: $(VENV)/ready

test: setup browser check-page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

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

# What serving needs and nothing more, unless the development set-up is there already.
$(VENV)/serving: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test $(VENV)/ready -nt pyproject.toml || $(BIN)/pip install --quiet -e .
	touch $@

# Flags go into ARGS: make serve ARGS="--port 9000"
serve: $(VENV)/serving
	@exec $(BIN)/streamgen serve $(ARGS)

clean:
	rm -rf $(VENV)
