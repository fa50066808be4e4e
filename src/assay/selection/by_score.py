"""The frames, or atoms, with the highest scores, and where they lie in feature space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.frames.frame import Frame, FrameError
from assay.frames.species import known_species
from assay.gauge.scorer import values_of
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.scores.features.emptiness import Emptiness
from assay.scores.features.training import signature
from assay.scores.protocol import FittedScore
from assay.sources.capabilities import Source
from assay.sources.features.atom_features import atom_features

TOP = 0.25
"""Share of the pool, the part with the highest scores, among which diversity decides."""
AMONG = 5
"""The same as a multiple of what is to be selected: no more than that are kept in memory."""


@dataclass(frozen=True)
class Points:
    """Picklable function `Frame → points`: one for the frame, `(1, K)`, or one for each atom, `(A, K)`.

    A frame is the means and standard deviations of its features over the atoms of each species; an atom is its
    features, in the columns of its species.
    """

    source: Source
    species: tuple[str, ...]
    of_atoms: bool

    def __call__(self, frame: Frame) -> Array:
        return self.of(atom_features(self.source, frame.atoms), frame.atoms.numbers)

    def of(self, features: Array, numbers: NDArray[np.int64]) -> Array:
        species = tuple(atomic_numbers[symbol] for symbol in self.species)
        if not self.of_atoms:
            return signature(features, numbers, species)[None]
        return np.concatenate([np.where((numbers == z)[:, None], features, 0.0) for z in species], axis=1)


@dataclass(frozen=True)
class Scores:
    """Picklable function `Frame → (values, points)`: values of the frame, `(1,)`, or of its atoms, `(A,)`.

    The value of a frame is the largest of its atoms'. Points are `None` where the source has no features.
    """

    score: FittedScore
    points: Points
    emptiness: Emptiness | None = None

    def __call__(self, frame: Frame) -> tuple[Array, Array | None]:
        source, atoms = self.points.source, frame.atoms
        known_species(atoms, self.points.species)
        if self.score.facts.features_alone:
            evaluation = Prediction(features=atom_features(source, atoms))
        else:
            evaluation = source.predict(atoms)
        every, _ = values_of([self.score], evaluation, atoms.numbers, self.emptiness)
        values, features = every[self.score.name], evaluation.features
        if np.isnan(values).any():
            raise FrameError(f"{self.score.name} is not a number")
        return (
            values if self.points.of_atoms else values.max(keepdims=True),
            None if features is None else self.points.of(features, atoms.numbers),
        )


class Highest:
    """The highest scores of a stream, in bounded memory: `update`, then `result()`, highest first.

    As many as `min(AMONG n, max(n, TOP F))` of F are kept in the end.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._seen = 0
        self._kept: list[tuple[float, int, Array | None]] = []

    def update(self, number: int, value: float, point: Array | None) -> None:
        self._seen += 1
        self._kept.append((value, number, point))
        if len(self._kept) > 2 * AMONG * self._n:
            self._cut(AMONG * self._n)

    def result(self) -> list[tuple[float, int, Array | None]]:
        """(value, number, point)"""
        self._cut(min(AMONG * self._n, max(self._n, round(TOP * self._seen))))
        return self._kept

    def _cut(self, size: int) -> None:
        self._kept = sorted(self._kept, key=lambda each: (-each[0], each[1]))[:size]
