"""The uncalibrated spread that becomes the error bar, made of a score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from assay.results.arrays import Array
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.members.heterogeneous import (
    Heterogeneous,
    HeterogeneousEnergy,
    HeterogeneousForce,
)
from assay.scores.protocol import FittedScore
from assay.scores.rigidity.last_layer import LastLayerForce, LastLayerRigidity
from assay.scores.rigidity.leverage import Leverage
from assay.scores.rigidity.prediction_rigidity import ComponentPredictionRigidity, LocalPredictionRigidity

VARIANCES = (
    Leverage.name,
    LocalPredictionRigidity.name,
    ComponentPredictionRigidity.name,
    LastLayerRigidity.name,
    LastLayerForce.name,
)
"""Scores that are variances but for a factor: errors go as their square root (Grasselli et al., Eq. 14)."""


ENERGIES: Mapping[str, FittedScore] = {
    **{CommitteeForce(largest).name: CommitteeEnergy(largest) for largest in (False, True)},
    **{each.name: HeterogeneousEnergy() for each in (Heterogeneous, HeterogeneousForce)},
}
"""Scores of force members, and the score of the energy members that makes their energy bars."""


def sampled(score: str, quantity: str, members: int) -> tuple[int | None, int]:
    """M and c of what `assay.calibration.scale.Scale` corrects for: of standard deviations over members alone.

    That of a force is pooled over 3 components, that of a stress over 6. The correction takes members for draws from
    one distribution. Those of `heterogeneous_force` are not: their weights say that they differ, and which ones there
    are is no matter of chance. So α² is ⟨e²/s²⟩ as it comes, with which the held-out bars are right on average.
    """
    if not members or score not in ("committee_force", "committee_energy"):
        return None, 1
    return members, {"force": 3, "stress": 6}.get(quantity, 1) if score == "committee_force" else 1


def proportional_to_errors(name: str, values: Array) -> Array:
    """Values of the score `name` as error bars take them: the square root of those that are variances."""
    return np.asarray(np.sqrt(values) if name in VARIANCES else values)


def force_spread(score: Array) -> Array:
    """`(A,)` → `(A, 3)`: the score of a force vector as the same spread of its three components."""
    return np.repeat(score[:, None] / np.sqrt(3.0), 3, axis=1)
