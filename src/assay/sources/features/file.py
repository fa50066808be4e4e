"""Features computed elsewhere: in an `.npz` file, or in a column of the frames.

A features file of F frames and their A atoms in all has

| key | meaning | shape |
|---|---|---|
| features | a row of D features for each atom | `(A, D)` |
| natoms | atoms of each frame | `(F,)` |
| hashes | optional; `assay.frames.frame.content_hash` of each frame | `(F,)` |

With hashes a frame finds its rows by its structure, so that one file serves for all frames; without, rows and frames
go by order (`attach_features`). Rows are read from disk as they are needed.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.lib import format as npy
from numpy.typing import NDArray

from assay.frames.frame import ATTACHED, Frame, FrameError, Skipped, content_hash
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.recorded.attached import FrameRows, attach
from assay.sources.settings import Kinds, checked_settings
from assay.storage.files import write_atomically
from assay.storage.npz import Npz, opened_npz

_KINDS: Kinds = {
    **dict.fromkeys(("file", "array"), (str, False)),
    "cutoff": (int | float, False),
    "columns": (int, False),
}


@dataclass(frozen=True)
class Features:
    """Recorded features as a source: no predictions.

    | field | meaning |
    |---|---|
    | file | features file with hashes, for frames that carry no features; `""` without. A gauge names it and does not \
hold it; relative paths are those of the process |
    | array | the array of a frame that is its features, `(A,)` or `(A, D)`; `""` without |
    | cutoff | how far an atom's features reach, Å; `None` where that is not known |
    | columns | D; `None` for any |
    """

    kind: ClassVar[str] = "features"

    file: str = ""
    array: str = ""
    cutoff: float | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if self.file and self.array:
            raise ValueError(f"features: either a file or array=KEY, got {self.file!r} and {self.array!r}")

    @property
    def label(self) -> str:
        return f"recorded features, D = {self.columns}" + (
            f", {self.array or self.file}" if self.array or self.file else ""
        )

    def predict(self, frame: Atoms) -> Prediction:
        """The `(A, D)` features of a frame, attached ones first.

        Raises `FrameError` for a frame without, or with features of another shape.
        """
        key = ATTACHED if ATTACHED in frame.arrays else self.array
        if key in frame.arrays:
            rows = frame.arrays[key]
        elif self.array:
            raise FrameError(f"no array {self.array!r} for its features; the frame has {', '.join(frame.arrays)}")
        elif self.file:
            table = _table(self.file)
            if table.rows.by_hash is None:
                raise FrameError(f"{self.file} has no hashes to find this frame by. {table.rows.advice}")
            row = table.rows.by_hash.get(content_hash(frame), -1)
            if row < 0:
                raise FrameError(f"none of the {table.rows.frames} frames in {self.file} has this structure. {_GIVE}")
            rows = table.features[table.rows.atoms(row)]
        else:
            raise FrameError(f"no features of this frame. {_GIVE}")
        return Prediction(features=checked_features(rows, len(frame), self.columns))

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """`(A, D)`, or of the `first` atoms; raises as `predict`."""
        features = self.predict(frame).features
        assert features is not None
        return features[:first]

    def for_species(self, species: Sequence[str]) -> Features:
        """The same: features are recorded whatever the species."""
        return self

    def with_columns(self, columns: int) -> Features:
        """For D features alone."""
        return replace(self, columns=columns)

    def detached(self) -> tuple[str, Features]:
        """The file where it has no hashes, and the source without it; raises `FrameError` if it can't be used."""
        by_order = bool(self.file) and _table(self.file).rows.by_hash is None
        return (self.file, replace(self, file="")) if by_order else ("", self)

    def is_read(self, frame: Atoms) -> bool:
        """Always."""
        return True

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def short_setting(word: str, settings: dict[str, Any]) -> bool:
        """Take in the word of a short spec that is the file."""
        if "=" in word or "file" in settings:
            return False
        settings["file"] = word
        return True

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Features:
        """Raises `ValueError` for an unknown name or another type."""
        return cls(**checked_settings(cls.kind, _KINDS, settings))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Features:
        return cls.from_settings(state)


_GIVE = "Give a features file of these frames (--members; for assay build, --train-members and --heldout-members)"


def checked_features(features: Any, natoms: int, columns: int | None) -> NDArray[np.float64]:
    """A copy as `(A, D)`; one number per atom is a column. Raises `FrameError` for another shape or not numbers."""
    array = np.asarray(features)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != natoms or array.dtype.kind not in "fiu":
        raise FrameError(f"features of shape {np.shape(features)} and type {array.dtype}, needed numbers ({natoms}, D)")
    if columns is not None and array.shape[1] != columns:
        raise FrameError(f"{array.shape[1]} features per atom, but {columns} in the training frames")
    return np.array(array, dtype=np.float64)


