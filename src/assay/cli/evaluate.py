"""`assay evaluate`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from assay import LabelKeys, Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import (
    calibration,
    envelope,
    errors_and_bars,
    global_bars,
    listed,
    note,
    on_disk,
    printed_json,
    ranking,
    strata,
)
from assay.verbs.evaluate import evaluate as verb


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.argument("labelled", type=options.INPUT, nargs=-1, required=True)
@options.members
@options.report
@options.json_option
@options.run()
@options.label_keys
@click.pass_obj
def evaluate(
    command: str,
    gauge: Path,
    labelled: tuple[Path, ...],
    members: tuple[Path, ...],
    report: Path | None,
    json_file: Path | None,
    run: Run,
    energy_key: str,
    forces_key: str,
    stress_key: str,
) -> None:
    """Hold a gauge against LABELLED frames: errors, ranking, coverage, proper scores, envelope of the members."""
    with Stages() as stage:
        result = verb(
            gauge,
            labelled,
            members=members or None,
            report=report,
            json_file=on_disk(json_file),
            keys=LabelKeys(energy_key, forces_key, stress_key),
            run=replace(run, progress=stage),
            command=command,
        )
    listed("frames left out", result.failed)
    for sentence in result.partly:
        note(sentence)
    global_bars(result.global_bars)
    if not printed_json(json_file, result.summary()):
        errors_and_bars(result, "Evaluation")
        calibration(result)
        strata(result)
        envelope(result)
        ranking(result)
    if report is not None:
        note(f"written to {report}")
    if result.failed and not run.skip_bad:
        note(f"error: {len(result.failed)} frames could not be used (--skip-bad accepts that)")
        sys.exit(1)
