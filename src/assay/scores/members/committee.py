"""Spread of a committee: of energies per frame (CBE) and of forces per atom (ABF) and frame (CBF).

Shuang et al. (arXiv:2508.03405), Eqs. 1-3, use the largest deviation of a member from the mean of the members;
the standard deviation (ddof = 1) is the other common definition. Members are M, atoms A.
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
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions


@dataclass(frozen=True)
class CommitteeForce:
    """`√(Σ_xyz s²)` with `s² = Σ_k (F^k - ⟨F⟩)² / (M - 1)` per component, eV/Å, one per atom; it learns nothing."""

    name: ClassVar[str] = "committee_force"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",),
        kind="spread",
        stands_for="force",
        default_for="members",
        default_bar_of="draws",
        of_draws=True,
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls()

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` without members."""
        members = members_of(prediction.forces_members, self.name)
        return np.asarray(np.linalg.norm(members.std(axis=0, ddof=1), axis=-1))

    def of_energy(self) -> CommitteeEnergy:
        """The standard deviation of the energies."""
        return CommitteeEnergy()

    def variance(self, members: Array) -> Array:
        """With `M - 1`, of members `(M, ...)`, `(...)`."""
        return np.asarray(members.var(axis=0, ddof=1))

    def state(self) -> dict[str, Any]:
        return {"largest": False}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls()


@dataclass(frozen=True)
class CommitteeForceMax:
    """`max_k ‖F^k - ⟨F⟩‖`, eV/Å, one per atom (ABF, Eq. 2); its maximum over a frame is CBF (Eq. 3)."""

    name: ClassVar[str] = "committee_force_max"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",), kind="spread", stands_for="force", default_for="members"
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls()

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` without members."""
        return largest_deviation(members_of(prediction.forces_members, self.name))

    def of_energy(self) -> CommitteeEnergyMax:
        """The largest deviation of the energies."""
        return CommitteeEnergyMax()

    def variance(self, members: Array) -> Array:
        """With `M - 1`, of members `(M, ...)`, `(...)`: tensors have the standard deviation, not the largest."""
        return np.asarray(members.var(axis=0, ddof=1))

    def state(self) -> dict[str, Any]:
        return {"largest": True}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls()


@dataclass(frozen=True)
class CommitteeEnergy:
    """`√(Σ_k (E^k - ⟨E⟩)² / (M - 1)) / A`, eV/atom, one per frame; it learns nothing."""

    name: ClassVar[str] = "committee_energy"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",),
        kind="spread",
        stands_for="energy",
        default_for="members",
        default_bar_of="draws of energies",
        of_draws=True,
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls()

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` without members."""
        members = members_of(prediction.energy_members, self.name)[:, None]
        return np.asarray(members.std(axis=0, ddof=1) / len(numbers))

    def state(self) -> dict[str, Any]:
        return {"largest": False}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls()


@dataclass(frozen=True)
class CommitteeEnergyMax:
    """`max_k |E^k - ⟨E⟩| / A`, eV/atom, one per frame (CBE, Eq. 1, per atom); it learns nothing."""

    name: ClassVar[str] = "committee_energy_max"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("members",), kind="spread", stands_for="energy", default_for="members"
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls()

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` without members."""
        members = members_of(prediction.energy_members, self.name)[:, None]
        return np.asarray(largest_deviation(members[..., None]) / len(numbers))

    def state(self) -> dict[str, Any]:
        return {"largest": True}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls()


def largest_deviation(members: Array) -> Array:
    """`max_k ‖x^k - ⟨x⟩‖` over members `(M, ..., C)` of vectors with C components, `(...)`."""
    return np.asarray(np.linalg.norm(members - members.mean(axis=0), axis=-1).max(axis=0))


def members_of(members: Array | None, name: str) -> Array:
    """The members; raises `ValueError` where there are fewer than two."""
    if members is None or len(members) < 2:
        raise ValueError(f"{name} needs at least two members; this source has {0 if members is None else len(members)}")
    return members
