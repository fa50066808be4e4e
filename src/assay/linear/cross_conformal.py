"""Intervals where labels are too few to keep any out: CV+ of a linear potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.calibration.jackknife_plus import jackknife_plus
from assay.execution.run import Run
from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Frames, Skipped
from assay.frames.species import known_species
from assay.linear.fit import fit_linear, groups_of_frames
from assay.linear.posteriors.leave_group_out import LeaveGroupOut
from assay.linear.weights import Weights
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.capabilities import LinearSource, Source


@dataclass(frozen=True)
class CrossConformal:
    """Predictions of F frames with A atoms, and the ends of their intervals.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | names | `file:index` | `(F,)` | |
    | offsets | where each frame starts | `(F+1,)` | |
    | energy, energy_low, energy_high | per atom; of the best fit, and its interval | `(F,)` | eV |
    | forces, forces_low, forces_high | | `(A, 3)` | eV/Å |
    | level | nominal coverage of each interval | | |
    | folds | K, how many fits left out a part of the training frames | | |
    | failed | frames left out: `file:index` and the reason | | |
    """

    names: tuple[str, ...]
    offsets: NDArray[np.int64]
    energy: Array
    energy_low: Array
    energy_high: Array
    forces: Array
    forces_low: Array
    forces_high: Array
    level: float
    folds: int
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Evaluate:
    source: Source
    species: tuple[str, ...]

    def __call__(self, frame: Frame) -> Prediction:
        known_species(frame.atoms, self.species)
        return self.source.predict(frame.atoms)


@dataclass(frozen=True)
class _Residuals:
    """What each fold's fit errs by on the training frames that it left out: N values of E energies and of forces."""

    energy: Array
    force: Array
    fold_of_energy: NDArray[np.int64]
    fold_of_force: NDArray[np.int64]


def cross_conformal_intervals(
    train: Frames,
    frames: Frames,
    rows: LinearSource,
    run: Run,
    *,
    level: float,
    folds: int,
    weights: Weights | None = None,
) -> CrossConformal:
    """Fit a linear potential to all labels of `train`, and predict `frames` with CV+ intervals of a nominal `level`.

    `rows` are of any species: those of the training frames are taken. Raises `FrameError` for training frames that
    can't be used or evaluated, fewer than two of them, and where no frame can be predicted; `ValueError` for an
    impossible level, or fewer than two folds.
    """
    if folds < 2 or not 0 < level < 1:
        raise ValueError(f"{folds} folds and level {level}: at least 2 are needed, and a level between 0 and 1")
    survey = Survey.fit(train)
    if len(survey) < 2:
        raise FrameError(f"{len(survey)} training frame can't be divided in folds; give more")
    rows = rows.for_species(survey.species)
    every = np.ones(len(survey), dtype=bool)
    fold_of_frame = groups_of_frames(survey, every, rows.coefficients, folds)
    count = int(fold_of_frame.max()) + 1
    potential = fit_linear(
        iter(train), survey, rows, chosen=every, posterior=LeaveGroupOut(count), weights=weights, groups=folds,
        workers=run.workers, progress=run.stage("design rows and fit", len(survey)),
    )  # fmt: skip
    evaluate = _Evaluate(potential, survey.species)
    return _predicted(evaluate, frames, _residuals(evaluate, train, fold_of_frame, run), level, count, run)


def _residuals(evaluate: _Evaluate, train: Frames, fold_of_frame: NDArray[np.int64], run: Run) -> _Residuals:
    energies, fold_of_energy, forces, fold_of_force = [], [], [], []
    progress = run.stage("residuals", len(fold_of_frame))
    trained = map_frames(evaluate, train, workers=run.workers, progress=progress)
    for fold, (frame, prediction) in zip(fold_of_frame, trained, strict=True):
        if isinstance(prediction, Failure):
            raise FrameError(f"{prediction.origin}: {prediction.reason}")
        assert prediction.energy_members is not None
        assert prediction.forces_members is not None
        if frame.energy is not None:
            energies.append((prediction.energy_members[fold] - frame.energy) / len(frame.atoms))
            fold_of_energy.append(fold)
        if frame.forces is not None:
            forces.append((prediction.forces_members[fold] - frame.forces).ravel())
            fold_of_force.append(np.full(frame.forces.size, fold))
    if not energies or not forces:
        raise FrameError("no training frame has a label of the energy, or none of the forces: intervals need both")
    return _Residuals(
        np.array(energies), np.concatenate(forces), np.array(fold_of_energy), np.concatenate(fold_of_force)
    )


def _predicted(
    evaluate: _Evaluate, frames: Frames, residuals: _Residuals, level: float, folds: int, run: Run
) -> CrossConformal:
    names, sizes, best, of_folds = [], [0], [], []
    failed: Skipped = []
    progress = run.stage("predicting")
    for frame, prediction in map_frames(evaluate, frames, workers=run.workers, progress=progress):
        if isinstance(prediction, Failure):
            failed.append((prediction.origin, prediction.reason))
            continue
        n = len(frame.atoms)
        names.append(frame.origin)
        sizes.append(n)
        best.append((np.array([prediction.energy]) / n, prediction.forces))
        assert prediction.energy_members is not None
        of_folds.append((prediction.energy_members[:, None] / n, prediction.forces_members))
    failed = [*frames.skipped, *failed]
    if not names:
        raise FrameError(f"no frame could be predicted; the first: {failed[0][1] if failed else 'no frames'}")
    energy, force = (np.concatenate(column) for column in zip(*best, strict=True))
    energy_of_folds, force_of_folds = (np.concatenate(column, axis=1) for column in zip(*of_folds, strict=True))
    energy_low, energy_high = jackknife_plus(residuals.energy, residuals.fold_of_energy, energy_of_folds, level)
    forces_low, forces_high = jackknife_plus(residuals.force, residuals.fold_of_force, force_of_folds, level)
    return CrossConformal(
        tuple(names), np.cumsum(sizes), energy, energy_low, energy_high, force, forces_low, forces_high, level, folds,
        tuple(failed),
    )  # fmt: skip
