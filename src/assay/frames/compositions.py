"""What the compositions of frames say of their energies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array

ALONE = 1e-6
"""1 - leverage below which no other frame tells the shift of some species of a frame."""


FAIR_SHARE = 0.5
"""Of the frames, that others must tell of, for a fit to many species to be judged at all."""


ZERO, TIMES, FEWEST = 0.1, 5.0, 5
"""eV/atom, and times what compositions leave over, from which on energy errors are those of another zero; frames that
it takes to say so."""


TELLS, SURELY, MOST = 0.05, 0.3, 0.9
"""Relative error up to which compositions tell an energy, from which on they don't, and how many others they must tell.
"""


def told_by_others(fractions: Array) -> Array:
    """1 - leverage of each frame, `(F,)`: 0 where a fit to compositions `(F, S)` has a frame's value whatever it is."""
    range_, singular, _ = np.linalg.svd(fractions, full_matrices=False)
    return np.asarray(1 - np.square(range_[:, singular > _zero(singular, fractions)]).sum(axis=1))


def foreign_zero(fractions: Array, errors: Array) -> bool:
    """Whether energy errors `(F,)`, eV/atom, of compositions `(F, S)` are those of another zero of the energy.

    So if shifts of species (one shift of all, for fewer than two frames a species) explain far more than they leave.
    """
    if len(errors) < FEWEST:
        return False
    design = fractions if len(errors) >= 2 * fractions.shape[1] else np.ones((len(errors), 1))
    explained = design @ np.linalg.lstsq(design, errors)[0]
    left = np.sqrt(np.sum((errors - explained) ** 2) / (len(errors) - np.linalg.matrix_rank(design)))
    return bool(_rms(explained) > max(ZERO, TIMES * left))


def per_atom(energies: Array, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of F frames have an energy per atom among others that have one of the whole frame, `(F,)`.

    So if compositions tell the energies of all others per atom to `TELLS` of their size, and that of such a frame only
    when it is read so. None where all have, which compositions alone don't tell, nor where energies are counted from
    near what compositions say of them. Energies `(F,)` eV, atoms of each species `(F, S)`.
    """
    natoms = counts.sum(axis=1)
    fractions, total = counts / natoms[:, None], energies / natoms
    read = np.zeros(len(energies), dtype=bool)
    usable = np.isfinite(energies)
    if usable.sum() < FEWEST or natoms.max() < 2:
        return read
    fitted = usable & (np.abs(total) >= np.median(np.abs(total[usable])))
    said = np.zeros(len(energies))
    for _ in range(10):
        values = np.where(read, energies, total)
        said = fractions @ np.linalg.lstsq(fractions[fitted], values[fitted])[0]
        before, read = read, usable & (natoms > 1) & (np.abs(energies - said) < np.abs(total - said))
        near = np.abs(np.where(read, energies, total) - said) <= TELLS * np.abs(said)
        if not near.any() or np.array_equal(before, read):
            break
        fitted = usable & near
    others = usable & ~read
    sure = read & (np.abs(energies - said) <= TELLS * np.abs(said)) & (np.abs(total - said) > SURELY * np.abs(said))
    if not others.any() or np.mean(np.abs(total - said)[others] <= TELLS * np.abs(said[others])) < MOST:
        return np.zeros(len(energies), dtype=bool)
    return np.asarray(sure)


def _zero(singular: Array, matrix: Array) -> float:
    """Singular values up to this are rounding errors."""
    return float(singular[0] * max(matrix.shape) * np.finfo(float).eps)


def _rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(values**2, axis=0)))
