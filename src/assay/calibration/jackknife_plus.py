"""Jackknife+ and CV+ intervals: no frame is set aside (Barber, Candès, Ramdas and Tibshirani 2021,
doi:10.1214/20-AOS1965)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.results.arrays import Array

CHUNK = 4_000_000
"""Numbers that are sorted at a time."""


def jackknife_plus(
    residual: ArrayLike, fold: NDArray[np.int64], predictions: ArrayLike, level: float
) -> tuple[Array, Array]:
    """Intervals from residuals of fits that had not seen each value, and predictions of those fits.

    `[q⁻_i { μ_k(i)(x) - R_i }, q⁺_i { μ_k(i)(x) + R_i }]`, with `q⁻` the ⌊α (n + 1)⌋-th smallest of n values, `q⁺` the
    ⌈(1 - α) (n + 1)⌉-th, and `R_i = |y_i - μ_k(i)(x_i)|`.

    | | |
    |---|---|
    | guarantee | coverage of at least 1 - 2α, for n folds of one value (jackknife+); 1 - 2α - √(2/n) for K folds \
(CV+). In practice about 1 - α |
    | assumes | exchangeable values, folds made without looking at them; a fit that treats its values alike |
    | when that fails | values of one frame or trajectory in several folds: residuals are too small, and so are \
intervals. Make folds of whole frames |

    | symbol | argument | meaning | shape |
    |---|---|---|---|
    | R_i | residual | out-of-fold residuals, any sign | `(n,)` |
    | k(i) | fold | the fold that each was left out with | `(n,)`, 0 … K - 1 |
    | μ_k(x) | predictions | of new values, by the fit without fold k | `(K, ...)` |
    | 1 - α | level | nominal coverage, between 0 and 1 | |

    Returns low and high ends, `(...)` each, in the unit of the predictions; infinite where n values can't promise the
    level, n < level / (1 - level). Raises `ValueError` for shapes that do not belong together, folds that have no
    prediction, values that are not finite, and a level outside of 0 and 1.
    """
    r, mu, k = np.abs(np.asarray(residual, dtype=np.float64)), np.asarray(predictions, dtype=np.float64), fold
    if r.ndim != 1 or r.shape != np.shape(k) or not r.size:
        raise ValueError(f"residuals {r.shape} and folds {np.shape(k)} must be columns (n,) of one length")
    if k.min() < 0 or k.max() >= len(mu):
        raise ValueError(f"folds {k.min()} to {k.max()}, but predictions of {len(mu)} fits")
    if not (np.isfinite(r).all() and np.isfinite(mu).all()):
        raise ValueError("residuals and predictions must be finite")
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1, got {level}")
    n, flat = len(r), mu.reshape(len(mu), -1)
    place = int(np.ceil(level * (n + 1) - 1e-9))  # and ⌊α (n + 1)⌋ = n + 1 - place
    high, low = np.full(flat.shape[1], np.inf), np.full(flat.shape[1], -np.inf)
    if place <= n:
        step = max(1, CHUNK // n)
        for start in range(0, flat.shape[1], step):
            of_value = flat[k, start : start + step]  # (n, step)
            high[start : start + step] = np.partition(of_value + r[:, None], place - 1, axis=0)[place - 1]
            low[start : start + step] = np.partition(of_value - r[:, None], n - place, axis=0)[n - place]
    return low.reshape(mu.shape[1:]), high.reshape(mu.shape[1:])
