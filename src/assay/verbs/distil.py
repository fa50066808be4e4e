"""`assay distil`: one fast student from many teachers, and DFT labels only where these disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from assay.distillation.dft_labels import dft_labels
from assay.distillation.distil import Mixing, distil_pool
from assay.distillation.figures import DftErrors
from assay.distillation.folder import Folder
from assay.distillation.result import Distilled, Provenance
from assay.distillation.student import Student, as_student
from assay.distillation.teachers import TeacherLabel
from assay.execution.run import Run
from assay.frames.frame import FrameError, LabelKeys
from assay.linear.linear_fit import LinearFit
from assay.results.warning import heard, listens, with_warnings
from assay.sources.capabilities import HasMembers, with_members_of_frames
from assay.sources.frame_files import Given, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.storage.provenance import versions
from assay.verbs.arguments import settled
from assay.verbs.outputs import require_outputs

__all__ = ["DftErrors", "Distilled", "distil"]


@settled
@listens
def distil(
    teachers: GivenSource,
    pool: Given,
    student: str | Mapping[str, Any],
    out: str | Path,
    *,
    cutoffs: Sequence[float] = (),
    dft_fractions: Sequence[float] = (),
    labels: Given | None = None,
    rmse: Sequence[float] = (),
    teacher_label: TeacherLabel | None = None,
    reference_frames: int = 0,
    calibration: Given | None = None,
    test: Given | None = None,
    weight_by_uncertainty: bool = False,
    drop_noisy_labels: bool = False,
    linear_fit: LinearFit = LinearFit(),
    error_bar: str | None = None,
    keys: LabelKeys | None = None,
    report: bool = False,
    run: Run = Run(),
    command: str | None = None,
) -> Distilled:
    """Fit a student to a pool that teachers label where they agree, `U_j < U_c`, and DFT labels elsewhere.

    What is in `out` already is not computed again: a later call with more labels goes on from there. Frames are
    `ase.Atoms`, several of them, or files; of recorded teachers, `assay.FrameFiles(paths, members=…)`.

    Parameters
    ----------
    teachers
        `recorded`, `ase_committee:MODEL,MODEL` or a TOML file: two or more potentials
    pool
        frames to learn from; their labels are not looked at, unless `labels` is `pool`
    student
        a linear potential, `snap:…` or `ace:…`
    out
        folder, made where it is not there
    cutoffs, dft_fractions
        U_c in eV/Å, and shares of the pool's atoms that shall have DFT labels: one student for each
    labels
        frames with DFT labels, found by structure, under `keys` or where a file has none there, as results of
        ASE's calculator; or `pool`
    rmse
        force RMSEs of the teachers, from which their weights follow; without, those of the TOML file, or over the
        frames with labels in the first call (they are kept for later ones, so that U stays what it was), or equal
    teacher_label
        `best` (the largest weight) or `mean` (weighted); by default the first where weights differ
    reference_frames
        so many frames of the smallest U get DFT labels too, and those alone give the energy reference
    calibration
        frames with DFT labels that calibrate the student's error bars; a tenth of those of the mixed set by default
    test
        labelled frames on which the student is judged, beside the teachers where these can be evaluated
    weight_by_uncertainty
        smaller weights for labels of large U: `assay.distillation.weighting`
    drop_noisy_labels
        leave DFT labels out that `assay.distillation.noise` flags
    linear_fit, error_bar
        of the student, as in `assay.build`

    Raises
    ------
    FrameError
        frames that can't be used
    ValueError
        no cut-off, fewer than two teachers, a student that is not linear, RMSEs of others
    """
    require_outputs(teachers, pool, student, labels, calibration, test, own=Folder.own(out))
    mixing = Mixing(
        tuple(cutoffs), tuple(dft_fractions), teacher_label, tuple(rmse), reference_frames, drop_noisy_labels
    )
    rows, spec = given_source(student)
    learner = as_student(rows)
    keys, command = keys or LabelKeys(), command or "assay.distil(...)"
    source, settings = given_source(teachers, run.allow_import)
    if not isinstance(source, HasMembers):
        raise ValueError(f"teachers are potentials that run or are recorded, and {source.kind!r} is neither")
    folder = Folder(Path(out))
    read = partial(frames_of, keys=keys, skip_bad=run.skip_bad, labels="both")
    given = read(pool, labels="if present", memory=0)
    if not (frames := list(given)):
        raise FrameError(f"no frame of the pool can be used; the first: {given.skipped[0]}")
    source = with_members_of_frames(source, settings, lambda: iter(frames), keys)
    known = dft_labels(labels, keys, skip_bad=run.skip_bad)
    apart, judged = (None if each is None else read(each) for each in (calibration, test))
    files = [each.files for each in (given, known, apart, judged) if each is not None]
    results = distil_pool(
        source,
        frames,
        Student(learner, spec, apart, weight_by_uncertainty, linear_fit, error_bar, command),
        folder,
        mixing,
        labels=known,
        test=judged,
        provenance=Provenance(
            versions=versions(),
            command=command,
            teachers=settings,
            student=spec,
            files={path: digest for each in files for path, digest in each.items()},
            labels_under=known.under,
        ),
        skipped=[*given.skipped],
        run=run,
    )
    for result in results:
        folder.write_summary(with_warnings(result.summary()))
    if report:
        from assay.report.kit.plotting import require_plotting

        with require_plotting():
            from assay.report.distillation.page import write_distillation_report
        write_distillation_report(folder.path / "report.html", result, warnings=heard())
    return result
