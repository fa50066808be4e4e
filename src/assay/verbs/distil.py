"""`assay distil`: one fast student from many teachers, and DFT labels only where these disagree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.distillation.cutoffs import cutoff_for_share
from assay.distillation.label_keys import keys_of_labels
from assay.distillation.labels import Mixed, _labels_of, jobs, mix
from assay.distillation.noise import check_labels
from assay.distillation.result import Distilled
from assay.distillation.student import Student
from assay.distillation.student_errors import StudentTest
from assay.distillation.teachers import PoolLabels, TeacherLabel, Teachers
from assay.ensembles.weights import weights_of_rmse
from assay.execution.progress import Stage
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, LabelKeys, Skipped, content_hash, file_hash
from assay.frames.writing import frames_out
from assay.results.arrays import Array
from assay.sources.capabilities import Exports, HasMembers, LinearSource, prepare, with_members_of_frames
from assay.sources.frame_files import Paths, labelled, listed
from assay.sources.registry import parse_spec, source_from_settings
from assay.storage.files import write_json
from assay.storage.provenance import versions


def distil(
    teachers: str | dict[str, Any],
    pool: Paths,
    student: str | dict[str, Any],
    out: str | Path,
    *,
    cutoffs: Sequence[float] = (),
    dft_fractions: Sequence[float] = (),
    members: Paths | None = None,
    labels: Paths | None = None,
    rmse: Sequence[float] = (),
    teacher_label: TeacherLabel | None = None,
    reference_frames: int = 0,
    heldout: Paths | None = None,
    test: Paths | None = None,
    test_members: Paths | None = None,
    weight_by_uncertainty: bool = False,
    drop_noisy_labels: bool = False,
    posterior: str = "pops",
    ensemble_size: int | None = None,
    error_bar: str | None = None,
    keys: LabelKeys | None = None,
    seed: int = 0,
    workers: int = 1,
    skip_bad: bool = False,
    allow_import: tuple[str, ...] = (),
    report: bool = False,
    stage: Stage | None = None,
    command: str | None = None,
) -> Distilled:
    """Fit a student to a pool that teachers label where they agree, `U_j < U_c`, and DFT labels elsewhere.

    What is in `out` already is not computed again: a later call with more labels goes on from there.

    Parameters
    ----------
    teachers
        `recorded`, `ase_committee:MODEL,MODEL` or a TOML file: two or more potentials
    pool
        files of frames; their labels are not looked at, unless `labels` is `pool`
    student
        a linear potential, `snap:…` or `ace:…`
    out
        folder, made where it is not there
    cutoffs, dft_fractions
        U_c in eV/Å, and shares of the pool's atoms that shall have DFT labels: one student for each
    members, test_members
        members files of recorded teachers, one for each file of the pool and of the test frames
    labels
        files of frames with DFT labels, found by structure, under `keys` or where a file has none there, as results of
        ASE's calculator; or `pool`
    rmse
        force RMSEs of the teachers, from which their weights follow; without, those of the TOML file, or over the
        frames with labels in the first call (they are kept for later ones, so that U stays what it was), or equal
    teacher_label
        `best` (the largest weight) or `mean` (weighted); by default the first where weights differ
    reference_frames
        so many frames of the smallest U get DFT labels too, and those alone give the energy reference
    heldout
        frames with DFT labels that calibrate the student's error bars; a tenth of those of the mixed set by default
    test
        labelled frames on which the student is judged, beside the teachers where these can be evaluated
    weight_by_uncertainty
        smaller weights for labels of large U: `assay.distillation.weighting`
    drop_noisy_labels
        leave DFT labels out that `assay.distillation.noise` flags

    Raises
    ------
    FrameError
        frames that can't be used
    ValueError
        no cut-off, fewer than two teachers, a student that is not linear, RMSEs of others
    """
    if not cutoffs and not dft_fractions:
        raise ValueError("give a cut-off of the uncertainty, or the share of atoms that shall have DFT labels")
    if any(not cutoff > 0 for cutoff in cutoffs):
        raise ValueError(f"cut-offs of the uncertainty must be positive, got {list(cutoffs)}")
    spec = parse_spec(student)
    rows = source_from_settings(spec)
    if not (isinstance(rows, LinearSource) and isinstance(rows, Exports)):
        raise ValueError(f"a student is a potential that can be fitted, snap or ace, not {rows.kind!r}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    keys, stage = keys or LabelKeys(), stage or (lambda name, total: None)
    skipped: Skipped = []
    left_out = skipped if skip_bad else None

    settings = parse_spec(teachers)
    source = source_from_settings(settings, allow_import)
    if not isinstance(source, HasMembers):
        raise ValueError(f"teachers are potentials that run or are recorded, and {source.kind!r} is neither")
    source = with_members_of_frames(source, settings, lambda: labelled(pool, members, keys, [], "if present"), keys)
    names = source.member_names
    if len(names) < 2:
        raise ValueError(f"one teacher ({names[0]}) has nobody to disagree with; give two or more")
    given = list(labelled(pool, members, keys, left_out, "if present"))
    prepare(source, lambda: given, workers=workers, total=len(given), stage=stage)
    progress = stage("uncertainty", len(given))
    failed: Skipped = []
    frames, told = Teachers.evaluate(source, names, given, progress=progress, failed=failed)
    known, unmatched, found_under = _known(frames, labels, keys, left_out)
    weights, used_rmse, rmse_frames = _weights(folder, source.member_rmse, told, rmse, known)
    which: TeacherLabel = teacher_label or ("best" if len(set(weights)) > 1 else "mean")
    if which == "best" and len(set(weights)) == 1:
        raise ValueError("which teacher is best? All have the same weight: give --rmse, or --teacher-label mean")
    w = np.array(weights)
    uncertainty = told.uncertainty(w)
    ties = np.isin(np.arange(len(frames)), np.argsort(uncertainty, kind="stable")[:reference_frames])
    noisy: NDArray[np.bool_] | None = None
    dropped: Skipped = []
    if drop_noisy_labels:
        noisy, dropped = check_labels(frames, told, known, w, rows.for_species(Survey.fit(frames).species).features)
    from_shares = [cutoff_for_share(uncertainty, told.natoms, share) for share in dft_fractions]
    every = sorted({*map(float, cutoffs), *from_shares}, reverse=True)
    mixed = [
        mix(frames, told, uncertainty, cutoff, known, weights=w, which=which, ties=ties, without=noisy)
        for cutoff in every
    ]
    waiting = _write_jobs(folder / "dft-jobs.extxyz", frames, mixed, uncertainty)
    judged = None if test is None else StudentTest.read(source, test, test_members, keys, left_out, workers, stage)
    files = (*listed(pool), *(() if labels == "pool" else listed(labels)), *listed(heldout), *listed(test))
    result = Distilled(
        models=names, weights=weights, rmse=used_rmse, rmse_frames=rmse_frames, uncertainty=uncertainty,
        natoms=told.natoms, students=(), jobs=waiting, noisy=dropped, failed=failed, skipped=skipped,
        unmatched=unmatched,
        provenance={
            **versions(),
            "command": command or "assay.distil(...)",
            "teachers": settings,
            "student": spec,
            "teacher_label": which,
            "files": {str(path): file_hash(path) for path in files},
            "labels_under": found_under,
        },
    )  # fmt: skip
    options = {
        "posterior": posterior, "ensemble_size": ensemble_size, "error_bar": error_bar, "seed": seed,
        "workers": workers, "skip_bad": skip_bad, "command": command,
    }  # fmt: skip
    pupil = Student(spec, heldout, keys, weight_by_uncertainty, options)
    for one in mixed:
        row = _labels_of(one, frames, told, known)
        if one.pending.all():
            row |= {"student": None, "remark": "no frame has a label yet"}
        else:
            row |= pupil.fit(folder, one, frames, uncertainty, judged, stage)
            if judged is not None:
                row |= judged.of_teachers(one, w, which, row["student"])
        result = replace(result, students=(*result.students, row))
        write_json(folder / "summary.json", result.summary())
    if report:
        from assay.report.kit.plotting import require_plotting

        with require_plotting():
            from assay.report.distillation.page import write_distillation_report
        write_distillation_report(folder / "report.html", result)
    return result


def _write_jobs(path: Path, frames: Sequence[Frame], mixed: Sequence[Mixed], uncertainty: Array) -> int:
    """Write the frames that need a DFT calculation, and return how many; no file, where none does."""
    waiting = jobs(frames, mixed, uncertainty)
    with suppress(FileNotFoundError):  # of an earlier call
        path.unlink()
    if waiting:
        with frames_out(path) as append:
            for atoms in waiting:
                append(atoms)
    return len(waiting)


def _known(
    frames: Sequence[Frame], labels: Paths | None, keys: LabelKeys, skipped: Skipped | None
) -> tuple[PoolLabels, int, dict[str, list[str]]]:
    """DFT labels of the pool's frames, how many labelled frames are of none of them, and each file's keys."""
    if labels is None:
        return PoolLabels.of(frames, lambda frame: None), 0, {}
    if labels == "pool":
        return PoolLabels.of(frames, lambda frame: frame), 0, {}
    under = {path: keys_of_labels(path, keys, skipped) for path in listed(labels)}
    given = {
        content_hash(frame.atoms): frame
        for path, used in under.items()
        for frame in labelled(path, None, used, skipped)
    }
    hashes = {content_hash(frame.atoms) for frame in frames}
    return (
        PoolLabels.of(frames, lambda frame: given.get(content_hash(frame.atoms))),
        len(given.keys() - hashes),
        {str(path): [used.energy, used.forces] for path, used in under.items()},
    )


def _weights(
    folder: Path, own: Sequence[float | None], told: Teachers, rmse: Sequence[float], known: PoolLabels
) -> tuple[tuple[float, ...], tuple[float, ...] | None, int | None]:
    """Weights of the teachers, the RMSEs they come from, and over how many labelled frames these are.

    Those of an earlier call, where none are given.
    """
    if not rmse and own and None not in own:
        rmse = [float(value) for value in own if value is not None]
    kept = folder / "teachers.json"
    if not rmse and kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if tuple(found["models"]) == told.models:
            return tuple(found["weights"]), None if found["rmse"] is None else tuple(found["rmse"]), found.get("frames")
    if rmse and len(rmse) != len(told.models):
        raise ValueError(f"{len(rmse)} RMSEs of {len(told.models)} teachers ({', '.join(told.models)})")
    measured = None
    if not rmse and (known.known & told.answered).any():
        rmse, measured = told.force_rmse(known.forces).tolist(), int((known.known & told.answered).sum())
    weights = weights_of_rmse(rmse) if len(rmse) else tuple([1 / len(told.models)] * len(told.models))
    used = tuple(map(float, rmse)) or None
    found = {"models": list(told.models), "weights": list(weights), "rmse": used and list(used), "frames": measured}
    write_json(kept, found)
    return weights, used, measured
