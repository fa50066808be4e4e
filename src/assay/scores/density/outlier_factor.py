"""Outlier factor: the distance to the training set, in units of how far apart its members are around there.

Strained unit cells and hot surfaces have no common scale: what is far from a unit cell is near for a surface.
With `d(x)` the mean distance to the k nearest training points, and `s_i` the same for training point i among the
others,

    o(x) = d(x) / (s_loc^α s_med^(1-α)),

`s_loc` the geometric mean of `s_i` over the neighbours of x, `s_med` the median over all. α = 0 is the plain distance,
α = 1 the local outlier factor of Breunig et al. 2000 (doi:10.1145/342009.335388) but for their smoothing; between
the two, the noise in a spacing estimated from k points is shrunk towards the common one
(`docs/decisions/outlier-factor.md` says how k and α were chosen).

Points are whole frames, by the means and standard deviations of their atoms' features (`frame_outlier_factor`), or
atoms (`outlier_factor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.density.nearest import Nearest
from assay.scores.features.of_prediction import features_of
from assay.scores.features.standardised import column_units
from assay.scores.features.training import TrainingFeatures, signature
from assay.scores.protocol import DEFAULTS, FitOptions

NEIGHBOURS = 5
"""k."""
SEARCHED = 20
"""Nearest points among which those of other groups are looked for; where there are fewer than k, among all."""
SHRINKAGE = 0.75
"""α."""
COINCIDENT = 1e-3
"""Spacings are at least this times the median: several copies of a frame don't make all else infinitely far."""
MOST_FRAMES = 5_000
MOST_ATOMS = 20_000
"""Training points kept, of all frames and of the atoms of one species; more are thinned out at random."""


@dataclass(frozen=True)
class Reference:
    """Training points `(n, V)` in units of `scale` `(V,)`, and the shrunk spacing around each, `(n,)`."""

    points: Array
    scale: Array
    spacing: Array

    @classmethod
    def fit(cls, points: Array, groups: NDArray[np.int64], most: int, size: Array | None = None) -> Self:
        """From `(n, V)` points; neighbours within a group (the atoms of one frame) don't count for the spacing.

        `size` `(V,)`, as in `column_units`: columns that vary by no more than rounding errors of it are constant.
        """
        if len(points) > most:
            kept = np.sort(np.random.default_rng(0).permutation(len(points))[:most])
            points, groups = points[kept], groups[kept]
        scale = column_units(points, size)
        points = np.asarray(points / scale)
        spacing = _spacing(points, groups)
        finite = spacing[np.isfinite(spacing) & (spacing > 0)]
        median = float(np.median(finite)) if len(finite) else 1.0
        local = np.clip(np.where(np.isfinite(spacing), spacing, median), COINCIDENT * median, None)
        return cls(points, scale, local**SHRINKAGE * median ** (1 - SHRINKAGE))

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(self.points)

    def factor(self, points: Array) -> Array:
        """o of `(m, V)` points, `(m,)`."""
        distance, neighbours = self._nearest(points / self.scale, NEIGHBOURS)
        return np.asarray(distance.mean(axis=1) / np.exp(np.log(self.spacing[neighbours]).mean(axis=1)))

    def state(self) -> dict[str, Any]:
        return {"points": self.points, "scale": self.scale, "spacing": self.spacing}


def distances(a: Array, b: Array) -> Array:
    """Euclidean distances of `(m, V)` and `(n, V)` points, `(m, n)`."""
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * (a @ b.T)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def _spacing(points: Array, groups: NDArray[np.int64]) -> Array:
    """Mean distance of each of `(n, V)` points to the k nearest of other groups, `(n,)`; infinite where none is."""
    near, which = Nearest(points)(points, SEARCHED)
    near[groups[which] == groups[:, None]] = np.inf
    spacing = _mean_of_least(near)
    centred = points - points.mean(axis=0)
    few = np.flatnonzero(np.isfinite(near).sum(axis=1) < NEIGHBOURS)
    for start in range(0, len(few), 1024):
        rows = few[start : start + 1024]
        every = distances(centred[rows], centred)
        every[groups[rows, None] == groups] = np.inf
        spacing[rows] = _mean_of_least(every)
    return spacing


def _mean_of_least(distance: Array) -> Array:
    """Of the k least of each row, or as many as are finite."""
    k = min(NEIGHBOURS, distance.shape[1])
    near = np.partition(distance, k - 1, axis=1)[:, :k]
    finite = np.isfinite(near)
    count = finite.sum(axis=1)
    mean = np.where(finite, near, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.inf)


@dataclass(frozen=True)
class FrameOutlierFactor:
    """o of whole frames. `species`: atomic numbers in the order of the signature."""

    reference: Reference
    species: tuple[int, ...]

    name: ClassVar[str] = "frame_outlier_factor"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), default_for="features")

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        points = training.signatures()
        size = np.abs(points).max(axis=0).reshape(len(training.species_of_frames), 2, -1)
        size[:, 1] = size.max(axis=1)  # a standard deviation is as exact as the features are
        return cls(Reference.fit(points, np.arange(len(points)), MOST_FRAMES, size.ravel()), training.species_of_frames)

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; infinite for a frame with a species that training frames did not have."""
        features = features_of(prediction, self.name)
        if not np.isin(numbers, self.species).all():
            return np.array([np.inf])
        return self.reference.factor(signature(features, numbers, self.species)[None])

    def state(self) -> dict[str, Any]:
        return {"reference": self.reference.state(), "species": self.species}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(Reference(**state["reference"]), tuple(state["species"]))


@dataclass(frozen=True)
class OutlierFactor:
    """o of atoms among the training atoms of their species. `references`: atomic number → reference."""

    references: Mapping[int, Reference]

    name: ClassVar[str] = "outlier_factor"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Reference.fit(training.rows(z), training.frames_of(z), MOST_ATOMS) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; infinite for species without training atoms."""
        features = features_of(prediction, self.name)
        factors = np.full(len(features), np.inf)
        for z, reference in self.references.items():
            factors[numbers == z] = reference.factor(features[numbers == z])
        return factors

    def state(self) -> dict[str, Any]:
        return {"references": {str(z): reference.state() for z, reference in self.references.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Reference(**each) for z, each in state["references"].items()})
