"""`assay calibrate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from assay import LabelKeys, Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import listed, note
from assay.verbs.calibrate import calibrate as verb


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.argument("labelled", type=options.INPUT, nargs=-1, required=True)
@click.option("-o", "--out", type=options.OUTPUT, required=True, metavar="NEW.gauge")
@options.error_bar
@options.members
@options.run()
@options.label_keys
@click.pass_obj
def calibrate(
    command: str,
    gauge: Path,
    labelled: tuple[Path, ...],
    out: Path,
    error_bar: str | None,
    members: tuple[Path, ...],
    run: Run,
    energy_key: str,
    forces_key: str,
    stress_key: str,
) -> None:
    """New error bars from LABELLED frames that the gauge was not trained on."""
    with Stages() as stage:
        new = verb(
            gauge,
            labelled,
            members=members or None,
            error_bar=error_bar,
            out=out,
            keys=LabelKeys(energy_key, forces_key, stress_key),
            run=replace(run, progress=stage),
            command=command,
        )
    listed("frames left out", new.provenance["calibration_skipped"])
    for sentence in new.provenance["calibration_partly"]:
        note(sentence)
    note(f"{new.bar} for {', '.join(quantity for quantity, _ in new.calibrators.items())}, written to {out}")
