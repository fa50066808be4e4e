"""`assay predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from assay import LabelKeys, Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import LISTED, global_bars, listed, note, number, on_disk, percent, printed_json, show
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA
from assay.verbs.predict import BAR, BLOCK_ATOMS, QUANTILES, risk_summary
from assay.verbs.predict import predict as verb

EXCEEDED = 3


@click.command()
@click.argument("gauge", type=options.INPUT)
@click.argument("frames", type=options.INPUT, nargs=-1, required=True)
@options.members
@click.option(
    "-o",
    "--out",
    type=options.OUTPUT,
    metavar="OUT.extxyz",
    help="Frames with predictions and error bars; OUT.dump is a LAMMPS dump.",
)
@options.report
@options.json_option
@click.option(
    "--fail-above",
    metavar="X",
    help="Exit with 3 if a force error bar (norm, eV/Å) exceeds X, or with SCORE=X if that score does.",
)
@options.species
@click.option(
    "--block-atoms",
    type=click.IntRange(1),
    default=BLOCK_ATOMS,
    show_default=True,
    metavar="N",
    help="Larger frames are evaluated in blocks of so many: scores of atoms from features alone, no energy or stress.",
)
@click.option("--forces", is_flag=True, help="Forces and their error bars in blocks as well (linear potentials).")
@options.run()
@options.label_keys
@click.pass_obj
def predict(
    command: str,
    gauge: Path,
    frames: tuple[Path, ...],
    members: tuple[Path, ...],
    out: Path | None,
    report: Path | None,
    json_file: Path | None,
    fail_above: str | None,
    species: str | None,
    block_atoms: int,
    forces: bool,
    run: Run,
    energy_key: str,
    forces_key: str,
    stress_key: str,
) -> None:
    """Predictions, scores and error bars of FRAMES, labelled or not; scores alone where there are no predictions.

    Frames that can't be used are listed and the others are written; without --skip-bad the exit code is then 1.
    """
    limit = parse_limit(fail_above)
    started = time.monotonic()
    with Stages() as stage:
        assessment = verb(
            gauge,
            frames,
            members=members or None,
            out=out,
            report=report,
            json_file=on_disk(json_file),
            keys=LabelKeys(energy_key, forces_key, stress_key),
            species=species.split(",") if species else None,
            block_atoms=block_atoms,
            forces=forces,
            run=replace(run, progress=stage),
            command=command,
        )
    seconds = time.monotonic() - started
    summary = risk_summary(assessment)
    listed("frames left out", assessment.failed)
    global_bars(assessment.global_bars)
    if not printed_json(json_file, summary):
        show_risk(summary, symbols(assessment))
        show_ranges(summary)
        show_atoms(summary)
    if any("over_atoms" in frame for frame in summary["by_risk"]):
        note(f"{summary['atoms']} atoms in {seconds:.1f} s: {summary['atoms'] / seconds:.0f} atoms/s")
    for path in filter(None, (out, report)):
        note(f"written to {path}")
    if assessment.failed and not run.skip_bad:
        note(f"error: {len(assessment.failed)} frames could not be used (--skip-bad accepts that)")
        sys.exit(1)
    if limit is not None and exceeded(assessment, *limit):
        note(f"--fail-above {fail_above}: exceeded")
        sys.exit(EXCEEDED)


def parse_limit(text: str | None) -> tuple[str, float] | None:
    """`X` or `SCORE=X`; raises `click.UsageError` where X is not a number."""
    if text is None:
        return None
    name, _, value = text.rpartition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = float("nan")
    if np.isnan(limit):
        raise click.UsageError(f"--fail-above {text!r} is neither a number nor SCORE=number")
    return name, limit


def exceeded(assessment: Assessment, name: str, limit: float) -> bool:
    """Whether a force error bar, or the score `name`, is above `limit`. Raises `click.UsageError` for no such score."""
    if not name:
        if assessment.bars.force is None:
            raise click.UsageError("--fail-above: this gauge has no calibrated force error bar; name a score")
        return bool(np.linalg.norm(assessment.bars.force.half_width(ONE_SIGMA), axis=1).max() > limit)
    scores = [score for (each, level), score in assessment.scores.items() if each == name and level == "frame"]
    if not scores:
        known = ", ".join(dict.fromkeys(each for each, _ in assessment.scores))
        raise click.UsageError(f"--fail-above: no score {name!r}; there are {known}")
    return bool(scores[0].values.max() > limit)


def symbols(assessment: Assessment) -> dict[str, str]:
    """Letters of the scores of frames that stand beside the error bars, by name."""
    return {name: score.facts.symbol for (name, _), score in assessment.scores.items() if score.facts.symbol}


def show_risk(summary: dict[str, Any], beside: Mapping[str, str]) -> None:
    """The riskiest frames, and what share each score flags; `beside` error bars the scores that have a letter."""
    thresholds = sum(levels.get("frame") is not None for levels in summary["flagged"].values())
    rows = [
        [
            Path(frame["frame"]).name,
            frame["config_type"],
            str(frame["atoms"]),
            *_risks(frame, summary, beside),
            _flags(frame["flagged_by"], thresholds),
        ]
        for frame in summary["by_risk"][:LISTED]
    ]
    risks = ["force bar, eV/Å", "at atom", "energy bar, meV/atom"] if summary["error_bar"] else [*summary["flagged"]]
    if summary["error_bar"]:
        risks = [*(f"{letter}, eV/Å" for letter in beside.values()), *risks]
    header = ["frame", "config_type", "atoms", *risks, "flagged by"]
    show(f"Riskiest of {summary['frames']} frames, {summary['atoms']} atoms", header, rows)
    shares = [
        [name, level, percent(share)] for name, levels in summary["flagged"].items() for level, share in levels.items()
    ]
    show("Flagged", ["score", "level", "share"], shares)


def show_atoms(summary: dict[str, Any]) -> None:
    """How the scores of the atoms of large frames are distributed."""
    rows = [
        [Path(frame["frame"]).name, name, *(number(over[str(q)]) for q in QUANTILES), number(over["largest"]),
         str(over["flagged"])]
        for frame in summary["by_risk"][:LISTED]
        for name, over in frame.get("over_atoms", {}).items()
    ]  # fmt: skip
    if rows:
        shares = [f"{100 * q:g} % below" for q in QUANTILES]
        show("Atoms of large frames", ["frame", "score", *shares, "largest", "atoms flagged"], rows)


def _risks(frame: dict[str, Any], summary: dict[str, Any], beside: Mapping[str, str]) -> list[str]:
    """The error bars of a frame, U of unlike members before them; where the gauge has no bars, its scores."""
    if not summary["error_bar"]:
        return [number(frame.get(name)) for name in summary["flagged"]]
    bar = frame.get("energy_error_bar_eV_per_atom")
    spread = [number(frame.get(name)) for name in beside]
    bars = [number(frame.get(BAR)), str(frame.get("riskiest_atom", "–")), number(None if bar is None else 1000 * bar)]
    return spread + bars


def _flags(flagged_by: list[str], thresholds: int) -> str:
    """How many of the scores with a threshold flag a frame; of a single one, its name."""
    if not flagged_by:
        return "–"
    return f"{len(flagged_by)} of {thresholds} scores" if thresholds > 1 else flagged_by[0]


def show_ranges(summary: dict[str, Any]) -> None:
    """What the members span of the riskiest frames: energies from the prediction, the widest force and stress."""
    rows = []
    for frame in summary["by_risk"][:LISTED]:
        if frame.get("energy_std_eV") is None or "energy_eV" not in frame:
            continue
        milli = 1000 / frame["atoms"]
        low, high = ((frame[f"energy_{end}_eV"] - frame["energy_eV"]) * milli for end in ("min", "max"))
        stress = frame.get("largest_stress_range_eV_per_A3")
        rows.append(
            [
                Path(frame["frame"]).name,
                number(milli * frame["energy_std_eV"]),
                f"{low:+.3g} … {high:+.3g}",
                number(frame.get("largest_force_std_eV_per_A")),
                number(frame.get("largest_force_range_eV_per_A")),
                number(None if stress is None else 1000 * stress),
            ]
        )
    if rows:
        energy, force = ("energy std, meV/atom", "energy min … max"), ("force std, eV/Å", "force range")
        header = ["frame", *energy, *force, "stress range, meV/Å³"]
        show("What the members span, not calibrated", header, rows)
