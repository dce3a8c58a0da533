# Everything a contributor types. `make` alone lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs supported screenshots soak soak-memory privacy-proof bench fuzz clean
MAKEFLAGS += --no-print-directory
# Tests start a thousand processes of ours: each would compile all that it imports, longer than most of them run.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

help:
	@echo 'make setup   build .venv with everything (needs python3 >= 3.11 with venv)'
	@echo 'make demo    a simulated school day in about two minutes; ARGS="--port 8080 --no-browser"'
	@echo 'make test    every test; ARGS="tests/telemetry -k clock"'
	@echo 'make check   format, lint, types, import arrows, generated documentation'
	@echo 'make docs    write the generated parts of docs/'
	@echo 'make supported  grade every driver; writes SUPPORTED.md; ARGS="pzem" grades that one alone'
	@echo 'make screenshots  take docs/screenshots again, of the pages as they are'
	@echo 'make soak    fault campaigns at length, hours; writes docs/reliability.md; ARGS="power-cut"'
	@echo 'make privacy-proof  attacks on privacy at length; writes docs/privacy.md; ARGS="presence"'
	@echo 'make soak-memory  one agent at a steady rate for an hour; ARGS="--minutes 5"'
	@echo 'make bench   measure beside a peer in the same run; writes bench/README.md; ARGS="listener", "peers"'
	@echo 'make fuzz    Atheris over the listener'"'"'s codec and sessions, with --drivers over every driver; ARGS="--seconds 600 --corpus folder"'
	@echo 'make clean   remove what setup built, and every cache'

setup: $(READY)

$(READY): requirements.lock node.lock package-lock.json pyproject.toml
	@python=$$(.ci/find-python) || exit 1; \
	echo "setting up .venv with $$python; this takes about a minute"; \
	$(BIN)/python -c '' 2>/dev/null || "$$python" -m venv --clear .venv
	@$(PIP) install --only-binary :all: --require-hashes -r requirements.lock
	@command -v npm >/dev/null || $(PIP) install --only-binary :all: --require-hashes -r node.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m bansui.assets
	@touch $(READY)

demo: setup
	@$(BIN)/bansui demo $(ARGS)

test: setup
	@$(BIN)/python -m tests.prerequisites
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 4 --dist loadfile --no-loadscope-reorder)

check: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.documents --check

docs: setup
	@$(BIN)/python -m tests.documents --write

supported: setup
	@$(BIN)/python -m tests.supported --write $(ARGS)

screenshots: setup
	@$(BIN)/python -m tests.prerequisites
	@$(BIN)/python -m tests.screenshots

soak: setup
	@$(BIN)/python -m tests.prerequisites
	@$(BIN)/python -m tests.faults --long --write $(ARGS)

privacy-proof: setup
	@$(BIN)/python -m tests.privacy --long --write $(ARGS)

soak-memory: setup
	@$(BIN)/python -m bench.soak --write $(ARGS)

bench: setup
	@$(BIN)/python -m bench --write $(ARGS)

fuzz: setup
	@$(PIP) install --only-binary :all: --require-hashes -r fuzz.lock
	@$(BIN)/python -m tests.fuzz $(ARGS)

clean:
	@rm -rf .venv .bansui/gateways cloud_sink/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
