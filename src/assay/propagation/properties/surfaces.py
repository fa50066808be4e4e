"""Formation energies of surfaces, from slabs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Self

import numpy as np
from ase import Atoms, units
from ase.build import make_supercell
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.options import choice, length, require_known, spelled
from assay.propagation.properties.prototypes import Structure, stable, structure, the_element
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import Quantities, Quantity, State, Stationary, Structures
from assay.results.arrays import Array

BULK = "bulk"
UNITS: Mapping[str, float] = {"J/m²": units.J / units.m**2, "meV/Å²": 1e-3}
"""Unit → eV/Å²."""
SPELLED = {"J/m2": "J/m²", "meV/A2": "meV/Å²"}

Miller = tuple[int, int, int]


@dataclass(frozen=True)
class Surfaces:
    """Energies of surfaces of a crystal: `γ = (E_slab − N_slab e_bulk) / (2 A)`, by the name `S (hkl)`.

    The crystal relaxes in cell and positions; the slab, strained as the crystal is, in its positions. A is the area
    of one side, so that γ is the mean of the two sides where these differ. The cut goes through the widest gap
    between atomic planes; there is no reconstruction beyond what the forces lead to.

    | field | meaning |
    |---|---|
    | structure | the crystal |
    | millers | of the conventional cell; of a file, of the cell as given |
    | thickness | Å, least, of atoms |
    | vacuum | Å between a slab and its image |
    | unit | a key of `UNITS` |
    """

    name: str
    structure: Structure
    millers: tuple[tuple[str, Miller], ...]
    thickness: float = 20.0
    vacuum: float = 15.0
    unit: str = "J/m²"

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Miller indices such as 110, 1-10 or (of hexagonal axes) 10-10; the options `structure` (by name or file; by
        default the element's stable phase), `element`, `thickness`, `vacuum` and `unit` (J/m2 or meV/A2)."""
        require_known(options, "structure", "element", "thickness", "vacuum", "unit")
        if not words:
            raise ValueError("needs Miller indices, such as 100,110,111")
        word = options.get("structure") or stable(the_element(options, species))
        return cls(
            spelled("surfaces", words, options),
            structure(word, options, species),
            _planes(words),
            length(options, "thickness", cls.thickness),
            length(options, "vacuum", cls.vacuum),
            SPELLED[choice(options, "unit", *SPELLED)],
        )

    def start(self, calculator: Calculator) -> Structures:
        bulk = relaxed(self.structure.atoms, calculator, "cell", label=BULK).atoms
        attempts, found = Attempts(), {BULK: bulk}
        for key, miller in self.millers:
            cut = slab(bulk, _primitive(miller, self.structure.conventional), self.thickness, self.vacuum)
            with attempts:
                found[key] = relaxed(cut, calculator, "positions", label=key).atoms
        return attempts.structures(found)

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, states = Attempts(), {BULK: relaxed(start[BULK], calculator, "cell", label=BULK)}
        strain = np.linalg.solve(start[BULK].cell.array, states[BULK].atoms.cell.array)
        for key in self._there(start):
            strained = start[key].copy()
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            with attempts:
                states[key] = relaxed(strained, calculator, "positions", label=key)
        return attempts.quantities(self.of_states(states))

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        slabs = {key: Stationary(start[key], "positions", cell_of=BULK) for key in self._there(start)}
        return {BULK: Stationary(start[BULK], "cell"), **slabs}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        bulk = states[BULK]
        found = {}
        for key in self._there(states):
            cut = states[key]
            excess = cut.energy - len(cut.atoms) / len(bulk.atoms) * bulk.energy
            area = np.linalg.norm(np.cross(*cut.atoms.cell.array[:2]))
            found[f"{self.structure.label} {key}"] = Quantity(float(excess / (2 * area)) / UNITS[self.unit], self.unit)
        return found

    def _there(self, found: Mapping[str, object]) -> list[str]:
        return [key for key, _ in self.millers if key in found]


