# Two entry points, each does all of its own set-up on a fresh machine: `make test` and, once the server is there, `make serve`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: test setup clean

$(VENV)/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "torch==2.13.0"
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@

setup: $(VENV)/ready

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

clean:
	rm -rf $(VENV)
