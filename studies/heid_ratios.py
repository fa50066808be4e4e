"""Mean errors from mean spreads: the ratio that a few labels fix, and the part of the error that is no chance.

`e` and `s` are means over frames or neighbourhoods: of |error| and of the members' standard deviation (Heid et al.
2024, Eqs. 7-10). n is their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics.committees import ratio_of_means
from assay.metrics.errors import finite_errors, one_for_each
from assay.results.arrays import Array


@dataclass(frozen=True)
class VarianceSplit:
    """The mean |error| as what the spread of members explains, and the rest.

    | field | meaning | unit |
    |---|---|---|
    | error | ⟨e⟩ | as e |
    | variance | α ⟨s⟩, what chance alone would make of this spread | as e |
    | other | the rest: bias, extrapolation; negative where errors are smaller than chance would make them | as e |
    """

    error: float
    variance: float
    other: float

    @property
    def variance_share(self) -> float:
        """`α ⟨s⟩ / ⟨e⟩`; NaN where there is no error."""
        return self.variance / self.error if self.error else float("nan")


def split_error(error: ArrayLike, spread: ArrayLike, members: int, common: float = 0.0) -> VarianceSplit:
    """Split the mean |error| into a variance and a non-variance part.

    `⟨e⟩ = α ⟨s⟩ + rest`, α = `ratio_of_means(M, ρ)`. That of Heid et al. is without c₄: 1 − c₄(M) smaller, 3 % for
    M = 10 and 6 % for M = 5. The split is a difference of means, as published, not of squares, and holds for members
    that are independent, or have the share ρ of their variance in common, which is then known from elsewhere.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error, of any sign | `(...)` | any |
    | s | spread: standard deviation with ddof = 1 | `(...)` | as e |
    | M, ρ | members, common: as in `ratio_of_means` | | |

    Raises ValueError where there are no errors, for NaN or infinite ones, for spreads that are negative or not finite,
    where the shapes differ, and as `ratio_of_means`.

    Reference: Heid et al. 2024, section II B and Fig. 3c (data at doi:10.5281/zenodo.11086346).
    """
    e, s = _pairs(error, spread)
    variance = ratio_of_means(members, common) * float(s.mean())
    return VarianceSplit(float(e.mean()), variance, float(e.mean()) - variance)


def error_ratio(error: ArrayLike, spread: ArrayLike) -> float:
    """The factor from spread to |error|, `α = ⟨e⟩/⟨s⟩`: predicted errors are `α s`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error, of any sign | `(...)` | any |
    | s | spread | `(...)` | as e |

    Raises ValueError as `split_error`, and where every spread is 0.

    Reference: Heid et al. 2024, Eq. 3 and Fig. 3e (data at doi:10.5281/zenodo.11086346).
    """
    e, s = _pairs(error, spread)
    if not s.any():
        raise ValueError(f"all {s.size} spreads are 0: no factor makes errors of them")
    return float(e.sum() / s.sum())


def labels_needed(error: ArrayLike, spread: ArrayLike, precision: float = 0.1) -> int:
    """How many labelled frames fix α to a relative standard error.

    `m = ⌈v / (p ⟨e⟩)²⌉`, `v = Σ (e − α s)² / (n − 1)`: the variance of a ratio of means over m frames drawn at random
    (delta method). At least 2.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e, s | error, spread: as in `error_ratio`, one a frame | `(n,)` | any |
    | p | precision, above 0 | | none |

    Raises ValueError as `error_ratio`, for fewer than 2 frames, without any error, and for a precision not above 0.

    Reference: Cochran 1977, Sampling Techniques, section 6.4.
    """
    e, s = _pairs(error, spread)
    if precision <= 0 or e.size < 2 or not e.any():
        raise ValueError(f"precision {precision}, {e.size} errors: above 0, and 2 that are not all 0, are needed")
    residual = e - error_ratio(e, s) * s
    return max(2, ceil(float(residual @ residual) / (e.size - 1) / (precision * float(e.mean())) ** 2))


@dataclass(frozen=True)
class RatioCurve:
    """What α from m labelled frames is worth on the others, over random choices of the m.

    | field | meaning | shape |
    |---|---|---|
    | labelled | m | `(K,)` |
    | ratio | quantiles of α at 5, 50 and 95 % of the choices | `(K, 3)` |
    | deviation | quantiles of the mean of \\|e − α s\\| over the other frames, in units of their ⟨e⟩ | `(K, 3)` |
    | constant | the same for the predicted error ⟨e⟩ of the m frames, which knows no spread | `(K, 3)` |
    """

    labelled: tuple[int, ...]
    ratio: Array
    deviation: Array
    constant: Array


def ratio_curve(
    error: ArrayLike, spread: ArrayLike, labelled: Sequence[int], repeats: int = 200, seed: int = 0
) -> RatioCurve:
    """Fit α on m of the frames, predict the errors of the others; again and again, for each m.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e, s | error, spread: as in `error_ratio`, one a frame | `(n,)` | any |
    | m | labelled, each 1 to n − 1 | `(K,)` | |
    | | repeats: choices of the m frames, without replacement | | |

    NaN where none of the choices has a spread above 0. Raises ValueError as `error_ratio`, without any error or spread
    above 0, and for an m outside of 1 to n − 1.

    Reference: Heid et al. 2024, Fig. 3e-f (data at doi:10.5281/zenodo.11086346).
    """
    e, s = _pairs(error, spread)
    n, rng = e.size, np.random.default_rng(seed)
    if not (e.any() and s.any()):
        raise ValueError(f"all {n} errors, or all spreads, are 0: there is nothing to predict")
    if not all(0 < m < n for m in labelled):
        raise ValueError(f"labelled is {list(labelled)} for {n} frames; 1 to {n - 1} are needed")
    found = np.empty((len(labelled), 3, repeats))
    for k, m in enumerate(labelled):
        for b in range(repeats):
            order = rng.permutation(n)
            known, new = order[:m], order[m:]
            ratio = error_ratio(e[known], s[known]) if s[known].any() else np.nan
            scale = e[new].mean() or np.nan
            predicted = ratio * s[new]
            found[k, :, b] = ratio, np.abs(e[new] - predicted).mean(), np.abs(e[new] - e[known].mean()).mean()
            found[k, 1:, b] /= scale
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # no choice with a spread above 0: NaN
        low_middle_high = np.moveaxis(np.nanquantile(found, (0.05, 0.5, 0.95), axis=2), 0, -1)
    return RatioCurve(tuple(labelled), *np.moveaxis(low_middle_high, 1, 0))


def _pairs(error: ArrayLike, spread: ArrayLike) -> tuple[Array, Array]:
    """|e| and s, flat."""
    e = np.abs(finite_errors(error))
    s = one_for_each(spread, e.shape, "spread")
    unusable = s.size - np.count_nonzero(np.isfinite(s) & (s >= 0))
    if unusable:
        raise ValueError(f"{unusable} of {s.size} spreads are negative, NaN or infinite")
    return e.ravel(), s.ravel()
