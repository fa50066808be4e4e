"""Weights of mixed frames in the student's fit: less for labels on which the teachers disagree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array


def uncertainty_weights(uncertainty: Array, taught: NDArray[np.bool_]) -> Array:
    """`w_j = 1 / (1 + (U_j / U_m)²)` of frames with their teachers' label, 1 of those with DFT's, `(F,)`.

    With U_m the median U over the former: the inverse variance of a label whose error is U_j, beside an error U_m that
    the student makes anyway. Where every teacher agrees exactly, all weights are 1.

    | argument | meaning | shape, unit |
    |---|---|---|
    | uncertainty | U | `(F,)` eV/Å |
    | taught | which frames have their teachers' label | `(F,)` |
    """
    median = float(np.median(uncertainty[taught])) if taught.any() else 0.0
    if median == 0.0:
        return np.ones(len(uncertainty))
    return np.where(taught, 1.0 / (1.0 + np.square(uncertainty / median)), 1.0)
