"""Minus the logarithm of a Gaussian kernel density of the training environments.

`−log p(x) = −log Σ_i exp(−‖x − x_i‖² / 2 h²) + log n + d/2 log(2π h²)`, distances between standardised features, d the
intrinsic dimension (`assay.scores.density.intrinsic_dimension`): the features lie near a surface of that dimension, and
the density is per its area. One bandwidth h for all is the one with the greatest likelihood of training atoms under the
kernels of the other frames (Habbema et al. 1974; Duin 1976, doi:10.1109/TC.1976.1674577), found by its fixed point

    h² = Σ_q Σ_i p_qi ‖x_q − x_i‖² / (q d),     p_qi the share of i in the density at q,

over a sample of q of them. Copies are left out: they say nothing of how far the next environment will be. Schultz et
al. 2024 (arXiv:2406.05143) judge models by such densities. What is dense in one phase and sparse in another has one
bandwidth here; `knn_density` has a scale for each place.
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
from assay.scores.density.intrinsic_dimension import dimension
from assay.scores.density.kernel_sums import KernelSum
from assay.scores.density.nearest import Nearest
from assay.scores.density.outlier_factor import distances
from assay.scores.features.standardised import COINCIDENT, column_units, distinct, kept_rows, of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

HELD_OUT = 200
"""q."""
ITERATIONS, CONVERGED = 50, 1e-3
"""Steps of the fixed point, and the relative change of h² at which it has converged."""


@dataclass(frozen=True)
class Kernels:
    """Training environments `(n, D)` of one species in units of `scale` `(D,)`, with h and d."""

    points: Array
    scale: Array
    bandwidth: float
    dimension: float

    @classmethod
    def fit(cls, rows: Array, frames: NDArray[np.int64]) -> Self:
        """From features `(n, D)` and the frame of each, `(n,)`."""
        scale = column_units(rows)
        points = rows / scale
        d = _dimension(distinct(points))
        return cls(points, scale, likeliest_bandwidth(points, frames, d), d)

    @cached_property
    def _sum(self) -> KernelSum:
        return KernelSum(self.points, self.bandwidth)

    def minus_log(self, features: Array) -> Array:
        """−log p of features `(m, D)`, `(m,)`."""
        norm = np.log(len(self.points)) + self.dimension / 2 * np.log(2 * np.pi * self.bandwidth**2)
        return np.asarray(norm - self._sum.log(features / self.scale))


def _dimension(points: Array) -> float:
    if len(points) < 3:
        return 1.0
    near = np.maximum(Nearest(points)(points, 3)[0], COINCIDENT)
    return dimension(near[:, 1], near[:, 2], points.shape[1])


def likeliest_bandwidth(points: Array, frames: NDArray[np.int64], dimension: float) -> float:
    """h of points `(n, D)` that belong to frames `(n,)`; of the other atoms where there is only one frame.

    The environments of one frame resemble each other, so they say little of how far the next frame will be.
    """
    from scipy.special import softmax  # slow to import

    picked = np.sort(np.random.default_rng(0).permutation(len(points))[:HELD_OUT])
    if len(np.unique(frames)) < 2:
        frames = np.arange(len(points))
    centre = points.mean(axis=0)
    square = np.square(distances(points[picked] - centre, points - centre))
    least = COINCIDENT**2 * points.shape[1]
    square[(frames[picked, None] == frames) | (square <= least)] = np.inf
    square = square[np.isfinite(square).any(axis=1)]
    if not len(square):
        return float(np.sqrt(least))
    bare = np.where(np.isfinite(square), square, 0.0)
    h2 = max(float(np.median(square.min(axis=1))) / dimension, least)
    for _ in range(ITERATIONS):
        exponent = -square / (2 * h2)
        share = softmax(exponent, axis=1)
        previous, h2 = h2, max(float((share * bare).sum(axis=1).mean()) / dimension, least)
        if abs(h2 - previous) < CONVERGED * previous:
            break
    return float(np.sqrt(h2))


@dataclass(frozen=True)
class KernelDensity:
    """−log p of atoms; infinite for a species without training atoms. `kernels`: atomic number → kernels."""

    kernels: Mapping[int, Kernels]

    name: ClassVar[str] = "kernel_density"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="order")

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Kernels.fit(*kept_rows(training, z)) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        models = {z: kernels.minus_log for z, kernels in self.kernels.items()}
        return of_each_species(prediction, self.name, numbers, models)

    def state(self) -> dict[str, Any]:
        names = ("points", "scale", "bandwidth", "dimension")
        return {"kernels": {str(z): {n: getattr(of, n) for n in names} for z, of in self.kernels.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Kernels(**each) for z, each in state["kernels"].items()})
