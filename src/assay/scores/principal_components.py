"""Features along the principal components of a training set, each in units of its spread.

`z_j = a_jᵀ (f − m) / σ_j`, a_j the eigenvectors of the covariance of standardised features, largest variance first. All
D directions are there: one that the training set does not span has the width `CONSTANT · σ_1`, so leaving it is far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.linalg import eigh

from assay.prediction import Array
from assay.scores.outlier_factor import CONSTANT
from assay.scores.standardised import column_units


@dataclass(frozen=True)
class PrincipalComponents:
    """`mean` m `(D,)`; `axes`, columns a_j over the units of the features and over σ_j, `(D, D)`; `rank`: how many are
    spanned."""

    mean: Array
    axes: Array
    rank: int

    @classmethod
    def fit(cls, rows: Array) -> Self:
        """From features `(n, D)`."""
        units, mean = column_units(rows), rows.mean(axis=0)
        standardised = (rows - mean) / units
        variance, vectors = eigh(standardised.T @ standardised / len(rows))
        widths = np.sqrt(np.maximum(variance[::-1], 0.0))
        floor = CONSTANT * (widths[0] or 1.0)
        return cls(mean, vectors[:, ::-1] / units[:, None] / np.maximum(widths, floor), int((widths > floor).sum()))

    def __call__(self, features: Array) -> Array:
        """z of features `(m, D)`, `(m, D)`."""
        return np.asarray((features - self.mean) @ self.axes)

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "axes": self.axes, "rank": self.rank}
