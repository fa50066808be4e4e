"""Intervals where labels are too few to keep any out: CV+ of a linear potential."""

from __future__ import annotations

import numpy as np

from assay.calibration.jackknife_plus import jackknife_plus
from assay.execution.progress import Stage
from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import FrameError, LabelKeys, Skipped
from assay.linear.cross_conformal import CrossConformal, _Evaluate
from assay.linear.fit import fit_linear, groups_of_frames
from assay.linear.posteriors.leave_group_out import LeaveGroupOut
from assay.linear.weights import Weights
from assay.sources.capabilities import LinearSource
from assay.sources.frame_files import Paths, labelled
from assay.sources.registry import GivenSource, given_source


def cross_conformal(
    train: Paths,
    frames: Paths,
    *,
    source: GivenSource,
    level: float = 0.9,
    folds: int = 20,
    weights: Weights | None = None,
    keys: LabelKeys | None = None,
    workers: int = 1,
    stage: Stage | None = None,
) -> CrossConformal:
    """Fit a linear potential to all labels, and give its predictions intervals from fits that left a part of them out.

    CV+ (`assay.calibration.jackknife_plus`): nothing is kept out for calibration, which pays where there are tens of
    labelled frames. With as many folds as frames, intervals of energies are those of the jackknife+. One pass over the
    training frames makes all fits, and a second one the residuals.

    Parameters
    ----------
    train
        files of labelled frames
    frames
        what to predict; labels are not needed
    source
        of a linear potential, as in `assay.build`
    level
        nominal coverage; guaranteed, for frames exchangeable with those of training, is `1 - 2 (1 - level)` less a
        little (see there)
    folds
        K: contiguous blocks of file order within each config_type; fewer where memory or the number of frames asks so
    weights, keys, workers, stage
        as in `assay.build`

    Raises
    ------
    FrameError
        training frames that can't be used or evaluated, fewer than two of them, no frame that can be predicted
    ValueError
        a source that is no linear potential, an impossible level, or fewer than two folds
    """
    given, _ = given_source(source)
    if not isinstance(given, LinearSource):
        raise ValueError(f"cross_conformal fits a linear potential such as snap or ace, which {given.kind!r} is not")
    if folds < 2 or not 0 < level < 1:
        raise ValueError(f"{folds} folds and level {level}: at least 2 are needed, and a level between 0 and 1")
    stage, keys = stage or (lambda name, total: None), keys or LabelKeys()
    survey = Survey.fit(labelled(train, None, keys, None))
    if len(survey) < 2:
        raise FrameError(f"{len(survey)} training frame can't be divided in folds; give more")
    rows = given.for_species(survey.species)
    every = np.ones(len(survey), dtype=bool)
    fold_of_frame = groups_of_frames(survey, every, rows.coefficients, folds)
    count = int(fold_of_frame.max()) + 1
    potential = fit_linear(
        labelled(train, None, keys, None), survey, rows, chosen=every, posterior=LeaveGroupOut(count), weights=weights,
        groups=folds, workers=workers, progress=stage("design rows and fit", len(survey)),
    )  # fmt: skip

    evaluate = _Evaluate(potential, survey.species)
    energies, forces, fold_of_force = [], [], []
    progress = stage("residuals", len(survey))
    trained = map_frames(evaluate, labelled(train, None, keys, None), workers=workers, progress=progress)
    for fold, (frame, told) in zip(fold_of_frame, trained, strict=True):
        if isinstance(told, Failure):
            raise FrameError(f"{told.origin}: {told.reason}")
        assert told.energy_members is not None
        assert told.forces_members is not None
        assert frame.energy is not None
        assert frame.forces is not None
        energies.append((told.energy_members[fold] - frame.energy) / len(frame.atoms))
        forces.append((told.forces_members[fold] - frame.forces).ravel())
        fold_of_force.append(np.full(frame.forces.size, fold))

    names, sizes, best, of_folds = [], [0], [], []
    failed: Skipped = []
    progress = stage("predicting", None)
    new = labelled(frames, None, keys, None, "if present")
    for frame, told in map_frames(evaluate, new, workers=workers, progress=progress):
        if isinstance(told, Failure):
            failed.append((told.origin, told.reason))
            continue
        n = len(frame.atoms)
        names.append(frame.origin)
        sizes.append(n)
        best.append((np.array([told.energy]) / n, told.forces))
        assert told.energy_members is not None
        of_folds.append((told.energy_members[:, None] / n, told.forces_members))
    if not names:
        raise FrameError(f"no frame could be predicted; the first: {failed[0][1] if failed else 'no frames'}")
    energy, force = (np.concatenate(column) for column in zip(*best, strict=True))
    energy_of_folds, force_of_folds = (np.concatenate(column, axis=1) for column in zip(*of_folds, strict=True))
    energy_low, energy_high = jackknife_plus(np.array(energies), fold_of_frame, energy_of_folds, level)
    forces_low, forces_high = jackknife_plus(
        np.concatenate(forces), np.concatenate(fold_of_force), force_of_folds, level
    )
    return CrossConformal(
        tuple(names), np.cumsum(sizes), energy, energy_low, energy_high, force, forces_low, forces_high, level, count,
        tuple(failed),
    )  # fmt: skip
