"""Which rows of a file beside the frames belong to which frame: by structure, or by order.

A members file and a features file hold something for F frames and all their A atoms. With content hashes in the file a
frame has the rows of the same structure, wherever they stand; without, rows f belong to the f-th frame of all frames
files together, bad ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.frames.frame import Frame, FrameError, Skipped, content_hash


@dataclass(frozen=True)
class FrameRows:
    """The frames of a file.

    `starts[f]:starts[f + 1]` are the atoms of frame f; `by_hash` maps a content hash to the first f that has it, and is
    `None` for a file without hashes. `what` the file holds, and who writes it with hashes (`writer`), are for messages.
    """

    path: Path
    what: str
    writer: str
    starts: NDArray[np.int64]
    by_hash: Mapping[str, int] | None

    @classmethod
    def of(
        cls, path: Path, what: str, writer: str, natoms: NDArray[np.int64], hashes: Iterable[str] | None
    ) -> FrameRows:
        """From the numbers of atoms `(F,)` and the hashes `(F,)`; raises `FrameError` for impossible numbers."""
        if natoms.dtype.kind not in "iu" or (natoms < 1).any():
            raise FrameError(f"{path}: natoms must be whole numbers above 0")
        return cls(
            path=path,
            what=what,
            writer=writer,
            starts=np.concatenate([[0], np.cumsum(natoms, dtype=np.int64)]),
            by_hash=None,
        ).with_hashes(hashes)

    def with_hashes(self, hashes: Iterable[str] | None) -> FrameRows:
        """The same with the hashes `(F,)`, of which the first of equal ones counts."""
        found = None if hashes is None else {h: f for f, h in reversed([*enumerate(map(str, hashes))])}
        return replace(self, by_hash=found)

    @property
    def frames(self) -> int:
        return len(self.starts) - 1

    @property
    def advice(self) -> str:
        return (
            f"Give the frames file that the {self.what} were computed for, or a {self.what} file with hashes "
            f"({self.writer})"
        )

    def atoms(self, row: int) -> slice:
        """The atoms of frame `row` of the file."""
        return slice(int(self.starts[row]), int(self.starts[row + 1]))

    def check(self, frame: Frame, row: int) -> None:
        """Raise `FrameError` where the file ends before `row`, or has another number of atoms there."""
        place = _place(frame.origin)
        if row >= self.frames:
            raise FrameError(f"{place}: {self.path} has {self.what} of {self.frames} frames only. {self.advice}")
        natoms = self.starts[row + 1] - self.starts[row]
        if natoms != len(frame.atoms):
            raise FrameError(
                f"{place}: {len(frame.atoms)} atoms, but {self.what} of {natoms} atoms in {self.path}, frame {row}. "
                f"{self.advice}"
            )


def attach(
    frames: Iterable[Frame], rows: FrameRows, put: Callable[[Atoms, int], Atoms], skipped: Skipped | None
) -> Iterator[Frame]:
    """Stream frames as `put(atoms, row)` makes them, which raises `FrameError` where its row can't be used.

    Such frames are skipped, and so are those of a structure that a file with hashes does not have. Frames and a file
    that do not belong together raise.
    """
    counts: dict[str, int] = {}
    counted = len(skipped or ())
    for frame in frames:
        if rows.by_hash is None:
            counted = _count(counts, skipped, counted)
            row = _row(counts, frame.origin)
        else:
            row = rows.by_hash.get(content_hash(frame.atoms), -1)
        if row >= 0:
            rows.check(frame, row)
        try:
            if row < 0:
                raise FrameError(f"none of the {rows.frames} frames in {rows.path} has this structure")
            atoms = put(frame.atoms, row)
        except FrameError as error:
            reason = f"{_place(frame.origin)}: {error}"
            if skipped is None:
                raise FrameError(reason) from error
            skipped.append((frame.origin, reason))
            continue
        yield replace(frame, atoms=atoms)
    if rows.by_hash is None:
        _count(counts, skipped, counted)
        _same_frames(counts, rows, skipped or [])


def _count(counts: dict[str, int], skipped: Skipped | None, counted: int) -> int:
    """Count the frames skipped beyond the first `counted`."""
    for origin, _ in (skipped or [])[counted:]:
        _row(counts, origin)
    return len(skipped or ())


def _row(counts: dict[str, int], origin: str) -> int:
    """The place of a frame among those of all files; `counts` holds the frames of each file so far, in file order."""
    file, _, index = origin.rpartition(":")
    if not index.isdecimal():
        raise FrameError(
            f"frame {origin!r}: a file without hashes is matched by order, for which the origin must be FILE:INDEX"
        )
    counts[file] = max(counts.get(file, 0), int(index) + 1)
    files = list(counts)
    return sum(counts[f] for f in files[: files.index(file)]) + int(index)


def _same_frames(counts: Mapping[str, int], rows: FrameRows, skipped: Skipped) -> None:
    frames = sum(counts.values())
    last = {f"{file}:{count - 1}" for file, count in counts.items()}
    cut_off = len(counts) == 1 and any(origin in last for origin, _ in skipped)
    if frames > rows.frames or (frames < rows.frames and not cut_off):
        raise FrameError(
            f"{rows.path} has {rows.what} of {rows.frames} frames, but {', '.join(counts) or 'no file'} has {frames} "
            f"frames. {rows.advice}"
        )


def _place(origin: str) -> str:
    file, _, index = origin.rpartition(":")
    return f"{file}, frame {index}"
