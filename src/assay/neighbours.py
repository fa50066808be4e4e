"""Pairs of atoms closer than a cut-off, for any cell and periodicity."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from vesin import NeighborList

WIDEST = 1e4
"""Å: frames of larger extent are refused. The neighbour list would end the process (division by zero)."""


def neighbours(atoms: Atoms, cutoff: float, quantities: str, *, full: bool) -> tuple[Any, ...]:
    """The columns of vesin's neighbour list that `quantities` asks for (`i`, `j`, `P` pairs, `d` distances, …).

    Each non-periodic direction gets a perpendicular box vector so long that no images meet: vesin's cost grows with
    the square of the extent where only some directions are periodic.

    Raises
    ------
    ValueError
        atoms or cell extend over more than `WIDEST`
    """
    box = complete_cell(atoms.cell.array * atoms.pbc[:, None])
    free = ~atoms.pbc
    if free.any():
        along = np.linalg.solve(box.T, atoms.positions.T)[free]
        box[free] *= (np.ptp(along, axis=1) + 2 * cutoff)[:, None]
    extent = np.linalg.norm(box, axis=1).max()
    if extent > WIDEST:
        raise ValueError(f"the frame extends over {extent:.3g} Å (more than {WIDEST:g} Å): has it exploded?")
    list_of_pairs = NeighborList(cutoff=cutoff, full_list=full)
    return tuple(list_of_pairs.compute(atoms.positions, box, True, quantities))