def slab(bulk: Atoms, miller: Miller, thickness: float, vacuum: float) -> Atoms:
    """A slab of whole layers parallel to (hkl), its smallest cell, in the orientation of the crystal.

    Each layer is a primitive cell of the crystal, `d = V / A` thick, with two edges in the plane. Atoms are taken from
    above the widest gap between atomic planes, so that a crystal of pairs of planes is cut between the pairs.

    | argument | meaning |
    |---|---|
    | bulk | primitive cell |
    | miller | of the cell of `bulk`, without a common divisor |
    | thickness | Å, least, of all layers |
    | vacuum | Å added along the normal; the slab is periodic in that direction too |
    """
    layer = make_supercell(bulk, _edges(bulk.cell.array, miller), wrap=True)
    heights = layer.get_scaled_positions()[:, 2]
    layer.set_scaled_positions(
        np.column_stack([layer.get_scaled_positions()[:, :2], (heights - _floor(heights) + 1e-9) % 1])
    )
    normal = np.cross(*layer.cell.array[:2])
    normal /= np.linalg.norm(normal)
    depth = float(layer.cell.array[2] @ normal)
    layers = int(np.ceil(thickness / depth))
    stack = layer.repeat((1, 1, layers))
    stack.cell[2] = normal * (layers * depth + vacuum)
    stack.positions += normal * vacuum / 2
    stack.wrap()
    return stack


def _floor(heights: Array) -> float:
    """The height (of a period 1) of the plane above the widest gap; the first of equal ones."""
    planes = np.sort(heights % 1)
    gaps = planes - np.roll(planes, 1) + (np.arange(len(planes)) == 0)
    return float(planes[np.argmax(gaps > gaps.max() - 1e-6)])


def _edges(cell: Array, miller: Miller) -> NDArray[np.int64]:
    """Integer vectors u, v, w (rows): u and v the shortest edges of the lattice plane, w to the next plane."""
    reach = 2 * max(abs(m) for m in miller) + 1
    vectors = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    vectors = vectors[np.argsort(np.linalg.norm(vectors @ cell, axis=1), kind="stable")]
    step = vectors @ np.array(miller)
    plane = vectors[step == 0][1:]
    u = plane[0]
    v = next(v for v in plane if (np.cross(u, v) == miller).all())
    return np.array([u, v, vectors[step == 1][0]])


def _primitive(miller: Miller, conventional: Array) -> Miller:
    """Indices of the same planes with respect to the primitive cell: `P⁻¹ (hkl)`, without a common divisor."""
    indices = np.rint(np.linalg.solve(conventional, np.array(miller)) * round(np.linalg.det(conventional))).astype(int)
    h, k, l = (int(i) for i in indices // np.gcd.reduce(indices))  # noqa: E741
    return h, k, l


def _planes(words: Sequence[str]) -> tuple[tuple[str, Miller], ...]:
    """(name, indices); raises `ValueError` where two are the same plane."""
    planes = {f"({word})": _miller(word) for word in words}
    if len(words) > len(set(planes.values())):
        raise ValueError(f"{', '.join(words)}: the same plane twice")
    return tuple(planes.items())


def _miller(word: str) -> Miller:
    """h, k, l of `hkl`, or of `hkil` with i = −h − k; raises `ValueError` for those with a common divisor."""
    if not re.fullmatch(r"(-?\d){3,4}", word):
        raise ValueError(f"{word!r} is no Miller index such as 110, 1-10 or 10-10")
    indices = [int(i) for i in re.findall(r"-?\d", word)]
    if len(indices) == 4 and indices[2] != -indices[0] - indices[1]:
        raise ValueError(f"{word!r}: of four indices h k i l, i is −h − k")
    h, k, l = (*indices[:2], indices[-1])  # noqa: E741
    if not (h or k or l):
        raise ValueError(f"{word!r} is no plane")
    if (divisor := gcd(h, k, l)) > 1:
        plane = "".join(str(i // divisor) for i in (h, k, l))
        raise ValueError(f"{word!r} is the plane {plane}: give indices without a common divisor")
    return h, k, l
