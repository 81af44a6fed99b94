# `make` alone lists what there is. Everything runs in .venv; the first target that needs it sets it up.

PYTHON = .venv/bin/python
SPEED ?= 1
ARGS ?=
# Carries the weights of the voice encoder. Of its dependencies, torch among them, nothing is needed: --no-deps.
VOICES = Resemblyzer==0.1.4
# Test processes: many tests play recordings in real time, and wait more than they compute.
WORKERS ?= 3

# CPython that can make a virtual environment; Debian ships it as python3 and python3-venv.
USABLE = import sys, venv, ensurepip; sys.exit(sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info < (3, 14))
FIND_PYTHON = for name in python3.11 python3 python3.12 python3.13; do \
	if "$$name" -c '$(USABLE)' 2>/dev/null; then echo "$$name"; break; fi; done

# Of 1.4 GB little is ever imported; what is, Python compiles then, and keeps.
PIP = -qq --disable-pip-version-check --no-compile

APT = -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o DPkg::Lock::Timeout=60

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
unexport PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo serve doctor test check lint clean moved browser

help:
	@echo "make demo     play a consultation through the live API and print transcript and note (SPEED=4: faster)"
	@echo "make serve    run the server (ARGS='--port 9000': pass flags on)"
	@echo "make doctor   say what is installed, which recogniser would run, and what is missing"
	@echo "make test     the tests that every change has to pass"
	@echo "make check    the quick tests, without those of a whole server"
	@echo "make setup    only set up .venv, and the browser that tests run in"
	@echo "make clean    remove .venv and caches; data is kept"

setup: .venv/.stamp
	@rm -f .venv/.no-browser
	@$(MAKE) browser

demo: .venv/.stamp
	@.venv/bin/auscult-bench demo --speed $(SPEED)

serve: .venv/.stamp
	@.venv/bin/auscult serve $(ARGS)

doctor: .venv/.stamp
	@.venv/bin/auscult doctor

# While types are checked on one core, the tests, and what they import, are compiled on another.
test: .venv/.stamp browser
	@$(PYTHON) -m pytest --collect-only >/dev/null 2>&1 & $(MAKE) lint; linted=$$?; wait; exit $$linted
	@$(PYTHON) -m pytest -n $(WORKERS) --dist worksteal

check: lint browser
	@$(PYTHON) -m pytest -m "not slow" --ignore tests/acceptance -n $(WORKERS) --dist worksteal

lint: .venv/.stamp
	@$(PYTHON) -m ruff check --quiet --output-format concise
	@$(PYTHON) -m ruff format --check --quiet || { echo "Not formatted; to mend: $(PYTHON) -m ruff format" >&2; exit 1; }
	@$(PYTHON) -m mypy
	@report=$$(.venv/bin/lint-imports --no-logo 2>&1) && echo "Success: imports keep to the architecture" \
		|| { echo "$$report"; exit 1; }

# Tests alone need it (400 MB), so whoever only runs the server never gets it. Where it cannot be installed they are
# skipped; the mark keeps `make test` from trying each time, `make setup` tries anew.
browser: .venv/.stamp
	@if command -v chromium >/dev/null || [ -e .venv/.no-browser ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium for the browser tests (400 MB)"; \
		{ apt-get -qq $(APT) update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq $(APT) install -y --no-install-recommends chromium; } >/dev/null 2>&1 && exit 0; \
	fi; \
	touch .venv/.no-browser; \
	echo "Browser tests will be skipped; to run them: apt-get install chromium (as root), then make setup"

clean:
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp holds the folder it was made in: a virtual environment does not survive being moved.
ifneq ($(shell cat .venv/.stamp 2>/dev/null),$(CURDIR))
.venv/.stamp: moved
endif

.venv/.stamp: pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing python3 and python3-venv"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3 python3-venv >/dev/null; \
		python=$$($(FIND_PYTHON)); \
	fi; \
	if [ -z "$$python" ]; then \
		echo "Auscult needs CPython 3.11, 3.12 or 3.13 with venv: apt-get install python3 python3-venv" >&2; exit 1; \
	fi; \
	made_in=$$(cat .venv/.stamp 2>/dev/null || echo "$(CURDIR)"); \
	if [ "$$made_in" != "$(CURDIR)" ] || ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		"$$python" -m venv --clear .venv || exit 1; \
	fi; \
	echo "Setting up .venv (a minute or two the first time)"; \
	$(PYTHON) -m pip install $(PIP) --editable ".[dev,bench]" || exit 1; \
	$(PYTHON) -m pip install $(PIP) --no-deps $(VOICES) 2>/dev/null \
		|| echo "Voices will not be told apart; to mend it: $(PYTHON) -m pip install --no-deps $(VOICES)"; \
	echo "$(CURDIR)" >.venv/.stamp
