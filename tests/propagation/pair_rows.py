"""A linear potential of pair functions in plain Python: any structure, no extra, and quick for a hundred atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

from assay.linear.potential import LinearPotential
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.frame_calculator import row_calculator

POWERS = np.array([4.0, 6.0, 8.0, 10.0, 12.0])
R0, CUTOFF = 2.5, 4.2


@dataclass
class PairRows:
    """`E = N θ_0 + Σ_pairs Σ_k θ_k (r₀/r)^{p_k} (1 − (r/r_c)²)³`; counts its evaluations."""

    kind: ClassVar[str] = "pairs"
    species: tuple[str, ...] = ("Cu",)
    label: str = "pairs"
    coefficients: int = 1 + len(POWERS)
    cutoff: float = CUTOFF
    changes_forces: bool = True
    evaluations: int = 0

    def design(self, frame: Atoms) -> Design:
        self.evaluations += 1
        i, r, d = neighbor_list("idD", frame, CUTOFF)
        fade = (1 - (r / CUTOFF) ** 2)[:, None]
        power = (R0 / r[:, None]) ** POWERS
        values = power * fade**3
        slopes = -POWERS / r[:, None] * values - power * 3 * fade**2 * 2 * r[:, None] / CUTOFF**2
        n, pull = len(frame), slopes[:, None, :] * (d / r[:, None])[:, :, None]  # dE/dr along the bond, each pair twice
        forces = np.zeros((n, 3, self.coefficients))
        np.add.at(forces[:, :, 1:], i, pull)
        stress = None
        if frame.pbc.all():
            virial = 0.5 * np.einsum("qak,qb->kab", pull, d) / frame.get_volume()
            stress = np.column_stack([np.zeros(6), np.array([full_3x3_to_voigt_6_stress(each) for each in virial]).T])
        row = np.concatenate([[n], 0.5 * values.sum(axis=0)])
        return Design(row, forces.reshape(3 * n, -1), stress, np.zeros((n, 1)), 0.0, np.zeros((n, 3)), np.zeros(6))

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: Array) -> Calculator:
        return row_calculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        return np.zeros((len(frame) if first is None else first, 1))

    def for_species(self, species: Any) -> PairRows:
        return self

    def state(self) -> dict[str, Any]:
        return {}


def pairs(members: int = 6, size: float = 0.02, seed: int = 0) -> LinearPotential:
    """A potential whose members differ by `size` of the largest coefficients."""
    theta = np.concatenate([[-1.0], 4 * 0.4 * np.array([0.0, -1.0, 0.0, 0.0, 1.0])])
    change = size * np.random.default_rng(seed).standard_normal((members, len(theta)))
    return LinearPotential(PairRows(), theta, theta + change, 0.0)
