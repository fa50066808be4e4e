"""What the compositions of frames say of their energies."""

from __future__ import annotations

import numpy as np

from assay.results.arrays import Array

ALONE = 1e-6
"""1 - leverage below which no other frame tells the shift of some species of a frame."""


FAIR_SHARE = 0.5
"""Of the frames, that others must tell of, for a fit to many species to be judged at all."""


ZERO, TIMES, FEWEST = 0.1, 5.0, 5
"""eV/atom, and times what compositions leave over, from which on energy errors are those of another zero; frames that
it takes to say so."""


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


def _zero(singular: Array, matrix: Array) -> float:
    """Singular values up to this are rounding errors."""
    return float(singular[0] * max(matrix.shape) * np.finfo(float).eps)


def _rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(values**2, axis=0)))
