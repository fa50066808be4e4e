"""Committee spread and γ_local in units of a threshold of the cluster.

One threshold for a heterogeneous training set is set by its loosest part, and passes everything near the others (Shuang
et al. 2025, arXiv:2508.03405, who propose thresholds by cluster). With `gamma_cluster` the cluster whose active set an
atom is nearest to,

    committee_force_clusterwise_i = committee_force_i / t_k(i),      k(i) the cluster of the atom,
    gamma_local_clusterwise_i = γ_local,i / g_k(f),                  k(f) the cluster of most atoms of its frame f,

t_k the Tukey fence of the force errors of training atoms of cluster k, and g_k the 95 % quantile of the largest γ_local
of held-out frames of cluster k (of all, where it has fewer than 5; a Mondrian conformal threshold, Vovk et al. 2005,
doi:10.1007/b106715, from 19 frames on). Above 1 is flagged.
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
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.members.committee import CommitteeForce
from assay.scores.protocol import Clustered, majority

SMALLEST_FENCE = 1e-3
"""eV/Å: forces that vanish by symmetry have no errors to set a threshold by."""


@dataclass(frozen=True)
class ClusterWiseForce:
    """`committee_force` over the threshold of the atom's cluster. `fences`: t_k, `(K,)`, eV/Å."""

    local: Clustered
    fences: Array

    name: ClassVar[str] = "committee_force_clusterwise"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("members", "features"), fixed_threshold=1.0, zero_is_home=True)

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no members or no features."""
        _, cluster = self.local.values_and_companion(prediction, numbers)
        fences = np.where(cluster < 0, 0.0, np.maximum(self.fences[cluster], SMALLEST_FENCE))
        with np.errstate(divide="ignore"):  # a species without training atoms has no cluster
            return np.asarray(CommitteeForce().values(prediction, numbers) / fences)

    def state(self) -> dict[str, Any]:
        return {"local": self.local.state(), "fences": self.fences}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(LocalGrade.from_state(state["local"]), state["fences"])


@dataclass(frozen=True)
class ClusterWiseGrade:
    """`gamma_local` over the threshold of the frame's cluster. `levels`: g_k, `(K,)`."""

    local: Clustered
    levels: Array

    name: ClassVar[str] = "gamma_local_clusterwise"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features",), fixed_threshold=1.0, zero_is_home=True, whole_frame=True
    )

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`, all atoms of one frame; raises `ValueError` where the source has no features."""
        gamma, cluster = self.local.values_and_companion(prediction, numbers)
        return np.asarray(gamma / self.levels[majority(cluster)])

    def state(self) -> dict[str, Any]:
        return {"local": self.local.state(), "levels": self.levels}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(LocalGrade.from_state(state["local"]), state["levels"])