@dataclass(frozen=True)
class _Table:
    """A features file: which rows belong to which frame, and the rows `(A, D)` on disk."""

    rows: FrameRows
    features: NDArray[Any]


def attach_features(frames: Iterable[Frame], path: str | Path, *, skipped: Skipped | None = None) -> Iterator[Frame]:
    """Stream frames with their features of a file put on them; matching as `members_file.attach_members` does.

    Raises `FrameError` for a file that can't be used or is of other frames.
    """
    table = _table(path)

    def put(atoms: Atoms, row: int) -> Atoms:
        atoms = atoms.copy()
        atoms.set_array(ATTACHED, np.array(table.features[table.rows.atoms(row)]))
        return atoms

    yield from attach(frames, table.rows, put, skipped)


def is_features_file(path: str | Path) -> bool:
    """Whether this is an `.npz` with features, not with members."""
    try:
        with opened_npz(path) as file:
            return "features" in file.files
    except (OSError, ValueError):
        return False


def _table(path: str | Path) -> _Table:
    path = Path(path)
    if not path.is_file():
        raise FrameError(f"{path}: no such file")
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, *_changed: int) -> _Table:
    """The file as it is now; read once in a process."""
    try:
        with opened_npz(path) as file:
            return _rows(path, file)
    except FrameError:
        raise
    except (OSError, ValueError) as error:
        raise FrameError(f"{path}: not a features file (.npz without pickled objects): {error}") from error


def _rows(path: Path, file: Npz) -> _Table:
    """What is there, once the shapes fit together."""
    if lacking := [key for key in ("features", "natoms") if key not in file.files]:
        raise FrameError(f"{path}: no {', '.join(lacking)} in this features file; it has {', '.join(file.files)}")
    of_features, of_hashes = file.header("features"), file.header("hashes") if "hashes" in file.files else None
    natoms = file["natoms"].ravel()
    if of_hashes is not None and (of_hashes.shape != natoms.shape or of_hashes.dtype.kind not in "US"):
        raise FrameError(f"{path}: {of_hashes.shape} hashes of type {of_hashes.dtype}, needed {natoms.shape} texts")
    rows = FrameRows.of(path, "features", "write_features", natoms, None)
    shape, kind = of_features.shape, of_features.dtype.kind
    if len(shape) != 2 or shape[0] != rows.starts[-1] or kind not in "fiu":
        raise FrameError(
            f"{path}: features have shape {shape} and type {of_features.dtype}, needed numbers "
            f"({rows.starts[-1]}, D), for natoms says {rows.frames} frames of {rows.starts[-1]} atoms in all"
        )
    return _Table(rows.with_hashes(None if of_hashes is None else file["hashes"]), file.mapped("features"))


def write_features(path: str | Path, frames: Iterable[Atoms], features: Iterable[NDArray[Any]]) -> None:
    """Write a features file with hashes, whole or not at all; frames stream, and none stays in memory.

    | argument | meaning |
    |---|---|
    | frames | F structures |
    | features | for each its `(A, D)` features; the type of the first (float32, float64) is that of all |

    Raises `ValueError` for features of another shape.
    """
    natoms: list[int] = []
    hashes: list[str] = []
    columns, dtype = 0, np.dtype(np.float64)
    with TemporaryFile(dir=Path(path).parent) as rows:
        for atoms, given in zip(frames, features, strict=True):
            array = np.asarray(given)
            if not natoms and array.ndim == 2:
                columns, dtype = array.shape[1], array.dtype if array.dtype.kind == "f" else dtype
            if array.shape != (len(atoms), columns):
                needed = f"({len(atoms)}, {columns or 'D'})"
                raise ValueError(f"{path}, frame {len(natoms)}: features of shape {array.shape}, needed {needed}")
            natoms.append(len(atoms))
            hashes.append(content_hash(atoms))
            rows.write(array.astype(dtype).tobytes())
        if not natoms:
            raise ValueError(f"{path}: no frames to write features of")

        def write(file: IO[bytes]) -> None:
            with zipfile.ZipFile(file, "w") as archive:
                with archive.open("features.npy", "w", force_zip64=True) as member:
                    shape = (sum(natoms), columns)
                    descr = npy.dtype_to_descr(dtype)
                    npy.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})
                    rows.seek(0)
                    shutil.copyfileobj(rows, member, 1 << 20)
                for name, column in (("natoms", np.array(natoms)), ("hashes", np.array(hashes))):
                    with archive.open(f"{name}.npy", "w") as member:
                        npy.write_array(member, column, allow_pickle=False)

        write_atomically(path, write)
