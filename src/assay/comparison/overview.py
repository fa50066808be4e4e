"""A comparison in one row a method: at home (calibration frames) and at its worst on the test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assay.comparison.candidates import has_bad_frames
from assay.comparison.figures import BarFigures, Estimate, Leaders, RankingFigure, Target
from assay.comparison.result import CALIBRATION, ComparisonResult
from assay.results.per_quantity import Quantity

Mark = Literal["best", "tied", ""]
UNDEFINED = Estimate()


@dataclass(frozen=True)
class Cell:
    """An estimate, the split that it is of, and whether it is the best or not significantly worse.

    Of several splits, `mark` is `best` where it is the best on each, `tied` where it is on none significantly worse
    than the best.
    """

    estimate: Estimate
    split: str = ""
    mark: Mark = ""

    def __bool__(self) -> bool:
        return self.estimate.value is not None


@dataclass(frozen=True)
class Overview:
    """What the methods of a result are compared by, with the bars that one calibrator makes of their scores.

    | field | meaning |
    |---|---|
    | calibrator | of the recommended bar of the forces; else the first that gave any bar |
    """

    result: ComparisonResult
    calibrator: str

    @classmethod
    def of(cls, result: ComparisonResult) -> Overview:
        recommended = result.recommendation.error_bars.calibrator
        found = (name for _, name, _ in bars_of(result, CALIBRATION, "force"))
        return cls(result, recommended or next(found, ""))

    @property
    def home(self) -> tuple[str, ...]:
        """The name of the calibration frames, which are like the training frames."""
        return (CALIBRATION,)

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of the test sets."""
        return self.result.tests

    def methods(self) -> list[str]:
        """Those that did not fail, the best ranking of frames (mean over all splits) first, controls last."""

        def order(name: str) -> tuple[bool, float, str]:
            found = [self.ranked(name, split, "force_frame", "spearman").value for split in self.result.ranking]
            control = self.result.methods[name].family == "control"
            return control, -sum(value or 0.0 for value in found), name

        return sorted((name for name, of in self.result.methods.items() if not of.failed), key=order)

    def ranked(self, method: str, split: str, target: Target, figure: RankingFigure) -> Estimate:
        """A figure of the ranking of a target."""
        found = (self.result.ranking[split][target] or {}).get(method)
        return (found and found[figure]) or UNDEFINED

    def ranking(self, method: str, target: Target, figure: RankingFigure, splits: Sequence[str]) -> Cell:
        """The smallest figure of a ranking over some splits."""

        def leaders(split: str) -> Leaders | None:
            found = self.result.best[split].ranking[target]
            return None if found is None else found[figure]

        found = {split: self.ranked(method, split, target, figure) for split in splits}
        return _worst(found, smallest, method, leaders)

    def detection(self, method: str, target: Target, splits: Sequence[str]) -> Cell:
        """The smallest detected share over those splits that have enough bad frames for it."""
        return self.ranking(method, target, "detection", [s for s in splits if has_bad_frames(self.result, s)])

    def everywhere(self, method: str, target: Target, figure: RankingFigure) -> dict[str, Cell]:
        """A figure of a ranking on each split."""
        return {split: self.ranking(method, target, figure, [split]) for split in self.result.ranking}

    def cost(self, method: str) -> Cell:
        """µs per atom beside the potential."""
        return Cell(Estimate(self.result.methods[method].microseconds_per_atom))

    def skill(self, method: str, quantity: Quantity, splits: Sequence[str]) -> Cell:
        """The smallest skill against the constant bar over some splits."""

        def leaders(split: str) -> Leaders | None:
            found = self.result.best[split].bars[quantity]
            return None if found is None else found.interval_score

        bars = {split: self._bar(method, split, quantity) for split in splits}
        found = {split: bar.skill if bar else UNDEFINED for split, bar in bars.items()}
        return _worst(found, smallest, f"{method}:{self.calibrator}", leaders)

    def coverage(self, method: str, quantity: Quantity, splits: Sequence[str]) -> Cell:
        """The coverage of 95 % bars that is farthest from it over some splits."""
        bars = {split: self._bar(method, split, quantity) for split in splits}
        return _worst({split: bar.coverage[0.95] if bar else UNDEFINED for split, bar in bars.items()}, farthest)

    def _bar(self, method: str, split: str, quantity: Quantity) -> BarFigures | None:
        return self.result.bar(split, quantity, method, self.calibrator)


def _worst(
    found: Mapping[str, Estimate],
    badness: Callable[[float], float],
    name: str = "",
    leaders: Callable[[str], Leaders | None] = lambda split: None,
) -> Cell:
    """The worst of some splits, with the mark of `name` among the `leaders` of each; undefined where one is."""
    known = {split: badness(each.value) for split, each in found.items() if each.value is not None}
    if len(known) < len(found) or not known:
        return Cell(UNDEFINED)
    split = max(known, key=lambda each: known[each])
    return Cell(found[split], split, mark_of(name, [leaders(each) for each in found]))


def mark_of(name: str, leaders: Sequence[Leaders | None]) -> Mark:
    """Whether `name` is the best on each of some splits, or on none significantly worse than the best."""
    if all(each and each.best == name for each in leaders):
        return "best"
    return "tied" if all(each and name in each.tied for each in leaders) else ""


def smallest(value: float) -> float:
    """What is bad about a figure that should be large."""
    return -value


def farthest(value: float) -> float:
    """What is bad about the coverage of 95 % bars."""
    return abs(value - 0.95)


def bars_of(result: ComparisonResult, split: str, quantity: Quantity) -> list[tuple[str, str, BarFigures | None]]:
    """`(method, calibrator, figures)` of all error bars on a split; figures `None` where there is no such bar."""
    return [
        (method, calibrator, figures)
        for method, bars in (result.bars[split][quantity] or {}).items()
        for calibrator, figures in bars.by_calibrator.items()
    ]
