"""A comparison in one row a method: at home (calibration frames) and at its worst on the test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assay.comparison.candidates import Result, has_bad_frames
from assay.comparison.reasons import Told
from assay.comparison.recommendation import bar_name
from assay.comparison.sets import CALIBRATION

Mark = Literal["best", "tied", ""]
UNDEFINED: Told = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Cell:
    """An estimate, the split that it is of, and whether it is the best or not significantly worse.

    Of several splits, `mark` is `best` where it is the best on each, `tied` where it is on none significantly worse
    than the best.
    """

    estimate: Told
    split: str
    mark: Mark

    def __bool__(self) -> bool:
        return self.estimate["value"] is not None


@dataclass(frozen=True)
class Overview:
    """What the methods of a result are compared by, with the bars that one calibrator makes of their scores.

    | field | meaning |
    |---|---|
    | calibrator | of the recommended bar of the forces; else the first that gave any bar |
    """

    result: Result
    calibrator: str

    @classmethod
    def of(cls, result: Result) -> Overview:
        recommended = bar_name(result["recommendation"]["error_bars"]).partition(":")[2]
        found = (name for _, name, _ in bars_of(result, CALIBRATION, "force"))
        return cls(result, recommended or next(found, ""))

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of the test sets."""
        return tuple(split["name"] for split in self.result["splits"] if split["role"] == "test")

    def methods(self) -> list[str]:
        """Those that did not fail, the best ranking of frames (mean over all splits) first, controls last."""

        def order(name: str) -> tuple[bool, float, str]:
            found = [self.ranked(name, split, "force_frame", "spearman")["value"] for split in self.result["ranking"]]
            control = self.result["methods"][name]["family"] == "control"
            return control, -sum(value or 0.0 for value in found), name

        return sorted((name for name, of in self.result["methods"].items() if not of["failed"]), key=order)

    def ranked(self, method: str, split: str, target: str, figure: str) -> Told:
        """A figure of the ranking of a target."""
        found: Told = self.result["ranking"][split].get(target, {}).get(method, {}).get(figure, UNDEFINED)
        return found

    def barred(self, method: str, split: str, quantity: str, figure: str) -> Told:
        """A figure of the error bars by this calibrator; `coverage` is that at 95 %."""
        of = self.result["bars"][split].get(quantity, {}).get(method, {}).get(self.calibrator)
        if of is None:
            return UNDEFINED
        found: Told = of["coverage"]["0.95"] if figure == "coverage" else of[figure]
        return found

    def ranking(self, method: str, target: str, figure: str, splits: Sequence[str]) -> Cell:
        """The smallest figure of a ranking over some splits."""
        return self._worst(splits, lambda s: self.ranked(method, s, target, figure), target, figure, method, smallest)

    def detection(self, method: str, target: str, splits: Sequence[str]) -> Cell:
        """The smallest detected share over those splits that have enough bad frames for it."""
        return self.ranking(method, target, "detection", [s for s in splits if has_bad_frames(self.result, s)])

    def everywhere(self, method: str, target: str, figure: str) -> dict[str, Cell]:
        """A figure of a ranking on each split."""
        return {split: self.ranking(method, target, figure, [split]) for split in self.result["ranking"]}

    def cost(self, method: str) -> Cell:
        """µs per atom beside the potential."""
        value = self.result["methods"][method].get("microseconds_per_atom")
        return Cell({"value": value, "low": None, "high": None}, "", "")

    def skill(self, method: str, quantity: str, splits: Sequence[str]) -> Cell:
        """The smallest skill against the constant bar over some splits."""
        name = f"{method}:{self.calibrator}"
        target = f"{quantity}_bar"
        return self._worst(
            splits, lambda s: self.barred(method, s, quantity, "skill"), target, "interval_score", name, smallest
        )

    def coverage(self, method: str, quantity: str, splits: Sequence[str]) -> Cell:
        """The coverage of 95 % bars that is farthest from it over some splits."""
        return self._worst(splits, lambda s: self.barred(method, s, quantity, "coverage"), "", "", "", farthest)

    def _worst(
        self,
        splits: Sequence[str],
        of: Callable[[str], Told],
        target: str,
        figure: str,
        name: str,
        badness: Callable[[float], float],
    ) -> Cell:
        found = {split: of(split) for split in splits}
        known = {split: badness(each["value"]) for split, each in found.items() if each["value"] is not None}
        if len(known) < len(found) or not known:
            return Cell(UNDEFINED, "", "")
        split = max(known, key=lambda each: known[each])
        leaders = [(self.result["best"].get(split, {}).get(target) or {}).get(figure) for split in splits]
        if all(each and each["best"] == name for each in leaders):
            return Cell(found[split], split, "best")
        return Cell(found[split], split, "tied" if all(each and name in each["tied"] for each in leaders) else "")


def smallest(value: float) -> float:
    """What is bad about a figure that should be large."""
    return -value


def farthest(value: float) -> float:
    """What is bad about the coverage of 95 % bars."""
    return abs(value - 0.95)


def bars_of(result: Result, split: str, quantity: str) -> list[tuple[str, str, Mapping[str, Any] | None]]:
    """`(method, calibrator, figures)` of all error bars on a split; figures `None` where there is no such bar."""
    found = result["bars"].get(split, {}).get(quantity, {})
    return [
        (method, calibrator, figures)
        for method, calibrators in found.items()
        for calibrator, figures in calibrators.items()
        if calibrator != "not_applicable"
    ]
