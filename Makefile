# Every target starts from a bare Python 3.11 or newer and sets up .venv itself, again only when setup.cfg or
# constraints.txt changed.  Choose the interpreter with  make PYTHON=/path/to/python3  before the first run.

IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
            $(shell $(p) -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $(p))))
VENV := .venv/bin/python
PIP := $(VENV) -m pip install -qq --disable-pip-version-check -c constraints.txt
EXTRAS := test,dev,docs,plot,cv2,cli,torch

# Whatever a tool keeps between runs stays in the clone: HOME may be read-only.
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.cache/hypothesis
export MPLBACKEND := Agg

# numba's cache does not notice a change in a helper that lives in another file, so each state of the sources
# has a cache of its own: never stale, and a second run compiles nothing.
export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba-$(shell find pysift -name '*.py' | LC_ALL=C sort \
                            | xargs cksum | cksum | cut -d ' ' -f 1)

.PHONY: help demo test docs one lint types bench venv numba-cache clean

help:                   ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

demo: .venv/stamp       ## find, describe and match keypoints on a photograph; pictures go to demo_output/
	@echo "demo: SIFT on a photograph, pictures in demo_output/"
	@.venv/bin/pysift demo --output demo_output

test: lint types        ## everything CI runs: lint, types, tests and doctests, demo
	@echo "test: the laws, the oracles, the doctests"
	@$(VENV) -m pytest $(ARGS)
	@$(MAKE) --no-print-directory demo

docs: .venv/stamp       ## build the site from docs/, every cell executed, into build/html
	@echo "docs: the site, warnings are errors"
	@$(VENV) -m sphinx -W -n -q -E -b html -d .cache/doctrees docs build/html
	@echo "docs: open file://$(CURDIR)/build/html/index.html"

one: .venv/stamp        ## run some tests only: make one T=tests/test_refine.py
	@$(VENV) -m pytest $(T) $(ARGS)

lint: .venv/stamp       ## ruff check
	@echo "lint: ruff check"
	@$(VENV) -m ruff check .

types: .venv/stamp      ## mypy
	@echo "types: mypy"
	@$(VENV) -m mypy

bench: .venv/bench      ## run a benchmark beside its peers: make bench ARGS="speed --quick"
	@$(VENV) -m benchmarks $(ARGS)

venv: .venv/stamp       ## set up .venv and stop

.venv/stamp: setup.cfg constraints.txt
	@$(VENV) -m pip --version >/dev/null 2>&1 || { \
	    python='$(PYTHON)'; \
	    "$$python" -c '$(IS_NEW_ENOUGH)' 2>/dev/null || { \
	        echo "siftgrad needs Python 3.11 or newer, and $${python:-what is called python3 here} is not." >&2; \
	        echo "Install one, then  make PYTHON=/path/to/python3" >&2; exit 1; }; \
	    echo "setup: .venv from $$("$$python" --version)"; \
	    "$$python" -m venv --clear .venv; }
	@echo "setup: packages into .venv; minutes the first time, again only when setup.cfg or constraints.txt changes"
	@$(PIP) "$$(grep '^torch==' constraints.txt)"      # by its exact version first: an open range may bring CUDA
	@$(PIP) -e '.[$(EXTRAS)]'
	@touch $@

.venv/bench: .venv/stamp
	@echo "setup: the peers of the benchmarks into .venv"
	@$(PIP) -e '.[$(EXTRAS),bench]'
	@touch $@

numba-cache:
	@echo $(NUMBA_CACHE_DIR)

clean:                  ## remove caches, builds and the demo's pictures; .venv stays
	rm -rf .cache .hypothesis demo_output build dist *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
