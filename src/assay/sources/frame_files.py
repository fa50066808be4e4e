"""What several verbs take: frames in files or as objects, with their members, as something to go through again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeAlias

from ase import Atoms

from assay.frames.frame import Frame, FrameError, Frames, LabelKeys, Labelled, Skipped, file_hash
from assay.frames.reading import checked_frames, read_frames, read_structures, require_labels
from assay.sources.features.file import attach_features, is_features_file
from assay.sources.recorded.members_file import attach_members

Paths = str | Path | Sequence[str | Path]
Given: TypeAlias = Paths | Atoms | Frame | Frames | Iterable[Atoms | Frame]
"""What a user gives for frames: files, structures, or both forms of them that Assay itself makes."""

MEMORY = 1 << 28
"""Bytes of frames that are kept between two readings of their files; where there are more, files are parsed anew."""
OBJECT = 1 << 12
"""Bytes of a frame beside its arrays, about."""


@dataclass
class FrameFiles:
    """Frames of one or more files, each with its members or features file where there are any.

    They are parsed once, where they take at most `memory` bytes; else whenever they are gone through.

    | field | meaning |
    |---|---|
    | paths | the frames files |
    | members | the members or features file of each; `None` without |
    | keys, species, labels | as in `assay.frames.reading.read_frames` |
    | skip_bad | leave out frames that can't be used, and list them in `skipped`, instead of raising `FrameError` |
    | memory | bytes of frames that may be kept; 0 for frames that are needed once |

    A verb that takes them fills in what is not given here, as for files that it takes by their paths. Raises
    `ValueError` for another number of members files than of frames files.
    """

    paths: Paths
    members: Paths | None = None
    keys: LabelKeys = LabelKeys()
    species: Sequence[str] | None = None
    labels: Labelled = "needed"
    skip_bad: bool = False
    memory: int = MEMORY
    skipped: Skipped = field(default_factory=list, init=False)
    _kept: tuple[Frame, ...] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        _pairs(listed(self.paths), listed(self.members))

    def __iter__(self) -> Iterator[Frame]:
        yield from self._read() if self._kept is None else map(_copied, self._kept)

    def _read(self) -> Iterator[Frame]:
        """From the files; a reading that gets further than those before says what is skipped."""
        skipped: Skipped = []
        kept: list[Frame] | None = []
        room = self.memory
        left_out = skipped if self.skip_bad else None
        frames = _labelled(self.paths, self.members, self.keys, left_out, self.labels, self.species)
        for frame in require_labels(frames, self.keys) if self.labels == "needed" else frames:
            room -= _size(frame)
            if kept is not None and room >= 0:
                kept.append(_copied(frame))
            else:
                kept = None
            self._note(skipped)
            yield frame
        self._note(skipped)
        self._kept = None if kept is None else tuple(kept)

    def _note(self, skipped: Skipped) -> None:
        if len(skipped) > len(self.skipped):
            self.skipped = [*skipped]

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each frames file."""
        return {str(path): file_hash(path) for path in listed(self.paths)}

    def originals(self, origins: Collection[str]) -> dict[str, Atoms]:
        """The structures of these origins as they stand in the files."""
        return dict(read_structures(listed(self.paths), origins, self.species))


@dataclass(frozen=True)
class FrameObjects:
    """Frames that came as objects, `given` by origin, as `FrameFiles` has those of files."""

    frames: tuple[Frame, ...]
    skipped: Skipped = field(default_factory=list)
    given: dict[str, Atoms] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[Frame]:
        return map(_copied, self.frames)

    @property
    def files(self) -> dict[str, str]:
        """None."""
        return {}

    def originals(self, origins: Collection[str]) -> dict[str, Atoms]:
        """Copies of the structures as they were given."""
        return {origin: atoms.copy() for origin, atoms in self.given.items() if origin in origins}


