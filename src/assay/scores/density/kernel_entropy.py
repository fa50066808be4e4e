"""Kernel entropy of Schwalbe-Koda et al. 2025 (doi:10.1038/s41467-025-59232-0; Grasselli et al., Eqs. 50–51).

With `K(x, y) = exp(−‖x − y‖² / 2 h²)`,

    δS(x) = −log Σ_i K(x, x_i)                          how much of a surprise x is to a set
    S     = −1/n Σ_i log (1/n Σ_j K(x_i, x_j))          information in a set: log n where all differ, 0 where none do
    D     = log Σ_i 1 / Σ_j K(x_i, x_j)                 diversity: the logarithm of how many members differ

`differential_entropy`, `entropy` and `diversity` give the numbers of the package `quests` for any features and h. Where
δS > 0, fewer than one environment is within about h.

The authors take h = 0.015 Å⁻¹ for their descriptor. The score has to hold for any features: it standardises them, and
h is the median distance of a training atom to the nearest one of another frame.
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
from assay.scores.density.kernel_sums import KernelSum
from assay.scores.density.outlier_factor import distances
from assay.scores.features.standardised import COINCIDENT, column_units, kept_rows, of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

SAMPLE = 500
"""Atoms whose nearest neighbours give h."""


def differential_entropy(features: Array, reference: Array, bandwidth: float) -> Array:
    """δS of environments beside a reference set, `(m,)`: `−log Σ_i exp(−‖x − x_i‖² / 2 h²)`.

    | symbol | argument | shape |
    |---|---|---|
    | x | features | `(m, D)` |
    | x_i | reference | `(n, D)` |
    | h | bandwidth, in the units of the features | |

    Finite however far x is. Raises `ValueError` where the reference is empty or the bandwidth not above 0. Reference:
    Schwalbe-Koda et al. 2025 (doi:10.1038/s41467-025-59232-0).
    """
    return np.asarray(-KernelSum(reference, bandwidth).log(features))


def entropy(features: Array, bandwidth: float) -> float:
    """S of a set of environments `(n, D)`, in nats, between 0 and log n; symbols as in `differential_entropy`."""
    return float(np.log(len(features)) + differential_entropy(features, features, bandwidth).mean())


def diversity(features: Array, bandwidth: float) -> float:
    """D of a set of environments `(n, D)`, in nats, between 0 and log n; symbols as in `differential_entropy`."""
    from scipy.special import logsumexp  # slow to import

    return float(logsumexp(differential_entropy(features, features, bandwidth)))


@dataclass(frozen=True)
class Surroundings:
    """Training environments `(n, D)` of one species in units of `scale` `(D,)`, and h."""

    points: Array
    scale: Array
    bandwidth: float

    @classmethod
    def fit(cls, rows: Array, frames: NDArray[np.int64]) -> Self:
        """From features `(n, D)` and the frame of each, `(n,)`."""
        scale = column_units(rows)
        points = rows / scale
        return cls(points, scale, typical_distance(points, frames))

    @cached_property
    def _sum(self) -> KernelSum:
        return KernelSum(self.points, self.bandwidth)

    def surprise(self, features: Array) -> Array:
        """δS of features `(m, D)`, `(m,)`."""
        return np.asarray(-self._sum.log(features / self.scale))


def typical_distance(points: Array, frames: NDArray[np.int64]) -> float:
    """Median distance of points `(n, D)` to the nearest of another frame; of the other atoms of the only frame."""
    picked = np.sort(np.random.default_rng(0).permutation(len(points))[:SAMPLE])
    if len(np.unique(frames)) < 2:
        frames = np.arange(len(points))
    nearest, centre = [], points.mean(axis=0)
    for start in range(0, len(picked), 64):
        some = picked[start : start + 64]
        apart = distances(points[some] - centre, points - centre)
        apart[frames[some, None] == frames] = np.inf
        nearest.append(apart.min(axis=1))
    found = np.concatenate(nearest)
    spread = float(np.sqrt(points.var(axis=0).sum())) or 1.0
    found = found[np.isfinite(found) & (found > COINCIDENT * spread)]
    return float(np.median(found)) if len(found) else spread


@dataclass(frozen=True)
class KernelEntropy:
    """δS of atoms; infinite for a species without training atoms. `surroundings`: atomic number → training set."""

    surroundings: Mapping[int, Surroundings]

    name: ClassVar[str] = "kernel_entropy"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="order")

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Surroundings.fit(*kept_rows(training, z)) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        models = {z: each.surprise for z, each in self.surroundings.items()}
        return of_each_species(prediction, self.name, numbers, models)

    def state(self) -> dict[str, Any]:
        names = ("points", "scale", "bandwidth")
        return {"surroundings": {str(z): {n: getattr(of, n) for n in names} for z, of in self.surroundings.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Surroundings(**each) for z, each in state["surroundings"].items()})
