# Needs make, a compiler and Python 3.11 or newer (PYTHON=...); everything else goes into .venv.

PYTHON ?= python3
CORES ?= all
CONFIG ?=
MIRROR ?=
MODELS ?=
MODEL ?=
KILLS ?= 50
WORKERS ?= 4
ENVIRONMENT := .venv
VENV = $(CURDIR)/$(ENVIRONMENT)
# one word of the shell, whatever letters a path has
quoted = '$(subst ','\'',$(1))'
python = $(call quoted,$(VENV)/bin/python)
# a container may run as a user that has no name and no home
RUN = PATH=$(call quoted,$(VENV)/bin):"$$PATH" LOGNAME="$${LOGNAME:-$$(id -un 2> /dev/null || id -u)}" HOME="$${HOME:-/nonexistent}"
# the options of profiles/default, without the line that Snakemake prints about a profile; python -m, since the first
# line of a script cannot name an interpreter of any letters
FILES := input-output persistence software-deployment software-deployment-cache sources storage-local-copies
SNAKEMAKE = $(RUN) $(python) -P -m snakemake --workflow-profile none --rerun-incomplete --quiet host --scheduler greedy \
	--max-jobs-per-timespan 1000/1m --shared-fs-usage $(FILES) --cores $(CORES)

# settings that have a variable here
SETTINGS = $(strip $(if $(MIRROR),$(call quoted,retrieve={"mirror":"$(MIRROR)"})) $(if $(MODELS),'models={$(foreach name,$(MODELS),"$(name)":{},)}'))

.DEFAULT_GOAL := help
.PHONY: help reproduce diagnose universal md17 radius rescue smoke test hard-times cluster-test benchmark lint labels config clean check-cores check-config check-rescue check-python venv-run venv-test venv-reference models venv-mace venv-chgnet venv-sevennet venv-organic venv-sgdml

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

reproduce: check-cores venv-run check-config ## run the whole pipeline and write results/report.html (CORES=4, CONFIG=my.yaml)
	@$(SNAKEMAKE) $(if $(CONFIG),--configfile $(call quoted,$(CONFIG)))

diagnose: check-cores venv-run check-config ## measure the shifts, and errors of MODELS="supervised chgnet" (CONFIG=, MIRROR=folder or address)
	@$(SNAKEMAKE) diagnose $(if $(CONFIG),--configfile $(call quoted,$(CONFIG))) $(if $(SETTINGS),--config $(SETTINGS))

universal: check-cores venv-run check-config models ## compare public models and label-free help for them on the stress set (CONFIG=)
	@$(SNAKEMAKE) universal --configfile config/universal.yaml $(if $(CONFIG),$(call quoted,$(CONFIG)))

md17: check-cores venv-run check-config ## molecules that no model has seen, adapted to and simulated (MIRROR=folder or address, CONFIG=config/md17_full.yaml)
	@$(SNAKEMAKE) --configfile $(call quoted,$(or $(CONFIG),config/md17.yaml)) $(if $(SETTINGS),--config $(SETTINGS))

radius: check-cores venv-run check-config ## radius refinement where it can act: small and random cutoffs, molecules up to 60 atoms (CONFIG=)
	@$(SNAKEMAKE) --configfile config/radius.yaml $(if $(CONFIG),$(call quoted,$(CONFIG)))

rescue: check-rescue check-cores venv-run check-config ## better forces for your structures by MODEL=aimnet2 as it is (CONFIG=mine.yaml)
	@$(SNAKEMAKE) rescue --configfile config/rescue.yaml $(call quoted,$(CONFIG)) --config $(call quoted,models={"$(MODEL)":{}})

smoke: check-cores venv-run ## run the same pipeline at its smallest in .smoke/, under a minute
	@mkdir -p .smoke
	@for name in Snakefile workflow config envs resources; do ln -sfn "../$$name" ".smoke/$$name"; done
	@cd .smoke && $(SNAKEMAKE) --configfile config/smoke.yaml
	@echo "The report of the smoke run, whose numbers mean nothing: .smoke/results/report.html"

test: venv-test ## run the tests (PYTEST="-k curate" for some of them, WORKERS=2 at once)
	@$(RUN) python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

cluster-test: venv-test ## run the smoke setting and the failures of a cluster on a real Slurm (as root; seven minutes)
	@bash tests/cluster/run.sh $(python)

hard-times: venv-test ## kill, starve and feed damaged files to the workflow at length (KILLS=50)
	@$(RUN) python -m pytest tests/reliability tests/unit/test_round_trips.py --kills $(KILLS) --examples 300

benchmark: venv-reference ## measure the speed against the published way and the limit
	@$(RUN) python benchmarks/run_all.py

