"""One ACE potential as an ASE calculator: pacemaker's recursive evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.engine import PYACE_VOIGT, engine


class AceCalculator(Calculator):  # type: ignore[misc]
    """`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, and the basis's core repulsion, for one coefficient vector.

    | key | meaning | shape, unit |
    |---|---|---|
    | energy, free_energy | total energy | eV |
    | energies | of each atom | `(A,)` eV |
    | forces | | `(A, 3)` eV/Å |
    | stress | where the frame is periodic in all directions | `(6,)` eV/Å³ |

    Any cell, periodicity and species of the basis. It can be copied and sent to other processes. `calculate` raises
    `assay.frames.frame.FrameError` as the rows do.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (ASE's)

    def __init__(self, basis: AceBasis, coefficients: Array) -> None:
        if np.shape(coefficients) != (basis.coefficients,):
            raise ValueError(f"{basis.label}: got coefficients of shape {np.shape(coefficients)}")
        super().__init__()
        self.basis, self.coefficients = basis, np.array(coefficients, dtype=np.float64)
        self._kept: tuple[Any, Any, Any] | None = None

    def __reduce__(self) -> tuple[type[AceCalculator], tuple[AceBasis, Array]]:
        return AceCalculator, (self.basis, self.coefficients)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        basis, s = self.basis, len(self.basis.species)
        basis.counts(self.atoms)
        own = engine(basis.configuration)
        if self._kept is None:
            self._kept = own.potential(self.coefficients[s:])
        told = self._kept[0]
        own.compute(self.atoms, told)
        energies = np.array(told.energies) + self.coefficients[species_index(self.atoms, basis.species)]
        energy = float(energies.sum())
        self.results: dict[str, Any] = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies,
            "forces": np.array(told.forces),
        }
        if self.atoms.pbc.all():
            self.results["stress"] = np.array(told.virial)[PYACE_VOIGT] / self.atoms.get_volume()
