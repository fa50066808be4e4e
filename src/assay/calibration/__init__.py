"""Scores and held-out errors → error bars. Nothing else in Assay turns a score into an error bar.

Every calibrator has `fit(error, spread, *, members=None, components=1)` and `bar(mean, spread, unit)`: the arrays have
the same shape, come from frames that were not trained on, and leave out what has no spread by symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from assay.calibration.conformal import Conformal
from assay.calibration.ratio import Ratio
from assay.calibration.scale import Scale
from assay.prediction import Array, ErrorBar


class Calibrator(Protocol):
    """A fitted map from spread to error bar."""

    name: str

    def bar(self, mean: Array, spread: Array, unit: str) -> ErrorBar: ...

    def state(self) -> dict[str, Any]: ...


CALIBRATORS: Mapping[str, Any] = {c.name: c for c in (Scale, Ratio, Conformal)}


def fit_calibrator(
    name: str, error: Array, spread: Array, *, members: int | None = None, components: int = 1
) -> Calibrator:
    """Fit the calibrator called `name`; `members` and `components` are of spreads of an ensemble: see `Scale`.

    Raises `ValueError` for an unknown name, shapes that differ, NaN, or no positive spreads.
    """
    if name not in CALIBRATORS:
        raise ValueError(f"unknown calibrator {name!r}; there are {', '.join(CALIBRATORS)}")
    error, spread = np.abs(np.asarray(error)), np.asarray(spread)
    if error.shape != spread.shape:
        raise ValueError(f"errors {error.shape} and spreads {spread.shape} do not belong together")
    if np.isnan(error).any() or np.isnan(spread).any():
        raise ValueError(f"{np.isnan(error).sum()} errors and {np.isnan(spread).sum()} spreads are NaN")
    usable = np.isfinite(spread) & (spread > 0)
    if not usable.any():
        raise ValueError(f"nothing to calibrate on: of {error.size} held-out values none has a positive finite spread")
    fitted: Calibrator = CALIBRATORS[name].fit(error[usable], spread[usable], members=members, components=components)
    return fitted
