"""`assay predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from assay import LabelKeys, Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import LISTED, global_bars, listed, note, number, on_disk, percent, printed_json, show
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA
from assay.verbs.predict import BLOCK_ATOMS, QUANTILES, FrameRisk, Risks, risks
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
    found = risks(assessment)
    listed("frames left out", assessment.failed)
    global_bars(assessment.global_bars)
    if not printed_json(json_file, found.summary()):
        show_risk(found, symbols(assessment))
        show_ranges(found)
        show_atoms(found)
    if any(frame.over_atoms for frame in found.by_risk):
        note(f"{found.atoms} atoms in {seconds:.1f} s: {found.atoms / seconds:.0f} atoms/s")
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


def show_risk(found: Risks, beside: Mapping[str, str]) -> None:
    """The riskiest frames, and what share each score flags; `beside` error bars the scores that have a letter."""
    thresholds = sum(level == "frame" and share is not None for (_, level), share in found.flagged.items())
    rows = [
        [
            Path(frame.frame).name,
            frame.config_type,
            str(frame.atoms),
            *_risks(frame, found, beside),
            _flags(frame.flagged_by, thresholds),
        ]
        for frame in found.by_risk[:LISTED]
    ]
    if found.assessment.bar:
        risks = [f"{letter}, eV/Å" for letter in beside.values()]
        risks += ["force bar, eV/Å", "at atom", "energy bar, meV/atom"]
    else:
        risks = _names(found)
    header = ["frame", "config_type", "atoms", *risks, "flagged by"]
    show(f"Riskiest of {found.frames} frames, {found.atoms} atoms", header, rows)
    shares = [[name, level, percent(share)] for (name, level), share in found.flagged.items()]
    show("Flagged", ["score", "level", "share"], shares)


def show_atoms(found: Risks) -> None:
    """How the scores of the atoms of large frames are distributed."""
    rows = [
        [
            Path(frame.frame).name,
            name,
            *(number(over.quantiles[q]) for q in QUANTILES),
            number(over.largest),
            str(over.flagged),
        ]
        for frame in found.by_risk[:LISTED]
        for name, over in frame.over_atoms.items()
    ]
    if rows:
        shares = [f"{100 * q:g} % below" for q in QUANTILES]
        show("Atoms of large frames", ["frame", "score", *shares, "largest", "atoms flagged"], rows)


def _names(found: Risks) -> list[str]:
    """Of the scores, each once."""
    return list(dict.fromkeys(name for name, _ in found.flagged))


def _risks(frame: FrameRisk, found: Risks, beside: Mapping[str, str]) -> list[str]:
    """The error bars of a frame, U of unlike members before them; where the gauge has no bars, its scores."""
    if not found.assessment.bar:
        return [number(frame.scores.get(name)) for name in _names(found)]
    return [
        *(number(frame.scores.get(name)) for name in beside),
        number(frame.force_bar),
        "–" if frame.riskiest_atom is None else str(frame.riskiest_atom),
        number(None if frame.energy_bar is None else 1000 * frame.energy_bar),
    ]


def _flags(flagged_by: Sequence[str], thresholds: int) -> str:
    """How many of the scores with a threshold flag a frame; of a single one, its name."""
    if not flagged_by:
        return "–"
    return f"{len(flagged_by)} of {thresholds} scores" if thresholds > 1 else flagged_by[0]


def show_ranges(found: Risks) -> None:
    """What the members span of the riskiest frames: energies from the prediction, the widest force and stress."""
    rows = []
    for frame in found.by_risk[:LISTED]:
        span, force, stress = frame.energy_span, frame.force_span, frame.stress_span
        if frame.energy is None or span is None or span.std is None or span.low is None or span.high is None:
            continue
        milli = 1000 / frame.atoms
        rows.append(
            [
                Path(frame.frame).name,
                number(milli * span.std),
                f"{(span.low - frame.energy) * milli:+.3g} … {(span.high - frame.energy) * milli:+.3g}",
                number(None if force is None else force.std),
                number(None if force is None else force.range),
                number(None if stress is None or stress.range is None else 1000 * stress.range),
            ]
        )
    if rows:
        energy, forces = ("energy std, meV/atom", "energy min … max"), ("force std, eV/Å", "force range")
        header = ["frame", *energy, *forces, "stress range, meV/Å³"]
        show("What the members span, not calibrated", header, rows)
