"""Assessed frames as a file that appears whole at the end or not at all: extended XYZ, or a LAMMPS dump."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ase import Atoms
from numpy.typing import NDArray

from assay.frames.formats.extxyz import is_extxyz
from assay.frames.formats.lammps_dump_out import is_dump_name, write_dump
from assay.storage.files import append, is_stream, scratch, write_atomically

OF_ATOMS = ("numbers", "positions", "id", "type")
"""Arrays that a dump has as its own columns."""


@contextmanager
def frames_out(path: str | Path | None) -> Iterator[Callable[[Atoms], None]]:
    """A function that appends frames to a file in the format of its name (`require_frames_name`), or to none."""
    if path is None:
        yield lambda atoms: None
        return
    path = Path(path)
    write = _writer(path)
    with scratch() as buffer:
        text = io.TextIOWrapper(buffer, encoding="utf-8", write_through=True)
        yield lambda atoms: write(text, atoms)
        text.flush()
        buffer.seek(0)
        write_atomically(path, lambda file: _copy(buffer, file, path.suffix))
        text.detach()


def append_frame(path: str | Path, atoms: Atoms) -> None:
    """Add a frame to a file in the format of its name, by one call of the system: it is there whole or not at all.

    In a compressed file each frame is a compressed stream of its own, which readers take for one file.
    """
    path = Path(path)
    text, packed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), io.BytesIO()
    _writer(path)(text, atoms)
    text.seek(0)
    _copy(text.buffer, packed, path.suffix)
    append(path, packed.getvalue())


def require_frames_name(path: str | Path) -> None:
    """Raise `ValueError` for a name that says another format than those that frames are written in.

    Extended XYZ: `.extxyz`, `.xyz`, no ending, or anything where the file is a device or a pipe. LAMMPS dump: `.dump`,
    `.lammpstrj`. Both compressed with a further `.gz`, `.bz2`, `.xz`.
    """
    path = Path(path)
    if is_stream(path) or not path.suffix or is_extxyz(path) or is_dump_name(path):
        return
    raise ValueError(
        f"{path}: frames are written as extended XYZ (.extxyz, .xyz) or LAMMPS dump (.dump, .lammpstrj), compressed "
        f"with .gz, .bz2 or .xz behind it; {path.suffix} is none of these"
    )


def _writer(path: Path) -> Callable[[io.TextIOWrapper, Atoms], None]:
    require_frames_name(path)
    return _append_dump if is_dump_name(path) else _append_extxyz


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


def _copy(source: IO[bytes], target: IO[bytes], suffix: str) -> None:
    """All of `source`, compressed as the ending says; the same content gives the same bytes."""
    if (packer := _PACKED.get(suffix.lower())) is None:
        shutil.copyfileobj(source, target)
        return
    with packer(target) as packed:
        shutil.copyfileobj(source, packed)


_PACKED: Mapping[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda target: gzip.GzipFile("", "wb", 6, target, mtime=0),
    ".bz2": lambda target: bz2.BZ2File(target, "wb"),
    ".xz": lambda target: lzma.LZMAFile(target, "wb"),  # noqa: SIM115 (closed by `_copy`)
}
