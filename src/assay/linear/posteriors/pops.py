"""Misspecification-aware posterior of a linear potential: pointwise optimal parameter sets (POPS).

No coefficients match all labels. Those nearest to the best fit Θ*, in the metric of the loss, that match label i are

`Θ* + δΘ_i,  δΘ_i = C x_i r_i / h_i`,  residual `r_i = y_i − x_iᵀΘ*`,  leverage `h_i = x_iᵀ C x_i`,

with the weighted rows x_i, targets y_i and `C = (XᵀX + ridge)⁻¹` of the fit (the weight of a row cancels in its own
correction). The posterior is the ensemble of all corrections, or uniform in the box that bounds them along their
principal axes. Swinburne and Perez 2025 (doi:10.1088/2632-2153/ad9fce), Perez et al. 2025 (arXiv:2502.07104).

Axis letters: n rows, P coefficients, K principal axes, M members.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk

from assay.linear.normal_equations import Factor
from assay.results.arrays import Array

Metric = Literal["loss", "coefficients"]
Sampling = Literal["uniform", "sobol", "latin"]

BLOCK = 2048
"""Rows of one matrix product."""
NEGLIGIBLE = 1e-4
"""Share of the mean squared norm of a row (of scaled columns) below which a row takes no part."""
FAINTEST = 1e-8
"""Share of the largest variance of corrections below which an axis is dropped."""
HELD = 1 << 24
"""Projections that percentile clipping holds at a time."""


@dataclass(frozen=True)
class Corrections:
    """Pointwise corrections of n rows, of which `used` take part in the posterior.

    | field | meaning | shape |
    |---|---|---|
    | rows | weighted design rows; an array or a memory map | `(n, P)` |
    | factor | the metric of the loss: `C = S (L Lᵀ)⁻¹ S` | |
    | residual | r, weighted as the rows | `(n,)` |
    | leverage | h | `(n,)` |
    | used | which rows take part | `(n,)` |
    | covariance | `Σ δη δηᵀ` over those, `δη = Lᵀ S⁻¹ δΘ`; its upper triangle counts | `(P, P)` |
    """

    rows: Array
    factor: Factor
    residual: Array
    leverage: Array
    used: NDArray[np.bool_]
    covariance: Array

    @classmethod
    def fit(
        cls,
        rows: Array,
        targets: Array,
        factor: Factor,
        theta: Array,
        *,
        leverage_percentile: float = 0.0,
        negligible: float = NEGLIGIBLE,
    ) -> Corrections:
        """All that the posterior needs, from one pass over the rows `(n, P)`, or two with a leverage percentile.

        Parameters
        ----------
        theta
            the best fit Θ*, `(P,)`
        leverage_percentile
            leave out rows whose leverage is below this percentile of all
        negligible
            leave out rows with less than this share of the mean squared norm, with columns scaled. Force components
            that vanish by symmetry have rows of rounding errors and residuals of DFT's noise: matching those would
            take any change of the coefficients. Rows without leverage are always left out

        Raises
        ------
        ValueError
            no row is left
        """
        n, p = rows.shape
        least = negligible * np.count_nonzero(factor.scale) / n  # columns are scaled to squares that add up to one
        residual, leverage, used = np.empty(n), np.empty(n), np.empty(n, dtype=bool)
        covariance = np.zeros((p, p), order="F")
        for b in _blocks(n):
            x = rows[b]
            u = factor.whitened(x)
            residual[b] = targets[b] - x @ theta
            leverage[b] = np.einsum("ij,ij->i", u, u)
            used[b] = np.square(x) @ np.square(factor.scale) >= least
            used[b] &= leverage[b] > np.finfo(float).eps ** 2
            if not leverage_percentile:
                i = b.start + np.flatnonzero(used[b])
                covariance = _added(covariance, u[used[b]], residual[i] / leverage[i])
        if leverage_percentile:
            used &= leverage >= np.percentile(leverage, leverage_percentile)
            where = np.flatnonzero(used)
            for b in _blocks(len(where)):
                i = where[b]
                covariance = _added(covariance, factor.whitened(rows[i]), residual[i] / leverage[i])
        if not used.any():
            raise ValueError(f"none of {n} rows has a correction: all are zero or below the leverage percentile")
        return cls(rows, factor, residual, leverage, used, covariance)

    def of(self, i: NDArray[np.int64]) -> Array:
        """δΘ of rows i that take part, `(len(i), P)`."""
        whitened = self.factor.whitened(self.rows[i])
        return self.factor.coefficients(whitened * (self.residual[i] / self.leverage[i])[:, None])

    def drawn(self, members: int, seed: int) -> Array:
        """Corrections of M rows drawn with replacement from those that take part, `(M, P)`: the ensemble of all."""
        return self.of(np.random.default_rng(seed).choice(np.flatnonzero(self.used), members))


@dataclass(frozen=True)
class Hypercube:
    """Uniform posterior: `δΘ = Σ_k a_k t_k`, t_k uniform between `lower` and `upper`.

    | field | meaning | shape |
    |---|---|---|
    | axes | a_k | `(K, P)` |
    | lower, upper | bounds of the corrections along each axis | `(K,)` |
    """

    axes: Array
    lower: Array
    upper: Array

    @classmethod
    def fit(cls, corrections: Corrections, *, percentile_clipping: float = 0.0, metric: Metric = "loss") -> Hypercube:
        """The box around corrections in their principal axes.

        Parameters
        ----------
        percentile_clipping
            bounds are this percentile of the corrections along each axis, and 100 less it
        metric
            in which the axes are orthonormal and the variances compared: the `loss` makes the posterior the same for
            any linear change of the features, `coefficients` are those of the published implementation

        Raises
        ------
        ValueError
            a percentile outside of [0, 50), or a perfect fit: no correction differs from zero
        """
        if not 0 <= percentile_clipping < 50:
            raise ValueError(f"percentile clipping from 0 to below 50, got {percentile_clipping}")
        factor, covariance = corrections.factor, corrections.covariance.copy(order="F")
        if metric == "coefficients":
            whole = np.triu(covariance) + np.triu(covariance, 1).T
            covariance = factor.coefficients(factor.coefficients(whole).T)
        variance, vectors = eigh(covariance, lower=False, overwrite_a=True, check_finite=False)
        kept = variance > FAINTEST * variance[-1]
        if not kept.any():
            raise ValueError("every label is matched exactly: there is no misspecification to sample")
        directions = np.ascontiguousarray(vectors[:, kept].T)
        # Along an axis a correction is δη·d, where d is the direction itself, or its gradient L⁻¹ S v.
        gradient = directions if metric == "loss" else factor.whitened(directions)
        axes = factor.coefficients(directions) if metric == "loss" else directions
        return cls(axes, *_bounds(corrections, gradient, percentile_clipping))

    def draw(self, members: int, seed: int = 0, sampling: Sampling = "uniform") -> Array:
        """M members' δΘ, `(M, P)`: pseudo-random, a scrambled Sobol sequence, or a Latin hypercube."""
        if sampling == "uniform":
            t = np.random.default_rng(seed).random((members, len(self.axes)))
        else:
            from scipy.stats import qmc  # slow to import

            k, rng = len(self.axes), np.random.default_rng(seed)
            if sampling == "sobol":  # balanced at powers of two
                t = qmc.Sobol(k, rng=rng).random_base2(max(members - 1, 0).bit_length())[:members]
            else:
                t = qmc.LatinHypercube(k, rng=rng).random(members)
        return (self.lower + t * (self.upper - self.lower)) @ self.axes


