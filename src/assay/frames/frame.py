"""One structure with its labels, and what names them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from ase import Atoms

from assay.results.arrays import Array


class FrameError(ValueError):
    """A frame (or file) that can't be used: says which file, frame and atom, what came and what was needed."""


@dataclass(frozen=True)
class LabelKeys:
    """Where labels are found: a key of `info` (energy in eV, stress in eV/Å³) or `arrays` (forces in eV/Å).

    A calculator's own results count when asked for by their ASE names (`energy`, `forces`, `stress`).
    The key `none` means: ignore this label.
    """

    energy: str = "REF_energy"
    forces: str = "REF_forces"
    stress: str = "REF_stress"


ATTACHED = "attached_features"
"""The array in which a frame carries the features of a file beside it; it is not written out."""
UNLABELLED = LabelKeys("none", "none", "none")
"""Where labels play no part, and bad ones do no harm."""


@dataclass(frozen=True)
class Frame:
    """One structure with its origin and labels.

    | field | meaning | shape, unit |
    |---|---|---|
    | atoms | the structure, without calculator | |
    | origin | `file:index` | |
    | config_type | `info["config_type"]`, `""` if absent | |
    | energy, forces, stress | labels, `None` where absent | eV; `(A, 3)` eV/Å; `(6,)` eV/Å³ |
    """

    atoms: Atoms
    origin: str
    config_type: str = ""
    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None


Labelled = Literal["needed", "both", "if present"]
"""Which labels a frame must have: any of energy, forces and stress; both energy and forces; or none."""


Skipped = list[tuple[str, str]]


class Frames(Protocol):
    """Frames that can be gone through again and again."""

    def __iter__(self) -> Iterator[Frame]: ...

    @property
    def skipped(self) -> Skipped:
        """`(origin, reason)` of what was left out so far, once however often the frames were gone through."""

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file that they are in; none for frames that came as objects."""

    def originals(self, origins: Collection[str]) -> dict[str, Atoms]:
        """The structures of these origins as they were given, with all that they have."""


def content_hash(atoms: Atoms) -> str:
    """16 hex digits that are equal for equal species, periodicity, cell and positions (to 1e-6 Å)."""
    digest = hashlib.sha256()
    digest.update(np.asarray(atoms.numbers, dtype="<i8").tobytes())
    digest.update(np.asarray(atoms.pbc, dtype=bool).tobytes())
    for array in (atoms.cell.array, atoms.positions):
        # First to the 8 decimals of extended XYZ, so that writing and reading a frame does not change its hash.
        digest.update((np.round(np.round(array, 8), 6) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chunks(frames: Iterable[Frame], atoms: int = 256) -> Iterator[list[Frame]]:
    """Consecutive frames in lists of at most about `atoms` atoms (a single larger frame is a list of its own)."""
    chunk: list[Frame] = []
    size = 0
    for frame in frames:
        if chunk and size + len(frame.atoms) > atoms:
            yield chunk
            chunk, size = [], 0
        chunk.append(frame)
        size += len(frame.atoms)
    if chunk:
        yield chunk
