"""Whether an `ase.Atoms` can be a structure at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import FrameError
from assay.regions.neighbours import close_pairs
from assay.results.arrays import Array

CLOSEST = 0.1
"""Å: atoms nearer than this are on top of each other."""


def check_structure(atoms: Atoms, origin: str) -> None:
    """Raise `FrameError` if the structure can't be one: see `read_frames`."""
    if len(atoms) == 0:
        raise FrameError(f"{_place(origin)}: no atoms")
    _finite(atoms.positions, "position", origin)
    _finite(atoms.cell.array, "cell", origin, per_atom=False)
    periodic = atoms.cell.array[atoms.pbc]
    if len(periodic) and np.sqrt(max(0.0, np.linalg.det(periodic @ periodic.T))) < 1e-6:
        raise FrameError(
            f"{_place(origin)}: periodic along {_axes(atoms.pbc)}, but those cell vectors span no volume: "
            f"{atoms.cell.array.tolist()}"
        )
    try:
        pairs, distances = close_pairs(atoms, 1.0)  # far smaller cut-offs are slower
    except ValueError as error:
        raise FrameError(f"{_place(origin)}: {error}") from error
    if len(pairs) and distances.min() < CLOSEST:
        (i, j), worst = pairs[np.argmin(distances)], distances.min()
        raise FrameError(f"{_place(origin)}, atoms {i} and {j}: {worst:.3g} Å apart (less than {CLOSEST} Å)")


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
