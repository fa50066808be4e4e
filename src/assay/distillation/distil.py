"""One fast student from many teachers, and DFT labels only where these disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.distillation.cutoffs import cutoff_for_share
from assay.distillation.dft_labels import DftLabels
from assay.distillation.folder import Folder
from assay.distillation.labels import described, jobs, mix
from assay.distillation.noise import check_labels
from assay.distillation.result import Distilled, DistilledStudent, Provenance
from assay.distillation.student import Student
from assay.distillation.student_errors import StudentTest
from assay.distillation.teachers import PoolLabels, TeacherLabel, Teachers, TeacherWeights
from assay.ensembles.member_check import MemberFold
from assay.ensembles.weights import weights_of_rmse
from assay.execution.run import Run
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Frames, Skipped
from assay.gauge.label_check import warn_of
from assay.results.arrays import Array
from assay.results.label_finding import Findings
from assay.results.prediction import Prediction
from assay.sources.capabilities import HasMembers, prepare


@dataclass(frozen=True)
class Mixing:
    """Which frames get whose label.

    | field | meaning |
    |---|---|
    | cutoffs, dft_fractions | U_c in eV/Å, and shares of the pool's atoms that shall have DFT labels |
    | teacher_label | `best` (the largest weight) or `mean` (weighted); by default the first where weights differ |
    | rmse | force RMSEs of the teachers, from which their weights follow |
    | reference_frames | so many frames of the smallest U get DFT labels for the energy reference |
    | drop_noisy_labels | leave DFT labels out that `assay.distillation.noise` flags |

    Raises `ValueError` without any cut-off, or for one that is not positive.
    """

    cutoffs: tuple[float, ...] = ()
    dft_fractions: tuple[float, ...] = ()
    teacher_label: TeacherLabel | None = None
    rmse: tuple[float, ...] = ()
    reference_frames: int = 0
    drop_noisy_labels: bool = False

    def __post_init__(self) -> None:
        if not self.cutoffs and not self.dft_fractions:
            raise ValueError("give a cut-off of the uncertainty, or the share of atoms that shall have DFT labels")
        if any(not cutoff > 0 for cutoff in self.cutoffs):
            raise ValueError(f"cut-offs of the uncertainty must be positive, got {list(self.cutoffs)}")

    def every_cutoff(self, uncertainty: Array, natoms: NDArray[np.int64]) -> list[float]:
        """U_c of all students, the largest first."""
        of_shares = [cutoff_for_share(uncertainty, natoms, share) for share in self.dft_fractions]
        return sorted({*map(float, self.cutoffs), *of_shares}, reverse=True)


def distil_pool(
    teachers: HasMembers,
    pool: Sequence[Frame],
    student: Student,
    folder: Folder,
    mixing: Mixing,
    *,
    provenance: Provenance,
    labels: DftLabels | None = None,
    test: Frames | None = None,
    skipped: Skipped | None = None,
    run: Run = Run(),
) -> Iterator[Distilled]:
    """Students of a pool that teachers label where they agree, `U_j < U_c`, and DFT labels elsewhere.

    Gives the result anew after each student, the last one with all of them. What is in `folder` already is not
    computed again.

    | argument | meaning |
    |---|---|
    | teachers | two or more potentials |
    | pool | frames, whose labels are looked at only where they are DFT's |
    | provenance | what is to be told of all this |
    | labels | DFT labels that are known |
    | test | labelled frames on which students are judged, beside the teachers where these can be evaluated |
    | skipped | frames that were left out before |

    Raises `ValueError` for fewer than two teachers, or RMSEs of others; `FrameError` for frames that can't be used.
    """
    names = teachers.member_names
    if len(names) < 2:
        raise ValueError(f"one teacher ({names[0]}) has nobody to disagree with; give two or more")
    prepare(teachers, lambda: pool, workers=run.processes, total=len(pool), stage=run.stage)
    failed: Skipped = []
    frames, told = Teachers.evaluate(teachers, names, pool, progress=run.stage("uncertainty", len(pool)), failed=failed)
    labels = labels or DftLabels()
    known, unmatched = labels.of(frames)
    checked = warn_of(_checked(frames, told, known))
    found = _weights(folder, teachers.member_rmse, told, mixing.rmse, known)
    which, w = found.which(mixing.teacher_label), np.array(found.weights)
    uncertainty = told.uncertainty(w)
    noisy: NDArray[np.bool_] | None = None
    dropped: Skipped = []
    if mixing.drop_noisy_labels:
        rows = student.rows.for_species(Survey.fit(frames).species)
        noisy, dropped = check_labels(frames, told, known, w, rows.features)
    ties = np.isin(np.arange(len(frames)), np.argsort(uncertainty, kind="stable")[: mixing.reference_frames])
    mixed = [
        mix(frames, told, uncertainty, cutoff, known, weights=w, which=which, ties=ties, without=noisy)
        for cutoff in mixing.every_cutoff(uncertainty, told.natoms)
    ]
    waiting = folder.write_jobs(jobs(frames, mixed, uncertainty))
    judged = None if test is None else StudentTest.of(teachers, test, run)
    result = Distilled(
        models=names, weights=found.weights, rmse=found.rmse, rmse_frames=found.frames, teacher_label=which,
        uncertainty=uncertainty, natoms=told.natoms, students=(), jobs=waiting, noisy=dropped, failed=failed,
        skipped=[*(skipped or ()), *labels.skipped, *(test.skipped if test is not None else ())],
        unmatched=unmatched, label_check=checked, provenance=provenance,
    )  # fmt: skip
    for one in mixed:
        fitted = None if one.pending.all() else student.fit(folder, one, frames, uncertainty, judged, run)
        on_test = None if fitted is None else fitted.on_test
        beside = None if judged is None or on_test is None else judged.of_teachers(one, w, which, on_test)
        row = DistilledStudent(described(one, frames, told, known), fitted, beside)
        result = replace(result, students=(*result.students, row))
        yield result


def _checked(frames: Sequence[Frame], told: Teachers, known: PoolLabels) -> Findings:
    """Teachers that contradict the DFT labels, or each other where no frame has any."""
    labelled = known.known & told.answered
    here = np.flatnonzero(labelled if labelled.any() else told.answered)
    fold = MemberFold(len(here))
    for i in here.tolist():
        atoms = slice(*told.offsets[i : i + 2].tolist())
        energy, forces = (known.energy[i], known.forces[atoms]) if labelled[i] else (None, None)
        frame = replace(frames[i], energy=energy, forces=forces)
        fold.update(frame, Prediction(energy_members=told.energy[:, i], forces_members=told.forces[:, atoms]))
    return fold.findings(told.models)


def _weights(
    folder: Folder, own: Sequence[float | None], told: Teachers, rmse: Sequence[float], known: PoolLabels
) -> TeacherWeights:
    """Of RMSEs that are given, or the source's own, or measured; those of an earlier call, where none are given."""
    if not rmse and own and None not in own:
        rmse = [float(value) for value in own if value is not None]
    if not rmse and (kept := folder.weights(told.models)):
        return kept
    if rmse and len(rmse) != len(told.models):
        raise ValueError(f"{len(rmse)} RMSEs of {len(told.models)} teachers ({', '.join(told.models)})")
    measured = None
    if not rmse and (known.known & told.answered).any():
        rmse, measured = told.force_rmse(known.forces).tolist(), int((known.known & told.answered).sum())
    weights = weights_of_rmse(rmse) if len(rmse) else tuple([1 / len(told.models)] * len(told.models))
    found = TeacherWeights(weights, tuple(map(float, rmse)) or None, measured)
    folder.keep_weights(told.models, found)
    return found
