"""A student on test frames, beside its teachers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from assay.distillation.errors import errors, worse_than
from assay.distillation.figures import ForceBars, StudentOnTest, TeachersOnTest
from assay.distillation.labels import Mixed
from assay.distillation.teachers import PoolLabels, TeacherLabel, Teachers
from assay.evaluation.evaluate import evaluated
from assay.execution.run import Run
from assay.frames.frame import Frame, FrameError, Frames, content_hash
from assay.gauge.gauge import Gauge
from assay.results.arrays import Array
from assay.results.per_quantity import PerQuantity
from assay.sources.capabilities import HasMembers, prepare


@dataclass(frozen=True)
class StudentTest:
    """Frames with DFT labels, what teachers say about them (`None` where they can't), and a hash of them all."""

    frames: list[Frame]
    known: PoolLabels
    teachers: Teachers | None
    key: str

    @classmethod
    def of(cls, source: HasMembers, given: Frames, run: Run) -> StudentTest:
        """Evaluate labelled frames; recorded teachers need members of these, in a file or on the frames."""
        frames = list(given)
        told = None
        prepare(source, lambda: frames, workers=run.processes, total=len(frames), stage=run.stage)
        with suppress(FrameError):  # a teacher fails on a frame, or it carries none: then the student is judged alone
            told = Teachers.evaluate(source, source.member_names, frames)[1]
        key = "".join(given.files.values()) or _digest(frames)
        return cls(frames, PoolLabels.of(frames, lambda frame: frame), told, key)

    def of_student(self, gauge: Gauge, run: Run) -> StudentOnTest:
        """Errors, and coverage of the force bars; raises `FrameError` for a frame that can't be evaluated."""
        assessment = gauge.assess(self.frames, workers=run.workers)
        if assessment.failed:
            origin, reason = assessment.failed[0]
            raise FrameError(f"{origin}: {reason} ({len(assessment.failed)} test frames failed)")
        assert assessment.batch.energy is not None
        assert assessment.batch.forces is not None
        predicted = PoolLabels(assessment.batch.energy, assessment.batch.forces, np.full((len(self.frames), 6), np.nan))
        bar = evaluated(assessment, gauge.constant_bar).bars.force
        held = None if bar is None else ForceBars(bar.figures.coverage, bar.figures.mean_width)
        return StudentOnTest(errors(self.frames, predicted, self.known), held)

    def of_teachers(
        self, mixed: Mixed, weights: Array, which: TeacherLabel, student: StudentOnTest
    ) -> TeachersOnTest | None:
        """Errors of the teachers' label with the references of the pool, and where the student is worse; `None` where
        the teachers can't be evaluated."""
        if self.teachers is None:
            return None
        shifts = np.array([mixed.references.of(frame.atoms.numbers) for frame in self.frames]).T
        found = errors(self.frames, self.teachers.label(which, weights, shifts), self.known)
        worse = PerQuantity(
            energy=worse_than(student.errors, found, "energy_shifted"), force=worse_than(student.errors, found, "force")
        )
        return TeachersOnTest(found, worse)


def _digest(frames: Sequence[Frame]) -> str:
    """SHA-256 of structures and labels that came as objects."""
    digest = hashlib.sha256()
    for frame in frames:
        labels = [str(frame.energy), frame.forces, frame.stress]
        digest.update(content_hash(frame.atoms).encode())
        digest.update("".join(str(None if label is None else np.asarray(label).tolist()) for label in labels).encode())
    return digest.hexdigest()
