"""From LAMMPS's atom types to chemical species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

from assay.frames.formats.elements import number_of_label
from assay.results.arrays import Array

MASS_TOLERANCE = 0.05
"""g/mol between a mass and that of its element."""

ADVICE = "Name the species in the order of the types, as in --species W,Mo"


def numbers_of_types(types: NDArray[np.int64], symbols: Sequence[str] | Mapping[int, str]) -> NDArray[np.int64]:
    """Atomic numbers `(A,)` of types that count from 1; `symbols` in their order, or by type.

    Raises `ValueError` for a type without a symbol and for what is not a chemical symbol.
    """
    by_type = symbols if isinstance(symbols, Mapping) else dict(enumerate(symbols, 1))
    present, where = np.unique(types, return_inverse=True)
    for each in present.tolist():
        if each not in by_type:
            raise ValueError(f"no species for atom type {each}; there are {', '.join(map(str, by_type))}. {ADVICE}")
    return numbers_of_elements([by_type[each] for each in present.tolist()])[where]


def numbers_of_elements(elements: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    """Atomic numbers of chemical symbols, as `assay.frames.formats.elements`; raises `ValueError` for what is none."""
    present, where = np.unique(np.asarray(elements), return_inverse=True)
    numbers = {each: number_of_label(each) for each in present.tolist()}
    if unknown := [each for each, number in numbers.items() if not number]:
        raise ValueError(f"{', '.join(map(repr, unknown))}: not a chemical symbol. {ADVICE}")
    return np.array([*numbers.values()])[where]


def numbers_of_masses(masses: Array) -> NDArray[np.int64]:
    """Atomic numbers of the elements with these masses, g/mol; raises `ValueError` where there is none."""
    present, where = np.unique(masses, return_inverse=True)
    distance = np.abs(atomic_masses[None, 1:] - present[:, None])
    off = distance.min(axis=1) > MASS_TOLERANCE
    if off.any():
        raise ValueError(f"no element has the mass {present[off][0]:g} g/mol. {ADVICE}")
    numbers: NDArray[np.int64] = 1 + distance.argmin(axis=1)
    return numbers[where]
