"""Features in units of how far they vary in training, in whichever direction, along principal components.

    t(x) = W (x − μ),      Wᵀ W = Σ⁻¹,      Σ = cov(F) + FLOOR² diag(max |F|)²,

with F the `(n, D)` features of the training atoms of one species: distances between t(x) are Mahalanobis distances.
They are the same for all features that are invertible linear combinations of each other, as the predictions of a linear
potential are. A direction in which training does not vary counts by FLOOR, a millionth of the size of its columns:
leaving it is far.

The Mahalanobis distance leaves open a rotation. Of the directions that training spans, those come first that explain
most of the variance of standardised columns: with `B_jc` the covariance of t_j and column c, over its standard
deviation, they are the eigenvectors of `B Bᵀ`. The others come last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from assay.results.arrays import Array

FLOOR = 1e-6
"""Of the largest value of a column: changes by less are no larger than rounding errors may be."""
NOISE = 1e-10
"""Columns smaller than this times the largest are rounding errors."""
CHUNK = 4096


@dataclass(frozen=True)
class Whitening:
    """What t is made of.

    | field | meaning | shape |
    |---|---|---|
    | mean | μ | `(D,)` |
    | transform | Wᵀ, principal components first | `(D, D)` |
    | size | max \\|F\\| | `(D,)` |
    | spanned | how many of the directions training spans: its variance along them is above the floor | |
    | rank | `tr(Σ⁻¹ cov(F))`, half the mean squared distance of two training atoms | |
    """

    mean: Array
    transform: Array
    size: Array
    spanned: int
    rank: float

    @classmethod
    def fit(cls, rows: Array) -> Self:
        """From features `(n, D)`, in two passes; raises `ValueError` without any, and where one is not finite."""
        n, d = rows.shape
        if n == 0:
            raise ValueError("there are no training atoms to whiten the features by")
        size, total = np.zeros(d), np.zeros(d)
        for chunk in chunks(rows):
            np.maximum(size, np.abs(chunk).max(axis=0), out=size)
            total += chunk.sum(axis=0)
        if not np.isfinite(size).all():
            raise ValueError("features of training atoms are not finite")
        size = np.maximum(size, NOISE * (size.max() or 1.0))
        mean = total / n
        covariance = np.zeros((d, d))
        for chunk in chunks(rows):
            scaled = (chunk - mean) / size
            covariance += scaled.T @ scaled / n
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances[::-1], 0.0)
        floored = variances + FLOOR**2
        axes = directions[:, ::-1] / np.sqrt(floored)
        spanned = int((variances > FLOOR**2).sum())
        axes[:, :spanned] = _by_explained_variance(axes[:, :spanned], covariance)
        return cls(mean, axes / size[:, None], size, spanned, float((variances / floored).sum()))

    def __call__(self, features: Array) -> Array:
        """t of features `(n, D)`, `(n, D)`."""
        return np.asarray((features - self.mean) @ self.transform)

    def rounding(self, directions: Array) -> Array:
        """How far a change of all features by FLOOR of their size moves `nᵀ t`, for columns n `(d, F)`, `(F,)`.

        n are in the first d directions, and the changes add up in squares: `FLOOR ‖diag(max |F|) Wᵀ n‖`.
        """
        change = self.size[:, None] * self.transform[:, : len(directions)]
        return np.asarray(FLOOR * np.linalg.norm(change @ directions, axis=0))


def chunks(rows: Array) -> Iterator[Array]:
    """Rows `(n, D)`, which may be on disk, by and by."""
    for start in range(0, len(rows), CHUNK):
        yield np.asarray(rows[start : start + CHUNK])


def _by_explained_variance(axes: Array, covariance: Array) -> Array:
    """Spanned axes `(D, r)`, rotated; both in units of the size of the columns."""
    spread = np.maximum(np.sqrt(np.diag(covariance)), FLOOR)
    b = axes.T @ covariance / spread
    return np.asarray(axes @ np.linalg.eigh(b @ b.T)[1][:, ::-1])
