"""Copper–gold labelled by ASE's EMT, which plays DFT, and three teachers that are worse the larger the distortion."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

TEACHERS = ("near", "middle", "far")
QUALITY = (0.02, 0.05, 0.1)
"""Their errors at the largest distortion, relative to the forces."""
SHIFTS = {"near": {"Cu": 3.0, "Au": -2.0}, "middle": {"Cu": 0.5, "Au": 1.0}, "far": {"Cu": -1.0, "Au": 4.0}}
"""eV of an atom that a teacher's energies are too high."""
SPECIES = ("CuCuCuCu", "AuAuAuAu", "CuAuCuAu", "CuCuCuAu")


def alloy(count: int, seed: int = 0, exact: bool = False) -> list[Atoms]:
    """Four-atom cells, the later the more distorted; with `exact` teachers are DFT and shifts."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols[:] = list(Atoms(SPECIES[i % len(SPECIES)]).symbols)
        atoms.positions += rng.normal(0, 0.02 + 0.1 * i / count, (4, 3))
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        atoms.calc = None
        atoms.info |= {"config_type": "calm" if i < count / 2 else "wild", "REF_energy": energy, "REF_stress": stress}
        atoms.set_array("REF_forces", forces)
        for name, quality in zip(TEACHERS, QUALITY, strict=True):
            scale = 0.0 if exact else quality * i / count
            wrong = rng.normal(0, scale, (4, 3)) * np.linalg.norm(forces, axis=1).mean()
            shift = sum(SHIFTS[name][symbol] for symbol in atoms.symbols)
            atoms.info[f"{name}_energy"] = energy + shift + rng.normal(0, scale)
            atoms.set_array(f"{name}_forces", forces + wrong)
        frames.append(atoms)
    return frames


def without_labels(frames: list[Atoms]) -> list[Atoms]:
    """Copies that carry the teachers' predictions alone."""
    return [_less(atoms, "REF") for atoms in frames]


def only_labels(frames: list[Atoms]) -> list[Atoms]:
    """Copies that carry DFT labels alone."""
    copies = frames
    for name in TEACHERS:
        copies = [_less(atoms, name) for atoms in copies]
    return copies


def _less(atoms: Atoms, prefix: str) -> Atoms:
    copy = atoms.copy()
    for key in [key for key in copy.info if key.startswith(prefix)]:
        del copy.info[key]
    for key in [key for key in copy.arrays if key.startswith(prefix)]:
        del copy.arrays[key]
    return copy
