# Every target creates what it needs from nothing but Python 3.11 and this checkout.

VENV   ?= .venv
VENV_OPENPI ?= .venv-openpi
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Test processes; each compiles its own programs, so more than the cores does not help.
# One file's tests share compiled programs, so they stay in one process.
WORKERS ?= 2
WORKDIR ?= runs/demo
STUDY   ?= runs/whole-study
ZOO     ?= runs/zoo
# For `make study`, say --config.landmarks=True (with a folder of its own).
ROLLOUT_FLAGS ?=
# For `make mutants`: modules and options, "nmr stats.groups --jobs 2"; every module when empty.
MUTANTS ?=

PY  := $(VENV)/bin/python
PIP := -m pip --disable-pip-version-check --quiet
READY         := $(VENV)/.ready
READY_LIBERO  := $(VENV)/.ready-libero
READY_DOCS    := $(VENV)/.ready-docs
READY_OPENPI  := $(VENV_OPENPI)/.ready

# Of `make bench-gpu`. With PLATFORM=cpu VARIANT=rehearsal it goes through all of it without a GPU.
VENV_GPU ?= .venv-gpu
BENCH    ?= runs/bench-$(VARIANT)
VARIANT  ?= full
PLATFORM ?= cuda
CUDA     ?= cuda12
# A folder of wheels, where no index can be reached.
WHEELS   ?=
BENCH_FLAGS ?=

# make_env(folder): an empty environment, unless it is there. One without pip is what Python leaves
# where ensurepip (python3-venv) is not installed, and is made again.
define make_env
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=...")'
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(1)
endef

.DEFAULT_GOAL := help
.PHONY: help setup setup-libero setup-openpi-stack demo study zoo test test-slow test-browser \
        test-libero test-openpi-stack doctest doctest-openpi-stack lint format type docs wheels mutants bench bench-gpu clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
	  | awk -F'|' '{ printf "  make %-20s %s\n", $$1, $$2 }'
	@echo
	@echo "  variables: VENV=$(VENV) PYTHON=$(PYTHON) WORKERS=$(WORKERS) WORKDIR=$(WORKDIR) STUDY=$(STUDY)"

setup: $(READY) ## Create $(VENV) with the locked newest stack.

$(READY): requirements-lock.txt pyproject.toml
	@echo "creating $(VENV) (a minute or two)"
	$(call make_env,$(VENV))
	@$(PY) $(PIP) install --requirement requirements-lock.txt
	@$(PY) $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

setup-libero: $(READY_LIBERO) ## Add the simulator (about 2.5 GB) to $(VENV).

$(READY_LIBERO): $(READY) requirements-libero-lock.txt
	@echo "installing the simulator into $(VENV) (about 2.5 GB, a few minutes)"
	@$(PY) $(PIP) install --requirement requirements-lock.txt --requirement requirements-libero-lock.txt
	@touch $@

setup-openpi-stack: $(READY_OPENPI) ## Create $(VENV_OPENPI) with openpi's versions.

$(READY_OPENPI): third_party/openpi-constraints.txt pyproject.toml
	@echo "creating $(VENV_OPENPI) (a minute or two)"
	$(call make_env,$(VENV_OPENPI))
	@$(VENV_OPENPI)/bin/python $(PIP) install --constraint $< hatchling editables beartype
	@$(VENV_OPENPI)/bin/python $(PIP) install --constraint $< --no-build-isolation --editable ".[test]"
	@touch $@

# What the embedded policy acts on and whether a planted shortcut is found, side by side; then the
# main job, one frame a row and half the masks. Two processes share its maps, which one computes on
# little more than a core.
demo: ACTS = $(PY) -m experiments.acts_on --config=configs/acts_on.py --workdir=$(WORKDIR)/acts_on
demo: FIND = $(PY) -m experiments.find_shortcut --config=configs/find_shortcut.py \
  --workdir=$(WORKDIR)/find_shortcut
demo: NMR = $(PY) -m experiments.nmr_correlation --config=configs/nmr_correlation.py \
  --config.frames_per_episode=1 --config.iss.num_masks=50 --workdir=$(WORKDIR)/nmr \
  --num_processes=2
