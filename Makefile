# Every target sets itself up from a bare checkout: Python 3.11 is all it needs.
PYTHON ?= python3.11
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check --quiet
RUN := $(VENV)/bin
BASE := $(VENV)/.base-installed
ALL := $(VENV)/.all-installed

.PHONY: help venv program test lint format generate bench study docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(ALL) ## a virtual environment with everything, in .venv

program: $(BASE) ## program chip 0 (the simulated board, unless RRAMHIL_BOARD names another)
	$(RUN)/rramhil program --chip 0

test: $(ALL) lint ## everything that CI checks
	OMP_WAIT_POLICY=passive $(RUN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(ALL) ## style, types, import rules, generated files
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/python -m firmware_protocol generate --check
	$(RUN)/lint-imports
	$(RUN)/pyright

format: $(ALL) ## put the code into the house style
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

generate: $(ALL) ## write again what the protocol's spec generates
	$(RUN)/python -m firmware_protocol generate

bench: $(ALL) ## print every ratio that the documentation quotes
	OMP_WAIT_POLICY=passive $(RUN)/rramhil bench link
	OMP_WAIT_POLICY=passive $(RUN)/rramhil bench transports
	OMP_WAIT_POLICY=passive $(RUN)/rramhil bench sim
	OMP_WAIT_POLICY=passive $(RUN)/rramhil bench infer
	OMP_WAIT_POLICY=passive $(RUN)/rramhil bench train

study: $(ALL) ## masks on chips that age or fail, as a figure; and the tests that take minutes
	OMP_WAIT_POLICY=passive $(RUN)/python docs/study.py
	OMP_WAIT_POLICY=passive $(RUN)/python -m pytest -m slow -s

docs: $(ALL) ## regenerate docs/protocol.md, the tables of results and the pictures of the README
	$(RUN)/python -m firmware_protocol generate
	$(RUN)/python docs/results.py
	$(RUN)/python docs/pictures.py

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --editable . --constraint constraints.txt
	touch $@

$(ALL): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --editable '.[train,test,lint]' --constraint constraints.txt
	touch $@
