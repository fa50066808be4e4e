"""`assay demo`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from assay import Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import errors_and_bars, note, percent, show
from assay.verbs.demo import demo as verb
from assay.verbs.evaluate import EvaluationResult


@click.command()
@options.report
@options.run(skips=False, imports=False, processes=2)
@click.pass_obj
def demo(command: str, report: Path | None, run: Run) -> None:
    """Fit, calibrate and judge quadratic SNAP for silicon on the data that ships with Assay."""
    with Stages() as stage:
        result = verb(report=report, run=replace(run, progress=stage), command=command)
    errors_and_bars(result.test, "Frames like the training frames (test)")
    errors_and_bars(result.ood, "Other frames: liquid, amorphous, surfaces, clusters, compressed (ood)")
    names = [
        score.name
        for score in result.gauge.scores
        if score.home == "atom" and (score.facts.leads or score.facts.default_bar_of)
    ]
    rows = [[name, *(percent(flagged(part, name)) for part in (result.test, result.ood))] for name in names]
    show("Atoms flagged", ["score", "test", "ood"], rows)
    inside, outside = (held(part) for part in (result.test, result.ood))
    note(
        f"95 % force error bars hold {percent(inside)} of the errors on frames like the training frames and "
        f"{percent(outside)} on the others: error bars are calibrated for what they were calibrated on, and the scores "
        f"tell which frames are not like that."
    )
    if report is not None:
        note(f"report: {report}")


def flagged(part: EvaluationResult, score: str) -> float | None:
    """The share of atoms that a score flags."""
    return None if (figures := part.scores[score].atom) is None else figures.flagged


def held(part: EvaluationResult) -> float | None:
    """The share of force errors inside their 95 % bars."""
    return None if (bar := part.bars.force) is None else bar.figures.coverage[0.95]
