"""Are error bars right in every part of the data, and not on average only? Calibration by strata, with intervals.

n is the number of values, K of strata, F of frames. Strata by the bar itself test consistency, strata by what is known
of the input (species, coordination, group of frames) test adaptivity. Intervals are of resamples of whole frames.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics._bars import standard_deviations
from assay.metrics.bootstrap import FrameBootstrap, interval
from assay.metrics.calibration import ence
from assay.metrics.errors import finite_errors, one_for_each
from assay.metrics.ranking import rankable, ranks
from assay.results.arrays import Array


def equal_count(values: ArrayLike, bins: int) -> NDArray[np.int64]:
    """Strata 0 … K − 1 of about equal count by rising value, `(n,)`; equal values are in one, so K ≤ bins.

    `k = ⌊B (r − ½)/n⌋` with the ranks r, renumbered without gaps. Raises ValueError for NaN, and for bins below 1.
    """
    v = rankable(values, np.shape(values)).ravel()
    if bins < 1:
        raise ValueError(f"bins is {bins}; at least 1 is needed")
    _, stratum = np.unique(np.floor(bins * (ranks(v) - 0.5) / max(len(v), 1)), return_inverse=True)
    return np.asarray(stratum, dtype=np.int64)


def z_mean_square(
    error: ArrayLike,
    std: ArrayLike,
    stratum: ArrayLike,
    frame: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Mean squared z-score of each stratum, and its interval: 1 where the bars are of the size of the errors.

    `⟨z²⟩_k`, `z = e/σ`. Above 1 the bars of the stratum are too small, by its root; below 1 too large. Intervals are
    those of `assay.metrics.interval` with corrections for bias and acceleration; NaN for less than two frames.

    | symbol | argument or result | shape | unit |
    |---|---|---|---|
    | e | error | `(n,)` | any |
    | σ | std | `(n,)` | as error |
    | k | stratum, 0 to K − 1, none empty | `(n,)` | |
    | | frame of each value | `(n,)` | |
    | ⟨z²⟩ | the first result | `(K,)` | none |
    | | ends of the intervals, the second result | `(K, 2)` | none |

    Raises TypeError for a Score; ValueError as `assay.metrics.reliability`, and for an empty stratum.

    Reference: Pernot 2023, doi:10.48550/arXiv.2306.05180 (local z-score variance, there with the mean removed).
    """
    e = finite_errors(error)
    z2 = (e / standard_deviations(std, e.shape)) ** 2
    return mean_by(z2, stratum, FrameBootstrap(frame, resamples, seed), level=level)


def mean_by(
    values: ArrayLike, stratum: ArrayLike, resampled: FrameBootstrap, *, level: float = 0.95
) -> tuple[Array, Array]:
    """Means `(K,)` of values `(n,)` by stratum, with their intervals `(K, 2)`, as in `z_mean_square`."""
    x = np.asarray(values, dtype=np.float64)
    k = one_for_each(stratum, x.shape, "stratum").astype(np.int64)
    count = np.bincount(k)
    if not count.all():
        raise ValueError(f"strata {np.flatnonzero(count == 0).tolist()} are empty; number them without gaps")
    K = len(count)
    mean = np.bincount(k, x) / count
    samples, left_out = resampled.mean_by(x, k, K), resampled.leave_out().mean_by(x, k, K)
    ends = [interval(samples[:, i], level, estimate=mean[i], left_out=left_out[:, i]) for i in range(K)]
    return mean, np.array(ends)


def ence_interval(
    error: ArrayLike,
    std: ArrayLike,
    frame: ArrayLike,
    bins: int | None = None,
    *,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval of `assay.metrics.ence` by resampling frames: quantiles of `ence_samples` at (1 ∓ level)/2.

    It is the interval of what so many values in so many frames would give again: what chance alone gives says
    `ence_by_chance`. NaN with fewer than two frames. Arguments as of `ence`, and

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | | frame of each value | `(...)` | integers |

    Raises what `ence` raises.
    """
    return interval(ence_samples(error, std, _resampled(error, frame, resamples, seed), bins), level)


def ence_samples(error: ArrayLike, std: ArrayLike, resampled: FrameBootstrap, bins: int | None = None) -> Array:
    """`assay.metrics.ence` of each resample, `(B,)`, shifted to their mean: `max(0, ENCE* − ⟨ENCE*⟩ + ENCE)`.

    Shifted because each resample adds chance to the chance that there is; bins are those of all values. NaN with fewer
    than two frames. Arguments and errors as of `ence`, and

    | symbol | argument | shape |
    |---|---|---|
    | | resampled: of the frames of the values | n values |
    """
    samples, _ = _ences(error, std, resampled, bins)
    if np.isnan(samples).all():
        return samples
    return np.asarray(np.maximum(samples - np.nanmean(samples) + ence(error, std, bins), 0.0))


def ence_by_chance(
    error: ArrayLike,
    std: ArrayLike,
    frame: ArrayLike,
    bins: int | None = None,
    *,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """The `assay.metrics.ence` that bars which are right in every bin have by chance: mean, and quantile at `level`.

    `ENCE° = Σ_b (n_b/n) |RMV*_b − (RMV_b/RMSE_b) RMSE*_b| / RMV*_b` over resamples * of whole frames: errors are scaled
    so that each bin is calibrated, and what is left is the scatter of so many values in so many frames, with the
    correlation within frames that there is. An ENCE above the quantile shows miscalibration; one below it does not. In
    simulations with right bars, 5 to 12 % of ENCEs are above the 95 % quantile: more where frames are few and unlike.

    Arguments and errors as of `ence_interval`; NaN with fewer than two frames.
    """
    _, samples = _ences(error, std, _resampled(error, frame, resamples, seed), bins)
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return float("nan"), float("nan")
    return float(np.mean(samples)), float(np.quantile(samples, level))


def _resampled(error: ArrayLike, frame: ArrayLike, resamples: int, seed: int) -> FrameBootstrap:
    return FrameBootstrap(one_for_each(frame, np.shape(error), "frame").ravel(), resamples, seed)


def _ences(error: ArrayLike, std: ArrayLike, resampled: FrameBootstrap, bins: int | None) -> tuple[Array, Array]:
    """ENCE of resamples of frames as it is, and with errors that are calibrated in every bin, `(B,)` each."""
    e = finite_errors(error)
    v = (standard_deviations(std, e.shape) ** 2).ravel()
    e2, n = e.ravel() ** 2, e.size
    b = equal_count(v, isqrt(n) if bins is None else bins)
    count = np.bincount(b)
    K, share = len(count), count / n
    mv, mse = resampled.mean_by(v, b, K), resampled.mean_by(e2, b, K)
    all_mv, all_mse = np.bincount(b, v), np.bincount(b, e2)
    right = mse * np.divide(all_mv, all_mse, out=np.ones(K), where=all_mse > 0)

    def of_bins(mse: Array) -> Array:
        difference = np.abs(1.0 - np.sqrt(mse / mv))
        there = np.isfinite(difference)  # bins that a resample has values in
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(there, difference, 0.0) @ share / (there @ share))

    return of_bins(mse), of_bins(right)
