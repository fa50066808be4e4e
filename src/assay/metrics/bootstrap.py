"""How sure is a metric? Intervals by resampling whole frames, because atoms of one frame are not independent.

n is the number of values, F of frames, B of resamples. A resample draws F frames with replacement, and is kept as
how often each frame was drawn: `w_i = W[b, frame_i]`. Metrics of the same `FrameBootstrap` are paired: resample b is
the same for all of them, so that differences of two scores have intervals too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics.errors import finite_errors, one_for_each
from assay.metrics.ranking import marked, rankable, tied
from assay.results.arrays import Array


class FrameBootstrap:
    """Resamples of whole frames, the same for every metric asked of it.

    | symbol | argument or method | shape | unit |
    |---|---|---|---|
    | | frame: the frame of each value | `(n,)` | integers |
    | B | resamples | | |
    | w | `weights(b)`: how often each value is in resample b | `(n,)` | none |
    | | `mean`, `spearman`, `roc_auc`, `each`: the metric of each resample | `(B,)` | |

    Every metric is exactly that of the values repeated w times. NaN where it is not defined in a resample (nothing
    drawn, constants, no bad ones), and everywhere with fewer than two frames: one says nothing about the next.

    Reference: Davison & Hinkley 1997, section 3.8, doi:10.1017/CBO9780511802843.
    """

    def __init__(self, frame: ArrayLike, resamples: int = 200, seed: int = 0) -> None:
        found, place = np.unique(np.asarray(frame), return_inverse=True)
        F = len(found)
        self.place: NDArray[np.intp] = place.ravel()
        if resamples < 1:
            raise ValueError(f"resamples is {resamples}; at least 1 is needed")
        draws = np.random.default_rng(seed)
        self.counts: NDArray[np.int64] = (
            draws.multinomial(F, np.full(F, 1.0 / F), size=resamples) if F else np.zeros((resamples, 0), np.int64)
        )

    def leave_out(self, groups: int = 200) -> FrameBootstrap:
        """The jackknife: resamples without one frame each, or without one of `groups` parts where F is larger."""
        F = self.counts.shape[1]
        part = np.arange(F) % max(min(F, groups), 1)
        left_out = object.__new__(FrameBootstrap)
        left_out.place = self.place
        left_out.counts = (part[None, :] != np.unique(part)[:, None]).astype(np.int64)
        return left_out

    def __len__(self) -> int:
        return len(self.counts)

    def weights(self, b: int) -> Array:
        """How often each value is in resample b, `(n,)`."""
        return np.asarray(self.counts[b].astype(np.float64)[self.place])

    def each(self, metric: Callable[..., float], *arrays: ArrayLike) -> Array:
        """`metric(*arrays)` of each resample, `(B,)`: the rows of each array, repeated as often as they were drawn."""
        values = [np.asarray(array) for array in arrays]
        rows = np.arange(len(self.place))

        def resampled(b: int) -> float:
            drawn = np.repeat(rows, self.counts[b][self.place])
            return metric(*(array[drawn] for array in values)) if len(drawn) else np.nan

        return self._collected(resampled)

    def mean(self, values: ArrayLike) -> Array:
        """`Σ w x / Σ w` of each resample, `(B,)`: coverage, a flagged share, ⟨e²⟩, ⟨(e/σ)²⟩ …"""
        x = one_for_each(values, self.place.shape, "values")
        F = self.counts.shape[1]
        if F < 2:
            return np.full(len(self), np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counts @ np.bincount(self.place, x, F) / self._drawn)

    @cached_property
    def _drawn(self) -> NDArray[np.int64]:
        """How many values each resample has, `(B,)`."""
        return np.asarray(self.counts @ np.bincount(self.place, minlength=self.counts.shape[1]))

    def mean_by(self, values: ArrayLike, stratum: NDArray[np.integer[Any]], strata: int) -> Array:
        """`Σ_{i ∈ k} w x / Σ_{i ∈ k} w` of each resample and stratum k, `(B, K)`; NaN for less than two frames.

        | symbol | argument | shape | unit |
        |---|---|---|---|
        | x | values | `(n,)` | any |
        | k | stratum of each value, 0 to K − 1 | `(n,)` | |
        | K | strata | | |
        """
        x = one_for_each(values, self.place.shape, "values")
        from scipy.sparse import csr_array  # slow to import

        cells = (self.place, np.asarray(stratum)), (self.counts.shape[1], strata)
        n = csr_array((np.ones(len(x)), cells[0]), shape=cells[1])
        total = csr_array((x, cells[0]), shape=cells[1])
        W = self.counts.astype(np.float64).T
        with np.errstate(invalid="ignore"):
            found = np.asarray((total.T @ W) / (n.T @ W)).T
        found[:, (n > 0).sum(axis=0) < 2] = np.nan
        return found

    def spearman(self, score: ArrayLike, error: ArrayLike) -> Array:
        """`assay.metrics.spearman` of each resample, `(B,)`: both are sorted once."""
        e = finite_errors(error, least=0)
        s = rankable(score, e.shape)
        one_for_each(e, self.place.shape, "error")
        of_score, of_error = tied(s), tied(np.abs(e))

        def resampled(b: int) -> float:
            w = self.weights(b)
            middle = 0.5 * (w.sum() + 1)
            r, q = _ranks(of_score, w) - middle, _ranks(of_error, w) - middle
            wr = w * r
            norm = np.sqrt((wr @ r) * (w * q @ q))
            return float(wr @ q / norm) if norm > 0 else np.nan

        return self._collected(resampled)

    def roc_auc(self, score: ArrayLike, bad: ArrayLike) -> Array:
        """`assay.metrics.roc_auc` of each resample, `(B,)`: the score is sorted once, and `bad` stays what it is."""
        is_bad = marked(bad)
        s = rankable(score, is_bad.shape)
        one_for_each(is_bad, self.place.shape, "bad")
        of_score = tied(s)

        def resampled(b: int) -> float:
            w = self.weights(b)
            w1 = w * is_bad
            n1 = w1.sum()
            n0 = w.sum() - n1
            return float((w1 @ _ranks(of_score, w) - n1 * (n1 + 1) / 2) / (n1 * n0)) if n1 and n0 else np.nan

        return self._collected(resampled)

    def rankings(
        self, scores: Mapping[str, ArrayLike], error: ArrayLike, bad: ArrayLike
    ) -> dict[str, tuple[Array, Array]]:
        """`spearman(score, error)` and `roc_auc(score, bad)` of many scores by name, each two `(B,)`.

        The same numbers in a fraction of the time: what does not depend on the score is done once for all of them.
        """
        e, is_bad = finite_errors(error, least=0), marked(bad)
        of_error = tied(np.abs(e))
        of_scores = {name: tied(rankable(score, e.shape)) for name, score in scores.items()}
        found = {name: np.full((2, len(self)), np.nan) for name in scores}
        for b in range(len(self) if self.counts.shape[1] >= 2 else 0):
            w = self.weights(b)
            middle = 0.5 * (w.sum() + 1)
            q = _ranks(of_error, w) - middle
            wq = w * q
            of_q = wq @ q
            w1 = w * is_bad
            n1 = w1.sum()
            n0 = w.sum() - n1
            for name, ties in of_scores.items():
                m = np.bincount(ties, w)
                R = np.cumsum(m) - 0.5 * (m - 1.0)
                r = R[ties]
                norm = np.sqrt(of_q * (m @ np.square(R - middle)))
                found[name][0, b] = wq @ r / norm if norm > 0 else np.nan
                found[name][1, b] = (w1 @ r - n1 * (n1 + 1) / 2) / (n1 * n0) if n1 and n0 else np.nan
        return {name: (rho, auc) for name, (rho, auc) in found.items()}

    def _collected(self, resampled: Callable[[int], float]) -> Array:
        if self.counts.shape[1] < 2:
            return np.full(len(self), np.nan)
        return np.array([resampled(b) for b in range(len(self))])


def interval(
    samples: ArrayLike, level: float = 0.95, *, estimate: float | None = None, left_out: ArrayLike | None = None
) -> tuple[float, float]:
    """The interval at `level` that resamples of a metric give: their quantiles at `(1 ∓ level)/2`.

    With `estimate` and `left_out`, quantiles that are corrected for bias and acceleration (BCa):
    `Φ(z₀ + (z₀ ± z)/(1 − a(z₀ ± z)))`, `z₀ = Φ⁻¹⟨t* < t⟩` (ties count half), `a = Σ d³/(6 (Σ d²)^{3/2})`,
    `d = ⟨t₍₎⟩ − t₍ᵢ₎`. They suit skewed metrics, such as the mean of
    a few large squares; no interval suits one at the end of its range: see `assay.metrics.ence_by_chance`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | t* | samples: of `FrameBootstrap`; NaN, where a metric is not defined, is left out | `(B,)` | any |
    | t | estimate: the metric of all values | | as samples |
    | t₍ᵢ₎ | left_out: the metric of `FrameBootstrap.leave_out()` | `(G,)` | as samples |
    | z | Φ⁻¹((1 + level)/2) | | |

    NaN where fewer than two samples are defined. Raises ValueError for a level not between 0 and 1, and where only
    one of `estimate` and `left_out` came.

    Reference: Efron 1987, doi:10.1080/01621459.1987.10478410.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; a number between 0 and 1 is needed")
    if (estimate is None) != (left_out is None):
        raise ValueError("BCa intervals need both estimate and left_out; quantiles need neither")
    t = np.asarray(samples, dtype=np.float64)
    t = t[~np.isnan(t)]
    if len(t) < 2:
        return float("nan"), float("nan")
    ends = np.array([0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    if estimate is not None and left_out is not None:
        ends = _corrected(ends, t, estimate, np.asarray(left_out, dtype=np.float64))
    low, high = np.quantile(t, ends)
    return float(low), float(high)


def _corrected(ends: Array, t: Array, estimate: float, left_out: Array) -> Array:
    """Where the ends of a BCa interval are among the sorted samples, `(2,)`."""
    from scipy.special import ndtr, ndtri  # slow to import

    n = len(t)
    below = np.mean(t < estimate) + 0.5 * np.mean(t == estimate)
    z0 = ndtri(np.clip(below, 0.5 / n, 1.0 - 0.5 / n))
    d = np.nanmean(left_out) - left_out[~np.isnan(left_out)] if not np.isnan(left_out).all() else np.zeros(1)
    norm = np.sum(d**2) ** 1.5
    a = np.sum(d**3) / (6.0 * norm) if norm > 0 else 0.0
    z = z0 + ndtri(ends)
    return np.asarray(ndtr(z0 + z / (1.0 - a * z)))


def _ranks(ties: NDArray[np.intp], w: Array) -> Array:
    """Ranks of values counted w times, which ties share: `R_g = Σ_{h<g} m_h + (m_g + 1)/2`, `m_g = Σ_{i ∈ g} w_i`."""
    m = np.bincount(ties, w)
    return np.asarray((np.cumsum(m) - 0.5 * (m - 1.0))[ties])
