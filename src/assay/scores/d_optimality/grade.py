"""Extrapolation grade γ: how far a feature vector is from the active set of its species.

`γ_i = max_j |c_ij|` with `f_iᵀ = c_iᵀ A`, where the D rows of A are the training environments whose determinant is
the largest that MaxVol finds (Podryabinkin and Shapeev 2017, doi:10.1016/j.commatsci.2017.08.031; Lysogorskiy et al.
2023, doi:10.1103/PhysRevMaterials.7.043801). γ > 1 is extrapolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.d_optimality.maxvol import MaxVol, active_set, default_floor, grades
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions


@dataclass(frozen=True)
class ExtrapolationGrade:
    """γ per atom from the active set of its species; infinite for a species without one.

    `inverses`: atomic number → `A⁻¹`, `(D, D)`.
    """

    inverses: Mapping[int, Array]

    name: ClassVar[str] = "gamma"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features",), fixed_threshold=1.0, default_for="features", leads=True, zero_is_home=True
    )

    @classmethod
    def fit(
        cls, training: TrainingFeatures | Iterable[tuple[Array, NDArray[Any]]], options: FitOptions = DEFAULTS
    ) -> Self:
        """An active set for each species, from frames by their features `(A, D)` and atomic numbers `(A,)`.

        For features that come in chunks there is `GradeFold`.
        """
        if not isinstance(training, TrainingFeatures):
            training = TrainingFeatures.of(training)
        return cls({z: active_set(training.rows(z)).inverse for z in training.species})

    @property
    def active_sets(self) -> Mapping[int, Array]:
        """`inverses`."""
        return self.inverses

    def grades(self, features: Array, numbers: NDArray[Any]) -> Array:
        """γ of environments with features `(A, D)` and atomic numbers `(A,)`, `(A,)`."""
        gamma = np.full(len(features), np.inf)
        for z, inverse in self.inverses.items():
            of_species = numbers == z
            if of_species.any():
                gamma[of_species] = grades(features[of_species], [inverse])[0]
        return gamma

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return self.grades(features_of(prediction, self.name), numbers)

    def state(self) -> dict[str, Any]:
        return {"inverses": {str(z): inverse for z, inverse in self.inverses.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): inverse for z, inverse in state["inverses"].items()})


class GradeFold:
    """Accumulates the active sets of all species: `update(features, numbers)`, `merge(other)`, `result()`.

    γ of a training atom may then be a little above 1: `assay.scores.d_optimality.maxvol.converge` reads chunks again.
    """

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
                self._sets[z] = deepcopy(theirs)

    def result(self) -> ExtrapolationGrade:
        return ExtrapolationGrade({z: each.inverse() for z, each in sorted(self._sets.items())})
