"""The figures of one gauge on the test frames of one group: a cell of each table of transferability.

Axis letters: F frames, A atoms of all frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.metrics import coverage, ence, rmse, spearman
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA, Gaussian


@dataclass(frozen=True)
class TransferCell:
    """A figure for each of `assay.evaluation.transferability_result.TABLES`, NaN where it is not defined."""

    force_rmse_eV_per_A: float = np.nan
    energy_rmse_meV_per_atom: float = np.nan
    force_coverage_68: float = np.nan
    force_coverage_95: float = np.nan
    energy_coverage_95: float = np.nan
    force_z_mean_square: float = np.nan
    force_ence: float = np.nan
    force_spearman: float = np.nan
    flagged: float = np.nan
    failed: float = np.nan


def transfer_cell(found: Assessment, here: NDArray[np.bool_], flag: str) -> TransferCell:
    """The figures of the frames `here` `(F,)`, but `failed`; `flag` names the score whose threshold flags frames."""
    batch, labels = found.batch, found.batch.labels
    if labels is None or not here.any():
        return TransferCell()
    force, energy = batch.force_error(labels), batch.energy_error(labels)
    of_atoms, of_frames = here[batch.frame_of_atom] & ~np.isnan(force[:, 0]), here & ~np.isnan(energy)
    moving = of_atoms[:, None] & ~batch.still
    cell = TransferCell()
    if of_atoms.any():
        cell = replace(cell, force_rmse_eV_per_A=rmse(force[of_atoms]))
    if of_frames.any():
        cell = replace(cell, energy_rmse_meV_per_atom=1000 * rmse(energy[of_frames]))
        if found.bars.energy is not None:
            half = found.bars.energy.half_width(0.95)[of_frames]
            cell = replace(cell, energy_coverage_95=coverage(energy[of_frames], half))
    limit = found.scores.get((flag, "frame"))
    if limit is not None and limit.threshold is not None:
        cell = replace(cell, flagged=float(np.mean(limit.flagged[here])))
    bar = found.bars.force
    if bar is None or not moving.any():
        return cell
    e = force[moving]
    atoms = moving.any(axis=1)
    size = np.linalg.norm(bar.half_width(ONE_SIGMA), axis=1)[atoms]
    cell = replace(
        cell,
        force_coverage_68=coverage(e, bar.half_width(0.68)[moving]),
        force_coverage_95=coverage(e, bar.half_width(0.95)[moving]),
        force_spearman=spearman(size, np.linalg.norm(force, axis=1)[atoms]),
    )
    if isinstance(bar, Gaussian):
        std = bar.std[moving]
        if np.all(np.isfinite(std) & (std > 0)):
            cell = replace(cell, force_z_mean_square=float(np.mean((e / std) ** 2)), force_ence=ence(e, std))
    return cell
