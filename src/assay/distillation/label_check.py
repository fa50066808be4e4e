"""The DFT labels of a pool held against its teachers: `assay.distillation.noise` with all that it needs.

Axis letters: F frames of the pool, A atoms, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.distillation.labels import fit_references
from assay.distillation.noise import NoisyLabels, frame_features, noisy_labels
from assay.distillation.teachers import PoolLabels, Teachers
from assay.frames import Frame, Skipped
from assay.prediction import Array

FEWEST = 8
"""Labelled frames below which nothing can be said."""


def check_labels(
    frames: Sequence[Frame],
    teachers: Teachers,
    known: PoolLabels,
    weights: Array,
    features: Callable[[Atoms], Array],
) -> tuple[NDArray[np.bool_], Skipped]:
    """Which DFT labels are noisy, `(F,)`, and `(origin, reason)` of each; none where there are fewer than `FEWEST`.

    | argument | meaning |
    |---|---|
    | known | DFT labels, NaN where there are none |
    | weights | of the teachers, `(K,)` |
    | features | of the atoms of a frame, `(A, D)`: they say which frames are alike |
    """
    here, flagged = np.flatnonzero(known.known & teachers.answered), np.zeros(len(frames), dtype=bool)
    if len(here) < FEWEST:
        return flagged, []
    found = _held_against(frames, teachers, known, weights, features, here)
    flagged[here] = found.any
    reasons: Skipped = []
    kinds = (("energy", found.energy, found.energy_excess), ("forces", found.forces, found.force_excess))
    for i in np.flatnonzero(found.any):
        parts = [f"{kind} {excess[i]:.3g} times" for kind, flags, excess in kinds if flags[i]]
        reasons.append((frames[here[i]].origin, f"{', '.join(parts)} farther from the teachers than expected"))
    return flagged, reasons


def _held_against(
    frames: Sequence[Frame],
    teachers: Teachers,
    known: PoolLabels,
    weights: Array,
    features: Callable[[Atoms], Array],
    here: NDArray[np.int64],
) -> NoisyLabels:
    references = fit_references(frames, teachers, known.energy, known.known & teachers.answered, weights)
    shifts = np.array([references.of(frames[j].atoms.numbers) for j in here]).T
    difference = (known.energy[here] - teachers.energy[:, here] - shifts) / teachers.natoms[here]
    norms = np.linalg.norm(known.forces - teachers.forces.mean(axis=0), axis=1)
    largest = np.maximum.reduceat(norms, teachers.offsets[:-1])[here]
    species = tuple(np.unique(np.concatenate([frames[j].atoms.numbers for j in here])).tolist())
    rows = np.array([frame_features(features(a), a.numbers, species) for a in (frames[j].atoms for j in here)])
    spread = np.sqrt(weights @ np.square(difference - difference.mean(axis=0)))
    return noisy_labels(weights @ difference, spread, largest, teachers.uncertainty(weights)[here], rows)
