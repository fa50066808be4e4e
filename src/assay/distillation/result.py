"""What `assay.distil` made: one frozen record, read by attributes; `summary()` is its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.distillation.figures import DftErrors, LabelFigures, TeachersOnTest
from assay.distillation.fitted import FittedStudent
from assay.distillation.teachers import TeacherLabel
from assay.frames.frame import LabelKeys, Skipped
from assay.results.arrays import Array
from assay.results.label_finding import Findings


@dataclass(frozen=True)
class Provenance:
    """How a distillation was asked for.

    | field | meaning |
    |---|---|
    | versions | of packages, by name |
    | teachers, student | their settings |
    | files | SHA-256 by path |
    | labels_under | keys of the DFT labels, by path |
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    teachers: Mapping[str, Any] = field(default_factory=dict)
    student: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    labels_under: Mapping[str, LabelKeys] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.versions,
            "command": self.command,
            "teachers": self.teachers,
            "student": self.student,
            "files": dict(self.files),
            "labels_under": {path: [keys.energy, keys.forces] for path, keys in self.labels_under.items()},
        }


@dataclass(frozen=True)
class DistilledStudent:
    """One cut-off: its labels, the student that learnt from them, and its teachers on the test frames.

    `student` is `None` while no frame has a label; `teachers` without a student or test frames, and where the teachers
    can't be evaluated on these.
    """

    labels: LabelFigures
    student: FittedStudent | None = None
    teachers: TeachersOnTest | None = None

    @property
    def test_errors(self) -> DftErrors | None:
        """Of the student on the test frames."""
        on_test = None if self.student is None else self.student.on_test
        return None if on_test is None else on_test.errors

    @property
    def teachers_test_errors(self) -> DftErrors | None:
        """Of its teachers' label on the same frames."""
        return None if self.teachers is None else self.teachers.errors

    def summary(self) -> dict[str, Any]:
        """A row of `summary.json`."""
        waits = {"student": None, "remark": "no frame has a label yet"}
        student = waits if self.student is None else self.student.summary()
        return self.labels.summary() | student | ({} if self.teachers is None else self.teachers.summary())


@dataclass(frozen=True)
class Distilled:
    """What `distil` made and noticed.

    | field | meaning |
    |---|---|
    | models, weights | the K teachers, and their weights `(K,)` |
    | rmse, rmse_frames | what weights come from, `None`: all are equal; over how many labelled frames of the pool, \
`None`: given |
    | teacher_label | whose label it is: of the `best` teacher, or the weighted `mean` |
    | uncertainty, natoms | U `(F,)` eV/Å, infinite where a teacher failed, and atoms of each frame of the pool |
    | students | for each cut-off, the largest first: `students[0].labels.dft_needed.share_of_atoms` |
    | jobs | how many frames wait for a DFT calculation, in `OUT/dft-jobs.extxyz` |
    | noisy | DFT labels that were dropped: (origin, reason) |
    | failed | frames of the pool on which a teacher failed, which need DFT: (origin, reason) |
    | skipped | frames left out: (origin, reason) |
    | label_check | DFT labels and teachers that contradict each other |
    | unmatched | labelled frames that are not in the pool |
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    rmse: tuple[float, ...] | None
    rmse_frames: int | None
    teacher_label: TeacherLabel
    uncertainty: Array
    natoms: NDArray[np.int64]
    students: tuple[DistilledStudent, ...]
    jobs: int
    noisy: Skipped = field(default_factory=list)
    failed: Skipped = field(default_factory=list)
    skipped: Skipped = field(default_factory=list)
    unmatched: int = 0
    label_check: Findings = ()
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds."""
        certain = self.uncertainty[np.isfinite(self.uncertainty)]
        quantiles = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
        return {
            "provenance": self.provenance.summary() | {"teacher_label": self.teacher_label},
            "teachers": dict(zip(self.models, self.weights, strict=True)),
            "teachers_rmse_eV_per_A": None if self.rmse is None else list(self.rmse),
            "teachers_rmse_frames": self.rmse_frames,
            "pool": {"frames": len(self.natoms), "atoms": int(self.natoms.sum())},
            "teachers_failed": [{"frame": origin, "reason": reason} for origin, reason in self.failed],
            "uncertainty_quantiles_eV_per_A": {str(q): float(np.quantile(certain, q)) for q in quantiles},
            "dft_jobs": self.jobs,
            "noisy_labels": [{"frame": origin, "reason": reason} for origin, reason in self.noisy],
            "label_check": [each.summary() for each in self.label_check],
            "skipped": [{"frame": origin, "reason": reason} for origin, reason in self.skipped],
            "labels_not_in_pool": self.unmatched,
            "students": [each.summary() for each in self.students],
        }
