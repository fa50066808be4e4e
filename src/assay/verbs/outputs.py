"""What a verb reads and what it writes: nothing that is read is written over, and nothing twice."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence, Set, ValuesView
from pathlib import Path
from typing import Any

import numpy as np

from assay.frames.writing import require_frames_name
from assay.sources.frame_files import FrameFiles
from assay.storage.files import is_stream

SUFFIXES: Mapping[str, Collection[str]] = {
    "gauge": (".gauge",),
    "members": (".npz",),
    "json": (".json",),
    "report": (".html", ".htm"),
    "csv": (".csv",),
    "latex": (".tex",),
    "resume": (".jsonl", ".json"),
}
"""What an output is → the endings of names that say so; names that say nothing are as good."""
FOREIGN = (
    *(".xyz", ".extxyz", ".dump", ".lammpstrj", ".traj", ".cif", ".vasp", ".poscar", ".data", ".pdb", ".db", ".h5"),
    *(".gz", ".bz2", ".xz", ".zip", ".pdf", ".png", ".svg", ".pkl", ".pckl", ".npy", ".asi", ".toml", ".yaml", ".yace"),
)
"""Endings that stand for what Assay doesn't write under a name that the user gives, or for frames alone."""
SAYS_ANOTHER = {ending for endings in SUFFIXES.values() for ending in endings} | {*FOREIGN}

Output = str | Path | None


def require_outputs(*inputs: object, frames: Output = None, own: Collection[Path] = (), **outputs: Output) -> None:
    """Raise where what a verb is to write can't be written, would be something that it reads, or is written twice.

    To be called before anything is computed.

    | argument | meaning |
    |---|---|
    | inputs | all that the verb was given to read: paths, `FrameFiles`, specs, tables, and lists and mappings of \
them; names of files are found in them wherever they stand. Objects are passed by |
    | frames | frames to be written: the name says the format |
    | own | what is written, or taken away, under names that Assay gives |
    | outputs | other files, by what they are: the keys of `SUFFIXES` |

    A device, a pipe or another stream may be named more than once: nothing is lost there.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        a folder that does not exist or can't be written in, or a folder in place of a file
    ValueError
        an output that is also read, under whatever name or link; two outputs that are one file; a name whose ending
        says another format
    """
    given = {kind: Path(path) for kind, path in {"frames": frames, **outputs}.items() if path is not None}
    for kind, path in given.items():
        _require_place(path)
        if not is_stream(path):
            _require_name(kind, path)
        elif kind == "resume":
            raise ValueError(f"{path}: results are kept in a file that can be read again, not in a device or a pipe")
    files = {kind: path for kind, path in given.items() if not is_stream(path)}
    read = [*dict.fromkeys(found for each in inputs for found in _files(each))]
    for path in (*files.values(), *own):
        for other in read:
            if _same(path, other):
                raise ValueError(_refusal(path, other))
    named = list(files.items())
    for at, (kind, path) in enumerate(named):
        for other_kind, other in named[:at]:
            if _same(path, other):
                raise ValueError(f"{path}: both the {other_kind} and the {kind} would be written there; give two files")


def _refusal(path: Path, read: Path) -> str:
    also = "" if str(path) == str(read) else f", as {read}"
    return f"{path}: this file is read{also}, and would be written over. Give another name for the output"


def _require_place(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder, needed the name of a file to write")
    if is_stream(path):
        return
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {parent if path.is_symlink() else path.parent} does not exist")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: no right to write in the folder {parent}")


def _require_name(kind: str, path: Path) -> None:
    if kind == "frames":
        require_frames_name(path)
        return
    ending = path.suffix.lower()
    if ending in SAYS_ANOTHER and ending not in SUFFIXES[kind]:
        raise ValueError(f"{path}: {ending} says another format than what is written there, {_what(kind)}")


def _what(kind: str) -> str:
    endings = " or ".join(SUFFIXES[kind])
    return {"json": "JSON", "csv": "CSV", "latex": "LaTeX", "report": "HTML"}.get(kind, f"a {kind} file") + (
        f" ({endings})"
    )


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, be it by links, or of one that is not there yet."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _files(given: object) -> Iterator[Path]:
    """The files that are named anywhere in what a user gives, and in TOML files among them."""
    left, tables = [given], set[str]()
    while left:
        match left.pop():
            case Path() as path:
                yield path
            case str() as text:
                for part in dict.fromkeys([text, *re.split(r"[:,=@()\"'\s]", text)]):
                    if part and _is_file(part):
                        yield Path(part)
                        if part.endswith(".toml") and part not in tables:
                            tables.add(part)
                            left.append(_table(part))
            case FrameFiles() as files:
                left += [files.paths, files.members]
            case Mapping() as table:
                left += [*table.keys(), *table.values()]
            case np.ndarray() as several:
                left += several.ravel().tolist()
            case Sequence() | Set() | ValuesView() as several if not isinstance(several, bytes):
                left += several


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def _table(path: str) -> dict[str, Any]:
    """What a TOML file of a source says; nothing of one that can't be read (its reader tells)."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
