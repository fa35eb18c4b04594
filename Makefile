# Weighing Attention. `make` alone lists what can be made.
# Works with GNU make 3.81 (the one on macOS) and newer.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# One thread: results and times then do not depend on the number of cores.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help book test serve lab notebooks results bench pdf epub clean

help:
	@echo 'make book       build the HTML book, warnings are errors'
	@echo 'make serve      build it and serve it on this machine'
	@echo 'make lab        open the notebooks in JupyterLab'
	@echo 'make test       run every check: style, tests, notebooks, the site in a browser'
	@echo 'make notebooks  run all notebooks again and store their outputs'
	@echo 'make results    run all experiments over five seeds (goes on where it was interrupted)'
	@echo 'make bench      time the parts that must be fast'
	@echo 'make pdf        print the book to one PDF file'
	@echo 'make epub       pack the book into one EPUB file'
	@echo 'make clean      remove what was built (not $(VENV))'
	@echo
	@echo 'Each makes the virtual environment $(VENV) first, if it is missing or out of date.'
	@echo 'Another Python:                make book PYTHON=python3.12'
	@echo 'Newest packages, not pinned:   make test NEWEST=1 (in a fresh clone)'
	@echo 'All notebooks without AVX:     make test PLAIN=all'

$(READY): requirements.txt constraints.txt pyproject.toml tools/setup.sh
	@PYTHON='$(PYTHON)' NEWEST='$(NEWEST)' sh tools/setup.sh
	@touch $@

book: $(READY)
	@$(RUN) -m tools.book

test: $(READY)
	@$(RUN) -m tools.check $(if $(filter all,$(PLAIN)),--plain-all)

serve: book
	@$(RUN) -m tools.serve

lab: $(READY)
	@$(RUN) -m jupyter lab --LabApp.default_url=/lab/tree/notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

notebooks: $(READY)
	@$(RUN) -m tools.execute_notebooks

results: $(READY)
	@$(RUN) -m attention_src.experiments --seeds 5
	@$(RUN) -m attention_src.exercises --seeds 3

bench: $(READY)
	@$(RUN) -m tools.bench

pdf: $(READY)
	@$(RUN) -m tools.pdf

epub: $(READY)
	@$(RUN) -m tools.epub

clean:
	rm -rf _build .cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find attention_src book tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'The virtual environment stays; to remove it too: rm -rf $(VENV)'
