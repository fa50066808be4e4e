"""What swaps do to the coefficients of all rows, without another product with all rows."""

from __future__ import annotations

import numpy as np

from assay.results.arrays import Array
from assay.scores.d_optimality.exchange import Basis, Indices, swaps, update
from assay.scores.features.row_blocks import each_block, float64, largest, top


class Coarse:
    """Coefficients C of n rows against a reference set: integers of 8 bits times a step for each row."""

    def __init__(self, features: Array, basis: Basis, threads: int = 1) -> None:
        """One product with all rows; `gamma` `(n,)` is exact."""
        n, d = features.shape
        self._reference, self._inverse, self.threads = basis.active.copy(), basis.inverse(), threads
        self._q = np.empty((n, d), np.int8)
        self.gamma, self._step = np.empty(n), np.empty(n)

        def fill(rows: slice) -> None:
            c = float64(features[rows]) @ self._inverse
            self.gamma[rows] = largest(c)
            self._step[rows] = np.maximum(self.gamma[rows], 1e-30) / 127.0
            c *= 1.0 / self._step[rows, None]
            self._q[rows] = np.rint(c, out=c)

        each_block(fill, n, threads)

    def bounds(self, basis: Basis, rows: Indices) -> Array:
        """At least the γ of each of these rows in what the set has become.

        A coefficient is within half a step of its integer, so that `c'_j = c_j − c_J W_·j` is within `½(1 + ‖W_·j‖₁)`
        steps; the 4-byte sum of k terms is off by at most `(k+2) eps 127 (1 + ‖W_·j‖₁)`.
        """
        j = np.flatnonzero((basis.active != self._reference).any(axis=1))
        w = update(basis.active[j] @ self._inverse, j)
        norm = 1.0 + float(np.abs(w).sum(axis=0).max(initial=0.0))
        slack = norm * (0.5 + (len(j) + 2) * float(np.finfo(np.float32).eps) * 127.0)
        w = w.astype(np.float32)
        bound = np.empty(len(rows))

        def fill(b: slice) -> None:
            q = self._q[rows[b]].astype(np.float32)
            q -= q[:, j] @ w
            bound[b] = (largest(q) + slack) * self._step[rows[b]]

        each_block(fill, len(rows), self.threads)
        return bound


class Pool:
    """The rows that swaps choose from, at most 3/2 m of them, and their coefficients."""

    def __init__(self, features: Array, m: int, threads: int) -> None:
        self._features, self._m, self._threads = features, m, threads
        self._c = np.empty((min(m + max(1, m // 2), len(features)), features.shape[1]))
        self.rows = np.empty(0, np.int64)
        self.inside = np.zeros(len(features), dtype=bool)

    def add(self, rows: Indices, inverse: Array) -> None:
        """At most m rows at first, and m/2 later; without room for them, the m of the largest coefficients stay."""
        held = len(self.rows)
        if held + len(rows) > len(self._c):
            keep = top(largest(self._c[:held]), self._m)
            self.inside[self.rows] = False
            self.rows, held = self.rows[keep], len(keep)
            self._c[:held] = self._c[keep]
        np.matmul(float64(self._features[rows]), inverse, out=self._c[held : held + len(rows)])
        self.rows = np.concatenate([self.rows, rows])
        self.inside[self.rows] = True

    def swap(self, basis: Basis, until: float) -> None:
        taken = swaps(self._c[: len(self.rows)], until)
        places = np.flatnonzero(taken >= 0)
        numbers = self.rows[taken[places]]
        basis.put(places, float64(self._features[numbers]), numbers)

    def gamma(self, rows: Indices, inverse: Array) -> Array:
        """Of any rows."""
        found = np.empty(len(rows))

        def fill(b: slice) -> None:
            found[b] = largest(float64(self._features[rows[b]]) @ inverse)

        each_block(fill, len(rows), self._threads)
        return found


def follow_swaps(basis: Basis, features: Array, coarse: Coarse, m: int, until: float) -> float:
    """Swap until no row has a coefficient above `until`; the largest |coefficient| of all rows.

    Candidates are the m rows of largest coefficient, joined by rows that may have come to exceed 1. The quarter of the
    rows with the largest bounds is watched; when nothing more comes from there, all rows are. Infinite where so many
    rows may exceed 1 that the 8-bit copy is of no use.
    """
    n = len(features)
    bounds, everything = coarse.gamma.copy(), np.arange(n)
    pool = Pool(features, m, coarse.threads)
    pool.add(top(bounds, m), basis.inverse())
    while True:
        pool.swap(basis, until)
        for rows in (top(bounds, n // 4), everything):
            bounds[rows] = coarse.bounds(basis, rows)
            near = np.flatnonzero((bounds > 1.0) & ~pool.inside)
            if len(near) > n // 4 + m:
                return np.inf
            gamma = pool.gamma(near, basis.inverse())
            if gamma.max(initial=0.0) > until:
                pool.add(near[top(gamma, max(1, m // 2))], basis.inverse())
                break
        else:
            near = np.concatenate([pool.rows, near])
            return float(pool.gamma(near, basis.renew()).max(initial=0.0))
