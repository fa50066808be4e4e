"""Emptiness: how much emptier the surroundings of an atom are than any that training has seen.

Features of an atom without neighbours vanish, or nearly do, and to every measure that is linear in features zero is
home: γ = 0, leverage 0, no spread of members. A constant is what tells zero from home, as far as features do not span
it: with f the features of a species in training, n atoms of it,

    w = argmin Σ_i (1 − f_iᵀ w)²,      e(f) = max(0, 1 − fᵀ w) / max_i (1 − f_iᵀ w)

where features are smaller than in the middle of training, `‖f / max |F|‖ < median_i ‖f_i / max |F|‖`, and e = 0
elsewhere: what has more around it than most is not empty, however strange it is. e ≤ 1 in training, and of an atom
without features it is `1 / max_i (1 − f_iᵀ w)`: above 1, unless training has such atoms. The least squares are those
that a constant column adds to a linear fit: it raises the leverage by `(1 − fᵀw)² / Σ_i (1 − f_iᵀw)²`. As a column of
an active set the constant would do less: γ of a lone atom can stay below 1 (`docs/decisions/emptiness.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from assay.results.arrays import Array
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import Declared
from assay.scores.rigidity.leverage import LeverageFold

EMPTINESS = "emptiness"
"""What e of atoms is called beside scores, in results and files."""
CHUNK = 4096
NOISE = 1e-10
"""Columns smaller than this times the largest are rounding errors."""
FLOOR = 1e-6
"""The least border: where features span the constant, what is left of it in training is rounding. And by how much the
border is beyond the emptiest of training."""


@dataclass(frozen=True)
class Emptiness:
    """e of atoms and frames.

    | field | symbol | shape |
    |---|---|---|
    | weights | w, by atomic number | `(D,)` |
    | size | max |F|, by atomic number | `(D,)` |
    | middle | the median of `‖f_i / max |F|‖`, by atomic number | |
    | border | the largest `1 − f_iᵀw` of training atoms below it, by atomic number | |
    | frame_border | the largest mean over the atoms of a training frame | |
    | largest | value in training of each score to which zero is home, by name | |
    """

    weights: Mapping[int, Array]
    size: Mapping[int, Array]
    middle: Mapping[int, float]
    border: Mapping[int, float]
    frame_border: float
    largest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, training: TrainingFeatures) -> Self:
        """In two passes over the features of each species."""
        weights: dict[int, Array] = {}
        size: dict[int, Array] = {}
        middle: dict[int, float] = {}
        border: dict[int, float] = {}
        total, atoms = np.zeros(len(training.numbers)), np.zeros(len(training.numbers))
        for z in training.species:
            weights[z], size[z] = _constant(training.rows(z))
            parts = [_missing(chunk, weights[z], size[z]) for chunk in _chunks(training.rows(z))]
            missing, length = (np.concatenate(each) for each in zip(*parts, strict=True))
            middle[z] = float(np.median(length))
            missing = np.where(length < middle[z], missing, 0.0)
            border[z] = (1.0 + FLOOR) * max(float(missing.max()), FLOOR)
            frames = training.frames_of(z)
            np.add.at(total, frames, missing)
            np.add.at(atoms, frames, 1.0)
        emptiest = float((total / np.maximum(atoms, 1.0)).max(initial=FLOOR))
        return cls(weights, size, middle, border, (1.0 + FLOOR) * emptiest)

    def seen(self, largest: Mapping[str, float]) -> Self:
        """With the largest values of scores in training."""
        return replace(self, largest=largest)

    def missing(self, features: Array, numbers: NDArray[Any]) -> Array:
        """`1 − fᵀw` of atoms with features `(A, D)` and atomic numbers `(A,)`, `(A,)`.

        0 where features are larger than in the middle of training, and for species not in training, of which every
        score says so itself.
        """
        missing = np.zeros(len(features))
        for z, w in self.weights.items():
            of_species = numbers == z
            of_each, length = _missing(features[of_species], w, self.size[z])
            missing[of_species] = np.where(length < self.middle[z], of_each, 0.0)
        return missing

    def of_atoms(self, features: Array, numbers: NDArray[Any]) -> Array:
        """e, `(A,)`."""
        return self._of_atoms(self.missing(features, numbers), numbers)

    def of_frame(self, features: Array, numbers: NDArray[Any]) -> Array:
        """e of the mean over the atoms of a frame, `(1,)`."""
        return self._of_frame(self.missing(features, numbers))

    def _of_atoms(self, missing: Array, numbers: NDArray[Any]) -> Array:
        border = np.ones(len(missing))
        for z, largest in self.border.items():
            border[numbers == z] = largest
        return np.asarray(np.maximum(missing, 0.0) / border)

    def _of_frame(self, missing: Array) -> Array:
        return np.asarray(np.maximum(missing.mean(keepdims=True), 0.0) / self.frame_border)

    def coefficients(self) -> dict[int, Array]:
        """By atomic number, `(1 + D,)`: e of an atom is no less than the first, and the others times its features."""
        return {z: np.concatenate([[1.0], -w]) / self.border[z] for z, w in self.weights.items()}

    def raised(
        self, scores: Sequence[Declared], values: Mapping[str, Array], features: Array, numbers: NDArray[Any]
    ) -> tuple[dict[str, Array], Array]:
        """Values of scores of one frame, `(A,)` or `(1,)` by name, raised where zero is home to a score; and e `(A,)`.

        Where surroundings are emptier than in training they are at least the largest value of training times e, or e²
        of a variance.
        """
        missing = self.missing(features, numbers)
        of_atoms, of_frame = self._of_atoms(missing, numbers), self._of_frame(missing)
        found = dict(values)
        for score in scores:
            e = of_frame if score.home == "frame" else of_atoms
            if score.facts.zero_is_home and (e > 1.0).any():
                times = e**2 if score.facts.kind == "variance" else e
                least = self.largest.get(score.name, 0.0) * times
                found[score.name] = np.where(e > 1.0, np.maximum(values[score.name], least), values[score.name])
        return found, of_atoms

    def state(self) -> dict[str, Any]:
        return {
            "weights": {str(z): w for z, w in self.weights.items()},
            "size": {str(z): largest for z, largest in self.size.items()},
            "middle": {str(z): length for z, length in self.middle.items()},
            "border": {str(z): largest for z, largest in self.border.items()},
            "frame_border": self.frame_border,
            "largest": dict(self.largest),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        weights, size, middle, border = (
            {int(z): value for z, value in state[name].items()} for name in ("weights", "size", "middle", "border")
        )
        return cls(weights, size, middle, border, state["frame_border"], state["largest"])


def _missing(features: Array, w: Array, size: Array) -> tuple[Array, Array]:
    """`1 − fᵀw` and `‖f / max |F|‖` of features `(n, D)`, `(n,)` each."""
    return 1.0 - features @ w, np.linalg.norm(features / size, axis=1)


def _constant(rows: Array) -> tuple[Array, Array]:
    """w of features `(n, D)`, with the ridge of the leverage, and max |F|, `(D,)` each."""
    fold, total, size = LeverageFold(), np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for chunk in _chunks(rows):
        np.maximum(size, np.abs(chunk).max(axis=0), out=size)
        fold.update(chunk, np.zeros(len(chunk)))
        total += chunk.sum(axis=0)
    factors, scales = fold.factors()
    w = scales[0] * cho_solve((factors[0], True), scales[0] * total)
    return np.asarray(w), np.maximum(size, NOISE * (size.max() or 1.0))


def _chunks(rows: Array) -> list[Array]:
    return [np.asarray(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
