"""Assessed frames as a file that appears whole at the end or not at all: extended XYZ, or a LAMMPS dump."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ase import Atoms
from numpy.typing import NDArray

from assay.frames.formats.lammps_dump_out import is_dump_name, write_dump
from assay.storage.files import write_atomically

OF_ATOMS = ("numbers", "positions", "id", "type")
"""Arrays that a dump has as its own columns."""


@contextmanager
def frames_out(path: str | Path | None) -> Iterator[Callable[[Atoms], None]]:
    """A function that appends frames to a file: a dump for `.dump` and `.lammpstrj`, else extended XYZ; or to none."""
    if path is None:
        yield lambda atoms: None
        return
    append = _append_dump if is_dump_name(Path(path)) else _append_extxyz
    with TemporaryFile("w+b") as buffer:
        text = io.TextIOWrapper(buffer, encoding="utf-8", write_through=True)
        yield lambda atoms: append(text, atoms)
        text.flush()
        buffer.seek(0)
        write_atomically(path, lambda file: _copy(buffer, file, compressed=Path(path).suffix == ".gz"))
        text.detach()


def _append_extxyz(text: io.TextIOWrapper, atoms: Atoms) -> None:
    from ase.io.extxyz import write_extxyz  # slow to import

    write_extxyz(text, [atoms])


def _append_dump(text: io.TextIOWrapper, atoms: Atoms) -> None:
    """Arrays and forces of atoms become columns, one per component; what belongs to the frame has no place."""
    columns: dict[str, NDArray[Any]] = {}
    forces = atoms.calc.results.get("forces") if atoms.calc else None
    if forces is not None:
        columns |= dict(zip(("fx", "fy", "fz"), forces.T, strict=True))
    for name, array in atoms.arrays.items():
        if name in OF_ATOMS or array.dtype.kind not in "iubf":
            continue
        if array.ndim == 1:
            columns[name] = array
        else:
            parts = array.reshape(len(array), -1).T
            names = "xyz" if len(parts) == 3 else [*map(str, range(len(parts)))]
            columns |= {f"{name}_{k}": part for k, part in zip(names, parts, strict=True)}
    write_dump(text, atoms, columns)


def _copy(source: IO[bytes], target: IO[bytes], compressed: bool) -> None:
    if compressed:
        with gzip.GzipFile("", "wb", 6, target, mtime=0) as packed:
            shutil.copyfileobj(source, packed)
    else:
        shutil.copyfileobj(source, target)
