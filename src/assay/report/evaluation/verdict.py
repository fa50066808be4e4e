"""The judgement in plain words, with the numbers it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.evaluation.barred import width
from assay.evaluation.figures import BarAgainstErrors
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation.quantities import DISPLAYED, atom_force_bar, frame_risk, riskiest_frame
from assay.report.evaluation.tables import mean_bar
from assay.report.kit.parts import number, percent
from assay.results.assessment import Assessment
from assay.results.per_quantity import Quantity
from assay.results.score import Score, lead
from assay.results.wording import many

SLACK = {0.68: 0.05, 0.95: 0.03}
"""How far coverage may be from its level before the verdict says so."""
FEW = 20
"""Frames below which the verdict warns that coverage is uncertain."""


@dataclass(frozen=True)
class Tile:
    """A key number with its name and a remark."""

    name: str
    value: str
    remark: str


@dataclass(frozen=True)
class Verdict:
    """`tone` is `good` (every bar is the right size), `bad` (the bars of the headline are not) or `plain`."""

    tone: str
    headline: str
    sentences: list[str]
    tiles: list[Tile]


def verdict(assessment: Assessment, evaluation: EvaluationResult | None) -> Verdict:
    """What the evaluation says; without one, where the risk is."""
    return _predicted(assessment) if evaluation is None else _judged(assessment, evaluation)


def _judged(assessment: Assessment, evaluation: EvaluationResult) -> Verdict:
    bars = list(evaluation.bars.forces_first())
    force, energy = evaluation.errors.force.rmse, evaluation.errors.energy.rmse
    sentences = [
        f"Typical errors (root mean square): {number(force)} eV/Å on force components, "
        f"{number(energy)} meV/atom on energies."
    ]
    tiles = [Tile("Force RMSE", f"{number(force)} eV/Å", f"energy {number(energy)} meV/atom")]
    if bars:
        main, *others = ((name, bar, _size(name, bar)) for name, bar in bars)
        tone, headline = main[2]
        sentences += _bar_sentences(*main[:2]) + _group_sentences(main[0], evaluation)
        for _, bar, (_, said) in others:
            sentences.append(f"{said.removesuffix('.')} (68 % and 95 % bars hold {_both(bar.figures.coverage)}).")
        tone = "plain" if tone == "good" and any(other != "good" for _, _, (other, _) in others) else tone
        tiles += _bar_tiles(*main[:2])
    else:
        tone, headline = "plain", "There are no error bars to judge, only scores."
        sentences.append("A score ranks risk but has no unit of error: calibrate it to get error bars.")
    if evaluation.label_check:
        tone, headline = "bad", "The labels contradict the predictions."
        sentences = [*(f"{finding}." for finding in evaluation.label_check), *sentences]
    frames, overlap = evaluation.frames, evaluation.training_overlap
    if frames < FEW:
        sentences.append(f"This rests on {many(frames, 'frame')} only: take the shares as rough.")
    if overlap:
        sentences.append(
            f"{many(overlap, 'frame')} of these were trained on: what they show says nothing about new frames."
        )
    return Verdict(tone, headline, [*sentences, *_flag_sentences(assessment)], [*tiles, *_flag_tiles(assessment)])


def _size(name: Quantity, bar: BarAgainstErrors) -> tuple[str, str]:
    """Tone and headline from how coverage compares with its levels."""
    off = {level: share - level for level in SLACK if (share := bar.figures.coverage[level]) is not None}
    if len(off) < len(SLACK):
        return "plain", f"The coverage of the {name} error bars is not defined on these frames."
    signs = {int(np.sign(off[level])) if abs(off[level]) > SLACK[level] else 0 for level in SLACK}
    if signs == {0}:
        return "good", f"The {name} error bars are the right size."
    if signs == {-1, 1}:
        return "bad", f"The {name} error bars have the wrong shape: their coverage is off in both directions."
    if 1 in signs:
        return "bad", f"The {name} error bars are too wide: they hold more errors than they promise."
    return "bad", f"The {name} error bars are too narrow: more errors are outside than they promise."


def _bar_sentences(name: Quantity, bar: BarAgainstErrors) -> list[str]:
    sentence = f"Bars that should hold 68 % and 95 % of the {name} errors hold {_both(bar.figures.coverage)}"
    if bar.constant is not None:
        sentence += f"; one constant bar for all holds {_both(bar.constant.coverage)}"
    sentences = [sentence + "."]
    ours, theirs = bar.figures.nll, None if bar.constant is None else bar.constant.nll
    if ours is not None and theirs is not None:
        better = "tell risky from safe better than" if ours < theirs else "do not tell risky from safe better than"
        sentences.append(
            f"The bars {better} a constant bar (negative log-likelihood {number(ours)} against {number(theirs)}, "
            "smaller is better)."
        )
    return sentences


def _group_sentences(name: Quantity, evaluation: EvaluationResult) -> list[str]:
    """How much coverage differs between groups: right on average can be wrong everywhere."""
    held = {
        group or "frames without a group": bar.figures.coverage[0.68]
        for group, part in evaluation.by_config_type.items()
        if (bar := part.bars[name]) is not None
    }
    known = sorted((share, group) for group, share in held.items() if share is not None)
    if len(known) < 2:
        return []
    (low, lowest), (high, highest) = known[0], known[-1]
    return [
        f"From group to group the 68 % bars hold between {percent(low)} ({lowest}) and {percent(high)} ({highest})."
    ]


def _both(coverage: Mapping[float, float | None]) -> str:
    return " and ".join(percent(coverage[level]) for level in SLACK)


def _bar_tiles(name: Quantity, bar: BarAgainstErrors) -> list[Tile]:
    unit, factor = DISPLAYED[name]
    tiles = [Tile(f"Mean {name} bar", f"±{number(mean_bar(bar.figures, factor))} {unit}", bar.name)]
    for level in SLACK:
        text = f"{100 * level:g} %"
        remark = f"should be {text}"
        if bar.constant is not None:
            remark += f"; constant bar {percent(bar.constant.coverage[level])}"
        tiles.append(Tile(f"Inside {text} bars", percent(bar.figures.coverage[level]), remark))
    return tiles


def _predicted(assessment: Assessment) -> Verdict:
    """Where the risk is, when there are no references to hold predictions against."""
    sentences = [
        "No evaluation came with these frames: this page shows where the risk is, not whether the bars are right."
        if assessment.batch.forces is not None
        else "There are scores only: they rank risk but have no unit of error. Error bars need predictions."
    ]
    tiles = []
    bar = atom_force_bar(assessment)
    if bar is not None and assessment.bars.force is not None and len(bar):
        mean = float(width(assessment.bars.force).mean())
        tiles.append(Tile("Mean force bar", f"±{number(mean)} eV/Å", f"per component; {assessment.bar}"))
        tiles.append(Tile("Largest force bar", f"±{number(float(bar.max()))} eV/Å", "of one atom's force vector"))
    if assessment.bars.energy is not None and len(assessment.batch.names):
        mean = 1e3 * float(width(assessment.bars.energy).mean())
        tiles.append(Tile("Mean energy bar", f"±{number(mean)} meV/atom", assessment.bar))
    top, risk = riskiest_frame(assessment), frame_risk(assessment)
    if top is not None and risk is not None:
        sentences.append(f"The riskiest frame is {assessment.batch.names[top]}, by {risk[0]}.")
    flags = _flag_sentences(assessment)
    return Verdict("plain", "Where the risk is.", sentences + flags, tiles + _flag_tiles(assessment))


def _flag_sentences(assessment: Assessment) -> list[str]:
    shares: dict[str, list[str]] = {}
    for s in _flagging(assessment):
        shares.setdefault(s.name, []).append(
            f"{percent(float(s.flagged.mean()))} of {s.level}s (above {s.threshold:.3g})"
        )
    return [f"Flagged by {name}: {', '.join(found)}." for name, found in shares.items()]


def _flag_tiles(assessment: Assessment) -> list[Tile]:
    return [
        Tile(f"Flagged {s.level}s", percent(float(s.flagged.mean())), f"{s.name} above {s.threshold:.3g}")
        for s in _flagging(assessment)[:1]
    ]


def _flagging(assessment: Assessment) -> list[Score]:
    """The levels of one score with a threshold: that of the error bar, else the one that leads.

    The spread of unlike members in atoms brings U of their frames along.
    """
    scores = [score for score in assessment.scores.values() if score.threshold is not None and len(score.values)]
    facts = {score.name: score.facts for score in scores}
    of_bar = assessment.bar.partition(":")[0]
    first = of_bar if of_bar in facts else lead(facts)
    shown = [first, *(score.facts.shown_with for score in scores if score.name == first)]
    return sorted((score for score in scores if score.name in shown), key=lambda score: shown.index(score.name))
