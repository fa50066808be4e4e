"""Whether an `ase.Atoms` can be a structure at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from assay.frames.frame import FrameError
from assay.regions.neighbours import close_pairs
from assay.results.arrays import Array

CLOSEST = 0.1
"""Å: atoms nearer than this are on top of each other."""
SMALLEST = (CLOSEST, CLOSEST**2 * 3**0.5 / 2, CLOSEST**3 / 2**0.5)
"""Length, area and volume of a cell of the densest lattices whose points are `CLOSEST` apart."""
SHORTEST, FLATTEST = 1e-6, 1e-5
"""Length in Å, and volume of the parallelepiped of unit vectors, below which periodic cell vectors span nothing."""


def check_structure(atoms: Atoms, origin: str) -> None:
    """Raise `FrameError` if the structure can't be one: see `read_frames`."""
    if len(atoms) == 0:
        raise FrameError(f"{_place(origin)}: no atoms")
    _finite(atoms.positions, "position", origin)
    _finite(atoms.cell.array, "cell", origin, per_atom=False)
    strange = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(strange):
        z = atoms.numbers[strange[0]]
        name = f"of atomic number {z}" if z else "X"
        raise FrameError(f"{_place(origin)}: atom {strange[0]} is {name}, which is no chemical element")
    vectors = atoms.cell.array[atoms.pbc]
    if _flat(vectors):
        raise FrameError(
            f"{_place(origin)}: periodic along {_axes(atoms.pbc)}, but those cell vectors span no volume: "
            f"{atoms.cell.array.tolist()}"
        )
    if len(vectors) and _volume(vectors) < SMALLEST[len(vectors) - 1]:
        raise FrameError(
            f"{_place(origin)}: the cell is so small that every atom is less than {CLOSEST} Å from an image of itself: "
            f"{atoms.cell.array.tolist()}"
        )
    try:
        pairs, distances = close_pairs(atoms, 1.0)  # far smaller cut-offs are slower
    except (ValueError, RuntimeError) as error:
        raise FrameError(f"{_place(origin)}: {error}") from error
    if len(pairs) and distances.min() < CLOSEST:
        (i, j), worst = pairs[np.argmin(distances)], distances.min()
        raise FrameError(f"{_place(origin)}, atoms {i} and {j}: {worst:.3g} Å apart (less than {CLOSEST} Å)")


def _flat(vectors: Array) -> bool:
    """Whether periodic vectors, `(n, 3)`, span no volume, as far as rounding errors of the file can tell."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not (lengths > SHORTEST).all():
        return True
    return _volume(vectors / lengths[:, None]) < FLATTEST


def _volume(vectors: Array) -> float:
    """Length, area or volume that one, two or three vectors span."""
    return float(np.prod(np.linalg.svd(vectors, compute_uv=False)))


def _finite(array: Array, what: str, origin: str, per_atom: bool = True) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        atom = f", atom {bad[0][0]}" if per_atom and array.ndim == 2 else ""
        raise FrameError(f"{_place(origin)}{atom}: {what} is not finite: {array[tuple(bad[0])]}")


def _axes(pbc: Any) -> str:
    return " ".join(axis for axis, periodic in zip("xyz", pbc, strict=True) if periodic)


def _place(origin: str) -> str:
    path, _, index = origin.rpartition(":")
    return f"{path}, frame {index}" if path else f"frame {origin}"
