# The menu. `make` alone prints it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
TOOLS := $(PYTHON) deploy/tools/tools.py
BIN := .venv/bin
LAYERS = $(BIN)/python -m tests.layers
SCENARIO ?= single
# BROWSER=0 leaves the browser tests out, and the summary says so.
BROWSER ?= 1
BROWSER_LAYER = $(if $(filter 0,$(BROWSER)),,browser)
# Tests and programs find the pinned tools through these variables.
WITH_TOOLS = set -a && eval "$$($(TOOLS) env)" && set +a &&

.PHONY: help
help:  ## Show this menu
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## Make .venv and get the programs that the demo needs
	@$(TOOLS) setup
	@$(TOOLS) ensure

.PHONY: setup-test
setup-test: setup
	@$(TOOLS) ensure test
	@$(TOOLS) documents

.PHONY: demo
demo: setup  ## Provision a Sovereign in the sandbox; SCENARIO=list shows others
	@$(BIN)/python -m catalyst.demo $(SCENARIO)

.PHONY: doctor
doctor:  ## Show each tool: wanted, found, from where, how to get it
	@$(TOOLS) doctor

.PHONY: test
test: check setup-browser  ## Check and test everything that takes minutes, with a summary per layer
	@$(WITH_TOOLS) $(LAYERS) unit integration system $(BROWSER_LAYER)
	@$(if $(BROWSER_LAYER),true,echo "browser      not tested: BROWSER=0 was given")

.PHONY: check
check: setup-test  ## Format, lint, types, imports, events that released readers still read
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy libs services cli sandbox tests bench deploy/tools
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m contracts compatible

.PHONY: generate
generate: setup  ## Write what derives from the sources: flow.md, errors.md, settings.md, the kit, schemas, AsyncAPI, OpenAPI
	@$(BIN)/python -m contracts
	@$(BIN)/python -m catalyst.settings_page
	@$(BIN)/python -m catalyst.kit_page

.PHONY: bump-flux
bump-flux: setup  ## Change the Flux release everywhere at once: VERSION=x.y.z
	@$(BIN)/python deploy/tools/bump_flux.py "$(VERSION)"

.PHONY: verify-charts
verify-charts: setup  ## Render the kit's charts with our values; needs Helm and the charts' repositories
	@$(BIN)/python deploy/tools/verify_charts.py

.PHONY: release-schemas
release-schemas: setup  ## At a release: record the events' schemas as released; the guard holds later changes to them
	@$(BIN)/python -m contracts release

.PHONY: test-unit
test-unit: setup-test  ## Handlers, decisions, contracts: no broker
	@$(WITH_TOOLS) $(LAYERS) unit

.PHONY: test-integration
test-integration: setup-test  ## The bus and each adapter on its real counterpart
	@$(WITH_TOOLS) $(LAYERS) integration

.PHONY: test-system
test-system: setup-test  ## Scenarios through real processes
	@$(WITH_TOOLS) $(LAYERS) system

.PHONY: setup-browser
setup-browser: setup-test
ifneq ($(BROWSER),0)
	@$(TOOLS) ensure browser || { echo "No Chromium: put one on PATH (Debian: apt-get install chromium), or give BROWSER=0."; exit 1; }
endif

.PHONY: test-browser
test-browser: setup-browser  ## The console in Chromium
	@$(WITH_TOOLS) $(LAYERS) browser

.PHONY: faults
faults: setup-test  ## Whatever kills processes
	@$(WITH_TOOLS) $(LAYERS) faults

.PHONY: compose-context
compose-context: setup  ## Lay ready what docker-compose.yml needs: wheels, programs, keys, settings
	@$(BIN)/python deploy/docker/prepare.py

.PHONY: test-compose
test-compose: setup  ## Build the containers, run them to ready, take them away; says what is missing
	@$(BIN)/python deploy/docker/trial.py

.PHONY: conformance
conformance: setup-test  ## Real Kubernetes and Flux as the judges; their programs are built once, a quarter of an hour
	@$(TOOLS) ensure conformance
	@$(WITH_TOOLS) $(LAYERS) conformance

.PHONY: bench
bench: setup-browser  ## Every figure of the project, against its goal
	@short=; $(WITH_TOOLS) for file in bench/[a-z]*.py; do $(BIN)/python $$file && echo || short="$$short $$file"; done; \
	test -z "$$short" || { echo "short of a goal, or broken:$$short"; exit 1; }

.PHONY: clean
clean:  ## Remove what runs and caches left behind
	rm -rf .run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
