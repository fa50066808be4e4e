"""Which error bar and which ranking to use, by rules that are stated, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.comparison.candidates import (
    FEWEST,
    NEAR_CORRELATION,
    NEAR_SCORE,
    SLACK,
    Candidate,
    Result,
    as_good,
    best,
    cheaper,
    coverage_off,
    frames_of,
    geometric_mean,
    has_bad_frames,
    honest,
    of_correlation,
    of_skill,
    of_whole_frames,
    surely_above_zero,
)
from assay.comparison.caveats import caveats
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
    many,
    number,
    share,
    widths,
)
from assay.comparison.sets import CALIBRATION

CONTROLS = (RANDOM.name, CONSTANT.name)
SHOWN = 4
"""Alternatives that are as good, named one by one."""
RANKED = {"frames": ("force_frame", "largest force error of frames"), "atoms": ("force_atom", "force error of atoms")}


def recommendation(result: Result) -> dict[str, Any]:
    """The error bars of forces and of energies, and the scores to rank frames and atoms by, each with its reasons.

    Error bars (`error_bars` are those of forces; `energy_bars`), among all `METHOD:CALIBRATOR` with an interval score
    on every split:

    1. Honest at home: on the calibration frames (cross-fitted) the 95 % intervals of the coverage at 68 % and 95 %
       reach to within 5 and 3 points of these levels. Where no bar is, the nearest and those within 3 points of it.
       Fewer than 5 calibration frames can't tell. Bars of whole frames are no candidates: no figure judges them.
    2. Good everywhere: the least geometric mean over all splits of the interval score at 90 %, a proper score: bars
       that miss and bars that are wide both pay. A split where a bar fails counts as much as one where it shines.
    3. It gives way to a cheaper one (per atom, potential included; 10 % is no difference) whose mean is within 5 % of
       its own, and which is as good: on every split either no worse or not significantly worse than the split's best.
       Of energies to the bar of the forces, if that is as good: a gauge has one for all.
    4. The constant bar, where its own mean is smaller, or where on no split the skill against it is surely above 0:
       more than the best of so many bars, on one of so many splits, has by luck in 5 % of cases. Nothing is sure of
       fewer than 5 frames, and rule 3 chooses only what passes this one.

    Rankings (`ranking_frames` by the largest force error of frames, `ranking_atoms` by the force error of atoms): the
    largest mean of Spearman's correlation over all splits on which it is defined for any score (0 for a score whose
    values are all equal there); then rule 3 with a difference of 0.02. None, where on no split the correlation is
    surely above 0 in the sense of rule 4.

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
        "warnings": caveats(result, {quantity: bar_name(of) for quantity, of in bars.items()}),
    }


def _error_bars(result: Result, quantity: str, prefer: str = "") -> dict[str, Any]:
    at = {split: of.get(quantity) or {} for split, of in result["bars"].items()}
    figures, candidates = _bars(at)
    frames = frames_of(result)
    off = {
        each.name: coverage_off(figures[each.name][CALIBRATION]["coverage"]) if frames[CALIBRATION] >= FEWEST else 0.0
        for each in candidates
    }
    constants = honest([each for each in candidates if each.method in CONTROLS], off)
    scored = [each for each in candidates if each.method not in CONTROLS]
    right = honest(scored, off)
    constant = best(constants) if constants else None
    if not right:
        return _bar(constant.name if constant else None, [_why_none(quantity, at)], [])

    def skill(each: Candidate) -> dict[str, Told]:
        return {split: of["skill"] for split, of in figures[each.name].items()}

    def of_use(each: Candidate) -> bool:
        if constant is None:
            return True
        return each.loss < constant.loss and bool(surely_above_zero(skill(each), frames, len(right), of_skill))

    def home(each: Candidate) -> str:
        if frames[CALIBRATION] < FEWEST:
            return f"{many(frames[CALIBRATION], 'calibration frame')} can't tell whether it holds what it promises."
        held = [figures[each.name][CALIBRATION]["coverage"][level] for level in SLACK]
        return at_home(quantity, held, off[each.name] == 0, sum(off[one.name] == 0 for one in scored), len(scored))

    least = best(right)
    if constant and not of_use(least):
        reasons = [
            f"Nothing surely beats one constant bar. The best of {len(right)}, {least.name}, has a skill against it "
            f"(1 is perfect, 0 is none) of {by_split(skill(least))}.",
            losses(quantity, list(at), {each.name: each.loss for each in (constant, least)}),
            home(constant),
            widths(quantity, figures[constant.name]),
            held_everywhere(quantity, _held(figures[constant.name])),
        ]
        return _bar(constant.name, reasons, [{"name": least.name, "reason": "the best of all scores"}])
    equal = as_good(least, right, {split: _tied(result, split, f"{quantity}_bar", "interval_score") for split in at})
    near = [each for each in equal if each.loss <= (1 + NEAR_SCORE) * least.loss and of_use(each)]
    chosen = next((each for each in equal if each.name == prefer and of_use(each)), None)
    chosen = chosen or cheaper(result, least, near)
    found = figures[chosen.name]
    beaten = [each for each in (least, constant) if each and each is not chosen]
    reasons = [
        home(chosen),
        losses(quantity, list(at), {each.name: each.loss for each in (chosen, *beaten)}),
        f"Skill against the constant bar with the same calibrator (1 is perfect, 0 is none): "
        f"{by_split(skill(chosen))}.",
        widths(quantity, found),
        held_everywhere(quantity, _held(found)),
        choice(
            result, chosen.method, least.method, len(equal), f"{NEAR_SCORE:.0%}".replace("%", " %"),
            preferred=chosen.name == prefer,
        ),
    ]  # fmt: skip
    return _bar(chosen.name, reasons, _alternatives(result, chosen, equal, right))


