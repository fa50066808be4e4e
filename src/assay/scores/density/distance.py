"""Distance to the nearest training environment of the same species.

`d(x) = min_i ‖(x − x_i) / s‖`, with s the standard deviation of each feature over the training atoms: the Hausdorff
distance of Zeni et al. 2022 (doi:10.1103/PhysRevB.105.165141) between an environment and a training set. A column that
is constant in training counts in units of 1e-6 of its size, so leaving it is far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.density.nearest import Nearest
from assay.scores.features.standardised import column_units, kept_rows, of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions


@dataclass(frozen=True)
class Environments:
    """Training environments of one species, `(n, D)` in units of `scale` `(D,)`."""

    points: Array
    scale: Array

    @classmethod
    def fit(cls, rows: Array) -> Self:
        scale = column_units(rows)
        return cls(rows / scale, scale)

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(self.points)

    def distance(self, features: Array) -> Array:
        """d of features `(m, D)`, `(m,)`."""
        return self._nearest(features / self.scale, 1)[0][:, 0]


@dataclass(frozen=True)
class Distance:
    """d of atoms; infinite for a species without training atoms. `environments`: atomic number → training set."""

    environments: Mapping[int, Environments]

    name: ClassVar[str] = "distance"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Environments.fit(kept_rows(training, z)[0]) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return of_each_species(
            prediction, self.name, numbers, {z: each.distance for z, each in self.environments.items()}
        )

    def state(self) -> dict[str, Any]:
        each = self.environments.items()
        return {"environments": {str(z): {"points": of.points, "scale": of.scale} for z, of in each}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Environments(**each) for z, each in state["environments"].items()})
