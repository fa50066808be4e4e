"""LAMMPS text dumps, one snapshot at a time: what is read is one array of columns, at any number of atoms."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import complete_cell
from numpy.typing import NDArray

from assay.frames.formats.lammps_types import ADVICE, numbers_of_elements, numbers_of_masses, numbers_of_types
from assay.frames.formats.lines import OPENERS, Lines, may_be_cut, text_lines
from assay.results.arrays import Array

SUFFIXES = (".dump", ".lammpstrj")
POSITIONS = (("x", "y", "z"), ("xu", "yu", "zu"), ("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
KINDS: Mapping[str, Any] = {"id": np.int64, "type": np.int64, "element": "U8"}
"""Of columns; the others are numbers."""
ANGSTROM = ("metal", "real")
"""LAMMPS's units with lengths in Å."""
ITEM = "ITEM:"
COMPARED = 64
"""Last rows that the very last is held against, where the file ends in it."""
LINES = 1 << 16
"""Atoms that are written at a time."""


def is_dump_name(path: Path) -> bool:
    """Whether a file of this name is to be written as a dump: `.dump` or `.lammpstrj`, compressed or not."""
    return (path.with_suffix("") if path.suffix in OPENERS else path).suffix in SUFFIXES


def is_dump(path: Path) -> bool:
    """Whether a file, compressed or not, begins as a text dump does."""
    with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
        return bool(file.read(8).removeprefix(b"\xef\xbb\xbf")[:5] == b"ITEM:")


def read_dump(path: Path, species: Sequence[str] | None = None) -> Iterator[Atoms | ValueError]:
    """The snapshots of a dump, atoms by rising id, with arrays `id` and `type` and `info["timestep"]`.

    Positions are columns x y z, xu yu zu, or scaled, xs ys zs or xsu ysu zsu. Species are `species` in the order of the
    types, else the column element, else the column mass. Boundaries other than p are not periodic.

    In place of a snapshot that can't be read comes the error that says why: it is cut short, columns are not there,
    types have no species, units are not those with Å. Half of one costs no other.
    """
    with text_lines(path) as lines:
        reader = _Reader(lines, species)
        while reader.more():
            try:
                yield reader.snapshot()
            except ValueError as error:
                reader.skip()
                yield error


class _Reader:
    """Goes through the snapshots of a dump; units are told in the first."""

    def __init__(self, lines: Lines, species: Sequence[str] | None) -> None:
        self._lines, self._species, self._units = lines, species, ANGSTROM[0]

    def more(self) -> bool:
        """Whether anything comes but empty lines."""
        while line := self._lines.read():
            if line.strip():
                self._lines.back(line)
                return True
        return False

    def skip(self) -> None:
        """Go to the next snapshot."""
        for line in self._lines:
            if (start := line.rfind(f"{ITEM} TIMESTEP")) >= 0:
                self._lines.back(line[start:])
                return

    def snapshot(self) -> Atoms:
        """The next one; raises `ValueError`."""
        timestep, count = None, None
        box, origin, periodic = np.eye(3), np.zeros(3), np.ones(3, dtype=bool)
        while line := self._lines.read():
            if line[: (start := line.rfind(ITEM))].strip() and start > 0:
                self._lines.back(line[start:])
                raise ValueError(f"truncated: an item begins within the line {line.strip()[:60]!r}")
            match line.split():
                case []:
                    continue
                case ["ITEM:", "TIMESTEP"] if timestep is not None:
                    self._lines.back(line)
                    raise ValueError(f"truncated: 0 of {'?' if count is None else count} atoms")
                case ["ITEM:", "TIMESTEP"]:
                    timestep = int(self._value())
                case ["ITEM:", "UNITS"]:
                    self._units = self._value().strip()
                case ["ITEM:", "NUMBER", "OF", "ATOMS"]:
                    count = int(self._value())
                case ["ITEM:", "BOX", "BOUNDS", *words]:
                    box, origin, periodic = _box(words, [self._value() for _ in range(3)])
                case ["ITEM:", "ATOMS", *columns] if count is not None:
                    table = columns_of(self._rows(count), columns, count)
                    if self._units not in ANGSTROM:
                        needed = " or ".join(ANGSTROM)
                        raise ValueError(f"units {self._units}; needed {needed}, which have lengths in Å")
                    return _atoms(table, self._species, box, origin, periodic, timestep or 0)
                case ["ITEM:", *_]:  # TIME, and what LAMMPS may add
                    self._value()
                case _:
                    raise ValueError(f"not a LAMMPS dump: needed a line ITEM: …, got {line.strip()[:60]!r}")
        raise ValueError(f"truncated: 0 of {'?' if count is None else count} atoms")

    def _value(self) -> str:
        """The line that an item has; raises `ValueError` where the next item comes instead."""
        line = self._lines.read()
        if (start := line.rfind(ITEM)) >= 0:
            self._lines.back(line[start:])
            raise ValueError(f"truncated: needed a value, got the line {line.strip()[:60]!r}")
        return line

    def _rows(self, count: int) -> Iterator[str]:
        """At most so many rows of atoms; a run that was killed may have left a part of one on the line of an item."""
        for _, line in zip(range(count), self._lines, strict=False):
            if (start := line.rfind(ITEM)) >= 0:
                self._lines.back(line[start:])
                return
            yield line


