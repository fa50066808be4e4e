"""Extended XYZ files one frame at a time, so that a bad frame neither costs the others nor ends a file silently.

ASE's reader goes through a whole file first, stops at an empty line, and gives up at the first frame it can't read.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TextIO

from ase import Atoms

from assay.storage.bounds import OPENERS


def is_extxyz(path: Path) -> bool:
    """Whether the name is that of an extended XYZ file, compressed or not."""
    name = path.with_suffix("") if path.suffix in OPENERS else path
    return name.suffix in (".extxyz", ".xyz")


def frame_texts(path: Path) -> Iterator[str]:
    """The text of each frame; lines that belong to no frame, and a last frame cut short, are texts of their own.

    Raises what decompression and decoding raise.
    """
    with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
        yield from _split(file)


def _split(file: TextIO) -> Iterator[str]:
    line = file.readline()
    while line:
        lines = [line]
        if (atoms := _count(line)) is not None:
            lines += islice(file, 1 + atoms)
        line = file.readline()
        while line and (_count(line) is None if atoms is None else line.lstrip().startswith("VEC")):
            lines.append(line)
            line = file.readline()
        if text := "".join(lines).lstrip():
            yield text


def _count(line: str) -> int | None:
    try:
        return int(line)
    except ValueError:
        return None


def parse(text: str) -> Atoms:
    """The frame of a text; raises `ValueError` where it is cut short, and anything that ASE's reader does."""
    first, *rows = text.removesuffix("\n").split("\n")
    count = _count(first)
    if count is None:
        raise ValueError(f"needed a number of atoms, got the line {first!r}")
    if len(rows) < 1 + count:
        raise ValueError(f"truncated: {max(0, len(rows) - 1)} of {count} atoms")
    if not text.endswith("\n") and len({len(row) for row in rows[1:-1]}) == 1 and len(rows[-1]) < len(rows[-2]):
        raise ValueError(f"truncated: the line of atom {count - 1} is shorter than the others")
    from ase.io.extxyz import read_xyz  # slow to import: half of `import assay`

    atoms: Atoms = next(read_xyz(StringIO(text), 0))
    return atoms
