# From a fresh clone: `make demo` runs the built-in task, `make test` runs the tests.
# Needs Python 3.11 or newer and a package index that pip can reach. pip's own settings
# (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, ...) choose the index, and with it the build of torch.
#
#   make demo PYTHON=/path/to/python3.12      another interpreter

VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/installed
PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt

CPP = $(wildcard src/tutelage/kernels/*.cpp src/tutelage/kernels/*.h)

# Compiled modules halve the start of every process that the tests begin.
export PYTHONDONTWRITEBYTECODE =

.NOTPARALLEL:
.PHONY: help setup demo test test-unit lint format docs bench bench-all clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED)/core ## Create .venv and install Tutelage into it

demo: $(INSTALLED)/vader ## Fine-tune the built-in model on the built-in reviews; prints where the report is
	$(BIN)/tutelage run reviews

test: $(INSTALLED)/parity ## Run all tests: unit, golden, parity, faults, end to end
	$(BIN)/python -m pytest -n auto tests/unit
	$(BIN)/python -m pytest tests/golden tests/parity tests/faults tests/e2e

test-unit: $(INSTALLED)/test ## Run the unit tests only (offline, under a minute)
	$(BIN)/python -m pytest -n auto tests/unit

lint: $(INSTALLED)/lint ## Check style, layers and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(INSTALLED)/lint ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)
	$(BIN)/ruff check --fix .

docs: $(INSTALLED)/docs ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

# Peers live in environments of their own, at the releases named in benchmarks/peers/*.txt.
PEERS = $(VENV)/peers
WORK = a b c d e f score
TRAIN = $(filter-out score,$(WORK))

# Ours beside one peer at a time: 18 GB are enough. What can be measured is kept; a failure comes last.
MEASURE = failed=; \
	$(if $(TRAIN),for peer in $(1); do \
	    $(BIN)/python benchmarks/train_speed.py --work $(TRAIN) --peers $$peer \
	        --out benchmarks/results/$$(date -u +%F)-train-$$peer.json || failed=1; done;) \
	$(if $(filter score,$(WORK)),$(BIN)/python benchmarks/score_speed.py || failed=1;) \
	$(BIN)/python benchmarks/join_results.py; test -z "$$failed"

bench: $(INSTALLED)/parity $(PEERS)/trl/installed $(PEERS)/litgpt/installed ## Speed beside the two fastest peers; WORK=a for one part, score for evaluation
	$(call MEASURE,trainer litgpt)

bench-all: $(INSTALLED)/parity $(PEERS)/trl/installed $(PEERS)/litgpt/installed $(PEERS)/llamafactory/installed ## Beside every peer
	$(call MEASURE,trainer trl litgpt llamafactory)

$(PEERS)/%/installed: benchmarks/peers/%.txt $(BIN)/python
	@echo "Installing $* into an environment of its own"
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet torch==2.13.0
	@$(@D)/bin/python -m pip install --quiet -r $<
	@$(@D)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio # builds for another torch; not needed
	@touch $@

clean: ## Remove .venv, caches and built files; runs/ stays
	rm -rf $(VENV) site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +

# --- Installation: each step leaves a stamp and is redone only when its inputs change ---

# $PYTHON, or the first Python that is new enough and can create environments.
$(BIN)/python:
	@for python in $${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv $(VENV) && exit 0; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	done; \
	echo "$${PYTHON:-python3} is not a Python 3.11 or newer that can create environments. Install one" \
	    "(on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3 ..." >&2; \
	exit 1

# torch goes first: it is the largest part, and its build decides what the rest may use.
$(INSTALLED)/core: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Tutelage and its dependencies (a few minutes the first time)"
	@$(PIP) torch
	@$(PIP) -e .
	@mkdir -p $(INSTALLED) && touch $@

# Extras of pyproject.toml; the stamp has the extra's name.
$(INSTALLED)/vader $(INSTALLED)/test $(INSTALLED)/parity $(INSTALLED)/lint $(INSTALLED)/docs: $(INSTALLED)/core
	@echo "Installing the extra '$(@F)'"
	@$(PIP) -e '.[$(@F)]'
	@touch $@
