# One command a question. `make demo` shows what this is, `make test` whether it works, `make chdtf` builds a dataset.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The first interpreter in range that really runs (a version manager's shim may be there and not work).
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
MANIFEST ?=
OUT ?=
BUILD_FLAGS ?=

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED) ## create .venv with the pinned dependencies

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "needs Python 3.10, 3.11 or 3.12; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Installing into $(VENV) with $(PYTHON) (some minutes, once) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## build the sample, generate, score, print the leaderboard
	@$(BIN)/disentbench demo

chdtf: $(INSTALLED) ## build a dataset: make chdtf [MANIFEST=list.csv] [OUT=folder]; the bundled sample by default
	@$(BIN)/disentbench build $(if $(MANIFEST),--manifest "$(MANIFEST)") $(if $(OUT),--out "$(OUT)") $(BUILD_FLAGS)

test: $(INSTALLED) ## run all tests, in as many processes as there are cores
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

bench-pipeline: $(INSTALLED) ## speed of the dataset builder against its bare cost
	$(BIN)/python tests/perf/bench_pipeline.py

bench-metrics: $(INSTALLED) ## speed of the metrics; CPBD and SyncNet against the packages of their names
	$(BIN)/python tests/perf/bench_metrics.py
	$(BIN)/python tests/perf/bench_syncnet.py

bench-fit: $(INSTALLED) ## speed of fitting face models
	$(BIN)/python tests/perf/bench_fit.py

bench-model: $(INSTALLED) ## speed of training, motion and rendering; CPU, and GPU when there is one
	$(BIN)/python tests/perf/bench_model.py
	$(BIN)/python tests/perf/bench_motion.py
	$(BIN)/python tests/perf/bench_render.py

train-demo: $(INSTALLED) ## train the tiny model on the bundled sample, some minutes
	@$(BIN)/disentbench build --out data/sample
	@$(BIN)/disentbench train --data data/sample --out runs/demo --preset tiny --audio phones --prediction v \
		--learning-rate 1.5e-3 --warmup-steps 50 --steps 300 --ema-decay 0.99 --validate-every 100

check: $(INSTALLED) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove what builds and runs have made (not .venv)
	rm -rf data results build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.PHONY: help install demo chdtf test bench-pipeline bench-metrics bench-fit bench-model train-demo check clean
