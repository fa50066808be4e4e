"""How many directions points vary in: the TwoNN estimator of Facco et al. 2017 (doi:10.1038/s41598-017-11873-y).

Where the density is constant up to the second neighbour, the ratio of the distances to the second and the first,
`μ = r₂ / r₁`, has the law `P(μ) = 1 − μ^−d` whatever the density is. So d is the slope through the origin of
`−log(1 − P)` over `log μ`, P the empirical law of the smaller nine tenths of the ratios (the largest are where the
density is least constant).
"""

from __future__ import annotations

import numpy as np

from assay.results.arrays import Array

FRACTION = 0.9


def two_nn(first: Array, second: Array) -> float:
    """d from the distances `(n,)` of distinct points to their nearest and second nearest.

    | symbol | argument |
    |---|---|
    | r₁, r₂ | first, second |

    Raises `ValueError` where fewer than two ratios are left or all are 1, as on a grid.
    """
    n = len(first)
    kept = int(n * FRACTION)
    log_ratio = np.sort(np.log(second / first))[:kept]
    if kept < 2 or log_ratio[-1] <= 0:
        raise ValueError(f"{kept} different ratios of distances: the intrinsic dimension needs at least two")
    return float(log_ratio @ -np.log1p(-np.arange(1, kept + 1) / n) / (log_ratio @ log_ratio))


def dimension(first: Array, second: Array, columns: int) -> float:
    """`two_nn` between 1 and what n points in so many columns can span; that bound where there is no estimate."""
    most = float(max(1, min(columns, len(first) - 1)))
    try:
        return float(np.clip(two_nn(first, second), 1.0, most))
    except ValueError:
        return most
