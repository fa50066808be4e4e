"""`assay export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from assay.cli import options
from assay.results.visible import visible_name
from assay.verbs.export import export as run


def _count(_context: click.Context, _option: click.Parameter, value: str) -> int | Literal["all"]:
    if value == "all":
        return "all"
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is not a number of members: give a number or all, as in --members all")
    return int(value)


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.option("--format", "file_format", type=click.Choice(["snap", "pace"]), help="The potential's own by default.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="STEM")
@click.option(
    "--members",
    callback=_count,
    is_flag=False,
    flag_value="all",
    default="0",
    metavar="[N|all]",
    help="Also every member of the ensemble (or the first N) as a potential of its own: STEM-000 and so on.",
)
@options.allow_import
def export(
    gauge: Path, out: Path, file_format: str | None, members: int | Literal["all"], allow_import: tuple[str, ...]
) -> None:
    """Write the potential in files that LAMMPS runs, and a guard that stops a run where γ is too large."""
    for path in run(gauge, out, file_format=file_format, members=members, allow_import=allow_import):
        click.echo(visible_name(str(path)))