lint: venv-test ## check the workflow, its format, the Python code and its types
	@$(RUN) snakemake --workflow-profile none --lint
	@$(RUN) snakefmt --check --compact-diff Snakefile workflow
	@$(RUN) ruff check .
	@$(RUN) ruff format --check --quiet .
	@$(RUN) mypy

models: venv-mace venv-chgnet venv-sevennet venv-organic ## install the environments of MACE, CHGNet, SevenNet, and of AIMNet2, ANI and SO3LR

labels: check-cores venv-reference ## make the embedded benchmark anew into results/labelling/ (hours)
	@$(SNAKEMAKE) relabel

config: venv-run ## write config/config.yaml and config/README.md from the schema
	@$(RUN) PYTHONPATH=workflow python workflow/scripts/document_config.py \
		--schema workflow/schemas/config.schema.yaml --config config/config.yaml --manual config/README.md

clean: ## remove results, logs and caches; reference calculations and .venv stay
	@if [ -d results ]; then find results -mindepth 1 -maxdepth 1 ! -name labelling -exec rm -rf {} +; fi
	@rm -rf logs .smoke .pytest_cache .hypothesis .ruff_cache .mypy_cache

check-cores:
	@case "$(CORES)" in all|[1-9]|[1-9][0-9]|[1-9][0-9][0-9]) ;; *) \
		echo "error: CORES is '$(CORES)'; give a number of cores from 1, or all, for example: make $(MAKECMDGOALS) CORES=2" >&2; exit 1 ;; esac

# before Snakemake, which answers a missing or damaged file with a traceback
check-config: venv-run
	@if [ -n $(call quoted,$(CONFIG)) ]; then $(RUN) PYTHONPATH=workflow python workflow/scripts/check_config.py \
		--config $(call quoted,$(CONFIG)) --schema workflow/schemas/config.schema.yaml 2>&1 | { ! grep "^error:" >&2; }; fi

check-rescue:
	@if [ -z $(call quoted,$(MODEL)) ]; then echo "error: MODEL is missing; give a model of config/models.yaml, for example:" \
		"make rescue MODEL=aimnet2 CONFIG=mine.yaml" >&2; exit 1; fi
	@if [ -z $(call quoted,$(CONFIG)) ]; then echo "error: CONFIG is missing; give a file of settings that names your structures" \
		"(docs/universal.md), for example: make rescue MODEL=$(MODEL) CONFIG=mine.yaml" >&2; exit 1; fi

check-python:
	@case $(call quoted,$(CURDIR)) in *:*) echo "error: the path of this folder has a colon, which no search path of programs can hold; rename it" >&2; exit 1 ;; esac
	@command -v which > /dev/null || { echo "error: the program which is not there; Snakemake's plugin for Slurm needs it, install it" >&2; exit 1; }
	@command -v "$(PYTHON)" > /dev/null || { echo "error: $(PYTHON) is not there; install Python 3.11 or newer, or name one with PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "error: $(PYTHON) is Python %d.%d; 3.11 or newer is needed, name one with PYTHON=..." % v[:2])'

# each in a folder of its own, .venv-mace for one: MACE and SevenNet need different versions of e3nn
venv-mace venv-chgnet venv-sevennet venv-organic venv-sgdml: ENVIRONMENT = .$@

# an environment is as its lock says when the copy of the lock in it, made last, is equal to the lock; a larger lock
# holds the smaller ones
SATISFIED_run := run reference test
SATISFIED_reference := reference test
$(foreach lock,test mace chgnet sevennet organic sgdml,$(eval SATISFIED_$(lock) := $(lock)))
venv-run venv-test venv-reference venv-mace venv-chgnet venv-sevennet venv-organic venv-sgdml: venv-%: check-python envs/lock/%.txt
	@if ! { $(foreach lock,$(SATISFIED_$*),cmp -s envs/lock/$(lock).txt $(call quoted,$(VENV)/$(lock).lock) ||) false; }; then \
		echo "Installing envs/lock/$*.txt into $(ENVIRONMENT) (once, a few minutes)"; \
		test -x $(python) || "$(PYTHON)" -m venv $(call quoted,$(VENV)) > /dev/null || { rm -rf $(call quoted,$(VENV)); \
			echo "error: $(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		PIP_DISABLE_PIP_VERSION_CHECK=1 $(python) -m pip install -qq -r envs/lock/$*.txt || { \
			echo "error: envs/lock/$*.txt could not be installed; the reason is above" >&2; exit 1; }; \
		cp envs/lock/$*.txt $(call quoted,$(VENV)/$*.lock); \
	fi
