"""Nearest training environments, by scikit-learn, with distances that are exact also where they are tiny.

Axis letters: m queries, n points, D features, k neighbours.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

SUSPECT = 1e-4
"""Distances below this times the largest norm are computed again; others have relative errors below 1e-8."""
AT_ONCE = 20_000
"""Distances computed at once."""


class Nearest:
    """An index of points `(n, D)`; call it with queries `(m, D)`. Few pairs are computed without scikit-learn."""

    def __init__(self, points: Array) -> None:
        self._centre = points.mean(axis=0)
        self._points = points - self._centre
        self._square = np.square(self._points).sum(axis=1)
        self._norm = float(np.sqrt(self._square.max()))

    @cached_property
    def _index(self) -> NearestNeighbors:
        from sklearn.neighbors import NearestNeighbors  # slow to import

        return NearestNeighbors().fit(self._points)

    def __call__(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """Euclidean distances to the min(k, n) nearest points and which they are, `(m, k)`, the nearest first.

        The search is by `|x|² + |y|² − 2 xy`, which is off by up to 1e-8 |x| for coincident points.
        """
        queries, k = queries - self._centre, min(k, len(self._points))
        few = len(queries) * len(self._points) <= AT_ONCE
        distance, which = self._among_all(queries, k) if few else self._index.kneighbors(queries, k)
        i, j = np.nonzero(distance <= SUSPECT * self._norm)
        for start in range(0, len(i), AT_ONCE):
            some = i[start : start + AT_ONCE], j[start : start + AT_ONCE]
            distance[some] = np.linalg.norm(queries[some[0]] - self._points[which[some]], axis=1)
        order = np.argsort(distance, axis=1, kind="stable")
        return np.take_along_axis(distance, order, axis=1), np.take_along_axis(which, order, axis=1)

    def _among_all(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        square = np.square(queries).sum(axis=1)[:, None] + self._square - 2.0 * (queries @ self._points.T)
        which = np.argpartition(square, k - 1, axis=1)[:, :k]
        return np.sqrt(np.maximum(np.take_along_axis(square, which, axis=1), 0.0)), which
