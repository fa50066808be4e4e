"""Energies, forces and stresses of a sample of frames fitted together, each half by the other, under any reading.

Columns of the design rows are scaled once, and what is quadratic in rows and coefficients is made once: a reading costs
one factorisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from assay.metrics.contradiction import scale_of
from assay.results.arrays import Array

RIDGE = 1e-6
"""Of columns of unit length: a fit to a sample that is to be sound, not the best."""

Values = Mapping[str, Array]
"""By quantity: a value for each row of it."""


@dataclass(frozen=True)
class Rows:
    """Design rows of one quantity: `rows (n, P)`, what the reference says of each `(n,)`, and their frames `(n,)`."""

    rows: Array
    reference: Array
    frame: NDArray[np.int64]


@dataclass
class JointFit:
    """Fits to the rows of one half of F frames, of any of the quantities, held against those of the other half.

    Frames of even and odd number are the halves. Arguments are the rows of each quantity, and F.
    """

    rows: Mapping[str, Rows]
    frames: int
    _halves: dict[tuple[int, str], Array] = field(init=False, repr=False)
    _grams: dict[tuple[int, str], Array] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        square = np.sum(
            [np.mean(each.rows**2, axis=0) / _mean_square(each.rows) for each in self.rows.values()], axis=0
        )
        scale = np.sqrt(square)
        known = scale > 1e-10 * scale.max()
        factor = np.where(known, 1 / np.where(known, scale, 1.0), 0.0)
        self._halves = {
            (half, name): each.rows[each.frame % 2 == half] * factor
            for name, each in self.rows.items()
            for half in (0, 1)
        }

    @property
    def coefficients(self) -> int:
        """P."""
        return int(next(iter(self.rows.values())).rows.shape[1])

    def predicted(self, values: Values, fitted: Sequence[str], of: Sequence[str]) -> dict[str, Array]:
        """What fits to the quantities `fitted` of `values` say of the quantities `of`, a value for each row."""
        found = {name: self.rows[name].reference.copy() for name in of}
        for half in (0, 1):
            theta = self._theta(half, values, fitted)
            for name in of:
                found[name][self.rows[name].frame % 2 != half] += self._halves[1 - half, name] @ theta
        return found

    def losses(self, values: Values, fitted: Sequence[str]) -> Iterator[Array]:
        """Of the quantities `fitted`, the loss of each frame: root mean square error over the size of the values."""
        for name, predicted in self.predicted(values, fitted, fitted).items():
            yield self.loss(name, values[name], predicted)

    def loss(self, name: str, values: Array, predicted: Array) -> Array:
        """`√⟨(y - ŷ)²⟩` of each frame over the size of all y, `(F,)`; NaN without any."""
        frame = self.rows[name].frame
        count = np.bincount(frame, minlength=self.frames)
        total = np.bincount(frame, np.square(values - predicted), self.frames)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return np.asarray(np.sqrt(mean) / (scale_of(values) or 1.0))

    def _theta(self, half: int, values: Values, fitted: Sequence[str]) -> Array:
        """Ridge regression by P or by n equations, whichever are fewer."""
        blocks, targets, weights = [], [], []
        for name in fitted:
            here = self.rows[name].frame % 2 == half
            blocks.append(self._halves[half, name])
            weights.append(1 / ((scale_of(values[name]) or 1.0) * np.sqrt(max(1, here.sum()))))
            targets.append((values[name] - self.rows[name].reference)[here])
        if sum(map(len, blocks)) >= blocks[0].shape[1]:
            gram = np.sum([w**2 * self._gram(half, name) for name, w in zip(fitted, weights, strict=True)], axis=0)
            moments = [w**2 * (y @ x) for x, y, w in zip(blocks, targets, weights, strict=True)]
            return _solved(gram, np.sum(moments, axis=0))
        rows = np.concatenate([w * x for x, w in zip(blocks, weights, strict=True)])
        y = np.concatenate([w * y for y, w in zip(targets, weights, strict=True)])
        return np.asarray(rows.T @ _solved(rows @ rows.T, y))

    def _gram(self, half: int, name: str) -> Array:
        if (half, name) not in self._grams:
            own = self._halves[half, name]
            self._grams[half, name] = own.T @ own
        return self._grams[half, name]


def _solved(gram: Array, moment: Array) -> Array:
    gram[np.diag_indices_from(gram)] += RIDGE * max(float(gram.diagonal().max()), 1e-300)
    return np.asarray(cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), moment, check_finite=False))


def _mean_square(rows: Array) -> float:
    return float(np.mean(rows**2)) if rows.any() else 1.0
