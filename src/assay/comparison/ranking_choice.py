"""The score to rank frames or atoms by: the largest mean correlation with the errors, if any surely beats chance."""

from __future__ import annotations

from typing import Literal

from assay.comparison.candidates import (
    FEWEST,
    NEAR_CORRELATION,
    Candidate,
    alternatives,
    as_good,
    best,
    cheaper,
    has_bad_frames,
    of_correlation,
    surely_above_zero,
)
from assay.comparison.figures import Estimate, Target
from assay.comparison.methods import RANDOM
from assay.comparison.reasons import by_split, choice, listed, number, share
from assay.comparison.recommended import RecommendedRanking
from assay.comparison.result import CALIBRATION, ComparisonResult

TARGET: dict[str, tuple[Target, str]] = {
    "frames": ("force_frame", "largest force error of frames"),
    "atoms": ("force_atom", "force error of atoms"),
}


def recommended_ranking(result: ComparisonResult, of: Literal["frames", "atoms"]) -> RecommendedRanking:
    """The score to rank by, by the rules of `assay.comparison.recommendation`."""
    target, what = TARGET[of]
    given = {split: methods for split, targets in result.ranking.items() if (methods := targets[target])}
    defined = {
        split: {name: each.spearman for name, each in methods.items() if each.spearman.value is not None}
        for split, methods in given.items()
    }
    at = {split: given[split] for split, correlations in defined.items() if correlations}
    candidates = []
    for name in dict.fromkeys(name for methods in at.values() for name in methods if name != RANDOM.name):
        lost = {split: -(methods[name].spearman.value or 0.0) for split, methods in at.items() if name in methods}
        if len(lost) == len(at) and any(name in defined[split] for split in at):
            candidates.append(Candidate(name, sum(lost.values()) / len(lost), lost))
    if not candidates:
        reason = f"No score ranks the {what} on all sets: where it has values they are all equal, or the set too small."
        return RecommendedRanking(None, (reason,))

    def correlation(each: Candidate) -> dict[str, Estimate]:
        return {split: defined[split][each.name] for split in at if each.name in defined[split]}

    def surely(each: Candidate) -> list[str]:
        return surely_above_zero(correlation(each), result.frames, len(candidates), of_correlation)

    least = best(candidates)
    if not surely(least):
        reason = (
            f"Nothing surely beats chance in ranking the {what}: the best of {len(candidates)}, {least.name}, has "
            f"{by_split(correlation(least))}."
        )
        if small := [split for split in at if result.frames[split] < FEWEST]:
            reason += f" Fewer than {FEWEST} frames can't tell: {listed(small)}."
        return RecommendedRanking(None, (reason,))
    equal = as_good(least, candidates, {split: _tied(result, split, target) for split in at})
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
    detection = {split: at[split][chosen.name].detection for split in judged}
    if detected := {split: each for split, each in detection.items() if each and each.value is not None}:
        reasons.append(
            f"A threshold that flags 5 % of the {of} of the calibration set finds of the bad {of} (those with errors "
            f"above the 95 % quantile of that set): {by_split(detected, share)}."
        )
    reasons.append(choice(result, chosen.method, least.method, len(equal), f"{NEAR_CORRELATION:g}"))
    return RecommendedRanking(chosen.name, tuple(reasons), alternatives(result, chosen, equal, candidates))


def _tied(result: ComparisonResult, split: str, target: Target) -> tuple[str, ...]:
    """The best score of a split and those that are not significantly worse."""
    found = result.best[split].ranking[target]
    return found.spearman.tied if found and found.spearman else ()
