"""One SNAP potential as an ASE calculator: LAMMPS's `pair_style snap`, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.sources.lammps import bin_size, create_atoms, lammps_box, lammps_errors, silent_lammps
from assay.sources.snap.files import potential_commands, snapcoeff, snapparam
from assay.sources.snap.settings import SnapSettings

VOIGT = [0, 1, 2, 5, 4, 3]
"""LAMMPS's order xx yy zz xy xz yz → xx yy zz yz xz xy."""


class SnapCalculator(Calculator):  # type: ignore[misc]
    """`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, and ZBL where the settings have it, for one coefficient vector.

    | key | meaning | shape, unit |
    |---|---|---|
    | energy, free_energy | total energy | eV |
    | energies | of each atom | `(A,)` eV |
    | forces | | `(A, 3)` eV/Å |
    | stress | where the frame is periodic in all directions | `(6,)` eV/Å³ |

    Any cell, periodicity and species of the settings; from one call to the next all may change. A calculator has a
    LAMMPS of its own, which it makes at its first call and keeps: while species, order and periodicity stay, only
    positions and box are handed over. It can be copied and sent to other processes. `calculate` raises
    `assay.frames.frame.FrameError` for atoms that the potential does not know, positions or cells that make no sense,
    and what LAMMPS refuses; the next call starts anew.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (ASE's)

    def __init__(self, settings: SnapSettings, coefficients: Array) -> None:
        if np.shape(coefficients) != (settings.coefficients,):
            raise ValueError(f"{settings.label}: got coefficients of shape {np.shape(coefficients)}")
        super().__init__()
        self.settings, self.coefficients = settings, np.array(coefficients, dtype=np.float64)
        self._lmp: Any = None
        self._held: tuple[bytes, str] | None = None
        self._bin = 0.0

    def __reduce__(self) -> tuple[type[SnapCalculator], tuple[SnapSettings, Array]]:
        return SnapCalculator, (self.settings, self.coefficients)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        with lammps_errors():
            rotation = self._run(self.atoms)
        lmp, n = self._lmp, len(self.atoms)
        energy = float(lmp.get_thermo("pe"))
        place = lmp.numpy.extract_atom("id")[:n] - 1
        energies, forces = np.empty(n), np.empty((n, 3))
        energies[place] = lmp.numpy.extract_compute("energies", 1, 1)[:n]
        forces[place] = lmp.numpy.extract_atom("f")[:n] @ rotation.T
        self.results: dict[str, Any] = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies,
            "forces": forces,
        }
        if self.atoms.pbc.all():
            pressure = lmp.numpy.extract_compute("thermo_press", 0, 1)[VOIGT]
            stress = rotation @ voigt_6_to_full_3x3_stress(pressure) @ rotation.T / -lmp.extract_global("nktv2p")
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def _run(self, atoms: Atoms) -> Array:
        """Hand the atoms over to LAMMPS and run it; returns the rotation of `lammps_box`."""
        types = species_index(atoms, self.settings.species) + 1
        box, rotation, positions, boundary = lammps_box(atoms)
        held, self._held = self._held, None  # nothing is, should LAMMPS fail
        if held != (types.tobytes(), boundary) or bin_size(box, self.settings.cutoff) > self._bin:
            self._begin(box, positions, boundary, types.tolist())
        else:
            lmp = self._lmp
            (xx, _, _), (xy, yy, _), (xz, yz, zz) = box.tolist()
            lmp.command(
                f"change_box all x final 0 {xx!r} y final 0 {yy!r} z final 0 {zz!r} "
                f"xy final {xy!r} xz final {xz!r} yz final {yz!r} units box"
            )
            lmp.numpy.extract_atom("x")[: len(atoms)] = positions[lmp.numpy.extract_atom("id")[: len(atoms)] - 1]
        self._lmp.command("run 0 post no")
        self._held = types.tobytes(), boundary
        return rotation

    def _begin(self, box: Array, positions: Array, boundary: str, types: list[int]) -> None:
        if self._lmp is None:
            self._lmp = silent_lammps()
        create_atoms(self._lmp, box, positions, boundary, types, len(self.settings.species), self.settings.cutoff)
        self._bin = bin_size(box, self.settings.cutoff)
        with TemporaryDirectory(prefix="assay-") as folder:
            coefficients, parameters = Path(folder, "snapcoeff"), Path(folder, "snapparam")
            coefficients.write_text(snapcoeff(self.settings, self.coefficients))
            parameters.write_text(snapparam(self.settings))
            self._lmp.commands_string(potential_commands(self.settings, f'"{coefficients}"', f'"{parameters}"'))
        self._lmp.command("compute energies all pe/atom")