def _bars(at: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[Candidate]]:
    """By `METHOD:CALIBRATOR` the figures on all splits, and what can be a candidate."""
    figures = {
        f"{method}:{calibrator}": {split: (of.get(method) or {}).get(calibrator) for split, of in at.items()}
        for method, calibrators in at.get(CALIBRATION, {}).items()
        for calibrator in calibrators
        if calibrator != "not_applicable" and not of_whole_frames(calibrator)
    }
    candidates = []
    for name, splits in figures.items():
        scores = {split: each["interval_score"]["value"] for split, each in splits.items() if each}
        if len(scores) == len(at) and None not in scores.values():
            candidates.append(Candidate(name, geometric_mean(scores.values()), scores))
    return figures, candidates


def _why_none(quantity: str, at: Mapping[str, Mapping[str, Any]]) -> str:
    """Why no score has bars everywhere, the commonest reasons first."""
    found: dict[str, list[str]] = {}
    for methods in at.values():
        for method, of in methods.items():
            for calibrator, figures in of.items() if method not in CONTROLS else ():
                if calibrator == "not_applicable" or of_whole_frames(calibrator):
                    continue
                if figures is None:
                    found.setdefault(of["not_applicable"][calibrator], []).append(f"{method}:{calibrator}")
                elif figures["interval_score"]["value"] is None:
                    found.setdefault("intervals are infinite", []).append(f"{method}:{calibrator}")
    told = [f"{reason} ({names[0]})" for reason, names in sorted(found.items(), key=lambda item: -len(item[1]))]
    return (
        f"No score gave error bars of the {quantity} on all sets: " + ("; ".join(told[:SHOWN]) or "none has any") + "."
    )


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
    given = {split: targets[target] for split, targets in result["ranking"].items() if targets.get(target)}
    at = {split: methods for split, methods in given.items() if any(map(_defined, methods.values()))}
    names = dict.fromkeys(name for methods in at.values() for name in methods if name not in CONTROLS)
    figures = {name: {split: methods[name] for split, methods in at.items() if name in methods} for name in names}
    candidates = []
    for name, splits in figures.items():
        if len(splits) == len(at) and any(map(_defined, splits.values())):
            lost = {split: -(each["spearman"]["value"] or 0.0) for split, each in splits.items()}
            candidates.append(Candidate(name, sum(lost.values()) / len(lost), lost))
    if not candidates:
        reason = f"No score ranks the {what} on all sets: where it has values they are all equal, or the set too small."
        return {"method": None, "reasons": [reason], "alternatives": []}

    def correlation(each: Candidate) -> dict[str, Told]:
        return {split: of["spearman"] for split, of in figures[each.name].items() if _defined(of)}

    def surely(each: Candidate) -> list[str]:
        return surely_above_zero(correlation(each), frames_of(result), len(candidates), of_correlation)

    least = best(candidates)
    if not surely(least):
        reason = (
            f"Nothing surely beats chance in ranking the {what}: the best of {len(candidates)}, {least.name}, has "
            f"{by_split(correlation(least))}."
        )
        if small := [split for split in at if frames_of(result)[split] < FEWEST]:
            reason += f" Fewer than {FEWEST} frames can't tell: {listed(small)}."
        return {"method": None, "reasons": [reason], "alternatives": []}
    equal = as_good(least, candidates, {split: _tied(result, split, target, "spearman") for split in at})
    near = [each for each in equal if each.loss <= least.loss + NEAR_CORRELATION and surely(each)]
    chosen = cheaper(result, least, near)
    found = correlation(chosen)
    reasons = [f"Spearman's correlation with the {what}: {by_split(found)}; {number(-chosen.loss)} on average."]
    if undefined := [split for split in given if split not in found]:
        why = "one frame, errors that are all equal, or values that are"
        reasons.append(f"Not defined, and so not judged, on {listed(undefined)}: {why}.")
    if unsure := [split for split in found if split not in surely(chosen)]:
        reasons.append(f"Not surely better than chance, as the best of {len(candidates)}, on {listed(unsure)}.")
    judged = [split for split in at if split != CALIBRATION and has_bad_frames(result, split)]
    detected = {split: figures[chosen.name][split]["detection"] for split in judged}
    if detected := {split: each for split, each in detected.items() if each["value"] is not None}:
        reasons.append(
            f"A threshold that flags 5 % of the {of} of the calibration set finds of the bad {of} (those with errors "
            f"above the 95 % quantile of that set): {by_split(detected, share)}."
        )
    reasons.append(choice(result, chosen.method, least.method, len(equal), f"{NEAR_CORRELATION:g}"))
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


def _defined(figures: Mapping[str, Any]) -> bool:
    return figures["spearman"]["value"] is not None


def _held(figures: Mapping[str, Any]) -> dict[str, Told]:
    return {split: each["coverage"]["0.95"] for split, each in figures.items()}


def _tied(result: Result, split: str, target: str, figure: str) -> list[str]:
    """The best of a split and those that are not significantly worse."""
    found = (result["best"].get(split, {}).get(target) or {}).get(figure)
    return list(found["tied"]) if found else []
