"""`L(x) = log Σ_i exp(−‖x − x_i‖² / 2 h²)`: the sums that kernel densities and entropies are made of.

Nearly all of the work is one product of matrices and one exponential for each pair, and both are done in float32, with
errors of L below 1e-6. Queries and points are divided into compact leaves with centres μ_c and μ_k. With lengths in
units of h, x = μ_c + u, x_i = μ_k + v_i and Δ = μ_c − μ_k,

    Σ_i exp(−½ ‖x − x_i‖²) = exp(−½ ‖Δ + u‖²) Σ_i exp(Δ·v_i − ½ ‖v_i‖²) exp(u·v_i)

where the first two factors, of a row and of a column, are made in float64 and only exp(u·v_i) in float32. The rounding
of u·v_i is at most about (D + 2) 6e-8 ‖u‖ ‖v_i‖, and mostly a tenth of that or less; roundings δ_i of partners with
shares p_i of the sum change L by Σ p_i δ_i. So

- partners with a share above `SHARE` are computed again in float64, and what is left averages over many;
- leaves with ‖u‖ ‖v‖ above `WIDE` are computed in float64, which rules out overflow as well.

Leaves k that together change no row of leaf c by `NEGLIGIBLE` are left out, by the bound u·v ≤ ‖u‖ ‖v‖.

Axis letters: m queries, n points, D features, C leaves of queries, K leaves of points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from assay.results.arrays import Array
from assay.scores.features.row_blocks import block_threads

QUERIES, POINTS = 512, 800
"""Most members of a leaf: the float32 kernels of a pair of leaves stay in the cache."""
SAMPLE = 64
"""Each so many of the points give a first estimate."""
SHARE = 0.003
WIDE = 40.0
NEGLIGIBLE = 1e-7
FEW = 4096
"""Points up to which all is done in float64: it takes no time."""
AT_ONCE = 64 * QUERIES
"""Queries whose leaves are there at once."""


class KernelSum:
    """L for points `(n, D)` and the bandwidth h. Memory: 1.5 times the points, and blocks of fixed size."""

    def __init__(self, points: Array, bandwidth: float) -> None:
        if not (len(points) and np.isfinite(bandwidth) and bandwidth > 0):
            raise ValueError(f"a kernel sum needs points and a bandwidth above 0: {len(points)} points, {bandwidth}")
        self._bandwidth = float(bandwidth)
        scaled = np.asarray(points, dtype=np.float64) / bandwidth
        leaves = _tree(scaled, POINTS)
        self._ends = np.cumsum([len(rows) for rows in leaves])
        self._starts = self._ends - [len(rows) for rows in leaves]
        self._centres = np.stack([scaled[rows].mean(axis=0) for rows in leaves])
        self._v = np.concatenate([scaled[rows] - centre for rows, centre in zip(leaves, self._centres, strict=True)])
        self._single = [np.ascontiguousarray(self._v[k].T, dtype=np.float32) for k in self._slices()]
        self._norms = np.sqrt(2 * _halves(self._v))
        self._radii = np.maximum.reduceat(self._norms, self._starts)
        self._own = [self._v[k] @ centre for k, centre in zip(self._slices(), self._centres, strict=True)]
        self._sample = np.concatenate(
            [c + self._v[k][::SAMPLE] for c, k in zip(self._centres, self._slices(), strict=True)]
        )

    def log(self, queries: Array) -> Array:
        """L of `(m, D)` queries, `(m,)`: finite however far they are."""
        found = [np.empty(0)]
        for start in range(0, len(queries), AT_ONCE):
            found.append(self._log(np.asarray(queries[start : start + AT_ONCE], dtype=np.float64) / self._bandwidth))
        return np.concatenate(found)

    def _log(self, queries: Array) -> Array:
        if len(self._v) <= FEW:
            return self._exactly(queries)
        found = np.empty(len(queries))

        def work(rows: NDArray[np.int64]) -> None:
            found[rows] = self._of_leaf(queries[rows])

        with block_threads(len(queries)) as threads:
            _each(work, _tree(queries, QUERIES), threads)
        return found

    def _of_leaf(self, queries: Array) -> Array:
        """L of scaled queries that are near each other."""
        known = _log_sum(queries, self._sample)
        centre = queries.mean(axis=0)
        u = queries - centre
        single, norms = u.astype(np.float32), np.sqrt(2 * _halves(u))
        apart = centre - self._centres
        of_rows = -u @ apart.T - 0.5 * np.square(norms)[:, None] - _halves(apart) - known[:, None]
        of_points = self._v @ centre - np.concatenate(self._own) - 0.5 * np.square(self._norms)
        total, kernels = np.zeros(len(u)), np.empty(len(u) * POINTS, np.float32)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for k in self._needed(norms.max(), of_rows, of_points):
                points = slice(self._starts[k], self._ends[k])
                if norms.max() * self._radii[k] > WIDE:
                    total += np.exp(_log_sum(queries - self._centres[k], self._v[points]) - known)
                else:
                    kernel = kernels[: len(u) * (points.stop - points.start)].reshape(len(u), -1)
                    np.matmul(single, self._single[k], out=kernel)
                    np.exp(kernel, out=kernel)
                    total += self._sum(kernel, u, self._v[points], of_rows[:, k], of_points[points])
            found = np.log(total) + known
        lost = ~np.isfinite(found)  # too far from what the sample says
        if lost.any():
            found[lost] = self._exactly(queries[lost])
        return np.asarray(found)

    def _needed(self, radius: float, of_rows: Array, of_points: Array) -> NDArray[np.int64]:
        """The leaves without which a row would lose more than `NEGLIGIBLE` of its sum."""
        bound = of_points + radius * self._norms
        most = np.maximum.reduceat(bound, self._starts)
        bound -= np.repeat(most, self._ends - self._starts)
        log_sum = np.log(np.add.reduceat(np.exp(bound), self._starts)) + most
        share = np.exp(np.minimum(of_rows.max(axis=0) + log_sum, 0.0))
        order = np.argsort(share)
        return np.sort(order[np.cumsum(share[order]) > NEGLIGIBLE])

    def _sum(self, kernel: NDArray[np.float32], u: Array, v: Array, of_rows: Array, of_points: Array) -> Array:
        """Σ exp(of_rows + of_points + u·v) over one leaf of points, from `kernel`: exp(u·v) in float32."""
        most = of_points.max()
        weight, factor = np.exp(of_points - most), np.exp(of_rows + most)
        total = factor * (kernel @ weight.astype(np.float32))
        large = SHARE * len(self._v) / len(self._sample)
        rows = np.flatnonzero(total > large)
        shares = kernel[rows] * weight.astype(np.float32)
        pairs = np.flatnonzero(shares > (large / factor[rows, None]).astype(np.float32))
        for start in range(0, len(pairs), POINTS):
            i, j = np.divmod(pairs[start : start + POINTS], len(v))
            i = rows[i]
            off = np.exp(np.einsum("id,id->i", u[i], v[j])) - kernel[i, j]
            total += np.bincount(i, off * weight[j] * factor[i], minlength=len(total))
        return np.asarray(total)

    def _slices(self) -> list[slice]:
        return [slice(start, end) for start, end in zip(self._starts, self._ends, strict=True)]

    def _exactly(self, queries: Array) -> Array:
        """L of scaled queries in float64."""
        leaves = zip(self._slices(), self._centres, strict=True)
        parts = [_log_sum(queries - centre, self._v[k]) for k, centre in leaves]
        return np.asarray(np.logaddexp.reduce(parts, axis=0))


def _log_sum(queries: Array, points: Array) -> Array:
    """log Σ exp(−½ ‖x − x_i‖²) in float64, `(m,)`."""
    centre = points.mean(axis=0)
    queries, points = queries - centre, points - centre
    found = [np.empty(0)]
    for start in range(0, len(queries), QUERIES):
        block = queries[start : start + QUERIES]
        exponent = block @ points.T
        exponent -= _halves(points)
        most = exponent.max(axis=1)
        exponent -= most[:, None]
        np.exp(exponent, out=exponent)
        found.append(np.log(exponent.sum(axis=1)) + most - _halves(block))
    return np.concatenate(found)


def _halves(points: Array) -> Array:
    """½ ‖x‖² of each row."""
    return np.asarray(0.5 * np.einsum("id,id->i", points, points))


def _tree(points: Array, most: int) -> list[NDArray[np.int64]]:
    """Rows of compact parts of at most so many: halved at the median along the direction of largest variance."""
    parts, open_parts = [], [np.arange(len(points))]
    while open_parts:
        rows = open_parts.pop()
        if len(rows) <= most:
            parts.append(rows)
            continue
        here = points[rows] - points[rows].mean(axis=0)
        last = here.shape[1] - 1
        _, direction = eigh(here.T @ here, subset_by_index=(last, last))
        half = len(rows) // 2
        order = np.argpartition(here @ direction[:, 0], half)
        open_parts += [rows[order[half:]], rows[order[:half]]]
    return parts


def _each(work: Callable[[NDArray[np.int64]], None], parts: Iterable[NDArray[np.int64]], threads: int) -> None:
    if threads == 1:
        for part in parts:
            work(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, parts):
                pass
