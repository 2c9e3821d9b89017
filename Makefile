.PHONY: serve test check bench-swaps clean

BIN := .venv/bin

serve: .venv/.ready          ## set up, train and publish the demo models once, then serve
	@exec $(BIN)/python examples/demo.py

test: .venv/.ready-dev       ## every test: real servers, and processes killed under counted load
	$(BIN)/pytest

check: .venv/.ready-dev      ## lint, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layering.py

.venv/bin/python:
	python3 -m venv .venv

.venv/.ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[demo]'
	@touch $@

.venv/.ready-dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ .venv/.ready

bench-swaps: .venv/.ready-dev    ## what a swap costs, beside TorchServe's documented way (about 15 minutes)
	$(BIN)/python -m benchmarks.swaps

clean:                       ## the environment and everything built
	rm -rf .venv *.egg-info .mypy_cache .ruff_cache .pytest_cache
