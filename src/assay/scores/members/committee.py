"""Spread of a committee: of energies per frame (CBE) and of forces per atom (ABF) and frame (CBF).

Shuang et al. (arXiv:2508.03405), Eqs. 1-3, use the largest deviation of a member from the mean of the members;
the standard deviation (ddof = 1) is the other common definition. Members are M, atoms A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction


@dataclass(frozen=True)
class CommitteeEnergy:
    """`committee_energy`: `√(Σ_k (E^k - ⟨E⟩)² / (M - 1)) / A`; `committee_energy_max`: `max_k |E^k - ⟨E⟩| / A`.

    eV/atom, one per frame. With `largest` the second (Eq. 1, per atom).
    """

    largest: bool = False
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = "energy"
    fixed_threshold: ClassVar[float | None] = None

    @property
    def name(self) -> str:
        return "committee_energy_max" if self.largest else "committee_energy"

    def values(self, evaluation: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` without members."""
        members = members_of(evaluation.energy_members, self.name)[:, None]
        spread = largest_deviation(members[..., None]) if self.largest else members.std(axis=0, ddof=1)
        return np.asarray(spread / len(numbers))

    def state(self) -> dict[str, Any]:
        return {"largest": self.largest}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CommitteeEnergy:
        return cls(state["largest"])


@dataclass(frozen=True)
class CommitteeForce:
    """`committee_force`: `√(Σ_xyz s²)` with `s² = Σ_k (F^k - ⟨F⟩)² / (M - 1)` per component;
    `committee_force_max`: `max_k ‖F^k - ⟨F⟩‖`.

    eV/Å, one per atom (ABF, Eq. 2); its maximum over a frame is CBF (Eq. 3). With `largest` the second.
    """

    largest: bool = False
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = "force"
    fixed_threshold: ClassVar[float | None] = None

    @property
    def name(self) -> str:
        return "committee_force_max" if self.largest else "committee_force"

    def values(self, evaluation: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` without members."""
        members = members_of(evaluation.forces_members, self.name)
        if self.largest:
            return largest_deviation(members)
        return np.asarray(np.linalg.norm(members.std(axis=0, ddof=1), axis=-1))

    def state(self) -> dict[str, Any]:
        return {"largest": self.largest}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CommitteeForce:
        return cls(state["largest"])


def largest_deviation(members: Array) -> Array:
    """`max_k ‖x^k - ⟨x⟩‖` over members `(M, ..., C)` of vectors with C components, `(...)`."""
    return np.asarray(np.linalg.norm(members - members.mean(axis=0), axis=-1).max(axis=0))


def members_of(members: Array | None, name: str) -> Array:
    """The members; raises `ValueError` where there are fewer than two."""
    if members is None or len(members) < 2:
        raise ValueError(f"{name} needs at least two members; this source has {0 if members is None else len(members)}")
    return members
