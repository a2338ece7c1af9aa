# Each target does its own set-up; with nothing to do that takes a fraction of a second.
.DEFAULT_GOAL := help
.PHONY: help demo test unit faults bench corpus culprits mutants findings lint languages clean
PYTEST = .venv/bin/pytest
ARGS ?=
# More than two cores can do at once: much of a test is waiting for a page, a database or a deadline. A file's tests stay together, and
# files in the order of their folders: the long ones with few tests first, so that short ones fill the end (tests/conftest.py has one more).
WORKERS ?= 3
# Without bytecode every start of the program costs seconds; some machines switch it off for all of Python.
export PYTHONDONTWRITEBYTECODE =

help: ## Show this list
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 8

demo: ## Watch a shop being cloned, updated, tested, approved and deployed, and a broken update being caught (CMS=opencart or CMS=bitrix for another)
	@scripts/bootstrap
	@.venv/bin/updater demo $(if $(CMS),--cms $(CMS)) $(ARGS)

test: ## Run all tests, on real ssh, Docker, MariaDB and Chromium (ARGS="-k name" for some)
	@scripts/bootstrap
	@$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15 $(ARGS)

unit: ## Run the tests that need no Docker and no network
	@scripts/bootstrap --python
	@$(PYTEST) -n 2 --dist worksteal tests/unit $(ARGS)

faults: ## Break promotions in every way we know, and count what is left of the shop (N=12 SEED=7: that many, drawn; ALL=1: every fault at every place; CMS=opencart, CMS=bitrix: a sample on its twin)
	@scripts/bootstrap
	@$(if $(filter bitrix,$(CMS)),$(PYTEST) -m '' tests/faults/test_replay_faults.py tests/integration/test_replay.py $(ARGS),PYTHONPATH=tests:tests/faults .venv/bin/python tests/faults/run.py $(if $(CMS),--cms $(CMS)) $(if $(N),-n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(ALL),--every) $(ARGS))
	@$(if $(N)$(CMS),,$(PYTEST) -n $(WORKERS) --dist loadfile -m '' tests/integration/test_transaction.py tests/integration/test_replay.py tests/e2e/test_interrupt.py tests/faults)

bench: ## Measure beside other tools, and write bench/README.md (ONLY=diff: that row)
	@scripts/bootstrap
	@PYTHONPATH=bench:tests:tests/faults .venv/bin/python -m measure $(ONLY)

corpus: ## Measure the verdict on breaking and harmless updates, into docs/verdicts.md (ONLY=price, or N=10 SEED=7 for some; CMS=opencart for another)
	@scripts/bootstrap
	@CMS="$(CMS)" ONLY="$(ONLY)" N="$(N)" SEED="$(SEED)" REPEAT="$(REPEAT)" MINUTES="$(MINUTES)" SHOPS="$(SHOPS)" FRESH="$(FRESH)" KEEP="$(KEEP)" PAGE="$(PAGE)" .venv/bin/python tests/corpus/judge.py

culprits: ## Measure whether the one update that breaks a shop is named among harmless ones, into docs/verdicts.md (N=12 SEED=7)
	@scripts/bootstrap
	@N="$(N)" SEED="$(SEED)" .venv/bin/python tests/corpus/culprits.py

mutants: ## Measure the verdict on changes drawn by lot, beside orders placed, into docs/mutants.md (N=60 SEED=7)
	@scripts/bootstrap
	@N="$(N)" SEED="$(SEED)" MINUTES="$(MINUTES)" PAGE="$(PAGE)" .venv/bin/python tests/corpus/mutants.py

findings: ## Photograph what the report says of each kind of finding, into docs/findings.md
	@scripts/bootstrap
	@.venv/bin/python tests/corpus/gallery.py

lint: ## Check style, types, imports and shell scripts
	@scripts/bootstrap --python
	@scripts/lint

languages: ## Bring new and changed messages into updater/locale/, for translators
	@scripts/bootstrap --python
	@scripts/languages

clean: ## Remove the demo's folder with what it left in Docker, and caches
	@if [ -e demo-run/site.yml ]; then .venv/bin/updater clean demo-run/site.yml; fi
	@rm -rf demo-run dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
