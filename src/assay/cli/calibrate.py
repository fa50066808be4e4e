"""`assay calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import listed, note
from assay.frames.frame import LabelKeys
from assay.verbs.calibrate import calibrate as run


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.argument("labelled", type=options.INPUT, nargs=-1, required=True)
@click.option("-o", "--out", type=options.OUTPUT, required=True, metavar="NEW.gauge")
@options.error_bar
@options.members
@options.workers
@options.skip_bad
@options.allow_import
@options.label_keys
@click.pass_obj
def calibrate(
    command: str,
    gauge: Path,
    labelled: tuple[Path, ...],
    out: Path,
    error_bar: str | None,
    members: tuple[Path, ...],
    workers: int,
    skip_bad: bool,
    allow_import: tuple[str, ...],
    energy_key: str,
    forces_key: str,
    stress_key: str,
) -> None:
    """New error bars from LABELLED frames that the gauge was not trained on."""
    with Stages() as stage:
        new = run(
            gauge,
            labelled,
            members=members or None,
            error_bar=error_bar,
            out=out,
            keys=LabelKeys(energy_key, forces_key, stress_key),
            workers=workers,
            skip_bad=skip_bad,
            allow_import=allow_import,
            stage=stage,
            command=command,
        )
    listed("frames left out", new.provenance["calibration_skipped"])
    note(f"{new.bar} for {', '.join(quantity for quantity, _ in new.calibrators.items())}, written to {out}")
