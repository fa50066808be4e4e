"""Frames as snapshots of a LAMMPS text dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import complete_cell
from numpy.typing import NDArray

from assay.frames.formats.lammps_dump import overhang
from assay.results.arrays import Array
from assay.storage.bounds import OPENERS

SUFFIXES = (".dump", ".lammpstrj")
LINES = 1 << 16
"""Atoms that are written at a time."""


def is_dump_name(path: Path) -> bool:
    """Whether a file of this name is to be written as a dump: `.dump` or `.lammpstrj`, compressed or not."""
    return (path.with_suffix("") if path.suffix in OPENERS else path).suffix in SUFFIXES


def write_dump(file: TextIO, atoms: Atoms, columns: Mapping[str, NDArray[Any]]) -> None:
    """Append one snapshot: id type element x y z and the named columns, `(A,)`.

    Coordinates stay what they are: a cell that is not of LAMMPS's restricted form is written as a general triclinic
    box (a left-handed one with its first two vectors exchanged). Where the frame has no cell, the box holds the atoms.
    """
    box, origin, periodic = _written_box(atoms)
    boundary = " ".join("pp" if each else "ff" for each in periodic)
    lines = ["ITEM: TIMESTEP", str(int(atoms.info.get("timestep", 0))), "ITEM: NUMBER OF ATOMS", str(len(atoms))]
    if np.triu(box, 1).any() or (np.diag(box) <= 0).any():
        lines.append(f"ITEM: BOX BOUNDS abc origin {boundary}")
        rows = np.column_stack([box, origin])
    else:
        (xy, xz), yz = box[1:, 0], box[2, 1]
        below, above = overhang(xy, xz, yz)
        low, high = origin + below, origin + np.diag(box) + above
        tilted = any((xy, xz, yz))
        lines.append(f"ITEM: BOX BOUNDS {'xy xz yz ' if tilted else ''}{boundary}")
        rows = np.column_stack([low, high, *([[xy, xz, yz]] if tilted else [])])
    lines += [" ".join(map(repr, row)) for row in rows.tolist()]
    lines.append(f"ITEM: ATOMS {' '.join(['id', 'type', 'element', 'x', 'y', 'z', *columns])}")
    file.write("\n".join(lines) + "\n")
    _write_rows(file, atoms, list(columns.values()))


def _write_rows(file: TextIO, atoms: Atoms, columns: Sequence[NDArray[Any]]) -> None:
    present, types = np.unique(atoms.numbers, return_inverse=True)
    symbols = np.array([chemical_symbols[z] for z in present])[types]
    whole = [atoms.arrays.get("id", np.arange(1, len(atoms) + 1)), atoms.arrays.get("type", types + 1), symbols]
    numbers = "".join(" %d" if column.dtype.kind in "iub" else " %.9g" for column in columns)
    row = f"%d %d %s %.8f %.8f %.8f{numbers}\n"
    every = [*whole, *atoms.positions.T, *columns]
    for start in range(0, len(atoms), LINES):
        part = [column[start : start + LINES].tolist() for column in every]
        file.write("".join(map(row.__mod__, zip(*part, strict=True))))


def _written_box(atoms: Atoms) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Right-handed vectors, origin, and which are periodic."""
    box, periodic = complete_cell(atoms.cell.array), np.array(atoms.pbc)
    origin = np.array(atoms.get_celldisp(), dtype=np.float64).ravel()
    missing = ~atoms.cell.array.any(axis=1)
    if missing.any():
        along = np.linalg.solve(box.T, (atoms.positions - origin).T)
        low, high = along.min(axis=1) - 1.0, along.max(axis=1) + 1.0  # completed vectors are of unit length
        origin = origin + (low * missing) @ box
        box = np.where(missing[:, None], (high - low)[:, None] * box, box)
    if np.linalg.det(box) < 0:
        box, periodic = box[[1, 0, 2]], periodic[[1, 0, 2]]
    return box, origin, periodic
