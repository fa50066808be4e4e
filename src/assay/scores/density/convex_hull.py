"""How far outside of the convex hull of the training environments an environment is, in few dimensions.

The hull (Grasselli et al., 3.1) is taken along the first three principal components; along each other one it is the
range of the training set. All of these contain the true hull of all training atoms, so

    d(x) = max_j (n_jᵀ z + b_j − r_j)

over their facets, z in units of the spread of each component, is positive only outside of it: > 0 is extrapolation for
certain, ≤ 0 says nothing for sure. r_j is how far n_jᵀ z moves where features change by a millionth of their size
(`assay.scores.features.whitening`): no training atom is outside by rounding errors. Inside, −d is the distance to the
nearest facet. A hull in all D dimensions would not be better: its facets grow as n^(D/2), and in many dimensions nearly
all new points are outside of it (Balestriero et al. 2021, arXiv:2110.09485; Zeni et al. 2022,
doi:10.1103/PhysRevB.105.165141).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.standardised import of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.features.whitening import Whitening, chunks
from assay.scores.protocol import DEFAULTS, FitOptions

if TYPE_CHECKING:
    from scipy.spatial import ConvexHull as Polytope

DIMENSIONS = 3


@dataclass(frozen=True)
class Hull:
    """Facets `(F, d + 1)`, rows (n_j, b_j − r_j), in the first d components; ranges `(D,)` of all, r_j wider."""

    whitening: Whitening
    facets: Array
    low: Array
    high: Array

    @classmethod
    def fit(cls, rows: Array) -> Self:
        """From features `(n, D)`, in three passes: vertices of the hulls of chunks are all that the hull needs."""
        whitening = Whitening.fit(rows)
        columns = rows.shape[1]
        d = min(DIMENSIONS, whitening.spanned)
        low, high, vertices = np.full(columns, np.inf), np.full(columns, -np.inf), np.empty((0, d))
        for chunk in chunks(rows):
            z = whitening(chunk)
            low, high = np.minimum(low, z.min(axis=0)), np.maximum(high, z.max(axis=0))
            vertices = _vertices(np.concatenate([vertices, z[:, :d]]))
        facets, margin = _facets(vertices), whitening.rounding(np.eye(columns))
        facets[:, -1] -= whitening.rounding(facets[:, :-1].T)
        return cls(whitening, facets, low - margin, high + margin)

    def outside(self, features: Array) -> Array:
        """d of features `(m, D)`, `(m,)`."""
        z = self.whitening(features)
        beyond = np.maximum(z - self.high, self.low - z).max(axis=1)
        if not len(self.facets):
            return np.asarray(beyond)
        normals, offsets = self.facets[:, :-1], self.facets[:, -1]
        return np.asarray(np.maximum(beyond, (z[:, : normals.shape[1]] @ normals.T + offsets).max(axis=1)))


def _vertices(z: Array) -> Array:
    """Those of the hull of points `(n, d)`; where these have none, all that differ, for the hull with others."""
    if z.shape[1] < 2:
        return z[:0]
    hull = _hull(z)
    return np.unique(z, axis=0) if hull is None else np.asarray(z[hull.vertices])


def _facets(z: Array) -> Array:
    """Of points `(n, d)`; none where there is no hull: the ranges remain."""
    hull = _hull(z)
    return np.empty((0, z.shape[1] + 1)) if hull is None else np.unique(hull.equations, axis=0)


def _hull(z: Array) -> Polytope | None:
    """None where the range of each component says all (d < 2), and where points are too few or all but flat."""
    from scipy.spatial import ConvexHull, QhullError  # slow to import

    if z.shape[1] < 2 or len(z) <= z.shape[1]:
        return None
    try:
        return ConvexHull(z)
    except QhullError:
        return None


@dataclass(frozen=True)
class ConvexHull:
    """d of atoms; infinite for a species without training atoms. `hulls`: atomic number → hull."""

    hulls: Mapping[int, Hull]

    name: ClassVar[str] = "convex_hull"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), fixed_threshold=0.0)

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Hull.fit(training.rows(z)) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return of_each_species(prediction, self.name, numbers, {z: hull.outside for z, hull in self.hulls.items()})

    def state(self) -> dict[str, Any]:
        each = self.hulls.items()
        return {"hulls": {str(z): {**vars(hull), "whitening": vars(hull.whitening)} for z, hull in each}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        each = state["hulls"].items()
        return cls({int(z): Hull(**{**of, "whitening": Whitening(**of["whitening"])}) for z, of in each})
