"""Which error bar and which ranking to use, by rules that are stated, with the numbers that decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assay.comparison.candidates import (
    SLACK,
    Candidate,
    Result,
    as_good,
    best,
    cheapest,
    coverage_off,
    frames_of,
    geometric_mean,
    has_bad_frames,
    honest,
    of_correlation,
    of_skill,
    surely_above_zero,
)
from assay.comparison.methods import CONSTANT, RANDOM
from assay.comparison.reasons import (
    Told,
    at_home,
    by_split,
    choice,
    cost,
    held_everywhere,
    listed,
    losses,
    number,
    share,
)
from assay.comparison.sets import CALIBRATION

CONTROLS = (RANDOM.name, CONSTANT.name)
FEW = 50
"""Calibration frames below which the coverage at 95 % scatters by more than 3 points from their choice alone."""
FEW_TESTED = 20
"""Frames of a test set below which its numbers are rough."""
SHOWN = 4
"""Alternatives that are as good, named one by one."""
RANKED = {"frames": ("force_frame", "largest force error of frames"), "atoms": ("force_atom", "force error of atoms")}


def recommendation(result: Result) -> dict[str, Any]:
    """The error bars of forces and of energies, and the scores to rank frames and atoms by, each with its reasons.

    Error bars (`error_bars` are those of forces; `energy_bars`), among all `METHOD:CALIBRATOR` with an interval score
    on every split:

    1. Honest at home: on the calibration frames (cross-fitted) the 95 % intervals of the coverage at 68 % and 95 %
       reach to within 5 and 3 points of these levels. Where no bar is, the one that is nearest.
    2. Good everywhere: the least geometric mean over all splits of the interval score at 90 %, a proper score: bars
       that miss and bars that are wide both pay. A split where a bar fails counts as much as one where it shines.
    3. Those as good as that one, on every split either no worse or not significantly worse than the split's best, give
       way to the cheapest: per atom first, then to fit, potential included; 10 % is no difference. Of energies to the
       bar of the forces, if it is among them: a gauge has one for all.
    4. The constant bar, where its own mean is smaller, or where on no split the skill against it is surely above 0:
       more than the best of so many bars, on one of so many splits, has by luck in 5 % of cases.

    Rankings (`ranking_frames` by the largest force error of frames, `ranking_atoms` by the force error of atoms): the
    largest mean over all splits of Spearman's correlation, 0 where it is not defined; then rule 3. None, where on no
    split the correlation is surely above 0 in the sense of rule 4: at random is as good.

    All splits weigh the same: give `compare` the test sets that you care about. What the tables have decides, so
    whoever wants other rules can apply them there.

    | symbol | argument |
    |---|---|
    | | result: of `assay.compare`, all but `recommendation` |
    """
    force = _error_bars(result, "force")
    bars = {"force": force, "energy": _error_bars(result, "energy", prefer=bar_name(force))}
    return {
        "error_bars": bars["force"],
        "energy_bars": bars["energy"],
        **{f"ranking_{of}": _ranking(result, of) for of in RANKED},
        "warnings": [*_few(result), *_collapses(result, bars), *_failures(result)],
    }


def _error_bars(result: Result, quantity: str, prefer: str = "") -> dict[str, Any]:
    at = {split: of.get(quantity) or {} for split, of in result["bars"].items()}
    figures, candidates = _bars(at)
    off = {each.name: coverage_off(figures[each.name][CALIBRATION]["coverage"]) for each in candidates}
    constants = honest([each for each in candidates if each.method in CONTROLS], off)
    scored = [each for each in candidates if each.method not in CONTROLS]
    right = honest(scored, off)
    constant = best(constants) if constants else None
    if not right:
        reason = f"No score gave error bars of the {quantity} on all sets of frames."
        return _bar(constant.name if constant else None, [reason], [])
    least = best(right)
    equal = as_good(least, right, {split: _tied(result, split, f"{quantity}_bar", "interval_score") for split in at})
    chosen = next((each for each in equal if each.name == prefer), None) or cheapest(result, equal)
    found = figures[chosen.name]
    skill = {split: each["skill"] for split, each in found.items()}
    beaten = [constant] if constant else []
    surely = surely_above_zero(skill, frames_of(result), len(right), of_skill)
    if constant and (constant.loss <= chosen.loss or not surely):
        reasons = [
            f"Nothing surely beats one constant bar. The best of {len(right)}, {chosen.name}, has a skill against it "
            f"(1 is perfect, 0 is none) of {by_split(skill)}.",
            losses(quantity, list(at), {each.name: each.loss for each in (constant, chosen)}),
            held_everywhere(quantity, _held(figures[constant.name])),
        ]
        return _bar(constant.name, reasons, [{"name": chosen.name, "reason": "the best of all scores"}])
    held = [found[CALIBRATION]["coverage"][level] for level in SLACK]
    reasons = [
        at_home(quantity, held, off[chosen.name] == 0, len(right), len(scored)),
        losses(quantity, list(at), {each.name: each.loss for each in (chosen, *beaten)}),
        f"Skill against the constant bar with the same calibrator (1 is perfect, 0 is none): {by_split(skill)}.",
        held_everywhere(quantity, _held(found)),
        choice(result, chosen.method, len(equal), chosen is least, preferred=chosen.name == prefer),
    ]
    return _bar(chosen.name, reasons, _alternatives(result, chosen, equal, right))


def _bars(at: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[Candidate]]:
    """By `METHOD:CALIBRATOR` the figures on all splits, and what can be a candidate."""
    figures = {
        f"{method}:{calibrator}": {split: (of.get(method) or {}).get(calibrator) for split, of in at.items()}
        for method, calibrators in at.get(CALIBRATION, {}).items()
        for calibrator in calibrators
        if calibrator != "not_applicable"
    }
    candidates = []
    for name, splits in figures.items():
        scores = {split: each["interval_score"]["value"] for split, each in splits.items() if each}
        if len(scores) == len(at) and None not in scores.values():
            candidates.append(Candidate(name, geometric_mean(scores.values()), scores))
    return figures, candidates


def _bar(name: str | None, reasons: Sequence[str], alternatives: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    score, posterior, calibrator = split_name(name or "")
    bar = f"{score}:{calibrator}" if name else None
    return {"bar": bar, "posterior": posterior, "reasons": list(reasons), "alternatives": list(alternatives)}


def split_name(name: str) -> tuple[str, str | None, str]:
    """`SCORE[POSTERIOR]:CALIBRATOR` in its parts; without posterior `None`, without calibrator ""."""
    method, _, calibrator = name.partition(":")
    score, _, posterior = method.partition("[")
    return score, posterior.removesuffix("]") or None, calibrator


def bar_name(recommended: Mapping[str, Any]) -> str:
    """The `SCORE[POSTERIOR]:CALIBRATOR` that a recommendation of error bars means; "" for none."""
    score, _, calibrator = split_name(recommended["bar"] or "")
    posterior = f"[{recommended['posterior']}]" if recommended["posterior"] else ""
    return f"{score}{posterior}:{calibrator}" if score else ""


def _ranking(result: Result, of: str) -> dict[str, Any]:
    target, what = RANKED[of]
    at = {split: targets[target] for split, targets in result["ranking"].items() if targets.get(target)}
    names = dict.fromkeys(name for methods in at.values() for name in methods if name not in CONTROLS)
    figures = {name: {split: methods[name] for split, methods in at.items() if name in methods} for name in names}
    candidates = []
    for name, splits in figures.items():
        if len(splits) == len(at):
            lost = {split: -(each["spearman"]["value"] or 0.0) for split, each in splits.items()}
            candidates.append(Candidate(name, sum(lost.values()) / len(lost), lost))
    if not candidates:
        return {"method": None, "reasons": [f"No score has values for {of} of all sets."], "alternatives": []}
    least = best(candidates)
    equal = as_good(least, candidates, {split: _tied(result, split, target, "spearman") for split in at})
    chosen = cheapest(result, equal)
    found = {split: each["spearman"] for split, each in figures[chosen.name].items()}
    surely = surely_above_zero(found, frames_of(result), len(candidates), of_correlation)
    if not surely:
        reason = (
            f"Nothing surely beats chance in ranking the {what}: the best of {len(candidates)}, {chosen.name}, has "
            f"{by_split(found)}."
        )
        return {"method": None, "reasons": [reason], "alternatives": []}
    reasons = [f"Spearman's correlation with the {what}: {by_split(found)}; {number(-chosen.loss)} on average."]
    if unsure := [split for split in found if split not in surely]:
        reasons.append(f"Not surely better than chance, as the best of {len(candidates)}, on {listed(unsure)}.")
    judged = [split for split in at if split != CALIBRATION and has_bad_frames(result, split)]
    detected = {split: figures[chosen.name][split]["detection"] for split in judged}
    if detected := {split: each for split, each in detected.items() if each["value"] is not None}:
        reasons.append(
            f"A threshold that flags 5 % of the {of} of the calibration set finds of the bad {of} (those with errors "
            f"above the 95 % quantile of that set): {by_split(detected, share)}."
        )
    reasons.append(choice(result, chosen.method, len(equal), chosen is least))
    return {"method": chosen.name, "reasons": reasons, "alternatives": _alternatives(result, chosen, equal, candidates)}


def _alternatives(
    result: Result, chosen: Candidate, equal: Sequence[Candidate], every: Sequence[Candidate]
) -> list[dict[str, str]]:
    """The best of those that are as good, and the best of the other family: with an ensemble, or without."""
    others = sorted((each for each in equal if each is not chosen), key=lambda each: each.loss)[:SHOWN]
    found = [{"name": each.name, "reason": f"as good within the error; {cost(result, each.method)}"} for each in others]
    family = {each.name: result["methods"][each.method]["family"] for each in every}
    other = [each for each in every if family[each.name] != family[chosen.name]]
    if other and (first := best(other)) not in others:
        what = "features alone" if family[first.name] == "features" else "an ensemble alone"
        found.append({"name": first.name, "reason": f"the best with {what}; {cost(result, first.method)}"})
    return found


def _few(result: Result) -> list[str]:
    found = []
    for split in result["splits"]:
        frames = split["frames"]
        if split["role"] == CALIBRATION and frames < FEW:
            scatter = 100 * math.sqrt(0.95 * 0.05 / (frames + 2))
            found.append(
                f"{frames} calibration frames are few: with others of the same kind the coverage of 95 % bars changes "
                f"by {scatter:.0f} points (standard deviation of energies; less for forces). Give {FEW} or more."
            )
        elif split["role"] == "test" and frames < FEW_TESTED:
            found.append(f"{split['name']} has {frames} frames only: take its numbers as rough.")
    return found


def _collapses(result: Result, bars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the recommended bars surely hold too few errors, and where a constant bar would be better."""
    found = []
    for quantity, recommended in bars.items():
        method, _, calibrator = bar_name(recommended).partition(":")
        narrow, worse = {}, {}
        for split in [each for each in result["bars"] if method and each != CALIBRATION]:
            figures = result["bars"][split][quantity][method][calibrator]
            held, skill = figures["coverage"]["0.95"], figures["skill"]
            most = held["value"] if held["high"] is None else held["high"]
            if most is not None and most < 0.95 - SLACK["0.95"]:
                narrow[split] = held
            if method not in CONTROLS and skill["high"] is not None and skill["high"] < 0:
                worse[split] = skill
        if narrow:
            found.append(f"Too narrow: 95 % bars of the {quantity} hold {by_split(narrow, share)}.")
        if worse:
            found.append(f"One constant bar of the {quantity} is better than this: skill {by_split(worse)}.")
    return found


def _failures(result: Result) -> list[str]:
    return [f"{name} could not be compared: {of['failed']}" for name, of in result["methods"].items() if of["failed"]]


def _held(figures: Mapping[str, Any]) -> dict[str, Told]:
    return {split: each["coverage"]["0.95"] for split, each in figures.items()}


def _tied(result: Result, split: str, target: str, figure: str) -> list[str]:
    """The best of a split and those that are not significantly worse."""
    found = (result["best"].get(split, {}).get(target) or {}).get(figure)
    return list(found["tied"]) if found else []
