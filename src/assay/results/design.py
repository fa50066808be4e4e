"""A frame as linear functions of the coefficients of a potential."""

from __future__ import annotations

from dataclasses import dataclass

from assay.results.arrays import Array, ReadOnly
from assay.results.prediction import Prediction

LARGEST = 20_000
"""Coefficients beyond which a dense least-squares fit is refused."""


@dataclass(frozen=True)
class Design(ReadOnly):
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

    def predictions(self, coefficients: Array) -> Prediction:
        """What N coefficient vectors `(N, P)` say, as N members: one matrix product for all.

        Where no coefficient changes them, forces and stress are those of the reference, and no member has its own.
        """
        stresses = None
        if self.stress_rows is not None:
            stresses = coefficients @ self.stress_rows.T + self.reference_stress
        energies = self.energy_row @ coefficients.T + self.reference_energy
        if self.force_rows is None:
            return Prediction(
                forces=self.reference_forces, energy_members=energies, stress_members=stresses, features=self.features
            )
        forces = (coefficients @ self.force_rows.T).reshape(len(coefficients), -1, 3)
        forces += self.reference_forces
        return Prediction(
            energy_members=energies, forces_members=forces, stress_members=stresses, features=self.features
        )
