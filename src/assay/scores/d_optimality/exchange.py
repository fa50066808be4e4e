"""The set of D rows that MaxVol improves, and its two moves: swaps of single rows, and pivots of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from assay.results.arrays import Array

Indices = NDArray[np.int64]

NOISE = 4 * float(np.finfo(float).eps)
"""Columns smaller than this times the largest are not scaled up: they are rounding errors."""
WORTHLESS = 1e-3
"""Largest element of A A⁻¹ − 1 that is taken for an inverse."""
TIE = 1e-6
"""Relative difference of coefficients that rounding errors may make."""


class Basis:
    """D rows A in the units of the features; a row of the scaled identity has number -1."""

    def __init__(self, d: int, floor: float) -> None:
        self.floor = floor
        self.maxima = np.zeros(d)
        self.scale = np.ones(d)
        self.rows = np.full(d, -1)
        self.active = floor * np.eye(d)
        self._inverse: Array | None = None

    def widen(self, maxima: Array) -> bool:
        """Take account of the largest absolute value of each column; whether that changed anything."""
        if np.all(maxima <= self.maxima):
            return False
        self.maxima = np.maximum(self.maxima, maxima)
        top, before = self.maxima.max(), self.scale
        self.scale = np.where(self.maxima > NOISE * top, self.maxima, top)
        self.active[self.rows < 0] *= self.scale / before
        self._inverse = None if (self.rows >= 0).any() else np.diag(1.0 / self.active.diagonal())
        return True

    def inverse(self) -> Array:
        """A⁻¹, `(D, D)`: what is published, hence explicit."""
        while self._inverse is None:
            inverse = _inverted(self.active / self.scale)
            if inverse is None:
                self._drop_dependent()
            else:
                self._inverse = inverse / self.scale[:, None]
        return self._inverse

    def _drop_dependent(self) -> None:
        """Put rows of a tenfold identity in place of rows that depend on others but for rounding errors.

        Rows that span few directions leave such errors; divided by a small identity, they may pass for rows.
        """
        d = len(self.rows)
        self.floor *= 10.0
        candidates = np.concatenate([self.active / self.scale, self.floor * np.eye(d)])
        order = np.arange(2 * d)
        for i, j in enumerate(lapack.dgetrf(candidates)[1]):
            order[i], order[j] = order[j], order[i]
        kept = order[:d]
        self.active = candidates[kept] * self.scale
        self.rows = np.where(kept < d, self.rows[kept % d], -1)

    def log_volume(self) -> float:
        """log |det A|, columns in units of the scale."""
        return float(np.linalg.slogdet(self.active / self.scale)[1])

    def pivot(self, candidates: Array, numbers: Indices) -> None:
        """Take the pivots of an LU of the present rows and the candidates `(m, D)`: the work of hundreds of swaps."""
        self._take(pivots(candidates @ self.inverse()), candidates, numbers)

    def swap(self, candidates: Array, numbers: Indices, until: float) -> None:
        """Exchange rows with the candidates `(m, D)` until none of these has |c_ij| > `until`."""
        self._take(swaps(candidates @ self.inverse(), until), candidates, numbers)

    def settle(self, tolerance: float) -> bool:
        """Exchange rows with those of the scaled identity that have |c_ij| > `tolerance`; whether there was one."""
        c = self.floor * self.scale[:, None] * self.inverse()
        if max(c.max(initial=0.0), -c.min(initial=0.0)) <= tolerance:
            return False
        self._take(swaps(c, tolerance), self.floor * np.diag(self.scale), np.full(len(self.rows), -1))
        return True

    def put(self, places: Indices, rows: Array, numbers: Indices) -> None:
        """Place the rows. A⁻¹ follows by `update` where they are few, until `renew`."""
        self.active[places], self.rows[places] = rows, numbers
        if self._inverse is not None and len(places) < len(self.rows) // 4:
            self._inverse = self._inverse - self._inverse[:, places] @ update(rows @ self._inverse, places)
        else:
            self._inverse = None

    def renew(self) -> Array:
        """A⁻¹ without the rounding errors of updates."""
        self._inverse = None
        return self.inverse()

    def _take(self, taken: Indices, candidates: Array, numbers: Indices) -> None:
        places = np.flatnonzero(taken >= 0)
        self.put(places, candidates[taken[places]], numbers[taken[places]])


def _inverted(matrix: Array) -> Array | None:
    """The inverse, or `None` where rounding errors make it worthless."""
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    wrong = np.abs(matrix @ inverse - np.eye(len(matrix))).max()
    return np.asarray(inverse) if wrong < WORTHLESS else None


def update(s: Array, j: Indices) -> Array:
    """W `(k, D)`, where rows of coefficients S `(k, D)` come to places J: coefficients become `c' = c − c_J W`.

    `W_·N = S_·J⁻¹ S_·N` and `W_·J = 1 − S_·J⁻¹`; likewise `A'⁻¹ = A⁻¹ − (A⁻¹)_·J W`.
    """
    inverse = np.linalg.inv(s[:, j])
    w = inverse @ s
    w[:, j] = np.eye(len(j)) - inverse
    return np.asarray(w)


def pivots(c: Array) -> Indices:
    """Row of `c` `(m, D)` for each of D places, -1 where the unit row keeps it: LU of the identity above c.

    Each pivot is at least the 1 of a unit row that is not yet taken, so the volume does not become smaller. A row that
    ties with the present one, such as its duplicate, does not displace it.
    """
    m, d = c.shape
    stacked = np.empty((d + m, d), order="F")
    stacked[:d], stacked[d:] = np.eye(d), (1.0 - TIE) * c
    _, exchanged, _ = lapack.dgetrf(stacked, overwrite_a=True)
    order = np.arange(d + m)
    for i, j in enumerate(exchanged):
        order[i], order[j] = order[j], order[i]
    chosen = order[:d]
    taken = np.full(d, -1)
    taken[np.setdiff1d(np.arange(d), chosen)] = chosen[chosen >= d] - d
    return taken


def swaps(c: Array, until: float) -> Indices:
    """Row of `c` `(m, D)` that ends in each of D places, -1 where none does; `c` becomes that of the new set.

    Row i comes to place j, for the largest |c_ij|, while it exceeds `until`: C ← C − C_·j (C_i − e_j) / c_ij.
    """
    taken = np.full(c.shape[1], -1)
    flat = c.reshape(-1)
    while c.size:
        i, j = divmod(int(blas.idamax(flat)), c.shape[1])
        pivot = c[i, j]
        if abs(pivot) <= until:
            break
        step, column = c[i].copy(), c[:, j].copy()
        step[j] -= 1.0
        blas.dger(-1.0 / pivot, step, column, a=c.T, overwrite_a=True)
        taken[j] = i
    return taken
