"""What several verbs take: files of frames with their members, and who is told of progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.frames.frame import Frame, LabelKeys, Labelled, Skipped
from assay.frames.reading import read_frames
from assay.sources.features.file import attach_features, is_features_file
from assay.sources.recorded.members_file import attach_members

Paths = str | Path | Sequence[str | Path]


def labelled(
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
    if member_files and len(member_files) != len(files):
        raise ValueError(f"{len(member_files)} members files for {len(files)} frames files; give one for each")
    if not member_files:
        yield from read_frames(files, keys=keys, labels=labels, skipped=skipped, species=species)
    for file, member_file in zip(files, member_files, strict=False):
        frames = read_frames(file, keys=keys, labels=labels, skipped=skipped, species=species)
        attach = attach_features if is_features_file(member_file) else attach_members
        yield from attach(frames, member_file, skipped=skipped)


def listed(paths: Paths | None) -> tuple[str | Path, ...]:
    if paths is None:
        return ()
    return (paths,) if isinstance(paths, str | Path) else tuple(paths)
