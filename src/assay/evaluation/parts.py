"""The figures of some frames and atoms: errors, how scores rank them, error bars and envelopes held against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.evaluation.bars import ConstantBar, Mask, against_errors
from assay.evaluation.defined import finite, number
from assay.evaluation.envelopes import envelope_figures
from assay.evaluation.figures import Errors, ErrorSize, Part, PerLevel, RankingFigures, ScoreLevel
from assay.metrics import flagged_fraction, mae, rmse, roc_auc, spearman, worst_decile
from assay.regions.neighbourhoods import frame_max, frame_mean
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.per_quantity import PerQuantity, together
from assay.results.residuals import enveloped


def part(assessment: Assessment, labels: Labels, constant_bar: ConstantBar, frames: Mask, atoms: Mask) -> Part:
    """Of some frames `(F,)` and atoms `(A,)`; no frames: figures of atoms only."""
    batch = assessment.batch
    error, counted = batch.errors(labels), batch.counted
    here = PerQuantity(energy=frames, force=atoms[:, None], stress=frames[:, None])
    return Part(
        frames=int(frames.sum()),
        atoms=int(atoms.sum()),
        errors=_errors(assessment, labels, frames, atoms),
        scores=_scores(assessment, labels, frames, atoms),
        bars=PerQuantity.of(
            {
                quantity: against_errors(assessment, quantity, error[quantity], mask & count, constant_bar)
                for quantity, mask, count in together(here, counted)
            }
        ),
        envelopes=enveloped(batch, labels, frames, atoms).map(envelope_figures),
    )


def _errors(assessment: Assessment, labels: Labels, frames: Mask, atoms: Mask) -> Errors:
    error, offsets = assessment.batch.errors(labels), assessment.batch.offsets
    energy, force = assessment.batch.energy_error(labels), assessment.batch.force_error(labels)
    per_atom = np.linalg.norm(force, axis=1)
    return Errors(
        energy=_size(1000 * _known(energy[frames])),
        force=_size(_known(force[atoms])),
        force_vector=_size(_known(per_atom[atoms])),
        largest_of_frame=_size(_known(frame_max(per_atom, offsets)[frames])),
        largest=number(np.max, _known(per_atom[atoms])),
        stress=None if error.stress is None else _size(1000 * _known(error.stress[frames])),
    )


def _known(error: Array) -> Array:
    """Errors of values with a label; as they are where all have one, else flat."""
    known = ~np.isnan(error)
    return error if known.all() else error[known]


def _size(error: Array) -> ErrorSize:
    return ErrorSize(rmse=number(rmse, error), mae=number(mae, error))


def _scores(assessment: Assessment, labels: Labels, frames: Mask, atoms: Mask) -> dict[str, PerLevel[RankingFigures]]:
    """Each score held against the errors that it ranks; without values here, it is left out."""
    batch = assessment.batch
    energy = np.abs(batch.energy_error(labels))
    per_atom = np.linalg.norm(batch.force_error(labels), axis=1)
    errors: dict[Level, Array] = {"atom": per_atom, "frame": frame_max(per_atom, batch.offsets)}
    if batch.neighbourhood_error is not None:
        errors["neighbourhood"] = batch.neighbourhood_error
    moving_atoms: Mask = np.asarray(~batch.still.all(axis=1))
    moving_frames: Mask = frame_max(moving_atoms.astype(float), batch.offsets) > 0
    found: dict[str, dict[ScoreLevel, Any]] = {}
    for (name, level), score in assessment.scores.items():
        here, moving = (frames, moving_frames) if level == "frame" else (atoms, moving_atoms)
        error = energy if score.facts.stands_for == "energy" else errors.get(level)
        if error is None or not here.any():
            continue
        levels = found.setdefault(name, {})
        levels[level] = _ranking(score.values, error, score.threshold, here, moving)
        if level == "atom" and frames.any():
            mean, mean_error = (frame_mean(values, batch.offsets) for values in (score.values, error))
            levels["frame_mean"] = _ranking(mean, mean_error, None, frames, moving_frames)
    return {name: replace(PerLevel[RankingFigures](), **levels) for name, levels in found.items()}


def _ranking(score: Array, error: Array, threshold: float | None, here: Mask, moving: Mask) -> RankingFigures:
    """Rank correlation and detection, with and without what vanishes by symmetry; of what has no label the flags."""
    everything, here = here, here & ~np.isnan(error)
    without = here & moving
    return RankingFigures(
        spearman=number(spearman, score[here], error[here]),
        spearman_without_symmetry_zeros=number(spearman, score[without], error[without]),
        auroc=number(roc_auc, score[here], worst_decile(error[here])),
        flagged=None if threshold is None else number(flagged_fraction, score[everything], threshold),
        threshold=None if threshold is None else finite(threshold),
    )
