"""Extrapolation grade γ: how far a feature vector is from the active set of its species.

`γ_i = max_j |c_ij|` with `f_iᵀ = c_iᵀ A`, where the D rows of A are the training environments whose determinant is
the largest that MaxVol finds (Podryabinkin and Shapeev 2017, doi:10.1016/j.commatsci.2017.08.031; Lysogorskiy et al.
2023, doi:10.1103/PhysRevMaterials.7.043801). γ > 1 is extrapolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lu, solve

from assay.prediction import Array
from assay.sources import Evaluation

TOLERANCE = 1.01
UNSPANNED = 1e-6
"""Relative size of the rows of the scaled identity that stand in for directions which no environment spans."""
NOISE = 1e-10
"""Columns smaller than this times the largest are not scaled up: they are rounding errors."""


BUFFER_ROWS = 4096


class MaxVol:
    """Active set of one species as a fold over chunks of features `(n, D)`: `update(chunk)`, `merge(other)`.

    Columns are scaled by the largest absolute value seen, and `UNSPANNED` times the identity is always among the
    candidates, so that the set is never singular: fewer environments than features, duplicated rows and constant
    columns are ordinary, and a direction outside the training set keeps its tiny row and hence gets a large γ.
    One pass leaves grades of training environments slightly above 1 possible.
    """

    def __init__(self, features: int) -> None:
        self._largest = np.zeros(features)
        self._rows = UNSPANNED * np.eye(features)  # in units of the scale
        self._real = np.zeros(features, dtype=bool)
        self._buffer: list[Array] = []
        self._buffered = 0

    def update(self, chunk: Array) -> None:
        self._buffer.append(chunk)
        self._buffered += len(chunk)
        if self._buffered >= BUFFER_ROWS:
            self._flush()

    def merge(self, other: MaxVol) -> None:
        """Add the environments in another's active set."""
        other._flush()
        self.update(other._rows[other._real] * other._scale())

    def _scale(self) -> Array:
        largest = self._largest.max() or 1.0
        return np.where(self._largest > NOISE * largest, self._largest, largest)

    def _flush(self) -> None:
        if not self._buffered:
            return
        chunk = np.concatenate(self._buffer)
        self._buffer, self._buffered = [], 0
        before = self._scale()
        self._largest = np.maximum(self._largest, np.abs(chunk).max(axis=0))
        self._rows[self._real] *= before / self._scale()
        artificial = UNSPANNED * np.eye(len(before))
        candidates = np.concatenate([self._rows, artificial, chunk / self._scale()])
        real = np.concatenate([self._real, np.zeros(len(before), bool), np.ones(len(chunk), bool)])
        chosen = maxvol(candidates)
        self._rows, self._real = candidates[chosen], real[chosen]

    def inverse(self) -> Array:
        """`A⁻¹`, `(D, D)`: γ is the largest absolute value of `f @ A⁻¹`. The published artefact, hence explicit."""
        self._flush()
        return np.asarray(solve(self._rows, np.eye(len(self._rows))) / self._scale()[:, None])


def maxvol(candidates: Array, tolerance: float = TOLERANCE) -> NDArray[np.int64]:
    """D rows of `candidates` `(n, D)` whose determinant no single swap raises by more than `tolerance`.

    Pivoted LU finds a start; then row i replaces row j while `|C_ij| > tolerance`, `C = F A⁻¹`
    (Goreinov et al. 2010, doi:10.1142/9789812836021_0015). Needs rank D.
    """
    d = candidates.shape[1]
    order, _, _ = lu(candidates, p_indices=True)
    chosen = np.argsort(order)[:d]
    while True:
        c = solve(candidates[chosen].T, candidates.T).T
        swapped = False
        for _ in range(10 * d):
            i, j = np.unravel_index(np.argmax(np.abs(c)), c.shape)
            if abs(c[i, j]) <= tolerance:
                break
            swapped = True
            chosen[j] = i
            step = c[i].copy()
            step[j] -= 1.0
            c -= np.outer(c[:, j] / c[i, j], step)
        if not swapped:
            return chosen


@dataclass(frozen=True)
class ExtrapolationGrade:
    """γ per atom from the active set of its species; infinite for a species without one.

    `inverses`: atomic number → `A⁻¹`, `(D, D)`.
    """

    inverses: Mapping[int, Array]

    name: ClassVar[str] = "gamma"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    in_error_units: ClassVar[Literal["force", "energy"] | None] = None
    fixed_threshold: ClassVar[float | None] = 1.0

    @classmethod
    def fit(cls, chunks: Iterable[tuple[Array, NDArray[Any]]]) -> ExtrapolationGrade:
        """One pass over chunks of features `(n, D)` with their atomic numbers `(n,)`."""
        fold = GradeFold()
        for features, numbers in chunks:
            fold.update(features, numbers)
        return fold.result()

    def grades(self, features: Array, numbers: NDArray[Any]) -> Array:
        """γ of environments with features `(A, D)` and atomic numbers `(A,)`, `(A,)`."""
        gamma = np.full(len(features), np.inf)
        for z, inverse in self.inverses.items():
            of_species = numbers == z
            if of_species.any():
                gamma[of_species] = np.abs(features[of_species] @ inverse).max(axis=1)
        return gamma

    def values(self, evaluation: Evaluation, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        return self.grades(features_of(evaluation, self.name), numbers)

    def state(self) -> dict[str, Any]:
        return {"inverses": {str(z): inverse for z, inverse in self.inverses.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ExtrapolationGrade:
        return cls({int(z): inverse for z, inverse in state["inverses"].items()})


class GradeFold:
    """Accumulates the active sets of all species: `update(features, numbers)`, `merge(other)`, `result()`."""

    def __init__(self) -> None:
        self._sets: dict[int, MaxVol] = {}

    def update(self, features: Array, numbers: NDArray[Any]) -> None:
        for z in np.unique(numbers):
            self._sets.setdefault(int(z), MaxVol(features.shape[1])).update(features[numbers == z])

    def merge(self, other: GradeFold) -> None:
        for z, theirs in other._sets.items():
            if z in self._sets:
                self._sets[z].merge(theirs)
            else:
                self._sets[z] = theirs

    def result(self) -> ExtrapolationGrade:
        return ExtrapolationGrade({z: each.inverse() for z, each in sorted(self._sets.items())})


def features_of(evaluation: Evaluation, name: str) -> Array:
    """The features; raises `ValueError` where the source has none."""
    if evaluation.features is None:
        raise ValueError(f"{name} needs per-atom features, which this source does not have")
    return evaluation.features
