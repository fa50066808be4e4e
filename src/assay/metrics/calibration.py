"""Do error bars hold what they say? Coverage of intervals, and spread against error in bins.

`...` any shape; n is the number of values, B of bins. A `Score` in place of error bars raises TypeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics._bars import half_widths as usable_half_widths
from assay.metrics._bars import standard_deviations
from assay.metrics.errors import finite_errors, one_for_each
from assay.metrics.ranking import expected_in_order
from assay.results.arrays import Array


def coverage(error: ArrayLike, half_width: ArrayLike) -> float:
    """The share of errors inside their interval, ends included: `⟨|e| ≤ h⟩`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | h | half_width, half the width of the central interval, ≥ 0; ∞ allowed | `(...)` | as error |

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for NaN or
    negative half widths, and where the shapes differ.

    Reference: Gneiting, Balabdaoui & Raftery 2007, doi:10.1111/j.1467-9868.2007.00587.x.
    """
    e = finite_errors(error)
    return float(np.mean(np.abs(e) <= usable_half_widths(half_width, e.shape)))


def coverages(error: ArrayLike, half_widths: Mapping[float, ArrayLike]) -> dict[float, float]:
    """The share of errors inside their intervals at several levels: `{p: ⟨|e| ≤ h_p⟩}`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | p, h_p | half_widths: by level, in the order of the result | each `(...)` | as error |

    Raises what `coverage` raises.
    """
    return {level: coverage(error, half_width) for level, half_width in half_widths.items()}


def coverage_curve(error: ArrayLike, std: ArrayLike, points: int = 101) -> tuple[Array, Array]:
    """The expected and the observed coverage of central normal intervals.

    `F(p) = ⟨u ≤ p⟩`, `u = 2Φ(|e|/σ) − 1 = erf(|e|/√2σ)`: u is the level of the interval that just holds e.
    The diagonal is perfect; below it, error bars are too small.

    | symbol | argument or result | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std | `(...)` | as error |
    | | points: how many p, evenly from 0 to 1 | | |
    | p | expected, the first result | `(points,)` | none |
    | F | observed, the second result | `(points,)` | none |

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for
    standard deviations that are not finite and positive, where the shapes differ, and for fewer than 2
    points.

    Reference: Kuleshov, Fenner & Ermon 2018, doi:10.48550/arXiv.1807.00263 (there for quantiles).
    """
    if points < 2:
        raise ValueError(f"points is {points}; at least 2, the levels 0 and 1, are needed")
    u = _levels(error, std)
    p = np.linspace(0.0, 1.0, points)
    return p, np.searchsorted(u, p, side="right") / len(u)


def miscalibration_area(error: ArrayLike, std: ArrayLike) -> float:
    """The area between observed and expected coverage of central normal intervals.

    `A = ∫₀¹ |F(p) − p| dp = Σ_k ∫_{(k−1)/n}^{k/n} |u₍ₖ₎ − q| dq`

    It is exact for the step function F; the sum is the same area seen along the other axis. 0 is perfect, ½
    the worst. This is the area of uncertainty-toolbox with its default `prop_type="interval"`, which sums
    trapezia over 100 levels and agrees as their number grows; not its `"quantile"`, where a bias of the mean
    counts too.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std | `(...)` | as error |
    | F, u | as in `coverage_curve`; u₍ₖ₎ is the k-th smallest of n | | none |

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for
    standard deviations that are not finite and positive, and where the shapes differ.

    Reference: Tran et al. 2020, doi:10.1088/2632-2153/ab7e1a.
    """
    u = _levels(error, std)
    n = len(u)
    k = np.arange(1, n + 1)
    upper, lower = k / n - u, (k - 1) / n - u
    return 0.5 * float(np.sum(upper * np.abs(upper) - lower * np.abs(lower)))


def signed_miscalibration_area(error: ArrayLike, std: ArrayLike) -> float:
    """Which way the error bars of `miscalibration_area` are wrong: above 0 too small, below 0 too large.

    `S = ∫₀¹ (p − F(p)) dp = ⟨u⟩ − ½`, from −½ to ½. |S| = A where bars are too small, or too large, at every level;
    |S| < A where the tails are wrong one way and the middle the other. `(A + S)/2` is the area of overconfidence,
    `(A − S)/2` that of underconfidence.

    Symbols, arguments and errors as of `miscalibration_area`.
    """
    return float(np.mean(_levels(error, std))) - 0.5


def areas_over_and_under(expected: ArrayLike, observed: ArrayLike) -> tuple[float, float]:
    """The areas of over- and of underconfidence of a coverage curve, `∫ max(p − F, 0) dp` and `∫ max(F − p, 0) dp`.

    Exact for straight lines between the points. For intervals of any kind, whose coverage is known at some levels;
    their sum is the miscalibration area and their difference the signed one.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | p | expected, rising | `(n,)` | none |
    | F | observed | `(n,)` | none |

    Raises ValueError where the shapes differ, and for levels that don't rise.
    """
    p = np.asarray(expected, dtype=np.float64)
    d = p - one_for_each(observed, p.shape, "observed")
    width = np.diff(p)
    if np.any(width <= 0):
        raise ValueError("the expected levels must rise from one to the next")
    a, b = d[:-1], d[1:]
    crossing = a * b < 0  # two triangles where the line crosses the diagonal
    size = np.abs(a) + np.abs(b)
    with np.errstate(invalid="ignore"):
        over = np.where(crossing, 0.5 * np.maximum(a, b) ** 2 / size, 0.5 * np.maximum(a + b, 0.0))
        under = np.where(crossing, 0.5 * np.minimum(a, b) ** 2 / size, 0.5 * np.maximum(-a - b, 0.0))
    return float(over @ width), float(under @ width)


def vector_coverage(error: ArrayLike, std: ArrayLike, level: float) -> float:
    """The share of vectors inside the ellipsoid that normal error bars of the components promise `level` for.

    `⟨Σ_k (e_k/σ_k)² ≤ χ²_K(level)⟩`, χ²_K the quantile of the chi-squared distribution with K degrees of freedom. For
    independent components; a force vector whose components are covered as promised need not be.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(N, K)` | any |
    | σ | std | `(N, K)` | as error |

    Raises what `reliability` raises, and ValueError unless errors are vectors.
    """
    from scipy.special import gammaincinv  # slow to import

    e = finite_errors(error)
    if e.ndim != 2:
        raise ValueError(f"errors of shape {e.shape} came; vectors (N, K) are needed")
    chi2 = 2.0 * gammaincinv(0.5 * e.shape[1], level)
    return float(np.mean(np.sum((e / standard_deviations(std, e.shape)) ** 2, axis=1) <= chi2))


def reliability(
    error: ArrayLike, std: ArrayLike, bins: int | None = None, spacing: Literal["count", "log"] = "count"
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Spread against error in bins by rising standard deviation: the reliability diagram.

    `RMV_b = √⟨σ²⟩_b`, `RMSE_b = √⟨e²⟩_b`. The diagonal is perfect; above it, error bars are too small.

    Values with equal σ share their mean e², so that bins don't depend on the order in which values came.
    Counts differ by at most one. With `spacing="log"`, bins are equally wide in ln σ instead, and those that would be
    empty are left out, so that fewer than `bins` may come.

    | symbol | argument or result | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std | `(...)` | as error |
    | B | bins, 1 to n; ⌊√n⌋ by default | | |
    | RMV | rmv, the first result | `(B,)` | as error |
    | RMSE | rmse, the second result | `(B,)` | as error |
    | | count of each bin, the third result | `(B,)` | none |

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for
    standard deviations that are not finite and positive, where the shapes differ, for bins not in 1 to n, and for an
    unknown spacing.

    Reference: Levi et al. 2022, doi:10.3390/s22155540.
    """
    e = finite_errors(error)
    sigma = standard_deviations(std, e.shape).ravel()
    n = e.size
    B = isqrt(n) if bins is None else bins
    if not 1 <= B <= n:
        raise ValueError(f"bins is {B} for {n} errors; 1 to {n} are possible, so that no bin is empty")
    ordered = np.sort(sigma)
    if spacing == "count":
        edges = np.arange(B + 1) * n // B
    elif spacing == "log":
        inner = np.geomspace(ordered[0], ordered[-1], B + 1)[1:-1]
        edges = np.unique([0, *np.searchsorted(ordered, inner), n])
    else:
        raise ValueError(f"spacing is {spacing!r}; 'count' and 'log' are possible")
    count = np.diff(edges)
    mv = np.add.reduceat(ordered**2, edges[:-1]) / count
    mse = np.add.reduceat(expected_in_order(sigma, e.ravel() ** 2), edges[:-1]) / count
    return np.sqrt(mv), np.sqrt(mse), count


def ence(error: ArrayLike, std: ArrayLike, bins: int | None = None) -> float:
    """Expected normalised calibration error: the mean relative difference of spread and error over bins.

    `ENCE = (1/B) Σ_b |RMV_b − RMSE_b| / RMV_b`.

    It is not 0 for perfect error bars: with distinct σ and n/B ≫ 1 values in a bin expect about `√(B/πn)`,
    which for the default B is `n^(−1/4)/√π`. Compare at equal n and B only.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std | `(...)` | as error |
    | B | bins, 1 to n; ⌊√n⌋ by default | | |
    | RMV, RMSE | as in `reliability` | `(B,)` | as error |

    Raises what `reliability` raises.

    Reference: Levi et al. 2022, doi:10.3390/s22155540; growth as √B: Pernot 2023,
    doi:10.48550/arXiv.2305.11905.
    """
    rmv, rmse, _ = reliability(error, std, bins)
    return float(np.mean(np.abs(rmv - rmse) / rmv))


def _levels(error: ArrayLike, std: ArrayLike) -> Array:
    """Sorted levels of the central normal intervals that just hold each error, `u = erf(|e|/√2σ)`, `(n,)`."""
    from scipy.special import erf  # slow to import

    e = finite_errors(error)
    sigma = standard_deviations(std, e.shape)
    return np.sort(erf(np.abs(e) / (np.sqrt(2.0) * sigma)), axis=None)
