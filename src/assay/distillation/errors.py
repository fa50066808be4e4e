"""Errors of labels and potentials against DFT, of all frames and of each config_type.

Axis letters: F frames, A atoms of all frames, S species.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.distillation.teachers import PoolLabels
from assay.frames.frame import Frame
from assay.metrics import rmse
from assay.results.arrays import Array


def errors(frames: Sequence[Frame], predicted: PoolLabels, known: PoolLabels) -> dict[str, Any]:
    """RMSEs over the frames that have both, and by config_type.

    `energy_shifted` is that of energies after one shift per species, fitted to all these frames: all that is to be said
    of energies whose reference is not that of DFT; `None` where there are no more frames than shifts. Forces in eV/Å,
    energies in meV/atom; empty without frames.
    """
    here = predicted.known & known.known
    if not here.any():
        return {}
    natoms = np.array([len(frame.atoms) for frame in frames])
    energy = (predicted.energy - known.energy) / natoms
    shift, shifts = _shift([frames[j] for j in np.flatnonzero(here).tolist()], energy[here])
    energy_shifted = np.full(len(frames), np.nan)
    energy_shifted[here] = energy[here] - shift
    square = np.square(predicted.forces - known.forces).sum(axis=1)
    frame_of = np.repeat(np.arange(len(frames)), natoms)
    kinds = np.array([frame.config_type for frame in frames])

    def of(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "frames": int(chosen.sum()),
            "atoms": int(natoms[chosen].sum()),
            "force_rmse_eV_per_A": float(np.sqrt(square[chosen[frame_of]].mean() / 3)),
            "energy_rmse_meV_per_atom": 1000 * rmse(energy[chosen]),
            "energy_shifted_rmse_meV_per_atom": 1000 * rmse(energy_shifted[chosen]) if here.sum() > shifts else None,
        }

    by_kind = {str(kind): of(here & (kinds == kind)) for kind in np.unique(kinds[here])}
    return of(here) | {"by_config_type": by_kind}


def _shift(frames: Sequence[Frame], energy: Array) -> tuple[Array, int]:
    """`Σ_s x_fs δ_s` with the shifts of least squares, of energies per atom `(F,)`, and how many are independent."""
    numbers = np.unique(np.concatenate([frame.atoms.numbers for frame in frames]))
    fractions = np.array([[np.mean(frame.atoms.numbers == z) for z in numbers] for frame in frames])
    shifts, _, rank, _ = np.linalg.lstsq(fractions, energy)
    return np.asarray(fractions @ shifts), int(rank)


def worse_than(student: dict[str, Any], teachers: dict[str, Any], quantity: str) -> list[str]:
    """The config types on which the student's RMSE of a quantity is above the teachers', by how much, worst first."""
    ours, theirs = student.get("by_config_type", {}), teachers.get("by_config_type", {})
    ratios = {
        kind: ours[kind][quantity] / theirs[kind][quantity] for kind in ours if theirs.get(kind, {}).get(quantity)
    }
    return sorted((kind for kind, ratio in ratios.items() if ratio > 1), key=lambda kind: -ratios[kind])
