"""Does a score put the large errors first? Only the order of the scores counts, so infinite ones are welcome.

`...` any shape; n is the number of values. A larger score should mean a larger |error|.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics.errors import finite_errors, one_for_each
from assay.results.arrays import Array


def spearman(score: ArrayLike, error: ArrayLike) -> float:
    """Spearman's rank correlation of score and |error|.

    `ρ = Σ (r − r̄)(q − r̄) / √(Σ (r − r̄)² Σ (q − r̄)²)`, `r̄ = (n + 1)/2`; NaN where n < 2 or either is constant.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | r | ranks of score, ties share their average | `(...)` | none; ±∞ allowed |
    | q | ranks of \\|error\\|, ties share their average | `(...)` | any |

    Raises ValueError for NaN scores, for NaN or infinite errors, and where the shapes differ.

    Reference: Spearman 1904, doi:10.2307/1412159.
    """
    e = finite_errors(error, least=0)
    s = rankable(score, e.shape)
    middle = 0.5 * (e.size + 1)
    r = ranks(s.ravel()) - middle
    q = ranks(np.abs(e).ravel()) - middle
    norm = np.sqrt((r @ r) * (q @ q))
    return float(r @ q / norm) if norm > 0 else float("nan")


def roc_auc(score: ArrayLike, bad: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a bad one has the larger score, a tie counting half.

    `AUC = P(s_bad > s_good) + ½ P(s_bad = s_good) = [Σ_bad r − n₁(n₁ + 1)/2] / (n₁ n₀)`, the Mann–Whitney
    statistic in O(n log n); NaN where all are bad or none is.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | r | ranks of score, ties share their average | `(...)` | none; ±∞ allowed |
    | n₁, n₀ | how many are bad, how many are not | | |
    | | bad: which are, e.g. `worst_decile(error)` or `abs(error) > limit` | `(...)` | boolean |

    Raises TypeError where `bad` is not boolean; ValueError for NaN scores and where the shapes differ.

    Reference: Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    is_bad = marked(bad)
    s = rankable(score, is_bad.shape)
    n1 = int(np.count_nonzero(is_bad))
    n0 = is_bad.size - n1
    if n1 == 0 or n0 == 0:
        return float("nan")
    r = ranks(s.ravel())[is_bad.ravel()]
    return (float(r.sum()) - n1 * (n1 + 1) / 2) / (n1 * n0)


def worst_decile(error: ArrayLike) -> NDArray[np.bool_]:
    """Which |errors| are among the k = ⌈n/10⌉ largest: `|e| > |e|₍ₖ₊₁₎`, the (k + 1)-th largest.

    Errors tied across the border are all left out, so at most k are marked, whatever the order of the values;
    none is where all are equal or n < 2.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error; the result has its shape | `(...)` | any |

    Raises ValueError for NaN or infinite errors.
    """
    e = np.abs(finite_errors(error, least=0))
    n = e.size
    if n < 2:
        return np.zeros(e.shape, dtype=bool)
    k = -(-n // 10)
    border = np.partition(e.ravel(), n - k - 1)[n - k - 1]
    return np.asarray(e > border)


def flagged_fraction(score: ArrayLike, threshold: float) -> float:
    """The share of scores above a threshold, `⟨s > t⟩` (as `Score.flagged`, equality is not above).

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | s | score | `(...)` | none; ±∞ allowed |
    | t | threshold | | as score |

    Raises ValueError where there are no scores, or a score or the threshold is NaN.
    """
    s = rankable(score, np.shape(score))
    if s.size == 0:
        raise ValueError(f"no scores: an array of shape {s.shape} came, at least 1 value is needed")
    if np.isnan(threshold):
        raise ValueError("the threshold is NaN; a number is needed")
    return float(np.mean(s > threshold))


def rankable(score: ArrayLike, shape: tuple[int, ...]) -> Array:
    """`score` as floats of `shape`; ValueError where any is NaN, which has no rank."""
    s = one_for_each(score, shape, "score")
    unusable = np.count_nonzero(np.isnan(s))
    if unusable:
        raise ValueError(
            f"{unusable} of {s.size} scores are NaN and can't be ranked; leave them out, "
            "or use inf for what is infinitely far from home"
        )
    return s


def marked(bad: ArrayLike) -> NDArray[np.bool_]:
    """`bad` as booleans; TypeError where it is anything else, e.g. errors or indices."""
    is_bad = np.asarray(bad)
    if is_bad.dtype != np.bool_:
        raise TypeError(
            f"bad has the type {is_bad.dtype}: booleans are needed, e.g. worst_decile(error) or abs(error) > limit"
        )
    return is_bad


def tied(values: Array) -> NDArray[np.intp]:
    """Which distinct value each is, counted from the smallest, `(n,)`: equal values have equal numbers."""
    order = np.argsort(values)
    starts = _starts(values[order])
    group = np.zeros(len(values), dtype=np.intp)
    group[starts[1:]] = 1
    ties = np.empty_like(group)
    ties[order] = np.cumsum(group)
    return ties


def ranks(values: Array) -> Array:
    """Ranks 1 … n of `values` `(n,)`; ties share their average. (`scipy.stats` takes longer to import than Assay.)"""
    n = len(values)
    order = np.argsort(values)
    in_order = np.arange(1.0, n + 1.0)
    starts = _starts(values[order])
    if len(starts) < n:
        counts = np.diff(starts, append=n)
        in_order = np.repeat(starts + 0.5 * (counts + 1.0), counts)
    found = np.empty(n)
    found[order] = in_order
    return found


def expected_in_order(key: Array, value: Array) -> Array:
    """`value` in the order of rising `key`; values whose keys tie share their mean.

    That is each value's expectation when ties are put in a random order, so no result depends on the order
    in which values came. Both `(n,)` with n ≥ 1.
    """
    order = np.argsort(key)
    value, starts = value[order], _starts(key[order])
    if len(starts) == len(key):
        return value
    counts = np.diff(starts, append=len(key))
    return np.repeat(np.add.reduceat(value, starts) / counts, counts)


def _starts(ordered: Array) -> NDArray[np.intp]:
    """Where each distinct value of sorted `(n,)` starts."""
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)