demo: $(READY) ## What the embedded policy acts on, a planted shortcut, and the main job.
	@mkdir -p $(WORKDIR); $(FIND) > $(WORKDIR)/find_shortcut.txt 2>&1 & other=$$!; \
	  trap "kill $$other 2>/dev/null" EXIT INT TERM; $(ACTS) && wait $$other; found=$$?; \
	  cat $(WORKDIR)/find_shortcut.txt; exit $$found
	@$(NMR) --process_id=1 & other=$$!; trap "kill $$other 2>/dev/null" EXIT INT TERM; \
	  $(NMR) --process_id=0

study: $(READY_LIBERO) ## Run the main job on the whole study: rollouts, then their maps.
	$(PY) -m experiments.rollout --config=configs/rollout.py:study --workdir=$(STUDY)/rollouts \
	  --config.known_trials=docs/study/trials.csv $(ROLLOUT_FLAGS)
	$(PY) -m experiments.nmr_correlation --config=configs/nmr_correlation.py:study \
	  --config.checkpoint=embedded --config.dataset=$(STUDY)/rollouts/episodes \
	  --config.success=$(STUDY)/rollouts/success.csv --workdir=$(STUDY)/nmr

# Each process takes every second policy; started again, both go on where they were.
zoo: RUN_ZOO = XLA_FLAGS=--xla_cpu_multi_thread_eigen=false OMP_NUM_THREADS=1 \
  OPENBLAS_NUM_THREADS=1 $(PY) -m experiments.zoo_run --config=configs/zoo_run.py --workdir=$(ZOO) \
  --num_processes=2
zoo: $(READY_LIBERO) ## The 24 policies of docs/zoo/design.csv; first read docs/making/zoo.md.
	$(PY) -m experiments.zoo_frames --config=configs/zoo_frames.py --workdir=datasets/zoo
	@$(RUN_ZOO) --process_id=1 & other=$$!; trap "kill $$other 2>/dev/null" EXIT INT TERM; \
	  $(RUN_ZOO) --process_id=0 && wait $$other

test: $(READY) ## Run the suite, without the simulator and what is slow by nature.
	$(PY) -m pytest -m "not libero and not slow and not browser" -n $(WORKERS) --dist loadfile

test-slow: $(READY) ## Run the rest: the pages' code blocks and the long smoke runs.
	$(PY) -m pytest -m "slow and not libero and not browser" -n $(WORKERS) --dist load

test-browser: $(READY) ## Try the pages in a headless Chromium, where there is one.
	@bash .ci/browser $(PY)

test-libero: $(READY_LIBERO) ## Run the simulator's tests, with the simulator installed.
	$(PY) -m pytest -m libero -n $(WORKERS) --dist loadfile

# What is slow by nature (the pages' blocks, long smoke runs) is run on the newest stack alone.
test-openpi-stack: $(READY_OPENPI) ## Run the suite on openpi's versions.
	$(VENV_OPENPI)/bin/python -m pytest -m "not libero and not slow and not browser" -n $(WORKERS) \
	  --dist loadfile --ignore=tests/docs

DOCTESTS = --doctest-modules --ignore=iss_jax/envs iss_jax -n $(WORKERS) --dist loadfile

doctest: $(READY) ## Run the examples in the docstrings.
	$(PY) -m pytest $(DOCTESTS)

doctest-openpi-stack: $(READY_OPENPI) ## Run them on openpi's versions.
	$(VENV_OPENPI)/bin/python -m pytest $(DOCTESTS)

lint: $(READY) ## Check style.
	$(PY) -m ruff check .
	$(PY) -m ruff format --check iss_jax experiments configs tests .ci conftest.py
	$(PY) -m pre_commit validate-config

format: $(READY) ## Format the code.
	$(PY) -m ruff format iss_jax experiments configs tests .ci conftest.py
	$(PY) -m ruff check --fix .

type: $(READY) ## Check types.
	$(PY) -m pyright --pythonpath $(PY)

