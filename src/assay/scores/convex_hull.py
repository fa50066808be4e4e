"""How far outside of the convex hull of the training environments an environment is, in few dimensions.

The hull (Grasselli et al., 3.1) is taken along the first three principal components; along each other one it is the
range of the training set. All of these contain the true hull, so

    d(x) = max_j (n_jᵀ z + b_j)

over their facets, z in units of the spread of each component, is positive only outside of it: > 0 is extrapolation for
certain, ≤ 0 says nothing for sure. Inside, −d is the distance to the nearest facet. A hull in all D dimensions would
not be better: its facets grow as n^(D/2), and in many dimensions nearly all new points are outside of it (Balestriero
et al. 2021, arXiv:2110.09485; Zeni et al. 2022, doi:10.1103/PhysRevB.105.165141).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.prediction import Array
from assay.scores.principal_components import PrincipalComponents
from assay.scores.standardised import kept_rows, of_each_species
from assay.scores.training import TrainingFeatures
from assay.sources import Evaluation

DIMENSIONS = 3


@dataclass(frozen=True)
class Hull:
    """Facets `(F, d + 1)`, rows (n_j, b_j), in the first d components, and the ranges `(D,)` of all."""

    components: PrincipalComponents
    facets: Array
    low: Array
    high: Array

    @classmethod
    def fit(cls, rows: Array) -> Self:
        components = PrincipalComponents.fit(rows)
        z = components(rows)
        return cls(components, _facets(z[:, : min(DIMENSIONS, components.rank)]), z.min(axis=0), z.max(axis=0))

    def outside(self, features: Array) -> Array:
        """d of features `(m, D)`, `(m,)`."""
        z = self.components(features)
        beyond = np.maximum(z - self.high, self.low - z).max(axis=1)
        if not len(self.facets):
            return np.asarray(beyond)
        normals, offsets = self.facets[:, :-1], self.facets[:, -1]
        return np.asarray(np.maximum(beyond, (z[:, : normals.shape[1]] @ normals.T + offsets).max(axis=1)))


def _facets(z: Array) -> Array:
    """Of points `(n, d)`; none where the range of each component says all (d < 2) or the points are too few."""
    from scipy.spatial import ConvexHull, QhullError  # slow to import

    if z.shape[1] < 2 or len(z) <= z.shape[1]:
        return np.empty((0, z.shape[1] + 1))
    try:
        return np.unique(ConvexHull(z).equations, axis=0)
    except QhullError:  # all but flat: the ranges remain
        return np.empty((0, z.shape[1] + 1))


@dataclass(frozen=True)
class ConvexHull:
    """d of atoms; infinite for a species without training atoms. `hulls`: atomic number → hull."""

    hulls: Mapping[int, Hull]

    name: ClassVar[str] = "convex_hull"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = None
    fixed_threshold: ClassVar[float | None] = 0.0

    @classmethod
    def fit(cls, training: TrainingFeatures) -> Self:
        return cls({z: Hull.fit(kept_rows(training, z)[0]) for z in training.species})

    def values(self, evaluation: Evaluation, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return of_each_species(evaluation, self.name, numbers, {z: hull.outside for z, hull in self.hulls.items()})

    def state(self) -> dict[str, Any]:
        each = self.hulls.items()
        return {"hulls": {str(z): {**vars(hull), "components": hull.components.state()} for z, hull in each}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        each = state["hulls"].items()
        return cls({int(z): Hull(**{**of, "components": PrincipalComponents(**of["components"])}) for z, of in each})
