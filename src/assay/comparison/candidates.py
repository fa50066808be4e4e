"""The rules by which one of many bars or rankings is chosen: honest, good everywhere, and of near equals a cheaper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.calibration.simultaneous_conformal import SimultaneousConformal
from assay.comparison.estimate import SIGNIFICANT
from assay.comparison.reasons import Told

Result = Mapping[str, Any]

OF_WHOLE_FRAMES = SimultaneousConformal.name
"""Promises what no figure of single values judges."""
SLACK = {"0.68": 0.05, "0.95": 0.03}
"""How far coverage on frames like the training frames may surely be from its level."""
LEEWAY = 0.03
"""How much farther than the nearest a bar may be, where none is as near as that."""
FEWEST = 5
"""Frames of a set below which nothing is sure: resamples of so few do not tell how much others would differ."""
CHEAPER = 0.1
"""Costs that differ by less than this share of the whole count as equal."""
NEAR_SCORE = 0.05
NEAR_CORRELATION = 0.02
"""What may be given away for a lower cost: a share of the mean interval score, a difference of mean correlations."""
ROUNDING = 1e-12
"""An interval that is narrower has no width."""
FEW_BAD = 5
"""Bad frames of a set below which the share of them that is found means nothing."""


@dataclass(frozen=True)
class Candidate:
    """What could be recommended, by its `METHOD` or `METHOD:CALIBRATOR`.

    | field | meaning |
    |---|---|
    | loss | over all splits; smaller is better |
    | by_split | the loss on each |
    """

    name: str
    loss: float
    by_split: Mapping[str, float]

    @property
    def method(self) -> str:
        return self.name.partition(":")[0]


def best(candidates: Iterable[Candidate]) -> Candidate:
    """The one with the least loss."""
    return min(candidates, key=lambda each: each.loss)


def honest(candidates: Sequence[Candidate], off: Mapping[str, float]) -> list[Candidate]:
    """Those whose coverage is off by nothing; where there are none, the nearest and those within `LEEWAY` of it."""
    least = min((off[each.name] for each in candidates), default=0.0)
    return [each for each in candidates if off[each.name] <= least + (LEEWAY if least > 0 else 0.0)]


def coverage_off(coverage: Mapping[str, Told]) -> float:
    """How far the intervals of the coverage are from the levels, beyond the slack; 0 where they reach it."""
    beyond = [0.0]
    for level, slack in SLACK.items():
        value, low, high = (coverage[level][end] for end in ("value", "low", "high"))
        if value is None:
            return math.inf
        low, high = (value if end is None else end for end in (low, high))
        beyond += [low - (float(level) + slack), (float(level) - slack) - high]
    return max(beyond)


def as_good(least: Candidate, candidates: Sequence[Candidate], tied: Mapping[str, Sequence[str]]) -> list[Candidate]:
    """Those that are, on every split, no worse than `least` or `tied`: not significantly worse than its best."""
    return [
        each
        for each in candidates
        if all(each.name in tied[split] or loss <= least.by_split[split] for split, loss in each.by_split.items())
    ]


def of_correlation(value: float) -> float:
    """By how much the standard error of a correlation is smaller than it would be at 0: `1 − ρ²`."""
    return 1 - value**2


def of_skill(value: float) -> float:
    """By how much the standard error of `1 − S/S₀` is smaller than it would be at 0, that of ln(S/S₀) being the same:
    `S/S₀`."""
    return 1 - value


def surely_above_zero(
    found: Mapping[str, Told], frames: Mapping[str, int], tried: int, shrinks: Callable[[float], float]
) -> list[str]:
    """The splits on which a figure of the best of `tried` candidates is above 0 by more than luck, at 5 % in all.

    One-sided, by Student's t with F − 1 degrees of freedom for the F frames of a split, with the standard error that
    the 95 % interval would have at 0; corrected for each split and candidate that could have been chosen instead
    (Bonferroni).
    """
    luck = {split: _luck(each, frames[split], shrinks) for split, each in found.items()}
    return [split for split, p in luck.items() if p * tried * len(found) < SIGNIFICANT]


def _luck(found: Told, frames: int, shrinks: Callable[[float], float]) -> float:
    """How likely a figure at least as large is where it is truly 0; 1 without an interval, or one of few frames."""
    from scipy.special import ndtri, stdtr  # slow to import

    value, low, high = (found[end] for end in ("value", "low", "high"))
    if None in (value, low, high) or frames < FEWEST:
        return 1.0
    standard_error = (high - low) / (2 * ndtri(0.975))
    if standard_error <= ROUNDING:
        return 0.0 if value > ROUNDING else 1.0
    return float(stdtr(frames - 1, -value * shrinks(value) / standard_error))


def cheaper(result: Result, least: Candidate, near: Sequence[Candidate]) -> Candidate:
    """The cheapest per atom of `near`, the potential included; of equal ones that with the least loss.

    `near`: those that may take the place of `least`, it among them; they don't where the potential's cost is not known.
    """
    source = result["source_cost"]["evaluation_microseconds_per_atom"]
    if source is None:
        return least
    costs = {each.name: source + _cost(result, each.method) for each in near}
    most = (1 + CHEAPER) * min(costs.values())
    return least if costs[least.name] <= most else best(each for each in near if costs[each.name] <= most)


def _cost(result: Result, method: str) -> float:
    value = result["methods"].get(method, {}).get("microseconds_per_atom")
    return math.inf if value is None else float(value)


def of_whole_frames(calibrator: str) -> bool:
    """Whether its bars are to hold all values of a frame at once."""
    return calibrator.partition(":")[0] == OF_WHOLE_FRAMES


def frames_of(result: Result) -> dict[str, int]:
    """The number of frames of each set, by its name."""
    return {split["name"]: split["frames"] for split in result["splits"]}


def has_bad_frames(result: Result, split: str) -> bool:
    """Whether a set has enough frames with bad force errors for detection to mean something."""
    share = result["bad"][split].get("force_frame", {}).get("share", 0.0)
    return bool(round(share * frames_of(result)[split]) >= FEW_BAD)


def geometric_mean(values: Iterable[float]) -> float:
    """`exp(Σ ln x / n)`, 0 where one is 0."""
    given = list(values)
    return math.exp(sum(map(math.log, given)) / len(given)) if min(given) > 0 else 0.0
