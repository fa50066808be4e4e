"""`assay export`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli import options
from assay.verbs.export import export as run


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.option("--format", "file_format", type=click.Choice(["snap", "pace"]), help="The potential's own by default.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="STEM")
def export(gauge: Path, out: Path, file_format: str | None) -> None:
    """Write the potential in files that LAMMPS runs, and a guard that stops a run where γ is too large."""
    for path in run(gauge, out, file_format=file_format):
        click.echo(path)
