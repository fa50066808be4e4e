"""DFT labels that are probably wrong: the teachers agree among themselves and with the labels of like frames, not with
this one.

Axis letters: F frames, D features of a frame, N neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from assay.distillation.labels import fit_references
from assay.distillation.teachers import PoolLabels, Teachers
from assay.frames.frame import Frame, Skipped
from assay.results.arrays import Array
from assay.results.warning import warn
from assay.results.wording import many

FORCE_FLOOR = 0.005
"""eV/Å: differences of DFT forces below this are no news: about what a set-up converges them to."""
ENERGY_FLOOR = 0.001
"""eV/atom: the same of energies."""
LEAST = 2.0
"""A label is noisy only if it differs from the teachers at least so many times more than expected."""


@dataclass(frozen=True)
class NoisyLabels:
    """Which of F labels are noisy, and the evidence.

    | field | meaning | shape |
    |---|---|---|
    | energy, forces | which label is flagged | `(F,)` |
    | energy_excess, force_excess | how many times more than expected it differs, the smaller of the two kinds of \
evidence | `(F,)` |
    """

    energy: NDArray[np.bool_]
    forces: NDArray[np.bool_]
    energy_excess: Array
    force_excess: Array

    @property
    def any(self) -> NDArray[np.bool_]:
        """Frames with a flagged label of either kind, `(F,)`."""
        return self.energy | self.forces


def noisy_labels(
    energy_difference: Array,
    energy_spread: Array,
    force_difference: Array,
    uncertainty: Array,
    features: Array,
    *,
    neighbours: int = 10,
) -> NoisyLabels:
    """Flag labels that differ from the teachers far more than the teachers' spread and the labels of like frames let
    expect.

    With the difference d_j of label and teachers and the teachers' own spread s_j, the two kinds of evidence are

    `a_j = ln((d_j + ε) / (s_j + ε))` and `b_j = ln((d_j + ε) / (median_{k∈N(j)} d_k + ε))`,

    N(j) the nearest frames in standardised features and ε the precision of DFT (`FORCE_FLOOR`, `ENERGY_FLOOR`). A label
    is flagged where both are beyond Tukey's outer fence `Q3 + 3 (Q3 - Q1)` of all frames, and beyond `ln LEAST`. Energy
    differences are taken from the median of the neighbours', as references and what teachers get wrong together shift
    like frames alike.

    | argument | symbol | meaning | shape, unit |
    |---|---|---|---|
    | energy_difference | | label less the teachers' mean, references removed | `(F,)` eV/atom |
    | energy_spread | s | standard deviation of the teachers | `(F,)` eV/atom |
    | force_difference | d | largest ‖F_label − F̄‖ of an atom | `(F,)` eV/Å |
    | uncertainty | s | U of the frame | `(F,)` eV/Å |
    | features | | of each frame, such as the mean over its atoms | `(F, D)` |
    | neighbours | | N | |

    Raises `ValueError` for too few frames to have neighbours and quartiles (8).
    """
    frames = len(features)
    if frames < 8:
        raise ValueError(f"{frames} labelled frames are too few to tell a noisy label from others; 8 are needed")
    near = _nearest(features, min(neighbours, frames - 1))
    shifted = np.abs(energy_difference - np.median(energy_difference[near], axis=1))
    energy, energy_excess = _flagged(shifted, energy_spread, near, ENERGY_FLOOR)
    forces, force_excess = _flagged(force_difference, uncertainty, near, FORCE_FLOOR)
    return NoisyLabels(energy, forces, energy_excess, force_excess)


def frame_features(features: Array, numbers: NDArray[np.int64], species: tuple[int, ...]) -> Array:
    """`Σ_{i of species s} f_i / A` for each species, one after the other: `(A, D)` → `(S · D,)`."""
    return np.concatenate([features[numbers == z].sum(axis=0) for z in species]) / len(numbers)


def _nearest(features: Array, neighbours: int) -> NDArray[np.int64]:
    """Indices of the nearest other frames, `(F, N)`."""
    scaled = StandardScaler().fit_transform(features)
    found = NearestNeighbors(n_neighbors=neighbours).fit(scaled).kneighbors(return_distance=False)
    return np.asarray(found)


def _flagged(
    difference: Array, spread: Array, near: NDArray[np.int64], floor: float
) -> tuple[NDArray[np.bool_], Array]:
    """Which differences are beyond both fences, and the smaller excess, `(F,)`."""
    from_teachers = np.log((difference + floor) / (spread + floor))
    from_neighbours = np.log((difference + floor) / (np.median(difference[near], axis=1) + floor))
    both = [from_teachers, from_neighbours]
    beyond = np.all([each > max(_fence(each), np.log(LEAST)) for each in both], axis=0)
    return beyond, np.exp(np.minimum(*both))


def _fence(values: Array) -> float:
    q1, q3 = np.quantile(values, [0.25, 0.75])
    return float(q3 + 3 * (q3 - q1))


FEWEST = 8
"""Labelled frames below which nothing can be said."""
SEES = 60
"""Labelled frames below which most wrong labels pass: of tungsten's with 3 % wrong energies and 3 % wrong forces, 19 of
20 are found among 170 frames, 39 of 48 among 68 to 113, 3 of 12 among 34 and 49."""


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
    if len(here) < SEES:
        warn(
            f"{many(len(here), 'frame')} with a DFT label: the filter of noisy labels misses most with "
            f"fewer than {SEES}"
            + (f", and is not run with fewer than {FEWEST}" if len(here) < FEWEST else "")
            + ". Look at the labels yourself, or give more",
            stacklevel=2,
        )
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
