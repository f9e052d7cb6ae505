# trainpush: `make demo` shows it, `make test` proves it.
# Everything installs what it needs into .venv and the user's cache; a second run takes a fraction of the time.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TESTBED := PYTHONPATH=hack $(RUN) -m testbed

.PHONY: help python demo demo-down test test-fast test-long stories story lint format generate bench reading clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

python:
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 or newer is missing: install python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed"; exit 1; }

$(STAMP): pyproject.toml | python
	@$(PYTHON) -m venv $(VENV) || { echo "make: the venv module is missing: install python3-venv"; exit 1; }
	$(RUN) -m pip install --upgrade 'pip>=25.1'
	$(RUN) -m pip install --editable . --group dev
	@touch $@

demo: $(STAMP) ## from nothing to a trained model on a real cluster
	PYTHONPATH=hack $(RUN) -m demo up

demo-down: $(STAMP) ## take the demo down
	PYTHONPATH=hack $(RUN) -m demo down

test: $(STAMP) ## all tests but long stories; SEED=... draws the same kill points again
ifndef TRAINPUSH_TEST_KUBECONFIG
	-@$(TESTBED) build
endif
	$(RUN) -m pytest tests -n 2 -m 'not story(long=True)'

test-fast: $(STAMP) ## unit and property tests with fewer examples, under a minute
	HYPOTHESIS_PROFILE=fast $(RUN) -m pytest tests/unit tests/property

test-long: $(STAMP) ## property tests with 10,000 examples each
	HYPOTHESIS_PROFILE=long $(RUN) -m pytest tests/property --timeout 7200

lint: $(STAMP) ## ruff, mypy, import contracts, generated files unchanged
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy operator/trainpush hack/testbed hack/demo hack/bench hack/generate hack/reading.py hack/record hack/verify_generated.py tests
	$(VENV)/bin/lint-imports --no-logo
	$(RUN) hack/verify_generated.py

format: $(STAMP) ## ruff format and safe fixes
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

generate: $(STAMP) ## write crds/ and docs/reference/ anew
	$(RUN) hack/verify_generated.py --write

stories: $(STAMP) ## every story, each kept for docs/results.md
	-@$(TESTBED) build
	RECORD=1 $(RUN) -m pytest tests -n 2 -m story

story: $(STAMP) ## NAME=...: one story with its figures; RECORD=1 keeps it; without NAME: list them, and which are stale
ifdef NAME
	@test=$$($(RUN) -m pytest tests -m story --collect-only -q --no-header | grep '::test_\(story_\)\?$(subst -,_,$(NAME))$$') || \
		{ echo "make: there is no story $(NAME); make story lists them"; exit 1; }; \
	$(RUN) -m pytest "$$test" --no-header -q
else
	@PYTHONPATH=hack $(RUN) -m record
endif

bench: $(STAMP) ## NAME=...: one benchmark, one JSON line; RECORD=1 keeps it; without NAME: all but soak, kept for docs/results.md
	@PYTHONPATH=hack:operator:tests $(RUN) -m bench $(NAME) $(if $(RECORD),--record)

reading: $(STAMP) ## how easily the planner is read, in figures
	@PYTHONPATH=hack:operator:tests $(RUN) -m reading

clean: ## remove the venv and what tools left here
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
