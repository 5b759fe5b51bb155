# Every target names one command; what a command decides is decided in Python.
PYTHON ?= python3
VENV ?= .venv
TEST ?=
PYTEST_ARGS ?=

PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

MINUTES ?= 15
PART ?=
MODULE ?=
CORPUS_ARGS ?=
DRAWN ?=

.DEFAULT_GOAL := help
.PHONY: help setup test golden chaos chaos-full trust fuzz audit mutants corpus conformance check lint format types demo
.PHONY: diagrams diagrams-check mermaid-check docs docs-check bench build release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create the environment, and renew it when pyproject.toml has changed

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(PY) -m compileall -q machine
	@touch $(STAMP)

test: setup ## run the tests; TEST=tests/plan narrows them, PYTEST_ARGS=-x is passed on
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) $(TEST)

golden: setup ## write the stored runs of tests/golden in today's format
	$(PY) tests/golden/write.py

check: lint types test diagrams-check docs-check ## everything a change has to pass

lint: setup ## look for mistakes and for formatting that differs
	$(PY) -m ruff check
	$(PY) -m ruff format --check

format: setup ## format the code and mend what can be mended safely
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

types: setup ## check the types
	$(PY) -m mypy

demo: setup ## show a deployment from end to end, in the folder demo/
	$(PY) -m machine.testing.demo --folder demo

diagrams: setup ## draw the shipped workflows again
	$(PY) -m machine.testing.gallery

diagrams-check: setup ## fail when a drawing differs from what its workflow says
	$(PY) -m machine.testing.gallery --check

mermaid-check: setup ## let Mermaid's own parser read the drawings; DRAWN=--corpus those of others too
	$(PY) tests/diagram/mermaid_parser.py $(DRAWN)

docs: setup ## write the reference in docs/reference/ from the code
	$(PY) tests/reference/write_reference.py

docs-check: setup ## fail when the reference differs from what the code says
	$(PY) tests/reference/write_reference.py --check

conformance: setup ## try every conformance case, print the table and write its page
	$(PY) tests/conformance/page.py

bench: setup ## measure the speed of the machine
	$(PY) -m machine.testing.bench

chaos: setup ## break things for MINUTES=15: kills, power loss, full disks, signals
	$(PY) tests/chaos/campaign.py --minutes $(MINUTES)

chaos-full: setup ## the fault campaign whole, hours of it, or PART=F4 of it; renews docs/chaos.md
	$(PY) tests/chaos/campaign.py --full $(if $(PART),--part $(PART)) --results chaos-results --report docs/chaos.md

trust: setup ## leak, hang, inject: canaries, hostile documents and answers, naughty texts
	$(PY) tests/trust/campaign.py

fuzz: setup ## read random documents, answers, expressions and stores for MINUTES=15
	$(PY) tests/fuzz/campaign.py --minutes $(MINUTES)

audit: setup ## ask whether a dependency has a known vulnerability
	$(PY) tests/trust/audit.py

mutants: setup ## change the safety core line by line and see that a test notices; MODULE=machine/runtime/secrets.py
	$(PY) tests/mutants/mutate.py $(MODULE)

corpus: setup ## compile, check, draw and drive the documents of others; CORPUS_ARGS='--only TEXT --json FILE'
	$(PY) tests/corpus/measure.py $(CORPUS_ARGS)

build: setup ## build the sdist and the wheel into dist/
	$(PY) -m build

release-check: setup ## install the wheel alone, under each Python there is: tutorial and workflows
	$(PY) tests/release/walk.py

clean: ## remove what the other targets made, except the environment
	rm -rf build demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find machine tests -name __pycache__ -type d -prune -exec rm -rf {} +
