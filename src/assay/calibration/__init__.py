"""Scores and held-out errors → error bars. Nothing else in Assay turns a score into an error bar.

Every calibrator has `fit(held_out)` and `bar(mean, spread, unit, group=None)`. What is held out comes from frames that
were not trained on, and leaves out what has no spread by symmetry. What each promises, assumes and does when that
fails is in its docstring, and side by side in docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from assay.calibration.binned import Binned
from assay.calibration.conformal import Conformal
from assay.calibration.frame_conformal import FrameConformal
from assay.calibration.grouped import Grouped
from assay.calibration.isotonic import Isotonic
from assay.calibration.mondrian import Mondrian
from assay.calibration.ratio import Ratio
from assay.calibration.scale import Scale
from assay.calibration.simultaneous_conformal import SimultaneousConformal
from assay.plugins.kinds import Kinds
from assay.results.arrays import Array
from assay.results.error_bars import ErrorBar
from assay.results.residuals import Residuals

__all__ = [
    "CALIBRATORS",
    "Calibrator",
    "CalibratorClass",
    "OfWholeFrames",
    "Residuals",
    "calibrator_kind",
    "fit_calibrator",
]


class Calibrator(Protocol):
    """A fitted map from spread to error bar.

    | attribute | meaning |
    |---|---|
    | name | as in an error bar's `SCORE:CALIBRATOR` |
    | of_groups | it treats groups of values apart, and needs `Residuals.group` |
    | by_order | only the order of the spreads counts: they may have any sign |
    | groups | names of the groups that have a calibration of their own; all others have the global one |
    """

    @property
    def name(self) -> str: ...

    @property
    def of_groups(self) -> bool: ...

    @property
    def by_order(self) -> bool: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> ErrorBar:
        """The error bar of values of any one shape; a group that was not calibrated has the global bar."""

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays."""


class CalibratorClass(Protocol):
    """A calibrator before it is fitted: a class, such as `assay.calibration.scale.Scale`."""

    @property
    def name(self) -> str: ...

    @property
    def of_groups(self) -> bool: ...

    @property
    def by_order(self) -> bool: ...

    def fit(self, held_out: Residuals) -> Calibrator:
        """Learn from held-out values with positive finite spreads, or, `by_order`, any finite ones."""

    def from_state(self, state: Mapping[str, Any]) -> Calibrator:
        """The fitted calibrator that `state()` described."""


@runtime_checkable
class OfWholeFrames(Protocol):
    """A calibrator, or its class, that says whether its bars are to hold all values of a frame at once.

    No figure of single values judges those that are.
    """

    @property
    def of_whole_frames(self) -> bool: ...


CALIBRATORS: Mapping[str, CalibratorClass] = {
    c.name: c
    for c in (
        Scale,
        Ratio,
        Isotonic,
        Binned,
        Grouped,
        Conformal,
        FrameConformal,
        SimultaneousConformal,
        Mondrian,
    )
}
KINDS: Kinds[CalibratorClass] = Kinds("calibrator", "assay.calibrators", CALIBRATORS)
"""Calibrators by name, those of other packages included."""
DEFAULT = Scale.name
"""What calibrates an error bar unless another is asked for."""
BY_ORDER = tuple(name for name, each in CALIBRATORS.items() if each.by_order)
"""Assay's calibrators to which only the order of the scores counts."""
CONTRACT = ("name", "of_groups", "by_order", "fit", "bar", "state", "from_state")


def calibrator_kind(given: str | CalibratorClass) -> CalibratorClass:
    """The calibrator of this name, of Assay or of another package, or the class itself.

    Raises `ValueError` for a name that is not known, a class that has the name of another one, and what lacks a part of
    the contract; as `assay.plugins.kinds.Kinds.find` for a package that can't be imported.
    """
    kind = KINDS.find(given) if isinstance(given, str) else given
    if kind is None:
        raise ValueError(f"unknown calibrator {given!r}; there are {', '.join(KINDS.names())}")
    if lacking := [part for part in CONTRACT if not hasattr(kind, part)]:
        raise ValueError(
            f"{kind!r} is not a calibrator: it lacks {', '.join(lacking)}. Give a name, or a class with "
            f"{', '.join(CONTRACT)} (docs/plugins.md)"
        )
    if CALIBRATORS.get(kind.name, kind) is not kind:
        raise ValueError(f"two calibrators are called {kind.name}: give {kind!r} a name of its own")
    return kind


def fit_calibrator(given: str | CalibratorClass, held_out: Residuals) -> Calibrator:
    """Fit a calibrator, by name or class, to the values with a positive finite spread, or, `by_order`, any finite one.

    Raises as `calibrator_kind`, and `ValueError` for no such spread, scores below zero that would have to be
    multiplied, and a calibrator of groups without a grouping.
    """
    kind = calibrator_kind(given)
    if kind.of_groups and held_out.group is None:
        raise ValueError(f"{kind.name} calibrates groups of values: give the group of each held-out value")
    return kind.fit(held_out.usable(kind.by_order))
