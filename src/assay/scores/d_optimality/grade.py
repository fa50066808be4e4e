"""Extrapolation grade γ: how far a feature vector is from the active set of its species.

`γ_i = max_j |c_ij|` with `f_iᵀ = c_iᵀ A`, where the D rows of A are the training environments whose determinant is
the largest that MaxVol finds (Podryabinkin and Shapeev 2017, doi:10.1016/j.commatsci.2017.08.031; Lysogorskiy et al.
2023, doi:10.1103/PhysRevMaterials.7.043801). γ > 1 is extrapolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.scores.d_optimality.maxvol import MaxVol, default_floor, grades
from assay.scores.features.of_evaluation import features_of


@dataclass(frozen=True)
class ExtrapolationGrade:
    """γ per atom from the active set of its species; infinite for a species without one.

    `inverses`: atomic number → `A⁻¹`, `(D, D)`.
    """

    inverses: Mapping[int, Array]

    name: ClassVar[str] = "gamma"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = None
    fixed_threshold: ClassVar[float | None] = 1.0

    @classmethod
    def fit(cls, chunks: Iterable[tuple[Array, NDArray[Any]]]) -> ExtrapolationGrade:
        """One pass over chunks of features `(n, D)` with their atomic numbers `(n,)`.

        γ of a training atom may then be a little above 1: `assay.scores.d_optimality.maxvol.converge` reads the chunks
        again.
        """
        fold = GradeFold()
        for features, numbers in chunks:
            fold.update(features, numbers)
        return fold.result()

    def grades(self, features: Array, numbers: NDArray[Any]) -> Array:
        """γ of environments with features `(A, D)` and atomic numbers `(A,)`, `(A,)`."""
        gamma = np.full(len(features), np.inf)
        for z, inverse in self.inverses.items():
            of_species = numbers == z
            if of_species.any():
                gamma[of_species] = grades(features[of_species], [inverse])[0]
        return gamma

    def values(self, evaluation: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return self.grades(features_of(evaluation, self.name), numbers)

    def state(self) -> dict[str, Any]:
        return {"inverses": {str(z): inverse for z, inverse in self.inverses.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ExtrapolationGrade:
        return cls({int(z): inverse for z, inverse in state["inverses"].items()})


class GradeFold:
    """Accumulates the active sets of all species: `update(features, numbers)`, `merge(other)`, `result()`."""

    def __init__(self) -> None:
        self._sets: dict[int, MaxVol] = {}

    def update(self, features: Array, numbers: NDArray[Any]) -> None:
        for z in np.unique(numbers):
            if int(z) not in self._sets:
                self._sets[int(z)] = MaxVol(features.shape[1], floor=default_floor(features.dtype))
            self._sets[int(z)].update(features[numbers == z])

    def merge(self, other: GradeFold) -> None:
        for z, theirs in other._sets.items():
            if z in self._sets:
                self._sets[z].merge(theirs)
            else:
                self._sets[z] = theirs

    def result(self) -> ExtrapolationGrade:
        return ExtrapolationGrade({z: each.inverse() for z, each in sorted(self._sets.items())})
