"""The guard between scores and error bars: what may stand where a metric needs error bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics.errors import one_for_each
from assay.results.arrays import Array
from assay.results.score import Score


def standard_deviations(std: ArrayLike, shape: tuple[int, ...]) -> Array:
    """`std` as floats of `shape`: TypeError for a Score, ValueError unless all are finite and above zero."""
    sigma = _error_bars(std, shape, "std", "the standard deviations (`.std`)")
    finite, positive = np.isfinite(sigma), sigma > 0
    unusable = sigma.size - np.count_nonzero(finite & positive)
    if unusable:
        zero = np.count_nonzero(sigma == 0)
        negative = np.count_nonzero(finite & (sigma < 0))
        raise ValueError(
            f"{unusable} of {sigma.size} standard deviations can't be error bars: {zero} zero, {negative} "
            f"negative, {unusable - zero - negative} NaN or infinite. Zero spread is what atoms whose force "
            "vanishes by symmetry have: leave them out (`Assessment.still`); leave out what is not finite too"
        )
    return sigma


def half_widths(half_width: ArrayLike, shape: tuple[int, ...]) -> Array:
    """`half_width` as floats of `shape`: TypeError for a Score, ValueError where any is NaN or negative."""
    h = _error_bars(half_width, shape, "half_width", "half the widths of the result (`.half_width(level)`)")
    unusable = h.size - np.count_nonzero(h >= 0)
    if unusable:
        raise ValueError(
            f"{unusable} of {h.size} half widths are NaN or negative; "
            "half a width is zero, positive, or infinite where nothing narrower can be promised"
        )
    return h


def _error_bars(values: ArrayLike, shape: tuple[int, ...], name: str, wanted: str) -> Array:
    if isinstance(values, Score):
        raise TypeError(
            f"{name} is the Score {values.name!r}: a score is a distance from home that only ranks; it has "
            "no unit of error and is not an error bar. Calibrate it first, with errors on frames that were "
            f"not trained on (`assay.calibration`), and pass {wanted}"
        )
    return one_for_each(values, shape, name)