def _box(words: list[str], lines: list[str]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Vectors as rows, origin, and which are periodic: orthogonal, restricted triclinic or general triclinic."""
    boundary = [word for word in words if len(word) == 2 and set(word) <= set("pfsm")]
    periodic = np.array([word[0] == "p" for word in boundary] if boundary else [True] * 3)
    bounds = np.array([[float(number) for number in line.split()] for line in lines])
    if words[:1] == ["abc"]:
        return bounds[:, :3], bounds[:, 3], periodic
    xy, xz, yz = bounds[:, 2] if bounds.shape[1] == 3 else (0.0, 0.0, 0.0)
    below, above = _overhang(xy, xz, yz)
    low, high = bounds[:, 0] - below, bounds[:, 1] - above
    return restricted(high - low, xy, xz, yz), low, periodic


def _overhang(xy: float, xz: float, yz: float) -> tuple[Array, Array]:
    """How far a tilted box reaches below its origin and beyond its lengths: `BOX BOUNDS` are those of what holds it."""
    return (
        np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]),
        np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]),
    )


def restricted(lengths: Array, xy: float, xz: float, yz: float) -> Array:
    """LAMMPS's restricted triclinic box: a along x, b in the xy plane."""
    return np.array([[lengths[0], 0.0, 0.0], [xy, lengths[1], 0.0], [xz, yz, lengths[2]]])


def columns_of(rows: Iterable[str], names: Sequence[str], count: int, comments: str | None = None) -> NDArray[Any]:
    """The next `count` rows as a structured array of the named columns that Assay knows; raises `ValueError`."""
    wanted = [name for name in names if name in KINDS or name == "mass" or name in sum(POSITIONS, ())]
    last: deque[str] = deque(maxlen=COMPARED)

    def kept() -> Iterator[str]:
        for row in rows:
            last.append(row)
            yield row

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no rows at all
        table = np.loadtxt(
            kept(),
            dtype=[(name, KINDS.get(name, np.float64)) for name in wanted],
            comments=comments,
            usecols=[names.index(name) for name in wanted],
            max_rows=count,
            ndmin=1,
        )
    if len(table) < count:
        raise ValueError(f"truncated: {len(table)} of {count} atoms")
    if last and not last[-1].endswith("\n") and names[-1] in wanted and may_be_cut(last):
        raise ValueError(f"truncated: {last[-1].split()[-1]!r} may lack its end (no newline follows)")
    return table


def _atoms(
    table: NDArray[Any],
    species: Sequence[str] | None,
    box: Array,
    origin: Array,
    periodic: NDArray[np.bool_],
    timestep: int,
) -> Atoms:
    names = table.dtype.names or ()
    axes = next((axes for axes in POSITIONS if set(axes) <= set(names)), None)
    if axes is None:
        raise ValueError(f"no positions: needed columns {', or '.join(' '.join(axes) for axes in POSITIONS)}")
    if "id" in names:
        once, times = np.unique(table["id"], return_counts=True)
        if len(once) < len(table):
            raise ValueError(f"id {once[times.argmax()]} stands {times.max()} times: is the file joined from parts?")
        table = table[np.argsort(table["id"], kind="stable")]
    x = np.stack([table[axis] for axis in axes], axis=1)
    if axes[0].startswith("xs"):
        x = origin + x @ box
    numbers, info = _numbers(table, species), {"timestep": timestep}
    atoms = Atoms(numbers=numbers, positions=x, cell=box, pbc=periodic, celldisp=origin, info=info)
    for name in {"id", "type"} & set(names):
        atoms.set_array(name, np.ascontiguousarray(table[name]))
    return atoms


def _numbers(table: NDArray[Any], species: Sequence[str] | None) -> NDArray[np.int64]:
    names = table.dtype.names or ()
    if species is not None and "type" in names:
        return numbers_of_types(table["type"], species)
    if "element" in names:
        return numbers_of_elements(table["element"])
    if "mass" in names:
        return numbers_of_masses(table["mass"])
    raise ValueError(f"no column element or mass says what the atoms are. {ADVICE}")


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
        below, above = _overhang(xy, xz, yz)
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
