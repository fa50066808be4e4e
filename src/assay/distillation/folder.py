"""What a distillation leaves in its folder, and finds there when it is called again with more labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from assay.distillation.fitted import FittedStudent
from assay.distillation.teachers import TeacherWeights
from assay.frames.frame import file_hash
from assay.frames.writing import frames_out
from assay.results.plain import plain
from assay.results.warning import warn
from assay.storage.files import write_json

OWN = ("teachers.json", "dft-jobs.extxyz", "mixed-*", "heldout-*", "student-*", "summary.json", "report.html")
"""What the folder of a distillation has of its own, as patterns of names."""


@dataclass(frozen=True)
class Folder:
    """A folder, which is made where it is not there.

    | file | holds |
    |---|---|
    | `teachers.json` | weights of the teachers, as the first call found them |
    | `dft-jobs.extxyz` | frames that wait for a DFT calculation; none where no frame does |
    | `mixed-U_c.extxyz`, `heldout-U_c.extxyz` | what the student at a cut-off is fitted to and calibrated on |
    | `student-U_c.gauge`, `student-U_c.json`, … | the student, what was found of it, and the files that LAMMPS runs |
    | `summary.json` | everything |

    What later calls take from here carries its SHA-256, `sha256`: a damaged `.json` is refused, and a student whose
    files are not as they were written is fitted anew. Files of an earlier Assay have none.
    """

    path: Path

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def own(cls, path: str | Path) -> list[Path]:
        """The files that are there and have names which a call writes, or takes away."""
        return [each for name in OWN for each in Path(path).glob(name)]

    def of(self, kind: str, cutoff: float, suffix: str = "") -> Path:
        """The file of a kind at a cut-off."""
        return self.path / f"{kind}-{cutoff:.6g}{suffix}"

    def write_frames(self, path: Path, frames: Sequence[Atoms]) -> None:
        """All of them or none."""
        with frames_out(path) as append:
            for atoms in frames:
                append(atoms)

    def write_jobs(self, waiting: Sequence[Atoms]) -> int:
        """Write the frames that need a DFT calculation in place of those of an earlier call, and return how many."""
        path = self.path / "dft-jobs.extxyz"
        path.unlink(missing_ok=True)
        if waiting:
            self.write_frames(path, waiting)
        return len(waiting)

    def weights(self, models: Sequence[str]) -> TeacherWeights | None:
        """What an earlier call found of the same teachers, if there was one."""
        if (found := self._told("teachers.json", "models", list(models))) is None:
            return None
        rmse = found["rmse"]
        return TeacherWeights(tuple(found["weights"]), None if rmse is None else tuple(rmse), found.get("frames"))

    def keep_weights(self, models: Sequence[str], found: TeacherWeights) -> None:
        """For later calls."""
        write_json(self.path / "teachers.json", _sealed({"models": list(models), **plain(found)}))

    def student(self, cutoff: float, key: str) -> FittedStudent | None:
        """What an earlier call found of a student that was fitted to the same, if all its files are as it left them."""
        name = self.of("student", cutoff, ".json").name
        if (told := self._told(name, "key", key)) is None:
            return None
        found = FittedStudent.from_summary(told)
        if not all((self.path / name).is_file() for name in found.files):
            return None
        digests = told.get("files_sha256", {})
        changed = [each for each in found.files if digests.get(each) not in (None, file_hash(self.path / each))]
        if changed:
            warn(
                f"{self.path}: {', '.join(changed)} changed since the student was fitted, which is now fitted anew",
                stacklevel=2,
            )
            return None
        return found

    def keep_student(self, cutoff: float, found: FittedStudent) -> None:
        """For later calls."""
        digests = {name: file_hash(self.path / name) for name in found.files}
        content = {**found.summary(), "files_sha256": digests}
        write_json(self.of("student", cutoff, ".json"), _sealed(content))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """All that is known so far."""
        write_json(self.path / "summary.json", summary)

    def _told(self, name: str, key: str, value: object) -> dict[str, Any] | None:
        """A JSON file, if it is there and says `value` under `key`; raises `ValueError` for a damaged one."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict) or key not in found or found.get("sha256") not in (None, _digest(found)):
            raise ValueError(f"{path}: damaged, or not of a distillation; delete it, and what it holds is found anew")
        return found if found[key] == value else None


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    return {**content, "sha256": _digest(content)}


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of all but itself."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
