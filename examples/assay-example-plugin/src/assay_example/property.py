"""A property: what it costs to expand a crystal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from assay.propagation.property import Quantity


@dataclass(frozen=True)
class Expansion:
    """`(E(1.01 a) − E(a)) / N` of the crystal of an element in its usual lattice constant a."""

    name: str
    element: str

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Expansion:
        """Of `example[:ELEMENT]`, by default the potential's first one."""
        if options or len(words) > 1 or not set(words) <= set(species):
            raise ValueError(f"needs one of {', '.join(species)}, got {', '.join([*words, *options])}")
        return cls(":".join(["example", *words]), words[0] if words else species[0])

    def start(self, calculator: Calculator) -> Mapping[str, Atoms]:
        return {"crystal": bulk(self.element)}

    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> Mapping[str, Quantity]:
        crystal = start["crystal"].copy()
        expanded = crystal.copy()
        expanded.set_cell(1.01 * crystal.cell.array, scale_atoms=True)
        energies = []
        for atoms in (crystal, expanded):
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy() / len(atoms))
        return {"energy of expansion": Quantity(energies[1] - energies[0], "eV/atom")}
