"""A frame as linear functions of the coefficients of a potential."""

from __future__ import annotations

from dataclasses import dataclass

from assay.results.arrays import Array, freeze

LARGEST = 20_000
"""Coefficients beyond which a dense least-squares fit is refused."""


@dataclass(frozen=True)
class Design:
    """Energy, forces and stress of one frame of A atoms as linear functions of P coefficients.

    `energy = energy_row @ Θ + reference_energy`, `forces.ravel() = force_rows @ Θ + reference_forces.ravel()`,
    `stress = stress_rows @ Θ + reference_stress`.

    | field | shape | unit of the product with Θ |
    |---|---|---|
    | energy_row | `(P,)` | eV |
    | force_rows | `(3A, P)`, `None` where no coefficient changes forces | eV/Å |
    | stress_rows | `(6, P)`, `None` where no volume is defined | eV/Å³ |
    | features | `(A, D)` | |
    """

    energy_row: Array
    force_rows: Array | None
    stress_rows: Array | None
    features: Array
    reference_energy: float
    reference_forces: Array
    reference_stress: Array

    def __post_init__(self) -> None:
        freeze(self)

    def predictions(self, coefficients: Array) -> Predictions:
        """What N coefficient vectors `(N, P)` predict: one matrix product for all."""
        energies = self.energy_row @ coefficients.T + self.reference_energy
        forces = self.reference_forces[None]
        if self.force_rows is not None:
            forces = (coefficients @ self.force_rows.T).reshape(len(coefficients), -1, 3)
            forces += self.reference_forces
        stresses = None
        if self.stress_rows is not None:
            stresses = coefficients @ self.stress_rows.T + self.reference_stress
        return Predictions(energies, forces, stresses, self.features)


@dataclass(frozen=True)
class Predictions:
    """What N coefficient vectors of a linear potential say about one frame of A atoms.

    | field | shape | unit |
    |---|---|---|
    | energies | `(N,)` | eV |
    | forces | `(N, A, 3)`, or `(1, A, 3)` where no coefficient changes them | eV/Å |
    | stresses | `(N, 6)` or `(1, 6)`, as forces; `None` where no volume is defined | eV/Å³ |
    | features | `(A, D)` | |
    """

    energies: Array
    forces: Array
    stresses: Array | None
    features: Array
