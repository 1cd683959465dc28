# Every command runs from a fresh clone: what it needs, it builds first. Paths are relative, so that spaces in the
# clone's own path do no harm.
PYTHON ?= python3
BIN := .venv/bin
ROWS ?= 1000000

.PHONY: demo test lint python-lint up down clean lock

demo: .venv/installed
	$(BIN)/python -m bench demo --rows $(ROWS)

test: python-lint
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: python-lint
	$(BIN)/python -m pytest --quiet tests/project/test_lint.py

python-lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

up: .venv/installed
	$(BIN)/python -m loaders db up

down: .venv/installed
	$(BIN)/python -m loaders db down

clean: .venv/installed
	$(BIN)/python -m loaders db down --remove-data
	rm -rf data target logs report.html dbt_packages .venv .hypothesis .mypy_cache .ruff_cache .pytest_cache

.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	    --generate-hashes --no-strip-extras --no-header --no-emit-index-url --output-file requirements.lock