wheels: $(READY) ## Install and try the wheel on each Python it names.
	$(PY) .ci/wheels.py

# Apart from the environment: no test needs the tool, and its packages are many.
COSMIC_RAY := .cosmic-ray

$(COSMIC_RAY): | $(READY)
	@$(PY) $(PIP) install --target $@ cosmic-ray==8.7.0

mutants: $(READY) $(COSMIC_RAY) ## Put small faults into the numerical core; a test must notice each.
	PYTHONPATH=.:$(COSMIC_RAY) $(PY) .ci/mutants.py $(MUTANTS)

$(READY_DOCS): $(READY) requirements-docs-lock.txt
	@$(PY) $(PIP) install --requirement requirements-lock.txt --requirement requirements-docs-lock.txt
	@touch $@

# The theme announces its successor on every run otherwise. Not --quiet: it hides the warnings from
# --strict, and the build passes.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(READY_DOCS) ## Build the documentation into site/; a broken link or an unknown name fails.
	$(PY) -m mkdocs build --strict

bench: $(READY) ## Measure time and memory.
	$(PY) -m experiments.bench --config=configs/bench.py --workdir=runs/bench

# A script that runs the Python of the benchmark. One whose JAX has the device is used as it is, and
# what it lacks is laid beside it: a machine with a GPU may reach no index and have no other JAX. Else
# the locked stack is installed, with JAX's own wheels for the GPU.
$(VENV_GPU)/python: requirements-lock.txt pyproject.toml
	@mkdir -p $(VENV_GPU)/added
	@if JAX_PLATFORMS=$(PLATFORM) $(PYTHON) -c 'import jax; jax.devices()' 2>/dev/null; then \
	  found=$$($(PYTHON) -c 'import sys; print(sys.executable)'); \
	  lacking=$$($(PYTHON) .ci/lacking.py); \
	  echo "JAX of $$found is used as it is$${lacking:+; it lacks $$lacking}"; \
	  test -z "$$lacking" || $(PYTHON) $(PIP) install --no-deps --target $(VENV_GPU)/added \
	    $(if $(WHEELS),--no-index --find-links $(WHEELS)) $$lacking || exit 1; \
	elif test $(PLATFORM) != cuda || nvidia-smi -L; then \
	  found=$(abspath $(VENV_GPU))/bin/python; \
	  echo "creating $(VENV_GPU) (a few minutes)"; \
	  test -x $$found || $(PYTHON) -m venv $(VENV_GPU) || exit 1; \
	  $$found $(PIP) install $(if $(WHEELS),--no-index --find-links $(WHEELS)) \
	    --requirement requirements-lock.txt \
	    $(if $(filter cuda,$(PLATFORM)),"jax[$(CUDA)]") || exit 1; \
	else \
	  echo "no GPU is here; rehearse on the CPU: make bench-gpu PLATFORM=cpu VARIANT=rehearsal" >&2; \
	  exit 1; \
	fi; \
	printf '#!/bin/sh\nPYTHONPATH=%s exec %s "$$@"\n' "$(CURDIR):$(abspath $(VENV_GPU)/added)" "$$found" >$@
	@chmod +x $@

# All of the device's memory but what CUDA itself takes, and no fall back to another device.
bench-gpu: $(VENV_GPU)/python ## Measure the released sizes on a GPU, in ten minutes; again goes on.
	@JAX_PLATFORMS=$(PLATFORM) TF_CPP_MIN_LOG_LEVEL=$${TF_CPP_MIN_LOG_LEVEL:-2} \
	  XLA_PYTHON_CLIENT_MEM_FRACTION=$${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.92} \
	  $(VENV_GPU)/python -m experiments.bench --config=configs/bench.py:$(VARIANT) \
	  --workdir=$(BENCH) $(BENCH_FLAGS)

clean: ## Remove environments and caches; keeps runs/.
	rm -rf $(VENV) $(VENV_OPENPI) $(VENV_GPU) build dist site .pytest_cache .ruff_cache .hypothesis $(COSMIC_RAY)
