# Powernode: one command runs the system, one runs its tests. `make help` lists all.
# Needs Python 3.11 or newer and a network; everything else is installed into .venv or built into the cache.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements.sha256
ORACLES := .venv-oracles
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help up down reset venv check oracles test test-full test-clients gen gen-reliability migrate bench bench-hub bench-platforms lock

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

up: venv ## start everything and stay (Ctrl-C stops it); DETACH=1 returns when all is ready
	@$(BIN)/powernode up $(if $(DETACH),--detach)

down: ## stop what `up` started; data stays
	@if [ -x $(BIN)/powernode ]; then $(BIN)/powernode down; fi

reset: ## stop and wipe var/: databases, logs, secrets
	@if [ -x $(BIN)/powernode ]; then $(BIN)/powernode reset; else rm -rf var; fi

venv: ## create or refresh .venv from the pinned, hashed requirements
	@sum=$$(cat requirements-dev.txt | $(PYTHON) -c 'import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version_info[:2])'); \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$$sum" ]; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=..."; exit 1; }; \
		[ -n "$$TEMPORAL_ADDRESS" ] || $(PYTHON) stack/temporal_binary.py >/dev/null 2>&1 & \
		echo "installing the pinned packages into $(VENV) (about a minute)"; \
		[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt && \
		echo "$$sum" > $(STAMP); \
	fi
	@printf '#!/bin/sh\nexec "%s/python" "%s/cli.py" "$$@"\n' "$(CURDIR)/$(BIN)" "$(CURDIR)" > $(BIN)/powernode.new && \
		chmod +x $(BIN)/powernode.new && mv $(BIN)/powernode.new $(BIN)/powernode

oracles: ## create or refresh .venv-oracles, where other people's readers live (aiogram wants an older pydantic than ours)
	@sum=$$(cat requirements-oracles.txt | $(PYTHON) -c 'import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version_info[:2])'); \
	if [ "$$(cat $(ORACLES)/.requirements.sha256 2>/dev/null)" != "$$sum" ]; then \
		[ -x $(ORACLES)/bin/python ] || $(PYTHON) -m venv $(ORACLES); \
		$(ORACLES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-oracles.txt && \
		echo "$$sum" > $(ORACLES)/.requirements.sha256; \
	fi

check: venv ## format, lint, types, import contracts, generated files, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	PYTHONPATH=. $(BIN)/lint-imports --no-cache
	$(BIN)/python -m stack.gen --check
	$(BIN)/python -m pytest -q tests/test_house_rules.py -p no:xdist

test: venv oracles ## the short form of every test, on real embedded services
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not full"

test-full: venv oracles ## everything, with kill tests at rates, periods and soak
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-clients: venv ## real client libraries under Node against a running api, 60 s of dropped connections; needs Node 20 and npm
	cd tests/clients && npm ci --no-audit --no-fund
	$(BIN)/python -m pytest -q tests/clients

gen: venv ## write the documents that are made from code
	$(BIN)/python -m stack.gen

gen-reliability: venv ## let every send go wrong on every platform, and write what became of it into docs/reliability.md
	$(BIN)/python -m tests.e2e.ambiguous

migrate: venv ## bring the database of DATABASE_URL or of the running stack to the current schema
	@$(BIN)/powernode migrate

bench: venv ## measure beside the peers; one JSON line a row
	$(BIN)/python -m bench

bench-hub: venv ## measure the hub beside the websockets package's broadcast(); one JSON line a row
	$(BIN)/python -m bench.hub

bench-platforms: venv oracles ## measure each platform: parsing beside SDKs, inbound to delivered, a connector's memory
	$(BIN)/python -m bench.platforms

lock: venv ## compile requirements*.in to pinned, hashed requirements*.txt
	@for name in requirements requirements-dev requirements-oracles; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; done
