"""Committee spread in units of a threshold of its own cluster.

One threshold for a heterogeneous training set is set by its least accurate part, and passes everything near the others
(Shuang et al. 2025, arXiv:2508.03405, who propose thresholds by cluster). With k the cluster whose active set an atom
is nearest to (`gamma_cluster`) and t_k the Tukey fence of the force errors of the training atoms of that cluster,

    committee_force_local_i = committee_force_i / t_k(i).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.prediction import Array
from assay.scores.committee import CommitteeForce
from assay.scores.local import LocalGrade
from assay.sources import Evaluation


@dataclass(frozen=True)
class ClusterWise:
    """`committee_force` over the threshold of the cluster; above 1 is flagged. `fences`: t_k, `(K,)`, eV/Å."""

    local: LocalGrade
    fences: Array

    name: ClassVar[str] = "committee_force_local"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = None
    fixed_threshold: ClassVar[float | None] = 1.0

    def values(self, evaluation: Evaluation, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no members or no features."""
        _, cluster = self.local.values_and_companion(evaluation, numbers)
        return np.asarray(CommitteeForce().values(evaluation, numbers) / self.fences[cluster])

    def state(self) -> dict[str, Any]:
        return {"local": self.local.state(), "fences": self.fences}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(LocalGrade.from_state(state["local"]), state["fences"])
