"""LAMMPS data files: the box, the masses and the atoms of one frame, at any number of atoms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.frames.formats.lammps_dump import columns_of, restricted
from assay.frames.formats.lammps_types import ADVICE, numbers_of_masses, numbers_of_types
from assay.frames.formats.lines import Lines, text_lines
from assay.storage.bounds import OPENERS

SUFFIXES = (".data", ".lmp", ".lammps-data")
STYLES: Mapping[str, tuple[str, ...]] = {
    "atomic": ("id", "type"),
    "charge": ("id", "type", "q"),
    **dict.fromkeys(("bond", "angle", "molecular"), ("id", "molecule", "type")),
    "full": ("id", "molecule", "type", "q"),
}
"""Columns before x y z."""
BY_COLUMNS = {5: "atomic", 8: "atomic", 7: "full", 10: "full"}
"""The style where the file does not name it; three columns more where there are image flags."""


def is_data(path: Path) -> bool:
    """Whether the name is that of a data file, compressed or not: `.data`, `.lmp`, or `data.NAME`."""
    name = path.with_suffix("") if path.suffix in OPENERS else path
    return name.suffix in SUFFIXES or name.name.startswith("data.")


def read_data(path: Path, species: Sequence[str] | None = None) -> Atoms:
    """The frame of a data file, atoms by rising id, with arrays `id` and `type`; periodic along all box vectors.

    Species are `species` in the order of the types, else the type labels, else the elements of the masses. Boundary
    conditions are not in a data file.

    Raises `ValueError` for a file cut short, an atom style that is not known, types without species.
    """
    with text_lines(path) as lines:
        return _Reader(lines).atoms(species)


class _Reader:
    """Goes through the file once and keeps what it meets."""

    def __init__(self, file: Lines) -> None:
        self._file = file
        self._counts = {"atoms": 0, "atom types": 0}
        self._bounds: dict[str, tuple[float, ...]] = {}
        self._labels: dict[int, str] = {}
        self._masses: dict[int, float] = {}
        self._table: NDArray[np.void] | None = None
        file.read()  # a title
        while (self._table is None or not (self._masses or self._labels)) and (line := file.read()):
            self._line(line)

    def _line(self, line: str) -> None:
        text, _, comment = (part.strip() for part in line.partition("#"))
        words = text.split()
        if not words:
            return
        if text == "Atom Type Labels":
            self._labels = {int(row[0]): row[1] for row in self._rows(self._counts["atom types"])}
        elif text == "Masses":
            masses = {row[0]: float(row[1]) for row in self._rows(self._counts["atom types"])}
            self._masses = {self._type(name): mass for name, mass in masses.items()}
        elif text == "Atoms":
            self._table = self._atoms(comment)
        elif (name := " ".join(words[1:])) in self._counts:
            self._counts[name] = int(words[0])
        else:
            for name in ("xlo xhi", "ylo yhi", "zlo zhi", "xy xz yz", "avec", "bvec", "cvec", "abc origin"):
                if text.endswith(f" {name}"):
                    self._bounds[name] = tuple(float(word) for word in words[: -len(name.split())])

    def _rows(self, count: int) -> list[list[str]]:
        rows: list[list[str]] = []
        while len(rows) < count and (line := self._file.read()):
            if words := line.partition("#")[0].split():
                rows.append(words)
        return rows

    def _type(self, name: str) -> int:
        return next((number for number, label in self._labels.items() if label == name), None) or int(name)

    def _atoms(self, style: str) -> NDArray[np.void]:
        first = self._file.read()
        while first and not first.partition("#")[0].strip():
            first = self._file.read()
        columns = len(first.partition("#")[0].split())
        style = style.split()[0] if style else BY_COLUMNS.get(columns, "")
        if style not in STYLES:
            raise ValueError(
                f"atom style {style or f'of {columns} columns'!r}; needed a line 'Atoms # STYLE' with one of "
                f"{', '.join(STYLES)}"
            )
        names = [*STYLES[style], "x", "y", "z"]
        lines = self._without_labels(chain([first], self._file), names.index("type"))
        return columns_of(lines, names, self._counts["atoms"], comments="#")

    def _without_labels(self, lines: Iterator[str], column: int) -> Iterator[str]:
        """Lines with numbers of types where labels may stand."""
        if not self._labels:
            return lines
        numbers = {label: str(number) for number, label in self._labels.items()}
        rows = ((line.split(), line[len(line.rstrip()) :]) for line in lines)
        return (
            " ".join([*row[:column], *(numbers.get(word, word) for word in row[column:])]) + end for row, end in rows
        )

    def atoms(self, species: Sequence[str] | None) -> Atoms:
        if self._table is None or not self._counts["atoms"]:
            raise ValueError("not a LAMMPS data file with atoms: needed a line 'N atoms' and a section Atoms")
        table = self._table[np.argsort(self._table["id"], kind="stable")]
        box, origin = self._box()
        atoms = Atoms(
            numbers=self._numbers(table["type"], species),
            positions=np.stack([table[axis] for axis in "xyz"], axis=1),
            cell=box,
            pbc=True,
            celldisp=origin,
        )
        for name in ("id", "type"):
            atoms.set_array(name, np.ascontiguousarray(table[name]))
        return atoms

    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = self._bounds
        if {"avec", "bvec", "cvec"} <= found.keys():
            return np.array([found["avec"], found["bvec"], found["cvec"]]), np.array(found.get("abc origin", (0,) * 3))
        if lacking := [name for name in ("xlo xhi", "ylo yhi", "zlo zhi") if name not in found]:
            raise ValueError(f"no box: needed a line with {', '.join(lacking)}")
        low, high = np.array([found["xlo xhi"], found["ylo yhi"], found["zlo zhi"]]).T
        return restricted(high - low, *found.get("xy xz yz", (0.0, 0.0, 0.0))), low

    def _numbers(self, types: NDArray[np.int64], species: Sequence[str] | None) -> NDArray[np.int64]:
        if species is not None:
            return numbers_of_types(types, species)
        if self._labels:
            return numbers_of_types(types, self._labels)
        if not self._masses:
            raise ValueError(f"no section Masses or Atom Type Labels says what the atoms are. {ADVICE}")
        present, where = np.unique(types, return_inverse=True)
        if lacking := [each for each in present.tolist() if each not in self._masses]:
            raise ValueError(f"no mass of atom type {lacking[0]}. {ADVICE}")
        return numbers_of_masses(np.array([self._masses[each] for each in present.tolist()]))[where]
