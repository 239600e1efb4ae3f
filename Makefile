# `make help` lists what can be made. Python 3.11 or later and make are all a machine needs.

# Every process compiles all of the project anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install run test check lint unit bench soak lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

# The lock files are complete: with --no-deps pip resolves nothing, so that no newer release can stand in the way.
.venv/run.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --require-hashes --no-deps -r requirements-dev.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@ .venv/run.stamp

install: .venv/run.stamp ## install only: .venv/bin/siji is the command

run: .venv/run.stamp ## install, load the sample city, provision its servers, serve the portal on loopback
	$(BIN)/siji run

# RabbitMQ, Kafka and OpenStack are never quite idle: the tests that need them start them, and they end with them.
test: .venv/dev.stamp ## install and start what the tests need, then all tests; the rules must be covered whole
	$(BIN)/siji lab up postgres rabbitmq chromium kafka
	$(BIN)/siji lab down rabbitmq kafka
	$(BIN)/pytest -q tests/unit --cov
	$(BIN)/pytest -n 2 --ignore tests/unit; outcome=$$?; \
	$(BIN)/siji lab down rabbitmq kafka; $(BIN)/python -m tests.contract.openstack_lab; exit $$outcome

check: .venv/dev.stamp ## lint, types, imports, unit tests: what every commit must pass
	@$(MAKE) --no-print-directory -j 2 --output-sync lint unit

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Plugins of pytest that these tests have no use for take longer to load than the tests to run.
unit: .venv/dev.stamp
	$(BIN)/pytest -q tests/unit tests/architecture --hypothesis-profile=quick -p no:schemathesis -p no:anyio

bench: .venv/dev.stamp ## measure, as ratios against baselines, on the lab's PostgreSQL
	$(BIN)/siji lab up postgres
	$(BIN)/python -m bench

soak: .venv/dev.stamp ## the long counts of the fault tests, by the same code, with printed seeds; the turn of the year
	$(BIN)/siji lab up postgres
	$(BIN)/pytest -m soak tests -s
	$(BIN)/pytest -q -n 2 tests/service --today=2026-12-31
	$(BIN)/pytest -q -n 2 tests/service --today=2027-01-01

lock: .venv/dev.stamp ## resolve the lock files again
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate infra/lab/openstack/requirements.in -o infra/lab/openstack/requirements.lock

clean: ## remove what `make` made here, the sample city included
	-test ! -x $(BIN)/siji || $(BIN)/siji lab down
	-test ! -e .venv/dev.stamp || $(BIN)/python -m tests.contract.openstack_lab
	rm -rf .venv var .lab
