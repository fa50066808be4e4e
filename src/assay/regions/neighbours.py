"""Pairs of atoms closer than a cut-off, for any cell and periodicity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from numpy.typing import NDArray

from assay.results.arrays import Array

BLOCK = 1 << 20
"""Pairs that are handed over at a time."""

WIDEST = 1e4
"""Å: frames of larger extent are refused. The neighbour list would end the process (division by zero)."""


def close_pairs(atoms: Atoms, cutoff: float) -> tuple[NDArray[np.int64], Array]:
    """Each pair of atoms within `cutoff` (Å) once, `(N, 2)`, and its distance in Å, `(N,)`; raises as `pair_blocks`."""
    pairs, distances = _list(cutoff=cutoff, full_list=False).compute(atoms.positions, _box(atoms, cutoff), True, "Pd")
    return pairs.view(np.int64), distances


def pair_blocks(atoms: Atoms, cutoff: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each pair (i, j) of atoms within `cutoff` (Å) once, in blocks of at most `BLOCK` pairs.

    The list itself stays in vesin's memory: for 10⁶ atoms, touching new memory takes longer than using the pairs.

    Raises
    ------
    ValueError
        atoms or cell extend over more than `WIDEST`
    """
    owner = _list(cutoff=cutoff, full_list=False)
    (pairs,) = owner.compute(atoms.positions, _box(atoms, cutoff), True, "P", copy=False)
    for start in range(0, len(pairs), BLOCK):
        i, j = np.array(pairs[start : start + BLOCK].view(np.int64).T, order="C")  # always a copy
        yield i, j


def neighbour_images(atoms: Atoms, cutoff: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Every neighbour of every atom within `cutoff` (Å), images of the atom itself included; raises as `pair_blocks`.

    Returns
    -------
    pairs : (N, 2)
        i and j, sorted by i; each pair of atoms comes both ways
    shifts : (N, 3)
        the neighbour is at `positions[j] + shifts @ box`
    box : (3, 3)
        Å
    """
    box = _box(atoms, cutoff)
    pairs, shifts = _list(cutoff=cutoff, full_list=True, sorted=True).compute(atoms.positions, box, True, "PS")
    return pairs.astype(np.int64), shifts.astype(np.int64), box


def _box(atoms: Atoms, cutoff: float) -> Array:
    """A box periodic along all its vectors, in which the frame has the neighbours that it has, `(3, 3)`.

    Each non-periodic direction gets a perpendicular box vector so long that no images meet: vesin's cost grows with
    the square of the extent where only some directions are periodic.
    """
    box = complete_cell(atoms.cell.array * atoms.pbc[:, None])
    free = ~atoms.pbc
    if free.any():
        along = np.linalg.solve(box.T, atoms.positions.T)[free]
        box[free] *= (np.ptp(along, axis=1) + 2 * cutoff)[:, None]
    extent = np.linalg.norm(box, axis=1).max()
    if extent > WIDEST:
        raise ValueError(f"the frame extends over {extent:.3g} Å (more than {WIDEST:g} Å): has it exploded?")
    return np.asarray(box)


def _list(**settings: Any) -> Any:
    """vesin's neighbour list, imported when it is needed: it imports torch where that is installed."""
    from vesin import NeighborList

    return NeighborList(**settings)
