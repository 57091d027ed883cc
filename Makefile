# Verbs for working on the archive; `make` or `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo test fast fuzz crash lint format types imports dockerfile bench bench-peers rehearsal conformance docs clean lock tools
MAKEFLAGS += --no-print-directory
# The suite starts hundreds of processes: what they import is compiled once, also where the environment says never.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
RUN := .venv/.installed-run
DEV := .venv/.installed-dev
PYTEST := $(BIN)/python -m pytest
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## install what is needed and run the archive, data in ./data
	@exec $(BIN)/vna serve $(ARGS)

demo: $(RUN) ## store the images that come with pydicom and say what to try next
	@$(BIN)/vna demo $(ARGS)

test: $(DEV) tools ## the whole suite, all that `make bench` and `make crash` do not cover
	$(PYTEST) -n 2 --dist worksteal -m "not bench and not crash" $(ARGS)

fast: $(DEV) ## unit tests only, in seconds
	$(PYTEST) -m "not bench and not slow" tests/unit $(ARGS)

fuzz: $(DEV) ## inputs that nobody thought of, for all that reads what a peer sent: a minute, or ARGS=--seconds=600
	$(BIN)/python -m tests.fuzz $(ARGS)

crash: $(DEV) tools ## kill, fill, freeze and break it everywhere: the long forms of such tests, some minutes
	$(PYTEST) -m crash $(ARGS)

lint: $(DEV) ## rules and format of the code (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV) ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEV) ## strict types of code and tests (mypy)
	$(BIN)/mypy

imports: $(DEV) ## imports go down the layers only (import-linter)
	@$(BIN)/lint-imports

dockerfile: $(DEV) ## rules of the Dockerfile (hadolint)
	$(BIN)/hadolint Dockerfile

bench: $(DEV) ## figures of speed, each beside its floor on this machine
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: $(DEV) ## the same work done by Orthanc, dcmqrscp and the archive, as ratios
	@.ci/peers
	$(BIN)/python -m tests.benchmarks.peers $(ARGS)

rehearsal: $(DEV) ## migrate three archives and a folder with planted faults, and check every promise
	@.ci/peers
	$(BIN)/python -m tests.rehearsal $(ARGS)

conformance: $(RUN) ## write the conformance statement anew from the tables in the code
	@$(BIN)/vna conformance --defaults --output docs

docs: $(DEV) ## check that the documents agree with the code
	$(PYTEST) -q tests/house $(ARGS)

lock: $(DEV) ## choose new versions of all dependencies
	$(BIN)/python -m pip install --quiet uv
	echo "setuptools>=77" | $(COMPILE) --upgrade pyproject.toml - -o requirements.lock
	echo "setuptools>=77" | $(COMPILE) --upgrade --extra dev -c requirements.lock pyproject.toml - \
	  -o requirements-dev.lock

clean: ## remove .venv and all that tools left behind; ./data stays
	rm -rf .venv build dist bench-results *.egg-info .mypy_cache .ruff_cache .pytest_cache
	rm -rf .hypothesis .fuzz .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

tools: # programs that the suite drives and pip does not have
	@.ci/tools

# The environment is complete for `run` after $(RUN) and for all verbs after $(DEV).
.venv/bin/python:
	@PYTHON="$(PYTHON)" .ci/venv

$(RUN): pyproject.toml requirements.lock | .venv/bin/python
	@test -e $(DEV) || .ci/install requirements.lock
	@test ! -e $(DEV) || $(MAKE) $(DEV)
	@touch $@

$(DEV): pyproject.toml requirements.lock requirements-dev.lock | .venv/bin/python
	@.ci/install requirements-dev.lock
	@touch $@ $(RUN)
