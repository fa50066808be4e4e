"""Weighted spread of unlike members: the metric U of Liu et al. of frames, and the same of atoms and energies.

Deviations are from the plain mean over the M members; only their squares are weighted, `w_k ∝ 1/RMSE_k`, `Σ_k w_k = 1`.

Reference: Liu et al. 2025, arXiv:2507.21297.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import members_of
from assay.scores.members.deviations import MemberDeviations, checked_weights, member_deviations
from assay.scores.protocol import DEFAULTS, FitOptions


@dataclass(frozen=True)
class _Weighted:
    """Weights of the M members, `(M,)` with a sum of 1; `()` is equal ones."""

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.weights:
            checked_weights(self.weights, len(self.weights))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        """With the weights of the options; features play no part."""
        return cls(tuple(map(float, options.weights)))

    def state(self) -> dict[str, Any]:
        return {"weights": list(self.weights)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(tuple(state["weights"]))


@dataclass(frozen=True)
class Heterogeneous(_Weighted):
    """`U = √(Σ_k w_k (max_i ‖F_i^k − F̄_i‖)²)`, one number per frame, eV/Å.

    Each member's largest deviation may be at another atom. It stands for the largest force error of the frame,
    `max_i ‖F_i^DFT − F̄_i‖`.
    """

    name: ClassVar[str] = "heterogeneous"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",), kind="spread", stands_for="force", default_for="unlike members", symbol="U"
    )

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` without members, and for weights of another number of them."""
        return _of_frame(self, prediction).frames(self.weights)

    def of_energy(self) -> HeterogeneousEnergy:
        """With the same weights."""
        return HeterogeneousEnergy(self.weights)

    def variance(self, members: Array) -> Array:
        """Weighted, of members `(M, ...)`, `(...)`."""
        return weighted_variance(members, self.weights)


@dataclass(frozen=True)
class HeterogeneousForce(_Weighted):
    """`√(Σ_k w_k ‖F_i^k − F̄_i‖²)`, eV/Å, one per atom: where in the frame U comes from.

    Its largest value in a frame is at most U. With equal weights it is `committee_force` times `√((M − 1)/M)`.
    """

    name: ClassVar[str] = "heterogeneous_force"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",),
        kind="spread",
        stands_for="force",
        default_for="unlike members",
        default_bar_of="unlike members",
        shown_with="heterogeneous",
    )

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises as `Heterogeneous.values`."""
        return _of_frame(self, prediction).atoms

    def of_energy(self) -> HeterogeneousEnergy:
        """With the same weights."""
        return HeterogeneousEnergy(self.weights)

    def variance(self, members: Array) -> Array:
        """Weighted, of members `(M, ...)`, `(...)`."""
        return weighted_variance(members, self.weights)


@dataclass(frozen=True)
class HeterogeneousEnergy(_Weighted):
    """`√(Σ_k w_k (E^k − Ē)²) / A`, eV/atom, one per frame. Members of other energy references need a common one."""

    name: ClassVar[str] = "heterogeneous_energy"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",), kind="spread", stands_for="energy", default_for="unlike members"
    )

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises as `Heterogeneous.values`."""
        members = members_of(prediction.energy_members, self.name)
        return np.atleast_1d(np.sqrt(weighted_variance(members, self.weights))) / len(numbers)


def weighted_variance(members: Array, weights: Sequence[float] = ()) -> Array:
    """`Σ_k w_k (x^k − x̄)²` with the plain mean x̄, of members `(M, ...)`, `(...)`."""
    square = np.square(members - members.mean(axis=0))
    return np.asarray(np.tensordot(checked_weights(weights, len(members)), square, axes=1))


def _of_frame(score: Heterogeneous | HeterogeneousForce, prediction: Prediction) -> MemberDeviations:
    members = members_of(prediction.forces_members, score.name)
    return member_deviations(members, (0, members.shape[1]), score.weights)
