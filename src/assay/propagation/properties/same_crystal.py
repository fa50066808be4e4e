"""Whether a relaxed crystal is still the structure that it was, however strained."""

from __future__ import annotations

from functools import cache

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list

from assay.propagation.properties.prototypes import PROTOTYPES, crystal, shortest_distance
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, State
from assay.results.arrays import Array

SHELL = 1.3
"""Neighbours are those up to this many times the distance of an atom's nearest one."""
CHANGED = 0.065
"""Of `change`: fcc becomes bcc at 0.07, bcc fcc at 0.11, β-Sn diamond at 0.35; from ideal hcp to that of cadmium, the
most strained of the elements, it is 0.05."""
ALIKE = 0.02
"""Largest difference of the distances, on the scale of the volume per atom, of a structure type by its name."""
FINGERPRINT = 24
"""Neighbours of each atom that tell structure types apart."""


def relaxed_crystal(atoms: Atoms, calculator: Calculator, given: Atoms, label: str) -> State:
    """`atoms` relaxed in cell and positions, still the crystal `given`.

    Raises `NotConverged` where it does not relax, and where it became another one: see `change`.
    """
    state = relaxed(atoms, calculator, "cell", label=label)
    require_same(state.atoms, given, label)
    return state


def require_same(found: Atoms, given: Atoms, label: str) -> None:
    """Raises `NotConverged` with the name of what the crystal became, where it has one."""
    if (changed := change(found, given)) > CHANGED:
        other = f"another structure (relative to the volume, its neighbours' distances changed by {changed:.0%})"
        raise NotConverged(f"{label}: became {_name(found) or other}")


def change(found: Atoms, given: Atoms) -> float:
    """`√⟨ln²(r / r₀)⟩` over the pairs of neighbours in `given`, r on the scale of each crystal's `∛(V/N)`.

    It measures shape and positions, not the volume. Both hold the same atoms, none moved to a periodic image.
    """
    i, j, image, before = neighbor_list("ijSd", given, SHELL * _farthest_nearest(given))
    nearest = np.full(len(given), np.inf)
    np.minimum.at(nearest, i, before)
    near = before < SHELL * nearest[i]
    i, j, image, before = i[near], j[near], image[near], before[near]
    after = np.linalg.norm(found.positions[j] - found.positions[i] + image @ found.cell.array, axis=1)
    logarithms = np.log(after / before) - np.log(_length(found) / _length(given))
    return float(np.sqrt(np.mean(logarithms**2)))


def _farthest_nearest(atoms: Atoms) -> float:
    """Å, the largest distance that an atom has from its nearest neighbour."""
    cutoff: float = shortest_distance(atoms)
    while len(np.unique(neighbor_list("i", atoms, cutoff * (1 + 1e-9)))) < len(atoms):
        cutoff *= 1.1
    return cutoff


def _name(atoms: Atoms) -> str:
    """The prototype that this is, of one element; `""` for none."""
    if len(set(atoms.numbers)) > 1:
        return ""
    found = _distances(atoms)
    apart = {name: float(np.abs(known - found).max()) for name, known in _types().items()}
    name = min(apart, key=lambda each: apart[each])
    return name if apart[name] < ALIKE else ""


@cache
def _types() -> dict[str, Array]:
    """The distances of each structure type: of any element, on the scale of the volume per atom."""
    return {name: _distances(crystal(name, "Cu")) for name in PROTOTYPES}


def _distances(atoms: Atoms) -> Array:
    """The distances of the first neighbours, means over atoms, over `∛(V/N)`."""
    i, distances = neighbor_list("id", atoms, 2.5 * _length(atoms))
    nearest = [np.sort(distances[i == atom])[:FINGERPRINT] for atom in range(len(atoms))]
    return np.asarray(np.mean(nearest, axis=0) / _length(atoms))


def _length(atoms: Atoms) -> float:
    return float(np.cbrt(atoms.get_volume() / len(atoms)))
