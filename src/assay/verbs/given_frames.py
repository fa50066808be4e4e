"""Frames as a user gives them: files, or structures in memory; either way they can be iterated again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ase import Atoms

from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped
from assay.frames.reading import _frame
from assay.sources.frame_files import Paths, labelled

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Stored: TypeAlias = Paths | Sequence[Atoms | Frame]
Given: TypeAlias = Paths | Atoms | Iterable[Atoms | Frame]


@dataclass
class LabelledFiles:
    """Labelled frames of files with their members files, read anew each time; `skipped`: the last time."""

    paths: Paths
    members: Paths | None
    keys: LabelKeys
    skip_bad: bool
    skipped: Skipped = field(default_factory=list)

    def __iter__(self) -> Iterator[Frame]:
        self.skipped = []
        return labelled(self.paths, self.members, self.keys, self.skipped if self.skip_bad else None)


@dataclass(frozen=True)
class StoredFrames:
    """Labelled frames in memory, and those that could not be used: (origin, reason)."""

    frames: tuple[Frame, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


def stored(given: Given) -> Stored:
    """Paths, or structures that can be iterated again and again: what can be iterated once is kept."""
    if isinstance(given, Atoms):
        return (given,)
    return given if isinstance(given, str | Path | list | tuple) else tuple(given)


def are_paths(given: Stored) -> TypeIs[Paths]:
    """Whether these are paths of files, and not structures."""
    return isinstance(given, str | Path) or all(isinstance(each, str | Path) for each in given)


def given_frames(given: Stored, members: Paths | None, keys: LabelKeys, skip_bad: bool, name: str) -> Iterable[Frame]:
    """Labelled frames of files, or of structures, which have their place in the set `name` as origin.

    Raises `FrameError` for a structure that can't be used, without `skip_bad`; `ValueError` for members files of
    structures that are in no file.
    """
    if are_paths(given):
        return LabelledFiles(given, members, keys, skip_bad)
    if members is not None:
        raise ValueError(f"members files belong to frames in files; those of {name} are structures in memory")
    frames, skipped = [], []
    for index, each in enumerate(given):
        try:
            frames.append(_labelled(each, f"{name}:{index}", keys))
        except FrameError as error:
            if not skip_bad:
                raise
            skipped.append((f"{name}:{index}", str(error)))
    return StoredFrames(tuple(frames), tuple(skipped))


def _labelled(given: object, origin: str, keys: LabelKeys) -> Frame:
    if isinstance(given, Atoms):
        return _frame(given, origin, keys, "needed")
    if not isinstance(given, Frame):
        raise TypeError(f"{origin}: {type(given).__name__}, needed ase.Atoms, an assay.Frame or paths of files")
    if given.energy is None or given.forces is None:
        raise FrameError(f"{given.origin}: a frame without energy or forces; both are needed")
    return given
