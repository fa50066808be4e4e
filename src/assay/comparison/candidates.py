"""The rules by which one of many bars or rankings is chosen: honest, good everywhere, and of near equals a cheaper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.calibration import KINDS, OfWholeFrames
from assay.calibration.bar_name import CalibratorName
from assay.comparison.estimate import SIGNIFICANT
from assay.comparison.figures import Estimate
from assay.comparison.reasons import cost
from assay.comparison.recommended import Alternative
from assay.comparison.result import CALIBRATION, ComparisonResult, Family

SLACK = {0.68: 0.05, 0.95: 0.03}
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
SHOWN = 4
"""Alternatives that are as good, or reasons, named one by one."""
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

    @property
    def calibrator(self) -> str:
        return self.name.partition(":")[2]


def best(candidates: Iterable[Candidate]) -> Candidate:
    """The one with the least loss."""
    return min(candidates, key=lambda each: each.loss)


def honest(candidates: Sequence[Candidate], off: Mapping[str, float]) -> list[Candidate]:
    """Those whose coverage is off by nothing; where there are none, the nearest and those within `LEEWAY` of it."""
    least = min((off[each.name] for each in candidates), default=0.0)
    return [each for each in candidates if off[each.name] <= least + (LEEWAY if least > 0 else 0.0)]


def coverage_off(coverage: Mapping[float, Estimate]) -> float:
    """How far the intervals of the coverage are from the levels, beyond the slack; 0 where they reach it."""
    beyond = [0.0]
    for level, slack in SLACK.items():
        found = coverage[level]
        if found.value is None:
            return math.inf
        low, high = (found.value if end is None else end for end in (found.low, found.high))
        beyond += [low - (level + slack), (level - slack) - high]
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
    found: Mapping[str, Estimate], frames: Mapping[str, int], tried: int, shrinks: Callable[[float], float]
) -> list[str]:
    """The splits on which a figure of the best of `tried` candidates is above 0 by more than luck, at 5 % in all.

    One-sided, by Student's t with F − 1 degrees of freedom for the F frames of a split, with the standard error that
    the 95 % interval would have at 0; corrected for each split and candidate that could have been chosen instead
    (Bonferroni).
    """
    luck = {split: _luck(each, frames[split], shrinks) for split, each in found.items()}
    return [split for split, p in luck.items() if p * tried * len(found) < SIGNIFICANT]


def _luck(found: Estimate, frames: int, shrinks: Callable[[float], float]) -> float:
    """How likely a figure at least as large is where it is truly 0; 1 without an interval, or one of few frames."""
    from scipy.special import ndtri, stdtr  # slow to import

    if found.value is None or found.low is None or found.high is None or frames < FEWEST:
        return 1.0
    standard_error = (found.high - found.low) / (2 * ndtri(0.975))
    if standard_error <= ROUNDING:
        return 0.0 if found.value > ROUNDING else 1.0
    return float(stdtr(frames - 1, -found.value * shrinks(found.value) / standard_error))


def cheaper(result: ComparisonResult, least: Candidate, near: Sequence[Candidate]) -> Candidate:
    """The cheapest per atom of `near`, the potential included; of equal ones that with the least loss.

    `near`: those that may take the place of `least`, it among them; they don't where the potential's cost is not known.
    """
    source = result.source_cost.evaluation_microseconds_per_atom
    if source is None:
        return least
    costs = {each.name: source + _cost(result, each.method) for each in near}
    most = (1 + CHEAPER) * min(costs.values())
    return least if costs[least.name] <= most else best(each for each in near if costs[each.name] <= most)


def _cost(result: ComparisonResult, method: str) -> float:
    value = result.methods[method].microseconds_per_atom
    return math.inf if value is None else value


def alternatives(
    result: ComparisonResult, chosen: Candidate, equal: Sequence[Candidate], every: Sequence[Candidate]
) -> tuple[Alternative, ...]:
    """The best of those that are as good, and the best of the other family: with an ensemble, or without."""

    def costs(each: Candidate) -> str:
        return cost(result.source_cost, result.methods[each.method])

    def family(each: Candidate) -> Family:
        return result.methods[each.method].family

    others = sorted((each for each in equal if each is not chosen), key=lambda each: each.loss)[:SHOWN]
    found = [Alternative(each.name, f"as good within the error; {costs(each)}") for each in others]
    other = [each for each in every if family(each) != family(chosen)]
    if other and (first := best(other)) not in others:
        what = "features alone" if family(first) == "features" else "an ensemble alone"
        found.append(Alternative(first.name, f"the best with {what}; {costs(first)}"))
    return tuple(found)


def of_whole_frames(result: ComparisonResult, known: Iterable[CalibratorName] = ()) -> tuple[str, ...]:
    """Names of those calibrators of a result whose bars are to hold all values of a frame at once; `known`: some of
    these, others are found by their names."""
    kinds = {str(each): each.kind for each in known}
    every = [bars for _, methods in result.bars[CALIBRATION].items() for bars in methods.values()]
    names = dict.fromkeys(calibrator for bars in every for calibrator in bars.by_calibrator)
    found = {name: kinds.get(name) or KINDS.find(name.partition(":")[0]) for name in names}
    return tuple(name for name, kind in found.items() if isinstance(kind, OfWholeFrames) and kind.of_whole_frames)


def has_bad_frames(result: ComparisonResult, split: str) -> bool:
    """Whether a set has enough frames with bad force errors for detection to mean something."""
    bad = result.bad[split].force_frame
    return bad is not None and round(bad.share * result.frames[split]) >= FEW_BAD


def geometric_mean(values: Iterable[float]) -> float:
    """`exp(Σ ln x / n)`, 0 where one is 0."""
    given = list(values)
    return math.exp(sum(map(math.log, given)) / len(given)) if min(given) > 0 else 0.0
