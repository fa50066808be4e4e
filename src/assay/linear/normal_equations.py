"""Least squares as a fold: Gram matrices of groups of frames, and their regularised solution.

`Θ = argmin Σ_i w_i (y_i - x_iᵀ Θ)²` needs only `G = XᵀWX`, `b = XᵀWy` and `yᵀWy`, which add up over chunks.
Keeping them apart for a few groups of frames gives, from one pass over the data, a cross-validated regulariser and
the members of a block bootstrap (Efron and Tibshirani 1993, doi:10.1201/9780429246593).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.linalg.blas import dsymv, dsyrk, dtrsm

from assay.results.arrays import Array

BUFFER_ROWS = 4096
RIDGES = 10.0 ** np.arange(-13, -1)
NOISE = 1e-12
"""A column whose norm is below this times the largest is rounding errors, and gets a zero coefficient."""


class NormalEquations:
    """Accumulates `G_g`, `b_g` and `y²_g` of groups g; memory is `groups · P²` and one buffer of rows.

    `update(group, rows, targets)` takes weighted rows `(n, P)` and targets `(n,)`; `merge(other)` adds another's.
    """

    def __init__(self, coefficients: int, groups: int) -> None:
        self.grams = [np.zeros((coefficients, coefficients), order="F") for _ in range(groups)]
        self.moments = np.zeros((groups, coefficients))
        self.squares = np.zeros(groups)
        self.rows = 0
        self._buffer = np.empty((BUFFER_ROWS, coefficients))
        self._targets = np.empty(BUFFER_ROWS)
        self._filled = 0
        self._group = 0

    def update(self, group: int, rows: Array, targets: Array) -> None:
        self.rows += len(rows)
        if group != self._group:
            self._flush()
            self._group = group
        while len(rows):
            n = min(len(rows), BUFFER_ROWS - self._filled)
            self._buffer[self._filled : self._filled + n] = rows[:n]
            self._targets[self._filled : self._filled + n] = targets[:n]
            self._filled += n
            rows, targets = rows[n:], targets[n:]
            if self._filled == BUFFER_ROWS:
                self._flush()

    def _flush(self) -> None:
        x, y, g = self._buffer[: self._filled], self._targets[: self._filled], self._group
        if self._filled:
            self.grams[g] = dsyrk(1.0, x.T, beta=1.0, c=self.grams[g], overwrite_c=True)  # upper triangle
            self.moments[g] += y @ x
            self.squares[g] += y @ y
        self._filled = 0

    def merge(self, other: NormalEquations) -> None:
        self._flush()
        other._flush()
        for mine, theirs in zip(self.grams, other.grams, strict=True):
            mine += theirs
        self.moments += other.moments
        self.squares += other.squares
        self.rows += other.rows

    def system(self, times: Array | None = None) -> System:
        """The equations of all groups, group g counted `times[g]` times (once each by default).

        Its columns are scaled as those of all groups together, so that the ridge means the same for every choice.
        """
        self._flush()
        diagonal = np.sum([gram.diagonal() for gram in self.grams], axis=0)
        known = diagonal > NOISE**2 * diagonal.max()
        scale = np.where(known, 1.0 / np.sqrt(np.where(known, diagonal, 1.0)), 0.0)
        times = np.ones(len(self.grams)) if times is None else times
        gram = np.zeros_like(self.grams[0], order="F")
        for gram_g, n in zip(self.grams, times, strict=True):
            if n == 1:
                gram += gram_g
            elif n:
                gram += n * gram_g
        return System(gram, times @ self.moments, float(times @ self.squares), scale)


@dataclass(frozen=True)
class System:
    """`G Θ = b` with G `(P, P)` (its upper triangle counts), b `(P,)`, `square = yᵀWy`, and S `(P,)` in `scale`."""

    gram: Array
    moment: Array
    square: float
    scale: Array

    def factor(self, ridge: float) -> Factor:
        """`S G S + ridge · 1 = L Lᵀ`, by Cholesky.

        Scaling the columns first makes the ridge free of units; a column of zeros or noise gets a zero coefficient.
        Raises `scipy.linalg.LinAlgError` where the ridge is too small for the rounding errors of G.
        """
        scaled = self.gram * self.scale
        scaled *= self.scale[:, None]
        np.fill_diagonal(scaled, scaled.diagonal() + ridge)
        return Factor(self.scale, cholesky(scaled, lower=False, overwrite_a=True, check_finite=False), ridge)

    def stable_factor(self, ridge: float) -> Factor:
        """`factor` at the ridge, or the first tenfold of it that outweighs the rounding errors of G.

        Raises `ValueError` where none does.
        """
        for tenfold in ridge * 10.0 ** np.arange(6):
            try:
                return self.factor(tenfold)
            except LinAlgError:
                continue
        raise ValueError(
            f"the least squares have no solution with a ridge of {tenfold:.0e}: are all labels and rows finite?"
        )

    def solve(self, ridge: float) -> Array:
        """`Θ = S (S G S + ridge · 1)⁻¹ S b`; raises as `factor`."""
        return self.factor(ridge).solve(self.moment)

    def loss(self, theta: Array) -> float:
        """`Σ w (y - xᵀΘ)² = y² - 2 Θᵀb + ΘᵀGΘ`."""
        return float(self.square - 2.0 * theta @ self.moment + theta @ dsymv(1.0, self.gram, theta))

    def without(self, part: System) -> System:
        """The equations less those of a part of the rows."""
        return System(self.gram - part.gram, self.moment - part.moment, self.square - part.square, self.scale)


@dataclass(frozen=True)
class Factor:
    """The metric of the regularised loss, `‖Θ − Θ*‖² = ‖η − η*‖²` with `η = Lᵀ S⁻¹ Θ`: S `(P,)` and R = Lᵀ `(P, P)`."""

    scale: Array
    upper: Array
    ridge: float

    def solve(self, moment: Array) -> Array:
        """`C b`, with `C = S (L Lᵀ)⁻¹ S`."""
        return np.asarray(self.scale * cho_solve((self.upper, False), self.scale * moment, check_finite=False))

    def whitened(self, rows: Array) -> Array:
        """`u = L⁻¹ S x` of each row x: `(n, P)` → `(n, P)`; `‖u‖²` is the leverage `xᵀ C x`."""
        scaled = np.multiply(rows, self.scale, order="C")
        return np.asarray(dtrsm(1.0, self.upper, scaled.T, trans_a=1, overwrite_b=1)).T

    def coefficients(self, whitened: Array) -> Array:
        """`S L⁻ᵀ η` of each row η: `(n, P)` → `(n, P)`."""
        return np.asarray(dtrsm(1.0, self.upper, np.array(whitened, order="C").T, overwrite_b=1)).T * self.scale


def choose_ridge(equations: NormalEquations, folds: int = 5) -> float:
    """The ridge of `RIDGES` with the lowest cross-validated loss; folds are made of whole groups.

    Coarse to fine: every third candidate, then the neighbours of the best until none is better. With a single group
    nothing can be held out, and the result is 1e-8.
    """
    groups = len(equations.grams)
    folds = min(folds, groups)
    if folds < 2:
        return 1e-8
    total = equations.system()
    losses = np.full(len(RIDGES), np.nan)

    def evaluate(candidates: list[int]) -> None:
        todo = [k for k in candidates if 0 <= k < len(RIDGES) and np.isnan(losses[k])]
        if not todo:
            return
        losses[todo] = 0.0
        for fold in range(folds):
            held = equations.system((np.arange(groups) % folds == fold).astype(np.float64))
            rest = total.without(held)
            for k in todo:
                try:
                    losses[k] += held.loss(rest.solve(RIDGES[k]))
                except LinAlgError:
                    losses[k] = np.inf

    evaluate(list(range(0, len(RIDGES), 3)))
    best = -1
    while best != (best := int(np.nanargmin(losses))):
        evaluate([best - 1, best + 1])
    return float(RIDGES[best])
