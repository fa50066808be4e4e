"""Error bars held against errors: coverage, width, and proper scores where bars are distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.defined import ends, finite, number
from assay.evaluation.figures import BarAgainstErrors, BarFigures
from assay.metrics import (
    areas_over_and_under,
    ause,
    coverage,
    ence,
    ence_by_chance,
    ence_interval,
    error_ratio_quantiles,
    gaussian_crps,
    gaussian_nll,
    interval_score,
    miscalibration_area,
    signed_miscalibration_area,
    vector_coverage,
)
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.error_bars import ErrorBar, Gaussian
from assay.results.per_quantity import Quantity
from assay.results.residuals import Residuals

LEVELS = (0.5, 0.68, 0.9, 0.95)
RATIO_LEVELS = (*LEVELS, 0.99)
"""Quantiles of |error| over its spread: 0.674, 0.994, 1.645, 1.960 and 2.576 for normal errors."""
PROMISED = np.linspace(0.0, 1.0, 51)
"""Levels at which intervals are held against errors for their miscalibration area."""
Mask = NDArray[np.bool_]
ConstantBar = Callable[[Quantity, Array], ErrorBar | None]
"""The bar that is the same everywhere, around a mean."""


def against_errors(
    assessment: Assessment, quantity: Quantity, error: Array | None, here: Mask, constant_bar: ConstantBar
) -> BarAgainstErrors | None:
    """The figures of an error bar on the values `here`, a mask of the rows or the values of `error`."""
    bar, frame = assessment.bars[quantity], assessment.batch.frames_of[quantity]
    if bar is None or frame is None or error is None or not here.any():
        return None
    constant = constant_bar(quantity, bar.mean)
    width = bar.half_width(0.68)
    values = Residuals(error[here].ravel(), width[here].ravel(), frame[here].ravel(), quantity=quantity)
    return BarAgainstErrors(
        name=assessment.bar,
        unit=bar.unit,
        figures=bar_figures(bar.at(here), values),
        constant=None if constant is None else bar_figures(constant.at(here), values),
        ause=number(ause, values.spread, values.error),
        vector_coverage=_vectors(bar, error, here) if quantity == "force" else None,
    )


def bar_figures(bar: ErrorBar, values: Residuals) -> BarFigures:
    """The figures of the bars of `values`, whose spread is not looked at."""
    e = values.error
    half = {level: bar.half_width(level).ravel() for level in LEVELS}
    figures = BarFigures(
        values=e.size,
        mean_width=finite(2 * float(np.mean(half[0.68]))),
        coverage={level: number(coverage, e, width) for level, width in half.items()},
        width={level: finite(2 * float(np.mean(width))) for level, width in half.items()},
        interval_score={level: number(interval_score, e, width, level) for level, width in half.items()},
    )
    if isinstance(bar, Gaussian):
        return _of_a_distribution(figures, bar.std.ravel(), values)
    held = [np.mean(np.abs(e) <= bar.half_width(level).ravel()) for level in PROMISED]
    over, under = areas_over_and_under(PROMISED, held)
    return replace(figures, miscalibration_area=over + under, signed_area=over - under)


def _of_a_distribution(figures: BarFigures, std: Array, values: Residuals) -> BarFigures:
    """With ratios and, unless an error has a bar of zero or infinity, proper scores."""
    e = values.error
    ratios = error_ratio_quantiles(e, std, RATIO_LEVELS)
    usable = (std > 0) & np.isfinite(std)
    without = int((~usable & (e != 0)).sum())
    figures = replace(
        figures, error_over_bar={level: finite(ratio) for level, ratio in ratios.items()}, without_bar=without
    )
    if without:  # an error with a bar of zero has no likelihood, and leaving it out would flatter
        return figures
    e, std, frame = e[usable], std[usable], values.frame[usable]
    return replace(
        figures,
        ence=number(ence, e, std),
        nll=number(gaussian_nll, e, std),
        crps=number(gaussian_crps, e, std),
        miscalibration_area=number(miscalibration_area, e, std),
        signed_area=number(signed_miscalibration_area, e, std),
        ence_95=ends(ence_interval(e, std, frame)) if e.size else None,
        ence_by_chance=ends(ence_by_chance(e, std, frame)) if e.size else None,
    )


def _vectors(bar: ErrorBar, error: Array, here: Mask) -> dict[float, float] | None:
    """Coverage of whole force vectors, of atoms whose components all move; `None` for intervals and bars of zero."""
    whole = here.all(axis=1)
    if not isinstance(bar, Gaussian) or not whole.any():
        return None
    e, std = error[whole], bar.std[whole]
    if not np.all(np.isfinite(std) & (std > 0)):
        return None
    return {level: vector_coverage(e, std, level) for level in LEVELS}
