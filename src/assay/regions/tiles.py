"""A large frame cut into blocks: some of its atoms, and every atom or periodic image within a halo around them.

What depends on neighbours within the halo is the same for the core atoms of a block as in the whole frame, and no more
than a block is in memory. Blocks halve the atoms, not the volume: surfaces, voids and any density give equal blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from numpy.typing import NDArray

from assay.results.arrays import Array

MARGIN = 1e-6
"""Å added to a halo: an atom exactly at its border is inside, whatever rounding says."""


@dataclass(frozen=True)
class Block:
    """N atoms without periodicity: the core first, then its halo.

    | field | meaning | shape |
    |---|---|---|
    | atoms | species and positions | `(N,)` |
    | index | which atom of the frame each one is (an image of) | `(N,)` |
    | core | how many of them are the core | |
    """

    atoms: Atoms
    index: NDArray[np.int64]
    core: int


def blocks(atoms: Atoms, most: int, halo: float) -> Iterator[Block]:
    """Every atom of a frame in the core of one block, with all that is within `halo` (Å) of it.

    Parameters
    ----------
    atoms
        any cell, periodic along any of its vectors; a cell may be smaller than the halo
    most
        atoms in a core; the blocks are as few as that allows and as equal as they can be
    halo
        Å

    Raises
    ------
    ValueError
        `most` is not positive
    """
    if most < 1:
        raise ValueError(f"a block needs at least one atom, got {most}")
    box = complete_cell(atoms.cell.array * atoms.pbc[:, None])  # free directions: unit vectors across the others
    faces = np.cross(box[[1, 2, 0]], box[[2, 0, 1]])
    widths = np.abs(np.linalg.det(box)) / np.linalg.norm(faces, axis=1)
    reach = (halo + MARGIN) / widths
    fractional = np.linalg.solve(box.T, atoms.positions.T).T
    turns = np.floor(fractional) * atoms.pbc
    whole = _Points(np.arange(len(atoms)), fractional - turns, atoms.positions - turns @ box)
    images = _images(whole, box, np.ceil(reach).astype(int) * atoms.pbc, reach)
    for core, around in _halves(whole, images, -(-len(atoms) // most), reach, widths):
        both = core + around
        yield Block(Atoms(numbers=atoms.numbers[both.index], positions=both.position), both.index, len(core.index))


@dataclass(frozen=True)
class _Points:
    """Atoms and images: index in the frame `(N,)`, coordinates along the box vectors and in Å, `(N, 3)`."""

    index: NDArray[np.int64]
    fractional: Array
    position: Array

    def __getitem__(self, chosen: NDArray[np.bool_ | np.intp]) -> _Points:
        return _Points(self.index[chosen], self.fractional[chosen], self.position[chosen])

    def __add__(self, other: _Points) -> _Points:
        return _Points(
            np.concatenate([self.index, other.index]),
            np.concatenate([self.fractional, other.fractional]),
            np.concatenate([self.position, other.position]),
        )

    def near(self, core: _Points, reach: Array) -> NDArray[np.bool_]:
        """Which are within `reach` (in box vectors) of the box around `core`, `(N,)`."""
        inside = np.ones(len(self.index), dtype=bool)
        for here, theirs, far in zip(self.fractional.T, core.fractional.T, reach, strict=True):
            inside &= (here >= theirs.min() - far) & (here <= theirs.max() + far)
        return inside


def _images(whole: _Points, box: Array, most: NDArray[np.int64], reach: Array) -> _Points:
    """Images, shifted by up to `most` box vectors, that are within reach of the atoms themselves."""
    found = whole[np.zeros(0, dtype=np.intp)]
    for shift in product(*(range(-n, n + 1) for n in most)):
        if any(shift):
            moved = _Points(whole.index, whole.fractional + shift, whole.position)
            near = moved.near(whole, reach)
            if near.any():
                image = moved[near]
                found += _Points(image.index, image.fractional, image.position + np.array(shift) @ box)
    return found


def _halves(
    core: _Points, around: _Points, parts: int, reach: Array, widths: Array
) -> Iterator[tuple[_Points, _Points]]:
    """The core halved across its longest side until there are `parts` of it, each with what is around it."""
    if parts == 1:
        yield core, around
        return
    side = int(np.argmax(np.ptp(core.fractional, axis=0) * widths))
    cut = len(core.index) * (parts // 2) // parts
    order = np.argpartition(core.fractional[:, side], cut)
    for mine, theirs, n in ((order[:cut], order[cut:], parts // 2), (order[cut:], order[:cut], parts - parts // 2)):
        half, rest = core[np.sort(mine)], core[theirs] + around
        yield from _halves(half, rest[rest.near(half, reach)], n, reach, widths)


def surroundings(atoms: Atoms, centre: int, radius: float) -> tuple[Atoms, NDArray[np.int64]]:
    """The atoms, or their nearest images, within `radius` (Å) of an atom, it first, and their places in the frame.

    `radius` is to be less than half the width of the cell.
    """
    box = complete_cell(atoms.cell.array * atoms.pbc[:, None])
    away = np.linalg.solve(box.T, (atoms.positions - atoms.positions[centre]).T).T
    away = (away - np.round(away) * atoms.pbc) @ box
    distance = np.linalg.norm(away, axis=1)
    near = np.flatnonzero(distance <= radius)
    index = near[np.argsort(distance[near], kind="stable")]
    return Atoms(numbers=atoms.numbers[index], positions=away[index]), index
