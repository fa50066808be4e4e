"""Conformal intervals under covariate shift (Tibshirani, Barber, Candès and Ramdas 2019, arXiv:1904.06019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.results.arrays import Array
from assay.results.error_bars import Interval
from assay.results.residuals import Residuals


@dataclass(frozen=True)
class WeightedConformal:
    """`mean ± q_p(x) s`, q_p(x) the smallest r with `Σ_{r_i ≤ r} w_i ≥ p (Σ_i w_i + w(x))`.

    `w(x) = dP_new(x) / dP_held-out(x)`, up to a factor: known (the Boltzmann factors of two temperatures, or the rates
    at which two samples were drawn) or estimated by `DensityRatio`.

    | | |
    |---|---|
    | guarantee | a new value is covered with probability at least p, where w is the true ratio |
    | assumes | independent values; only x is shifted, errors given x are not; w known; what is new can occur \
among the held-out values |
    | when that fails | with an estimated w coverage is lower by at most half of E\\|ŵ - w\\| (Lei and Candès 2021, \
doi:10.1111/rssb.12445); new values unlike all held-out ones have infinite intervals, which is the truth |

    Because the weights are those of one set of new frames, this is no part of a gauge: call it on that set. A constant
    score gives a width that depends on x by w(x) alone.

    | field | meaning | shape |
    |---|---|---|
    | ratios | sorted r | `(n,)` |
    | weights | w of each | `(n,)` |
    """

    ratios: Array
    weights: Array

    @classmethod
    def fit(cls, held_out: Residuals, weights: ArrayLike) -> Self:
        """Fit to held-out values and the w of each, `(n,)`; those without a positive finite spread are left out.

        Raises `ValueError` for weights of another shape, negative, not finite, or all zero.
        """
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != held_out.error.shape:
            raise ValueError(f"weights {w.shape} for {held_out.error.shape} held-out values")
        if not np.isfinite(w).all() or (w < 0).any() or not w.any():
            raise ValueError("weights must be finite and not negative, and some must be above zero")
        usable, w = held_out.usable(), w[np.isfinite(held_out.spread) & (held_out.spread > 0)]
        order = np.argsort(usable.ratios, kind="stable")
        return cls(usable.ratios[order], w[order])

    @property
    def effective(self) -> float:
        """`(Σ w)² / Σ w²`: how many equally weighted values the weighted ones are worth."""
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    def bar(self, mean: Array, spread: Array, unit: str, weight: ArrayLike) -> Interval:
        """Intervals of new values with w(x) in `weight`, a scalar or of the shape of `spread`."""
        return Interval(mean, spread, self.ratios, unit, self.weights, np.asarray(weight, dtype=np.float64))


@dataclass(frozen=True)
class DensityRatio:
    """`w(x) = (n/m) P(new|x) / P(held-out|x)` by logistic regression of which of two samples x comes from.

    x: whatever is thought to shift, such as mean features of frames, or the logarithm of a score. The ratio is
    log-linear in x, standardised to the held-out columns (Sugiyama, Suzuki and Kanamori 2012,
    doi:10.1017/CBO9781139035613, chapter 4). Atoms of one frame are no independent sample: prefer frames.

    | field | meaning | shape |
    |---|---|---|
    | centre, scale | mean and deviation of the held-out columns | `(D,)` |
    | slope, offset | `log w = offset + slope · (x - centre) / scale` | `(D,)`, scalar |
    """

    centre: Array
    scale: Array
    slope: Array
    offset: float

    @classmethod
    def fit(cls, held_out: ArrayLike, new: ArrayLike, *, strength: float = 1.0) -> Self:
        """Fit to `(n, D)` held-out and `(m, D)` new points; `strength` is that of the L2 penalty on the slope.

        Raises `ValueError` for points that are not finite or of different numbers of columns.
        """
        from sklearn.linear_model import LogisticRegression  # slow to import

        samples = [_points(held_out), _points(new)]
        if samples[0].shape[1] != samples[1].shape[1]:
            raise ValueError(f"{samples[0].shape[1]} columns of held-out points, {samples[1].shape[1]} of new ones")
        if not all(len(x) and np.isfinite(x).all() for x in samples):
            raise ValueError("a ratio of densities needs points of both samples, and finite ones")
        centre, deviation = samples[0].mean(axis=0), samples[0].std(axis=0)
        constant = deviation <= 1e-10 * np.abs(samples[0]).max(axis=0)
        scale = np.where(constant, np.where(np.ptp(samples[1], axis=0) > 0, samples[1].std(axis=0), 1.0), deviation)
        points = (np.concatenate(samples) - centre) / np.where(scale > 0, scale, 1.0)
        label = np.repeat([0, 1], [len(x) for x in samples])
        fitted = LogisticRegression(C=1.0 / strength, max_iter=1000).fit(points, label)
        offset = float(fitted.intercept_[0]) + np.log(len(samples[0]) / len(samples[1]))
        return cls(centre, np.where(scale > 0, scale, 1.0), np.asarray(fitted.coef_[0]), float(offset))

    def weights(self, points: ArrayLike) -> NDArray[np.float64]:
        """w of points `(k, D)`, `(k,)`."""
        logarithm = self.offset + (_points(points) - self.centre) / self.scale @ self.slope
        return np.asarray(np.exp(np.minimum(logarithm, 500.0)))


def _points(x: ArrayLike) -> Array:
    """`(n, D)`; a column `(n,)` has D = 1."""
    points = np.asarray(x, dtype=np.float64)
    return points[:, None] if points.ndim == 1 else points
