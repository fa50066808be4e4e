"""What members span held against labels: nothing is calibrated."""

from __future__ import annotations

import numpy as np

from assay.evaluation.bars import RATIO_LEVELS
from assay.evaluation.defined import ends, finite
from assay.evaluation.figures import EnvelopeFigures, RatioHistogram
from assay.metrics import (
    envelope_violation,
    envelope_violation_interval,
    error_ratio_histogram,
    error_ratio_quantiles,
)
from assay.results.arrays import Array
from assay.results.residuals import Enveloped

RATIO_EDGES = np.linspace(-6.0, 6.0, 49)
"""Bins of the histogram of error over spread."""


def envelope_figures(values: Enveloped) -> EnvelopeFigures:
    """Share of labels outside the members' envelope with its 95 % interval, and |error| over the members' spread."""
    y, low, high = values.label, values.envelope.low, values.envelope.high
    ratios = error_ratio_quantiles(values.residuals.error, values.residuals.spread, RATIO_LEVELS)
    return EnvelopeFigures(
        values=y.size,
        violation=envelope_violation(y, low, high),
        violation_95=ends(envelope_violation_interval(y, low, high, values.residuals.frame)),
        mean_range=float(np.mean(high - low)),
        mean_std=float(np.mean(values.residuals.spread)),
        error_over_std={level: finite(ratio) for level, ratio in ratios.items()},
    )


def ratio_histogram(error: Array, spread: Array) -> RatioHistogram:
    """Of error over spread, `(n,)` each, in the bins of `RATIO_EDGES`."""
    return RatioHistogram(RATIO_EDGES, *error_ratio_histogram(error, spread, RATIO_EDGES))
