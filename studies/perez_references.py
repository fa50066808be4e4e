"""DFT values of properties of tungsten that can be read off the frames of A and B (PBE, one set-up).

| property | frames |
|---|---|
| `elastic` | A: energies of bcc strained along [100], or sheared, by up to 10 % |
| `surfaces` | B: relaxed slabs, told by their area A = a² √(h² + k² + l²), half of it where h + k + l is even |
| `vacancy` | B: 53 atoms in 3 × 3 × 3 cubes, the lowest energy; the forces on its atoms are below 0.01 eV/Å |

All of them are frames that are trained on, so what they test is whether the misfit is bounded. What is not there: C12
and the bulk modulus (A has no frame strained along two axes), other crystal structures, interstitials, paths of a hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, sqrt

import numpy as np
from ase import units

from assay.frames.frame import Frame
from assay.results.arrays import Array

MILLERS = ("100", "110", "111", "210", "211", "221", "310", "311", "320", "321", "322", "331", "332")
VACUUM = 1.5
"""Volume per atom over that of the crystal, beyond which a frame is a slab."""
SMALL, DEGREE = 0.055, 4
"""Strains that a modulus is fitted to, and the degree of the polynomial."""


@dataclass(frozen=True)
class Curve:
    """Frames of one kind of strain, the crystal first: strains `(n,)`, energies above the crystal `(n,)` eV/atom, and
    its volume per atom, Å³."""

    frames: list[Frame]
    strain: Array
    energy: Array
    room: float

    def modulus(self, energy: Array) -> float:
        """`(E/V)″` at zero strain, GPa, of such energies: C11 of tension, C44 of shear."""
        near = np.abs(self.strain) < SMALL
        fit = np.polynomial.Polynomial.fit(self.strain[near], energy[near] / self.room, DEGREE)
        return float(fit.deriv(2)(0.0)) / units.GPa


@dataclass(frozen=True)
class Dft:
    """The crystal (a in Å, eV/atom), slabs and vacancies that were found, and the strained crystals."""

    edge: float
    energy: float
    surfaces: Mapping[str, float]
    slabs: list[Frame]
    vacancy: float | None
    vacancies: list[Frame]
    tension: Curve
    shear: Curve


def dft(elastic: Sequence[Frame], others: Sequence[Frame]) -> Dft:
    """What A and B hold."""
    crystal = min(elastic, key=_per_atom)
    edge, energy = float(crystal.atoms.cell.lengths()[0]), _per_atom(crystal)
    room = crystal.atoms.get_volume() / len(crystal.atoms)
    slabs = [f for f in others if f.atoms.get_volume() / len(f.atoms) > VACUUM * room]
    surfaces: dict[str, float] = {}
    for miller in MILLERS:
        squares, total = sum(int(i) ** 2 for i in miller), sum(map(int, miller))
        area = edge**2 * sqrt(squares) / (2 if total % 2 == 0 else 1)
        found = [(_excess(f, energy) / (2 * _area(f))) for f in slabs if isclose(_area(f), area, rel_tol=2e-3)]
        if found:
            surfaces[miller] = min(found) / (units.J / units.m**2)
    vacancies = [
        f for f in others if len(f.atoms) == 53 and np.allclose(f.atoms.cell.array, 3 * edge * np.eye(3), atol=0.01)
    ]
    lowest = min((_excess(f, energy) for f in vacancies), default=None)
    return Dft(
        edge, energy, surfaces, slabs, lowest, vacancies, _curve(elastic, crystal, 0, 0), _curve(elastic, crystal, 1, 0)
    )


def _curve(elastic: Sequence[Frame], crystal: Frame, i: int, j: int) -> Curve:
    """Frames with no strain but `ε_ij` (and what keeps the volume of a shear), the crystal first."""
    found = []
    for frame in elastic:
        strain = np.linalg.solve(crystal.atoms.cell.array, frame.atoms.cell.array) - np.eye(3)
        if frame is not crystal and abs(strain[i, j]) > 5e-3 and isclose(np.abs(strain).max(), abs(strain[i, j])):
            found.append((float(strain[i, j]), frame))
    found.sort(key=lambda each: each[0])
    frames = [crystal, *(f for _, f in found)]
    energy = np.array([_per_atom(f) for f in frames]) - _per_atom(crystal)
    room = crystal.atoms.get_volume() / len(crystal.atoms)
    return Curve(frames, np.array([0.0, *(s for s, _ in found)]), energy, room)


def _per_atom(frame: Frame) -> float:
    assert frame.energy is not None
    return frame.energy / len(frame.atoms)


def _excess(frame: Frame, energy: float) -> float:
    assert frame.energy is not None
    return frame.energy - len(frame.atoms) * energy


def _area(frame: Frame) -> float:
    return float(np.linalg.norm(np.cross(*frame.atoms.cell.array[:2])))
