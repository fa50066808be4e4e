"""Energies, cells and bulk moduli of crystal structures, and what they are relative to the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.cell import Cell
from ase.eos import EquationOfState

from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.options import require_known, spelled
from assay.propagation.properties.prototypes import Structure, structure
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.properties.same_crystal import relaxed_crystal, require_same
from assay.propagation.property import NotConverged, Quantities, Quantity, State, Stationary, Structures

STRAINS = np.linspace(-0.03, 0.03, 5)
"""Volume strains of the points that the equation of state is fitted to."""


@dataclass(frozen=True)
class Crystals:
    """Crystal structures, each relaxed in cell and positions.

    | quantity | unit | |
    |---|---|---|
    | `S energy` | eV/atom | E_S / N |
    | `S energy above R` | eV/atom | E_S / N − E_R / N_R, R the first structure; structures of its composition |
    | `S volume` | Å³/atom | V_S / N |
    | `S volume over R` | | (V_S / N) / (V_R / N_R) |
    | `S a`, `S b`, `S c` | Å | edges of the conventional cell, those that symmetry does not make equal |
    | `S bulk modulus` | GPa | V E″(V), see `bulk_modulus` |

    All but the bulk modulus follow from stationary points. A structure that relaxes into another one is not converged.
    """

    name: str
    structures: tuple[Structure, ...]

    def __post_init__(self) -> None:
        labels = [s.label for s in self.structures]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"needs one structure or more, of different names, such as bcc,fcc; got {labels}")

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Structures by name or file; the option `element`."""
        require_known(options, "element")
        return cls(spelled("crystals", words, options), tuple(structure(w, options, species) for w in words))

    def start(self, calculator: Calculator) -> Structures:
        attempts, found = Attempts(), dict[str, Atoms]()
        for s in self.structures:
            with attempts:
                found[s.label] = relaxed_crystal(s.atoms, calculator, s.atoms, s.label).atoms
        return attempts.structures(found)

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, states, moduli = Attempts(), dict[str, State](), dict[str, Quantity]()
        given = {s.label: s.atoms for s in self.structures}
        for label, atoms in start.items():
            with attempts:
                states[label] = relaxed_crystal(atoms, calculator, given[label], label)
                modulus = bulk_modulus(states[label].atoms, calculator, label)
                moduli[f"{label} bulk modulus"] = Quantity(modulus, "GPa")
        return attempts.quantities({**self.of_states(states), **moduli})

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        return {label: Stationary(atoms, "cell") for label, atoms in start.items()}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        first, there = self.structures[0], [s for s in self.structures if s.label in states]
        found: dict[str, Quantity] = {}
        for s in there:
            found[f"{s.label} energy"] = Quantity(_energy(states[s.label]), "eV/atom")
            found[f"{s.label} volume"] = Quantity(_volume(states[s.label]), "Å³/atom")
            lengths = Cell(s.conventional @ states[s.label].atoms.cell.array).lengths()
            edges = dict(zip("abc", lengths, strict=True))
            found |= {f"{s.label} {axis}": Quantity(float(edges[axis]), "Å") for axis in s.axes}
        for s in there:
            if s is not first and first in there and _composition(s.atoms) == _composition(first.atoms):
                above = _energy(states[s.label]) - _energy(states[first.label])
                ratio = _volume(states[s.label]) / _volume(states[first.label])
                found[f"{s.label} energy above {first.label}"] = Quantity(above, "eV/atom")
                found[f"{s.label} volume over {first.label}"] = Quantity(ratio, "")
        return found


def bulk_modulus(atoms: Atoms, calculator: Calculator, label: str) -> float:
    """`B = V E″(V)` at the minimum, GPa, of the Birch–Murnaghan equation of state.

    Fitted to energies at the volumes `V₀ (1 + STRAINS)`, positions and shape of the cell relaxed at each, so that it
    is the modulus under hydrostatic pressure (Reuss's, where it differs from Voigt's). Energies are what the
    literature fits, and need no stress of the potential beyond what relaxes the shape.

    | argument | meaning |
    |---|---|
    | atoms | relaxed with this calculator |
    | label | name of the structure, for messages |

    Raises `NotConverged` where a volume does not relax, or into another structure, and where energies have no minimum
    within the volumes.
    Birch 1947, doi:10.1103/PhysRev.71.809.
    """
    states: list[State] = []
    for strain in STRAINS:
        strained = _onward([atoms, *(state.atoms for state in states)])
        scale = (1 + strain) * atoms.get_volume() / strained.get_volume()
        strained.set_cell(strained.cell * scale ** (1 / 3), scale_atoms=True)
        at = f"{label} with {strain:+.1%} of volume"
        states.append(relaxed(strained, calculator, "cell", keep_volume=True, label=at))
        require_same(states[-1].atoms, atoms, at)
    energies, volumes = np.array([[_energy(state), _volume(state)] for state in states]).T
    above = energies - energies.min()
    curvature, slope = np.polynomial.Polynomial.fit(STRAINS, above, 2).convert().coef[:0:-1]
    if not (curvature > 0 and abs(slope / (2 * curvature)) < STRAINS[-1]):
        raise NotConverged(f"{label}: no minimum of the energy within {STRAINS[-1]:.0%} of its volume")
    try:
        _, _, modulus = EquationOfState(volumes, above, "birchmurnaghan").fit(warn=False)
    except RuntimeError as error:
        raise NotConverged(f"{label}: no equation of state fits: {error}") from error
    return float(modulus / units.GPa)


def _onward(structures: Sequence[Atoms]) -> Atoms:
    """A guess of the structure that follows: the last one, moved on as it moved from the last but one.

    The first two do not count as steps: the start, and the first that was relaxed.
    """
    onward = structures[-1].copy()
    if len(structures) > 2:
        before, here = structures[-2:]
        onward.set_cell(2 * here.cell.array - before.cell.array)
        onward.set_scaled_positions(2 * here.get_scaled_positions(wrap=False) - before.get_scaled_positions(wrap=False))
    return onward


def _energy(state: State) -> float:
    return state.energy / len(state.atoms)


def _volume(state: State) -> float:
    return float(state.atoms.get_volume()) / len(state.atoms)


def _composition(atoms: Atoms) -> dict[str, int]:
    return dict(atoms.symbols.formula.reduce()[0].count())
