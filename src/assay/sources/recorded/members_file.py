"""Members files: predictions of M models for the frames of a file, in an `.npz` beside it.

A members file of M models, F frames and their A atoms in all has

| key | meaning | shape |
|---|---|---|
| models | names | `(M,)` |
| natoms | atoms of each frame | `(F,)` |
| energy, forces | eV, eV/Å | `(M, F)`, `(M, A, 3)` |
| stress | optional; Voigt xx yy zz yz xz xy, eV/Å³; NaN where a model has none for a frame | `(M, F, 6)` |
| hash | optional; `assay.frames.frame.content_hash` of each frame | `(F,)` |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import Frame, FrameError, Skipped, content_hash
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.recorded.attached import FrameRows, attach
from assay.sources.recorded.recorded import Recorded
from assay.storage.files import write_atomically
from assay.storage.npz import Npz, opened_npz


@dataclass(frozen=True)
class MembersFile:
    """A members file in memory."""

    rows: FrameRows
    models: tuple[str, ...]
    energy: Array
    forces: Array
    stress: Array | None

    @classmethod
    def read(cls, path: str | Path) -> MembersFile:
        """Raises `FrameError` for a file that can't be used."""
        return _read(Path(path))

    def row(self, frame: Frame, index: int) -> int:
        """Where a frame is: by its structure, or without hashes the `index`-th; raises `FrameError` if it is not."""
        row = index if self.rows.by_hash is None else self.rows.by_hash.get(content_hash(frame.atoms), -1)
        if row < 0:
            raise FrameError(f"{frame.origin}: none of the {self.rows.frames} frames in {self.rows.path} is this one")
        self.rows.check(frame, row)
        return row


def member_models(path: str | Path) -> tuple[str, ...]:
    """The names of the models in a members file; raises `FrameError` if it can't be used."""
    return MembersFile.read(path).models


def attach_members(frames: Iterable[Frame], path: str | Path, *, skipped: Skipped | None = None) -> Iterator[Frame]:
    """Stream frames with their members of a file put on them, under the keys that `Recorded` reads.

    With hashes in the file, a frame gets the members of the same structure, wherever they stand. Without, members f
    belong to the f-th frame of all frames files together, bad ones included: the index in `Frame.origin` counts. So
    put it right behind the reader, with the same list of skipped frames, and choose among frames after it:

        attach_members(read_frames(paths, skipped=skipped), "members.npz", skipped=skipped)

    The members file is in memory as a whole.

    | argument | meaning |
    |---|---|
    | frames | what the reader yields |
    | path | the members file |
    | skipped | what the reader left out; gets `(origin, reason)` of frames whose members are lacking or not finite \
as well, which raise without it |

    Raises
    ------
    FrameError
        a members file that can't be used, or that is of other frames: another number of atoms, or (told at the end
        of `frames`) of frames. Where a single frames file ends with a bad frame, it may have been cut off there, and
        members of more frames are no error
    """
    members = MembersFile.read(path)
    source = Recorded(members.models)

    def put(atoms: Atoms, row: int) -> Atoms:
        attached = _attached(atoms, members, row)
        source.predict(attached)  # raises FrameError for members that are not finite
        return attached

    yield from attach(frames, members.rows, put, skipped)


def _attached(atoms: Atoms, members: MembersFile, row: int) -> Atoms:
    atoms, here = atoms.copy(), members.rows.atoms(row)
    for m, model in enumerate(members.models):
        atoms.info[f"{model}_energy"] = float(members.energy[m, row])
        atoms.set_array(f"{model}_forces", np.asarray(members.forces[m, here], dtype=np.float64))
        atoms.info.pop(f"{model}_stress", None)
        if members.stress is not None:
            atoms.info[f"{model}_stress"] = np.asarray(members.stress[m, row], dtype=np.float64)
    return atoms


def _read(path: Path) -> MembersFile:
    if not path.is_file():
        raise FrameError(f"{path}: no such file")
    try:
        with opened_npz(path) as file:
            return _members(path, file)
    except FrameError:
        raise
    except (OSError, ValueError) as error:
        raise FrameError(f"{path}: not a members file (.npz without pickled objects): {error}") from error


def _members(path: Path, file: Npz) -> MembersFile:
    """What is there, once the shapes fit together."""
    if lacking := [key for key in ("models", "natoms", "energy", "forces") if key not in file.files]:
        raise FrameError(f"{path}: no {', '.join(lacking)} in this members file; it has {', '.join(file.files)}")
    has = {key: file.header(key) for key in ("energy", "forces", "stress", "hash") if key in file.files}
    models = tuple(map(str, file["models"].ravel()))
    rows = FrameRows.of(path, "members", "write_members", file["natoms"].ravel(), None)
    m, f, a = len(models), rows.frames, int(rows.starts[-1])
    shapes = {"energy": (m, f), "forces": (m, a, 3), "stress": (m, f, 6), "hash": (f,)}
    for key, header in has.items():
        if header.shape != shapes[key]:
            raise FrameError(
                f"{path}: {key} has shape {header.shape}, needed {shapes[key]} ({m} models, {f} frames, {a} atoms)"
            )
        if header.dtype.kind not in ("US" if key == "hash" else "fiu"):
            raise FrameError(f"{path}: {key} is of type {header.dtype}")
    if len(set(models)) < m or m == 0:
        raise FrameError(f"{path}: needs one model or more, of different names, got {', '.join(models)}")
    stress = file["stress"] if "stress" in has else None
    if "hash" in has:
        rows = rows.with_hashes(map(str, file["hash"]))
    return MembersFile(rows, models, file["energy"], file["forces"], stress)


def write_members(
    path: str | Path, models: Sequence[str], frames: Iterable[Atoms], evaluations: Iterable[Prediction]
) -> None:
    """Write a members file with hashes, whole or not at all; stress is NaN where an evaluation has none.

    | argument | meaning |
    |---|---|
    | models | names of the M members |
    | frames, evaluations | F structures and what a source with members says about them |

    Raises `ValueError` for an evaluation without members, or of other than M.
    """
    natoms: list[int] = []
    hashes, energy, forces, stress = [], [], [], []
    for atoms, evaluation in zip(frames, evaluations, strict=True):
        if evaluation.energy_members is None or evaluation.forces_members is None:
            raise ValueError(f"frame {len(natoms)}: no members to write; this source predicts without any")
        if len(evaluation.energy_members) != len(models):
            raise ValueError(f"frame {len(natoms)}: {len(evaluation.energy_members)} members of {len(models)} models")
        natoms.append(len(atoms))
        hashes.append(content_hash(atoms))
        energy.append(evaluation.energy_members)
        forces.append(evaluation.forces_members)
        stress.append(evaluation.stress_members)
    if not natoms:
        raise ValueError(f"{path}: no frames to write members of")
    arrays: dict[str, Any] = {
        "models": np.array(models, dtype=str),
        "natoms": np.array(natoms),
        "hash": np.array(hashes),
        "energy": np.stack(energy, axis=1),
        "forces": np.concatenate(forces, axis=1),
    }
    if any(s is not None for s in stress):
        none = np.full((len(models), 6), np.nan)
        arrays["stress"] = np.stack([none if s is None else s for s in stress], axis=1)
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))