def frames_of(
    given: Given,
    *,
    members: Paths | None = None,
    keys: LabelKeys | None = None,
    species: Sequence[str] | None = None,
    labels: Labelled = "needed",
    skip_bad: bool = False,
    memory: int = MEMORY,
    name: str = "atoms",
) -> Frames:
    """What a user gives for frames, as frames that can be gone through again and again.

    Files are read when they are gone through; objects are copied and checked at once, a one-shot iterator among them.
    The labels of an `ase.Atoms` are taken as from a file, and its origin is `NAME:INDEX`; a `Frame` has its own. What
    is such frames already is returned as it is, but that `FrameFiles` whose settings are the defaults get those that
    are asked for here. Parameters as in `FrameFiles`; one members file serves all objects.

    Raises
    ------
    FrameError
        objects that can't be used, without `skip_bad`
    TypeError
        neither paths nor structures
    ValueError
        another number of members files than of frames files
    """
    if isinstance(given, FrameFiles):
        return _completed(given, members, keys, species, labels, skip_bad)
    if isinstance(given, FrameObjects) and not members:
        return given
    objects = [given] if isinstance(given, str | Path | Atoms | Frame) else _stored(given)
    paths = [each for each in objects if isinstance(each, str | Path)]
    if len(paths) == len(objects) and paths:
        return FrameFiles(paths, members, keys or LabelKeys(), species, labels, skip_bad, memory)
    structures = [each for each in objects if isinstance(each, Atoms | Frame)]
    if strange := next((each for each in objects if not isinstance(each, Atoms | Frame)), None):
        raise TypeError(f"frames are paths, or ase.Atoms and Frames; among those given is {strange!r}")
    return _objects(structures, listed(members), keys or LabelKeys(), labels, skip_bad, name)


def _completed(
    given: FrameFiles,
    members: Paths | None,
    keys: LabelKeys | None,
    species: Sequence[str] | None,
    labels: Labelled,
    skip_bad: bool,
) -> FrameFiles:
    """These files, with what they leave open."""
    found = replace(
        given,
        members=given.members or members,
        keys=keys if keys and given.keys == LabelKeys() else given.keys,
        species=given.species or species,
        labels=labels if given.labels == "needed" else given.labels,
        skip_bad=given.skip_bad or skip_bad,
    )
    return given if _settings(found) == _settings(given) else found


def _settings(files: FrameFiles) -> dict[str, object]:
    return {each.name: getattr(files, each.name) for each in fields(files) if each.init}


def _stored(given: object) -> list[object]:
    if not isinstance(given, Iterable):
        raise TypeError(f"frames are paths, ase.Atoms, or several of them, not {type(given).__name__}")
    return list(given)


def _objects(
    structures: Sequence[Atoms | Frame],
    members: Sequence[str | Path],
    keys: LabelKeys,
    labels: Labelled,
    skip_bad: bool,
    name: str,
) -> FrameObjects:
    if len(members) > 1:
        raise ValueError(f"{len(members)} members files for frames that are not from files; give one for all")
    skipped: Skipped = []
    left_out = skipped if skip_bad else None
    named = [(each.origin if isinstance(each, Frame) else f"{name}:{i}", each) for i, each in enumerate(structures)]
    if not named:
        raise FrameError("no frames: what was given is empty")
    frames: Iterator[Frame] = checked_frames(named, keys=keys, labels=labels, skipped=left_out)
    for file in members:
        frames = attacher(file)(frames, file, skipped=left_out)
    found = tuple(require_labels(frames, keys) if labels == "needed" else frames)
    given = {origin: each.atoms if isinstance(each, Frame) else each for origin, each in named}
    return FrameObjects(found, skipped, given)


def _copied(frame: Frame) -> Frame:
    """A frame that nobody else holds: functions of users may change what they get."""
    return replace(frame, atoms=frame.atoms.copy())


def _size(frame: Frame) -> int:
    labels = sum(each.nbytes for each in (frame.forces, frame.stress) if each is not None)
    return OBJECT + labels + sum(int(array.nbytes) for array in frame.atoms.arrays.values())


def _labelled(
    paths: Paths,
    members: Paths | None,
    keys: LabelKeys,
    skipped: Skipped | None,
    labels: Labelled = "needed",
    species: Sequence[str] | None = None,
) -> Iterator[Frame]:
    """Frames of one or more files, each with its members or features file where there are any.

    `species` as in `assay.frames.reading.read_frames`.
    """
    files, member_files = listed(paths), listed(members)
    _pairs(files, member_files)
    if not member_files:
        yield from read_frames(files, keys=keys, labels=labels, skipped=skipped, species=species)
    for file, member_file in zip(files, member_files, strict=False):
        frames = read_frames(file, keys=keys, labels=labels, skipped=skipped, species=species)
        yield from attacher(member_file)(frames, member_file, skipped=skipped)


def attacher(file: str | Path) -> Callable[..., Iterator[Frame]]:
    """What puts the rows of a members or features file on frames."""
    return attach_features if is_features_file(file) else attach_members


def _pairs(files: Sequence[str | Path], members: Sequence[str | Path]) -> None:
    if members and len(members) != len(files):
        raise ValueError(f"{len(members)} members files for {len(files)} frames files; give one for each")


def listed(paths: Paths | None) -> tuple[str | Path, ...]:
    if paths is None:
        return ()
    return (paths,) if isinstance(paths, str | Path) else tuple(paths)