def _bounds(corrections: Corrections, gradient: Array, clipping: float) -> tuple[Array, Array]:
    """Percentiles of the projections `x_i·(C-whitened gradient) r_i / h_i` on each axis.

    A projection is at most `length_i ‖gradient_k‖`. Rows come in the order of their lengths, and an axis is finished
    when no row that is left can change it.
    """
    order = np.flatnonzero(corrections.used)
    length = np.abs(corrections.residual[order]) / np.sqrt(corrections.leverage[order])
    longest = np.argsort(-length, kind="stable")
    order, length = order[longest], length[longest]
    position = clipping / 100 * (len(order) - 1)
    held = 1 if not clipping else int(position) + 2
    reach = np.linalg.norm(gradient, axis=1)
    towards = corrections.factor.coefficients(gradient)
    lower, upper = np.empty(len(reach)), np.empty(len(reach))
    for start in range(0, len(reach), max(1, HELD // held)):
        group = np.arange(start, min(start + max(1, HELD // held), len(reach)))
        low, high = np.full((held, len(group)), np.inf), np.full((held, len(group)), -np.inf)
        active = np.arange(len(group))
        for b in _blocks(len(order)):
            possible = length[b.start] * reach[group[active]]
            active = active[(possible > high[:, active].min(axis=0)) | (-possible < low[:, active].max(axis=0))]
            if not len(active):
                break
            i = order[b]
            along = corrections.rows[i] @ towards[group[active]].T
            along *= (corrections.residual[i] / corrections.leverage[i])[:, None]
            low[:, active] = _smallest(low[:, active], along)
            high[:, active] = -_smallest(-high[:, active], -along)
        low.sort(axis=0)
        high[::-1].sort(axis=0)
        part = position - int(position)
        last = min(int(position) + 1, len(order) - 1, held - 1)
        lower[group] = low[int(position)] + part * (low[last] - low[int(position)])
        upper[group] = high[int(position)] + part * (high[last] - high[int(position)])
    return lower, upper


def _smallest(held: Array, more: Array) -> Array:
    """As many of the smallest values of each column as there are rows in `held`, in any order."""
    m = len(held)
    if m == 1:
        return np.asarray(np.minimum(held, more.min(axis=0)))
    return np.asarray(np.partition(np.concatenate([held, more]), m - 1, axis=0)[:m])


def _added(covariance: Array, whitened: Array, factors: Array) -> Array:
    scaled = whitened * factors[:, None]
    return np.asarray(dsyrk(1.0, scaled.T, beta=1.0, c=covariance, overwrite_c=True))


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))
