"""What swaps do to the coefficients of all rows, without another product with all rows."""

from __future__ import annotations

import numpy as np

from assay.prediction import Array
from assay.scores.exchange import Basis, Indices, swaps, update
from assay.scores.row_blocks import each_block, float64, largest, top


class Coarse:
    """Coefficients C of n rows against a reference set: integers of 8 bits times a step for each row."""

    def __init__(self, features: Array, basis: Basis, threads: int = 1) -> None:
        """One product with all rows; `gamma` `(n,)` is exact."""
        n, d = features.shape
        self._reference, self._inverse, self._threads = basis.active.copy(), basis.inverse(), threads
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

        each_block(fill, len(rows), self._threads)
        return bound


def follow_swaps(basis: Basis, features: Array, coarse: Coarse, candidates: int, until: float) -> float:
    """Swap until no row has a coefficient above `until`; the largest |coefficient| of all rows.

    The pool are the `candidates` rows of largest coefficient, joined by every row that may have come to exceed 1. The
    quarter of the rows with the largest bounds is watched; when nothing more comes from there, all rows are.
    Infinite where so many rows may exceed 1 that the 8-bit copy is of no use.
    """
    n = len(features)
    bounds, inside = coarse.gamma.copy(), np.zeros(n, dtype=bool)
    pool = top(bounds, candidates)
    c = float64(features[pool]) @ basis.inverse()
    everything = np.arange(n)
    while True:
        taken = swaps(c, until)
        places = np.flatnonzero(taken >= 0)
        basis.put(places, float64(features[pool[taken[places]]]), pool[taken[places]])
        inside[pool] = True
        for rows in (top(bounds, n // 4), everything):
            bounds[rows] = coarse.bounds(basis, rows)
            near = np.flatnonzero((bounds > 1.0) & ~inside)
            if len(pool) + len(near) > n // 4 + candidates:
                return np.inf
            joining = float64(features[near]) @ basis.inverse()
            inside[near] = True
            pool, c = np.concatenate([pool, near]), np.concatenate([c, joining])
            if largest(joining).max(initial=0.0) > until:
                break
        else:
            return float(largest(float64(features[pool]) @ basis.renew()).max(initial=0.0))
