"""LAMMPS text dumps, one snapshot at a time: what is read is one array of columns, at any number of atoms."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.frames.formats.lammps_types import ADVICE, numbers_of_elements, numbers_of_masses, numbers_of_types
from assay.frames.formats.lines import Lines, may_be_cut, text_lines
from assay.results.arrays import Array
from assay.storage.bounds import OPENERS

POSITIONS = (("x", "y", "z"), ("xu", "yu", "zu"), ("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
KINDS: Mapping[str, Any] = {"id": np.int64, "type": np.int64, "element": "U8"}
"""Of columns; the others are numbers."""
ANGSTROM = ("metal", "real")
"""LAMMPS's units with lengths in Å."""
ITEM = "ITEM:"
COMPARED = 64
"""Last rows that the very last is held against, where the file ends in it."""


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
            except (ValueError, MemoryError) as error:  # of a number of atoms that nobody has
                reader.skip()
                yield error if isinstance(error, ValueError) else ValueError(f"too large for this machine: {error}")


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
                    table = columns_of(self._lines.until(ITEM, count), columns, count)
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


def _box(words: list[str], lines: list[str]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Vectors as rows, origin, and which are periodic: orthogonal, restricted triclinic or general triclinic."""
    boundary = [word for word in words if len(word) == 2 and set(word) <= set("pfsm")]
    periodic = np.array([word[0] == "p" for word in boundary] if boundary else [True] * 3)
    bounds = np.array([[float(number) for number in line.split()] for line in lines])
    if words[:1] == ["abc"]:
        return bounds[:, :3], bounds[:, 3], periodic
    xy, xz, yz = bounds[:, 2] if bounds.shape[1] == 3 else (0.0, 0.0, 0.0)
    below, above = overhang(xy, xz, yz)
    low, high = bounds[:, 0] - below, bounds[:, 1] - above
    return restricted(high - low, xy, xz, yz), low, periodic


def overhang(xy: float, xz: float, yz: float) -> tuple[Array, Array]:
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
