# Everything here needs python3 (3.11 or newer), git, make and the package registry, nothing else.
PYTHON ?= python3
MONTHS ?= 4
PORT ?= 8400
SOAK_S ?= 600
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Two cores: threads of OpenMP and Polars in parallel processes only wait for each other.
export OMP_NUM_THREADS ?= 1
export POLARS_MAX_THREADS ?= 2
# Tests start a thousand processes, each of which would compile cd4ml.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test fuzz soak check format size bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Fill .venv with the locked dependencies and this checkout (other targets do it)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cd4ml needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V); name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: install ## Run the whole loop on a year of New York flights (MONTHS=4, PORT=8400; ONCE=1 ends by itself)
	$(BIN)/cd4ml demo $(if $(ONCE),--once) --months $(MONTHS) --port $(PORT)

test: install ## Run every test, on SQLite and files, and on PostgreSQL and S3 if there (ARGS=tests/store: some of them)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 1 -m "not alone"; shared=$$?; \
	  $(BIN)/python -m pytest -m alone && exit $$shared
endif

fuzz: install ## Send an endpoint ten thousand requests that nobody should (REQUESTS=10000); `make test` sends 800
	CD4ML_FUZZ=$(or $(REQUESTS),10000) $(BIN)/python -m pytest tests/serving/test_fuzz.py -q

soak: install ## Ten minutes of load with swaps, killed workers and full disks: every answer once (SOAK_S=600)
	CD4ML_TEST_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest tests/serving/test_soak.py -s $(ARGS)

check: install ## Lint, types, import floors, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir .cache/import_linter
	$(BIN)/python tools/check_docs.py

format: install ## Put code in the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

size: install ## Weigh the base install beside MLflow's, and the code beside the best of the field
	$(BIN)/python tools/size.py

bench: install ## Run the benchmarks beside their peers, write docs/benchmarks.md (ONLY=data: one of them)
	$(BIN)/python tools/bench.py $(ONLY)

lock: ## Resolve the dependencies again (UPGRADE=1 takes the newest of each)
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.cache/lock/bin/uv $(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements/base.txt
	.cache/lock/bin/uv $(COMPILE) $(if $(UPGRADE),--upgrade) -c requirements/base.txt \
	  --all-extras --group dev pyproject.toml -o requirements/dev.txt

clean: ## Remove .venv and every cache; projects and their data stay
	rm -rf $(VENV) .cache dist
	find src tests tools benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
