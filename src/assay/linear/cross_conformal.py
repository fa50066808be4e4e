"""Intervals where labels are too few to keep any out: CV+ of a linear potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Frame
from assay.frames.species import known_species
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.capabilities import Source


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
