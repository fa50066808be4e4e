"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from assay import LabelKeys, Run

F = TypeVar("F", bound=Callable[..., Any])

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)

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
    "--allow-import",
    multiple=True,
    metavar="MODULE",
    help="Module that classes, functions and calculators may be imported from.",
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


def run(*, skips: bool = True, imports: bool = True, processes: int = 1) -> Callable[[F], F]:
    """How work is done, as the argument `run`: `-j`, `--executor`, and `--skip-bad` and `--allow-import` if wanted.

    `processes`: how many there are by default.
    """
    executors = (
        click.option("-j", "--workers", type=click.IntRange(1), metavar="N", help="As --executor local:N."),
        click.option(
            "--executor",
            metavar="local:N",
            help=f"What runs the work: N processes of this machine; local:{processes} by default.",
        ),
    )
    wanted = (*executors, *((skip_bad,) if skips else ()), *((allow_import,) if imports else ()))

    def decorate(function: F) -> F:
        @wraps(function)
        def with_run(*args: Any, workers: int | None, executor: str | None, **arguments: Any) -> Any:
            if workers is not None and executor is not None:
                raise click.UsageError("-j N is --executor local:N: give one of them")
            given = {name: arguments.pop(name) for name in ("skip_bad", "allow_import") if name in arguments}
            try:
                how = Run(executor or f"local:{workers or processes}", **given)
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint="'--executor'") from error
            return function(*args, run=how, **arguments)

        decorated: Any = with_run
        for option in reversed(wanted):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
