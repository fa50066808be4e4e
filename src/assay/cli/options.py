"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from assay.frames.frame import LabelKeys

F = TypeVar("F", bound=Callable[..., Any])

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)

workers = click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Worker processes."
)
skip_bad = click.option("--skip-bad", is_flag=True, help="Leave out frames that can't be used, and list them.")
members = click.option(
    "--members", type=INPUT, multiple=True, help="Members or features file (.npz) of each frames file."
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write JSON; - is stdout.",
)
report = click.option("--report", type=OUTPUT, metavar="R.html", help="Write a self-contained HTML report.")
allow_import = click.option(
    "--allow-import", multiple=True, metavar="MODULE", help="Module that calculators may be imported from."
)
species = click.option("--species", metavar="W,Mo,…", help="Species of LAMMPS's atom types, in their order.")
error_bar = click.option(
    "--error-bar",
    metavar="SCORE:CALIBRATOR[:GROUPING]",
    help="What makes the error bar: a score, and scale, ratio, isotonic, binned, conformal, frame_conformal or "
    "simultaneous_conformal; or grouped or mondrian with :species, :chemical_system, :config_type or "
    ":cluster.",
)
_keys = (
    click.option("--energy-key", default=LabelKeys.energy, show_default=True, help="Label of the energy, eV."),
    click.option("--forces-key", default=LabelKeys.forces, show_default=True, help="Label of the forces, eV/Å."),
    click.option(
        "--stress-key", default=LabelKeys.stress, show_default=True, help="Label of the stress; none ignores it."
    ),
)


def label_keys(function: F) -> F:
    """`--energy-key`, `--forces-key`, `--stress-key`."""
    for option in reversed(_keys):
        function = option(function)
    return function
