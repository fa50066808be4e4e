"""Minus the logarithm of the density of training environments, by as many neighbours as have one density.

`−log ρ(x)`, with `ρ(x) = (k* − 1) / (n V_k*(x))` (Grasselli et al., Eq. 32; Zeni et al. 2022,
doi:10.1103/PhysRevB.105.165141), `V_k = ω_d r_k^d` the volume of the ball that reaches the k-th neighbour in the
intrinsic dimension d (`assay.scores.density.intrinsic_dimension`). k* is the first k ≥ 3 for which a likelihood-ratio
test finds that the density at x and at its (k+1)-th neighbour l are two (Rodriguez et al. 2018,
doi:10.1021/acs.jctc.7b00916):

    D_k = −2 k [log V_k(x) + log V_k(l) − 2 log(V_k(x) + V_k(l)) + log 4] ≥ 23.928    (a χ² of probability 1e-6)

Distances are between standardised features. Coincident training environments count once, so the third neighbour is at
a distance even where x coincides with the first: a density is never infinite, and the same there as right beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import lgamma
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.density.intrinsic_dimension import dimension
from assay.scores.density.nearest import Nearest
from assay.scores.features.standardised import COINCIDENT, column_units, distinct, kept_rows, of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

MOST_NEIGHBOURS, LEAST_NEIGHBOURS = 100, 3
DIFFERENT = 23.928126976934827
"""χ² of one degree of freedom that is exceeded by chance once in 10⁶ times."""


@dataclass(frozen=True)
class Density:
    """Distinct training environments of one species.

    | field | meaning | shape |
    |---|---|---|
    | points | standardised features | `(n, D)` |
    | scale | units of the features | `(D,)` |
    | radii | distances of each point to its K nearest others, K at most 100 | `(n, K)` |
    | dimension | d | |
    """

    points: Array
    scale: Array
    radii: Array
    dimension: float

    @classmethod
    def fit(cls, rows: Array) -> Self:
        scale = column_units(rows)
        points = distinct(rows / scale)
        radii = np.maximum(Nearest(points)(points, MOST_NEIGHBOURS + 1)[0][:, 1:], COINCIDENT)
        first, second = (radii[:, min(k, radii.shape[1] - 1)] if len(points) > 1 else np.ones(1) for k in (0, 1))
        return cls(points, scale, radii, dimension(first, second, rows.shape[1]))

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(self.points)

    def minus_log(self, features: Array) -> Array:
        """−log ρ of features `(m, D)`, `(m,)`."""
        return self.beside(*self._nearest(features / self.scale, MOST_NEIGHBOURS))

    def beside(self, distance: Array, which: NDArray[np.int64]) -> Array:
        """−log ρ, `(m,)`, from sorted distances to K neighbours and which they are, `(m, K)`."""
        distance = np.maximum(distance, COINCIDENT)
        k = self._neighbours(distance, which)
        reach = np.log(distance[np.arange(len(k)), k - 1])
        unit_ball = self.dimension / 2 * np.log(np.pi) - lgamma(self.dimension / 2 + 1)
        log_volume = unit_ball + self.dimension * reach
        return np.asarray(np.log(len(self.points)) + log_volume - np.log(np.maximum(k - 1, 1)))

    def _neighbours(self, distance: Array, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """k*, `(m,)`."""
        most = distance.shape[1] - 1
        if most < LEAST_NEIGHBOURS:
            return np.full(len(distance), distance.shape[1])
        k = np.arange(LEAST_NEIGHBOURS, most + 1)
        here = self.dimension * np.log(distance[:, k - 1])
        there = self.dimension * np.log(self.radii[which[:, k], k - 1])
        statistic = -2 * k * (here + there - 2 * np.logaddexp(here, there) + np.log(4))
        differ = statistic >= DIFFERENT
        return np.asarray(np.where(differ.any(axis=1), k[differ.argmax(axis=1)], most))


@dataclass(frozen=True)
class NeighbourDensity:
    """−log ρ of atoms; infinite for a species without training atoms. `densities`: atomic number → density."""

    densities: Mapping[int, Density]

    name: ClassVar[str] = "knn_density"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="order")

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Density.fit(kept_rows(training, z, beside=MOST_NEIGHBOURS)[0]) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        models = {z: density.minus_log for z, density in self.densities.items()}
        return of_each_species(prediction, self.name, numbers, models)

    def state(self) -> dict[str, Any]:
        names = ("points", "scale", "radii", "dimension")
        return {"densities": {str(z): {n: getattr(of, n) for n in names} for z, of in self.densities.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Density(**each) for z, each in state["densities"].items()})
