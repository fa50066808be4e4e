"""Leverage of an environment in the feature space of its species.

`h_i = f_iᵀ (FᵀF + ridge)⁻¹ f_i`, with F the features of all training environments of that species: the share of its
own label that a linear fit to these features would hand back, between 0 and 1 for a training environment. The ridge is
`RIDGE · diag(FᵀF) + NOISE² · max diag(FᵀF)`: the first part makes h independent of the units of the features, the
second keeps rounding errors in columns that are zero in training from counting. Both only grow with the number of
environments, so more of them never raise an h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

RIDGE = 1e-10
NOISE = 1e-10
"""Columns smaller than this times the largest are rounding errors."""
CHUNK = 4096


@dataclass(frozen=True)
class Leverage:
    """h per atom; infinite for a species without training environments.

    `factors`: atomic number → lower Cholesky factor L of the scaled Gram matrix, `(D, D)`; `scales` → `(D,)`.
    """

    factors: Mapping[int, Array]
    scales: Mapping[int, Array]

    name: ClassVar[str] = "leverage"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features",),
        kind="variance",
        default_for="features",
        default_bar_of="one potential",
        zero_is_home=True,
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        """In one pass over the features of each species."""
        fold = LeverageFold()
        for z in training.species:
            rows = training.rows(z)
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                fold.update(chunk, np.full(len(chunk), z))
        return cls(*fold.factors())

    def of(self, features: Array, numbers: NDArray[Any]) -> Array:
        """h of environments with features `(A, D)` and atomic numbers `(A,)`, `(A,)`: `‖L⁻¹ S f‖²`."""
        h = np.full(len(features), np.inf)
        for z, factor in self.factors.items():
            of_species = numbers == z
            if of_species.any():
                scaled = features[of_species] * self.scales[z]
                h[of_species] = np.square(solve_triangular(factor, scaled.T, lower=True)).sum(axis=0)
        return h

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return self.of(features_of(prediction, self.name), numbers)

    def state(self) -> dict[str, Any]:
        return {
            "factors": {str(z): factor for z, factor in self.factors.items()},
            "scales": {str(z): scale for z, scale in self.scales.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(*({int(z): array for z, array in state[name].items()} for name in ("factors", "scales")))


class LeverageFold:
    """Accumulates Gram matrices of the features of each species: `update`, `merge`, `result`."""

    def __init__(self) -> None:
        self._grams: dict[int, Array] = {}

    def update(self, features: Array, numbers: NDArray[Any]) -> None:
        for z in np.unique(numbers):
            f = features[numbers == z]
            self._add(int(z), f.T @ f)

    def merge(self, other: LeverageFold) -> None:
        for z, gram in other._grams.items():
            self._add(z, gram)

    def _add(self, z: int, gram: Array) -> None:
        self._grams[z] = self._grams[z] + gram if z in self._grams else gram

    def result(self, ridge: float | Array = RIDGE) -> Leverage:
        """The leverage, with `ridge` in place of `RIDGE`."""
        return Leverage(*self.factors(ridge))

    def factors(self, ridge: float | Array = RIDGE) -> tuple[dict[int, Array], dict[int, Array]]:
        """Those of `Leverage`, and its scales."""
        factors, scales = {}, {}
        for z, gram in sorted(self._grams.items()):
            diagonal = gram.diagonal()
            scale = 1.0 / np.sqrt(diagonal + NOISE**2 / ridge * (diagonal.max() or 1.0))
            scaled = gram * scale * scale[:, None] + ridge * np.eye(len(gram))
            factors[z], scales[z] = cholesky(scaled, lower=True), scale
        return factors, scales
