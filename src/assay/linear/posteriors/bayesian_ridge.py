"""Bayesian ridge regression with evidence-maximised precisions, from the Gram matrix alone.

`p(Θ | X, y) = N(Θ*, (α XᵀX + λ S⁻²)⁻¹)`, with noise precision α, weight precision λ and columns scaled by S. MacKay
1992 (doi:10.1162/neco.1992.4.3.415). Its width falls with the number of labels: it knows of noise and of too few data,
not of misspecification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import eigh

from assay.linear.normal_equations import NormalEquations
from assay.linear.posteriors.protocol import Fit
from assay.linear.rows_file import RowsFile
from assay.results.arrays import Array

TOLERANCE = 1e-8
ITERATIONS = 10_000


@dataclass(frozen=True)
class Evidence:
    """Precisions of noise (α) and weights (λ) that maximise the evidence, and γ, the number of effective parameters."""

    alpha: float
    lam: float
    gamma: float

    @classmethod
    def maximised(cls, eigenvalues: Array, moments: Array, square: float, rows: int) -> Evidence:
        """Fixed point of `λ = γ / ‖w‖²`, `α = (n − γ) / ‖y − Xw‖²`, `γ = Σ α g / (α g + λ)`.

        Parameters
        ----------
        eigenvalues, moments
            g of the scaled Gram matrix, and Qᵀ S Xᵀy in its eigenvectors, `(P,)`
        square, rows
            yᵀy and n

        Raises
        ------
        ValueError
            not more labels than parameters, or all labels are zero
        """
        if not square > 0 or rows <= 1:
            raise ValueError("no evidence to maximise: the labels are zero, or there are none")
        alpha, lam, gamma = rows / square, 1.0, 0.0
        least = np.finfo(float).eps * eigenvalues.max()  # of λ/α: below it are rounding errors of the Gram matrix
        for _ in range(ITERATIONS):
            before = lam / alpha
            w = moments / (eigenvalues + before)
            residual = max(float(square - 2 * w @ moments + w**2 @ eigenvalues), float(np.finfo(float).eps) * square)
            gamma = float(np.sum(eigenvalues / (eigenvalues + before)))
            if gamma >= rows:
                raise ValueError(f"no evidence to maximise: {rows} labels for {gamma:.0f} effective parameters")
            alpha, lam = float((rows - gamma) / residual), gamma / max(float(w @ w), float(np.finfo(float).tiny))
            lam = max(lam, least * alpha)
            if abs(lam / alpha - before) <= TOLERANCE * before:
                break
        return cls(alpha, lam, gamma)


@dataclass(frozen=True)
class BayesianRidge:
    """M draws from the normal posterior at the evidence's maximum, whose mean is the best fit."""

    name: ClassVar[str] = "bayesian"
    needs_rows: ClassVar[bool] = False

    members: int = 100

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """Mean and members; `ridge` is λ/α."""
        system = equations.system()
        scaled = system.gram * system.scale * system.scale[:, None]
        eigenvalues, vectors = eigh(scaled, lower=False, overwrite_a=True, check_finite=False)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        moments = vectors.T @ (system.scale * system.moment)
        found = Evidence.maximised(eigenvalues, moments, system.square, equations.rows)
        theta = system.scale * (vectors @ (moments / (eigenvalues + found.lam / found.alpha)))
        normal = np.random.default_rng(seed).standard_normal((self.members, len(theta)))
        normal /= np.sqrt(found.alpha * eigenvalues + found.lam)
        return Fit(theta, theta + normal @ vectors.T * system.scale, found.lam / found.alpha)
