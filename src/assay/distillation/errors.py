"""Errors of labels and potentials against DFT, of all frames and of each config_type.

Axis letters: F frames, A atoms of all frames, S species.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.distillation.figures import Compared, DftErrors, Rmses
from assay.distillation.teachers import PoolLabels
from assay.frames.frame import Frame
from assay.metrics import rmse
from assay.results.arrays import Array


def errors(frames: Sequence[Frame], predicted: PoolLabels, known: PoolLabels) -> DftErrors | None:
    """RMSEs over the frames that have both, and by config_type; `None` without any.

    Shifts of energies are fitted to all these frames: what is left after them is all that is to be said of energies
    whose reference is not that of DFT.
    """
    here = predicted.known & known.known
    if not here.any():
        return None
    natoms = np.array([len(frame.atoms) for frame in frames])
    energy = (predicted.energy - known.energy) / natoms
    shift, shifts = _shift([frames[j] for j in np.flatnonzero(here).tolist()], energy[here])
    energy_shifted = np.full(len(frames), np.nan)
    energy_shifted[here] = energy[here] - shift
    square = np.square(predicted.forces - known.forces).sum(axis=1)
    frame_of = np.repeat(np.arange(len(frames)), natoms)
    kinds = np.array([frame.config_type for frame in frames])

    def of(chosen: NDArray[np.bool_]) -> Rmses:
        return Rmses(
            frames=int(chosen.sum()),
            atoms=int(natoms[chosen].sum()),
            force=float(np.sqrt(square[chosen[frame_of]].mean() / 3)),
            energy=1000 * rmse(energy[chosen]),
            energy_shifted=1000 * rmse(energy_shifted[chosen]) if here.sum() > shifts else None,
        )

    return DftErrors(of(here), {str(kind): of(here & (kinds == kind)) for kind in np.unique(kinds[here])})


def _shift(frames: Sequence[Frame], energy: Array) -> tuple[Array, int]:
    """`Σ_s x_fs δ_s` with the shifts of least squares, of energies per atom `(F,)`, and how many are independent."""
    numbers = np.unique(np.concatenate([frame.atoms.numbers for frame in frames]))
    fractions = np.array([[np.mean(frame.atoms.numbers == z) for z in numbers] for frame in frames])
    shifts, _, rank, _ = np.linalg.lstsq(fractions, energy)
    return np.asarray(fractions @ shifts), int(rank)


def worse_than(student: DftErrors | None, teachers: DftErrors | None, figure: Compared) -> tuple[str, ...]:
    """The config types on which the student's RMSE is above the teachers', by how much, worst first."""
    if student is None or teachers is None:
        return ()
    ratios = {}
    for kind, ours in student.by_config_type.items():
        theirs = teachers.by_config_type.get(kind)
        mine, other = ours[figure], None if theirs is None else theirs[figure]
        if mine is not None and other:
            ratios[kind] = mine / other
    return tuple(sorted((kind for kind, ratio in ratios.items() if ratio > 1), key=lambda kind: -ratios[kind]))
