"""Scores and held-out errors → error bars. Nothing else in Assay turns a score into an error bar.

Every calibrator has `fit(held_out)` and `bar(mean, spread, unit, group=None)`. What is held out comes from frames that
were not trained on, and leaves out what has no spread by symmetry. What each promises, assumes and does when that
fails is in its docstring, and side by side in docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

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
from assay.results.arrays import Array
from assay.results.error_bars import ErrorBar
from assay.results.residuals import Residuals

__all__ = ["CALIBRATORS", "Calibrator", "Residuals", "fit_calibrator"]


class Calibrator(Protocol):
    """A fitted map from spread to error bar.

    | attribute | meaning |
    |---|---|
    | name | as in an error bar's `SCORE:CALIBRATOR` |
    | of_groups | it treats groups of values apart, and needs `Residuals.group` |
    | groups | names of the groups that have a calibration of their own; all others have the global one |
    """

    @property
    def name(self) -> str: ...

    @property
    def of_groups(self) -> bool: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> ErrorBar:
        """The error bar of values of any one shape; a group that was not calibrated has the global bar."""

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays."""


CALIBRATORS: Mapping[str, Any] = {
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


BY_ORDER = (Isotonic.name,)
"""Calibrators to which only the order of the scores counts: they may have any sign."""


def fit_calibrator(name: str, held_out: Residuals) -> Calibrator:
    """Fit the calibrator called `name` to the values with a positive finite spread, or, `BY_ORDER`, any finite one.

    Raises `ValueError` for an unknown name, no such spread, scores below zero that would have to be multiplied, and a
    calibrator of groups without a grouping.
    """
    if name not in CALIBRATORS:
        raise ValueError(f"unknown calibrator {name!r}; there are {', '.join(CALIBRATORS)}")
    kind = CALIBRATORS[name]
    if kind.of_groups and held_out.group is None:
        raise ValueError(f"{name} calibrates groups of values: give the group of each held-out value")
    fitted: Calibrator = kind.fit(held_out.usable(name in BY_ORDER))
    return fitted
