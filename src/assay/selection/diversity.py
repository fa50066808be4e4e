"""Diversity: each choice is the point that is farthest from all before it (Gonzalez 1985,
doi:10.1016/0304-3975(85)90224-5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.results.arrays import Array
from assay.scores.d_optimality.exchange import Indices

NOISE = 1e-12
"""A spread of less than this times the largest value is none."""


def farthest(points: Array, n: int, *, nearest: Array | None = None) -> tuple[Indices, Array]:
    """At most n of F points, `i = argmax_i min_j ‖x_i − x_j‖` over the chosen j, and that distance when i was chosen.

    Parameters
    ----------
    points : (F, K)
    nearest : (F,)
        distance of each to the nearest point that counts as chosen before; without it the first choice is point 0,
        at an infinite distance
    """
    left = np.full(len(points), np.inf) if nearest is None else nearest.copy()
    chosen: list[int] = []
    distances: list[float] = []
    while len(chosen) < min(n, len(points)):
        i = int(left.argmax())
        chosen.append(i)
        distances.append(float(left[i]))
        left = np.minimum(left, np.linalg.norm(points - points[i], axis=1))
        left[chosen] = -1.0
    return np.array(chosen, dtype=np.int64), np.array(distances)


def to_nearest(points: Array, others: Array) -> Array:
    """Distance of each of F points `(F, K)` to the nearest of others `(T, K)`, `(F,)`."""
    from scipy.spatial.distance import cdist  # slow to import

    return np.asarray(cdist(points, others).min(axis=1))


@dataclass(frozen=True)
class Standard:
    """The mean and spread of points, `(K,)`: `standard(points)` is in units of these. A column without spread is 0."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, points: Array) -> Standard:
        spread = points.std(axis=0)
        return cls(points.mean(axis=0), np.where(spread > NOISE * np.abs(points).max(axis=0), spread, np.inf))

    def __call__(self, points: Array) -> Array:
        return np.asarray((points - self.mean) / self.spread)
