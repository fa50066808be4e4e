"""Local D-optimality: an active set for each cluster of the training atoms.

`γ_local,i = min_k γ_k,i`, with γ_k the extrapolation grade in the active set of cluster k, and `gamma_cluster` the k of
the minimum (Shuang et al. 2025, arXiv:2508.03405): one active set for a heterogeneous training set keeps only its
outermost environments, and what lies in the gaps between clusters looks known.

The sets are regularised: the rows of `FLOOR` times the identity, in units of the columns' largest values over all
training atoms of the species, are among the candidates, so that what lies outside the span of a small cluster has a
large but finite grade on a common scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.d_optimality.maxvol import active_set, grades
from assay.scores.d_optimality.partition import partition
from assay.scores.features.of_prediction import features_of
from assay.scores.features.row_blocks import column_maxima
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

FLOOR = 1e-3


@dataclass(frozen=True)
class LocalGrade:
    """γ_local per atom, and its cluster; infinite for a species without training atoms (cluster -1).

    `inverses`: atomic number → `A⁻¹` of each cluster that has atoms of it, `(K, D, D)`; `clusters` → which they are,
    `(K,)`, an index into `names`.
    """

    inverses: Mapping[int, Array]
    clusters: Mapping[int, NDArray[np.int64]]
    names: tuple[str, ...]

    name: ClassVar[str] = "gamma_local"
    companion: ClassVar[str] = "gamma_cluster"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features",), fixed_threshold=1.0, default_for="features", clusters=True, zero_is_home=True
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        """An active set for each species and cluster, divided as `options.clusters` says."""
        parts = partition(training, options.clusters)
        inverses, clusters = {}, {}
        for z in training.species:
            rows, labels = training.rows(z), parts.labels[z]
            largest = column_maxima(rows)
            scale = np.where(largest > 0, largest, largest.max() or 1.0)
            clusters[z] = np.unique(labels)
            identity = np.diag(FLOOR * scale)
            inverses[z] = np.array(
                [active_set(np.concatenate([rows[labels == k], identity])).inverse for k in clusters[z]]
            )
        return cls(inverses, clusters, parts.names)

    def grades(self, features: Array, numbers: NDArray[Any]) -> tuple[Array, NDArray[np.int64]]:
        """γ_local and cluster of environments with features `(A, D)` and atomic numbers `(A,)`: two `(A,)`."""
        gamma, cluster = np.full(len(features), np.inf), np.full(len(features), -1)
        for z, inverses in self.inverses.items():
            of_species = numbers == z
            if of_species.any():
                each = grades(features[of_species], inverses)  # (K, n)
                nearest = each.argmin(axis=0)
                gamma[of_species] = np.take_along_axis(each, nearest[None], axis=0)[0]
                cluster[of_species] = self.clusters[z][nearest]
        return gamma, cluster

    def values_and_companion(self, prediction: Prediction, numbers: NDArray[Any]) -> tuple[Array, NDArray[np.int64]]:
        """`values`, and the cluster of each atom, `(A,)`."""
        return self.grades(features_of(prediction, self.name), numbers)

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return self.values_and_companion(prediction, numbers)[0]

    def state(self) -> dict[str, Any]:
        return {
            "inverses": {str(z): each for z, each in self.inverses.items()},
            "clusters": {str(z): each for z, each in self.clusters.items()},
            "names": self.names,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        inverses, clusters = ({int(z): a for z, a in state[name].items()} for name in ("inverses", "clusters"))
        return cls(inverses, clusters, tuple(state["names"]))
