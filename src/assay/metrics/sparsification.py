"""How the error falls when the least trustworthy are left out.

`...` any shape; n is the number of values. Only the order of the scores counts; infinite ones are welcome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics.errors import finite_errors
from assay.metrics.ranking import expected_in_order, rankable
from assay.results.arrays import Array


def sparsification_curve(score: ArrayLike, error: ArrayLike, points: int = 101) -> tuple[Array, Array]:
    """The mean |error| of what is left when the share f with the largest scores is removed.

    `S(f) = K(m)/m`, `m = (1 − f) n`, `K(m) = Σ_{i ≤ m} |e|₍ᵢ₎` in the order of rising score.

    Between whole numbers of values K is linear. Ties of the score count with the expectation under a random
    order, so a constant score gives a flat line. `S(1)` is the limit f → 1, the mean over the smallest score.
    The best possible curve, the oracle, is that of `score=abs(error)`.

    | symbol | argument or result | shape | unit |
    |---|---|---|---|
    | | score | `(...)` | none; ±∞ allowed |
    | e | error | `(...)` | any |
    | | points: how many f, evenly from 0 to 1 | | |
    | f | removed_fraction, the first result | `(points,)` | none |
    | S | mean \\|error\\| of the rest, the second result | `(points,)` | as error |

    Raises ValueError where there are no errors, for NaN scores, for NaN or infinite errors, where the shapes
    differ, and for fewer than 2 points.

    Reference: Ilg et al. 2018, doi:10.1007/978-3-030-01234-2_40.
    """
    if points < 2:
        raise ValueError(f"points is {points}; at least 2, nothing and everything removed, are needed")
    e = np.abs(finite_errors(error))
    by_score = expected_in_order(rankable(score, e.shape).ravel(), e.ravel())
    n = len(by_score)
    K = np.concatenate([[0.0], np.cumsum(by_score)])
    f = np.linspace(0.0, 1.0, points)
    m = (1.0 - f[:-1]) * n
    return f, np.append(np.interp(m, np.arange(n + 1), K) / m, by_score[0])


def ause(score: ArrayLike, error: ArrayLike) -> float:
    """Area between the sparsification curves of a score and of the oracle, in units of the MAE of everything.

    `AUSE = (1/n) Σ_{m=1…n} [S_m − O_m] / ⟨|e|⟩`

    The mean is over every number m of values that can be left, so no grid enters. It is 0 for the oracle,
    never negative, and `1 − Σ O_m / (n ⟨|e|⟩)` for a constant score, above which a score is worse than none.
    NaN where all errors are 0.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | S_m | mean \\|error\\| of the m smallest scores, ties as in `sparsification_curve` | | as error |
    | O_m | mean of the m smallest \\|errors\\| | | as error |
    | | score | `(...)` | none; ±∞ allowed |

    Raises ValueError where there are no errors, for NaN scores, for NaN or infinite errors, and where the
    shapes differ.

    Reference: Ilg et al. 2018, doi:10.1007/978-3-030-01234-2_40 (there each curve starts at 1).
    """
    e = np.abs(finite_errors(error))
    s = rankable(score, e.shape).ravel()
    e = e.ravel()
    mean = e.mean()
    if mean == 0:
        return float("nan")
    m = np.arange(1, len(e) + 1)
    above_oracle = np.cumsum(expected_in_order(s, e)) - np.cumsum(np.sort(e))
    return float(np.mean(above_oracle / m) / mean)
