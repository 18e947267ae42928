# One command per habit. Each makes .venv if need be and installs what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint type bench check setup clean

demo: $(VENV)/.demo
	$(BIN)/python examples/gauss2d.py

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(VENV)/.dev
	$(BIN)/pyright

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.targets
	$(BIN)/python -m benchmarks.scaling --most 1e7
	$(BIN)/python -m benchmarks.gpu

check: lint type test

setup: $(VENV)/.dev

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Stamps: pip runs again only when the list of requirements changes.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	touch $@
