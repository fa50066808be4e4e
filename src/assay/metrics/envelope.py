"""Do the members of an ensemble hold the truth between them, and how large are errors beside their spread?

`...` any shape; n is the number of values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics._bars import half_widths
from assay.metrics.errors import finite_errors, one_for_each
from assay.results.arrays import Array


def envelope_violation(reference: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """The share of references outside the envelope, whose ends are inside: `EV = ⟨y < low or y > high⟩`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | y | reference | `(...)` | any |
    | | low, high: smallest and largest prediction of the members | `(...)` | as reference |

    Raises ValueError where there are no references, where any of the three is not finite, where the shapes differ, and
    where a low end is above its high end.

    Reference: Perez et al., Fig. 3, doi:10.48550/arXiv.2502.07104.
    """
    return float(np.mean(_outside(reference, low, high)))


def envelope_violation_interval(
    reference: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    group: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval that a share `level` of bootstrap resamples puts `envelope_violation` in.

    `EV* = Σ_g w_g k_g / Σ_g w_g n_g`: group g has n_g values, k_g of them outside; w counts how often it was drawn in
    as many draws with replacement as there are groups. The ends are quantiles of EV* at (1 ∓ level)/2. Whole groups
    are drawn, because values of one frame are not independent. NaN where there is nothing to resample: fewer than two
    groups, or EV of 0 or 1.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | | reference, low, high: as in `envelope_violation` | `(...)` | any |
    | g | group: the frame of each value | `(...)` | integers |

    Raises what `envelope_violation` raises, and ValueError where the shape of `group` differs.

    Reference: Davison & Hinkley 1997, section 3.8, doi:10.1017/CBO9780511802843.
    """
    outside = _outside(reference, low, high).ravel()
    _, g = np.unique(one_for_each(group, np.shape(reference), "group"), return_inverse=True)
    n = np.bincount(g.ravel())
    k = np.bincount(g.ravel(), weights=outside)
    if len(n) < 2 or k.sum() in (0, n.sum()):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    shares = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(len(n), size=len(n))
        shares[i] = k[drawn].sum() / n[drawn].sum()
    ends = np.quantile(shares, [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    return float(ends[0]), float(ends[1])


def error_ratio_quantiles(error: ArrayLike, std: ArrayLike, levels: Sequence[float]) -> dict[float, float]:
    """Quantiles of `|e|/σ`, those of the inverted distribution function; ∞ for errors beside a spread of zero.

    For normal errors with these standard deviations the quantile at p is `Φ⁻¹((1 + p)/2)`: 1 at 0.683, 1.96 at 0.95.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std, ≥ 0 | `(...)` | as error |
    | p | levels, in the order of the result | | none |

    An error of zero beside a spread of zero is a ratio of zero. Raises TypeError for a Score; ValueError where there
    are no errors, for NaN or infinite errors, for negative or NaN standard deviations, and where the shapes differ.
    """
    ratios = np.abs(error_ratios(error, std)).ravel()
    found = np.quantile(ratios, list(levels), method="inverted_cdf")
    return dict(zip(levels, found.tolist(), strict=True))


def error_ratio_histogram(error: ArrayLike, std: ArrayLike, edges: ArrayLike) -> tuple[Array, Array]:
    """Shares of the signed ratios `e/σ` in bins, and the shares of a standard normal distribution in the same bins.

    | symbol | argument or result | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std, ≥ 0 | `(...)` | as error |
    | | edges of B bins, rising | `(B+1,)` | none |
    | | found, the first result: shares of all ratios; what is left of 1 is beyond the edges | `(B,)` | |
    | | normal, the second result: `Φ(b₊) − Φ(b₋)` | `(B,)` | none |

    Raises what `error_ratio_quantiles` raises.

    Reference: Perez et al., Figs. 3 and 12, doi:10.48550/arXiv.2502.07104.
    """
    from scipy.special import ndtr  # slow to import

    b = np.asarray(edges, dtype=np.float64)
    ratios = error_ratios(error, std)
    found = np.histogram(ratios[np.isfinite(ratios)], b)[0] / ratios.size
    return found, np.diff(ndtr(b))


def error_ratios(error: ArrayLike, std: ArrayLike) -> Array:
    """`e/σ`, of the shape of `error`; ±∞ for an error beside a spread of zero, 0 where both are zero.

    Arguments and errors as of `error_ratio_quantiles`.
    """
    e = finite_errors(error)
    sigma = half_widths(std, e.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(e == 0, 0.0, e / sigma)


def _outside(reference: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.bool_]:
    y = finite_errors(reference)
    ends = [one_for_each(end, y.shape, name) for name, end in (("low", low), ("high", high))]
    if not np.isfinite(ends).all():
        raise ValueError("ends of the envelope are NaN or infinite; leave out values without members")
    if np.any(ends[0] > ends[1]):
        raise ValueError(f"{np.count_nonzero(ends[0] > ends[1])} low ends are above their high ends")
    return np.asarray((y < ends[0]) | (y > ends[1]))
