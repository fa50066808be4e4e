"""Features in units of how far they vary in training, in whichever direction.

    t(x) = Σ^(-1/2) (x − μ),      Σ = cov(F) + FLOOR² diag(max |F|)²,

with F the `(n, D)` features of the training atoms of one species: distances between t(x) are Mahalanobis distances.
They are the same for all features that are invertible linear combinations of each other, as the predictions of a linear
potential are. A direction in which training does not vary counts by FLOOR, a millionth of the size of its columns:
leaving it is far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from assay.prediction import Array

FLOOR = 1e-6
"""Of the largest value of a column: changes by less are no larger than rounding errors may be."""
NOISE = 1e-10
"""Columns smaller than this times the largest are rounding errors."""
CHUNK = 4096


@dataclass(frozen=True)
class Whitening:
    """`mean` μ `(D,)`; `transform` `(D, D)`, with `transformᵀ Σ transform = 1`; `rank`, how many directions vary."""

    mean: Array
    transform: Array
    rank: float

    @classmethod
    def fit(cls, rows: Array) -> Self:
        """From features `(n, D)`, in two passes; raises `ValueError` without any, and where one is not finite.

        `rank` is `tr(Σ⁻¹ cov(F))`, half the mean squared distance of two training atoms.
        """
        n, d = rows.shape
        if n == 0:
            raise ValueError("there are no training atoms to whiten the features by")
        size, total = np.zeros(d), np.zeros(d)
        for start in range(0, n, CHUNK):
            chunk = rows[start : start + CHUNK]
            np.maximum(size, np.abs(chunk).max(axis=0), out=size)
            total += chunk.sum(axis=0)
        if not np.isfinite(size).all():
            raise ValueError("features of training atoms are not finite")
        size = np.maximum(size, NOISE * (size.max() or 1.0))
        mean = total / n
        covariance = np.zeros((d, d))
        for start in range(0, n, CHUNK):
            scaled = (rows[start : start + CHUNK] - mean) / size
            covariance += scaled.T @ scaled / n
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances, 0.0)
        floored = variances + FLOOR**2
        return cls(mean, directions / np.sqrt(floored) / size[:, None], float((variances / floored).sum()))

    def __call__(self, features: Array) -> Array:
        """t of features `(n, D)`, `(n, D)`."""
        return np.asarray((features - self.mean) @ self.transform)
