"""What frames of a pool could add to active sets: found frame by frame, and kept in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Frame
from assay.results.arrays import Array
from assay.scores.d_optimality.exchange import NOISE, Indices
from assay.scores.d_optimality.maxvol import default_floor
from assay.scores.features.row_blocks import column_maxima, largest
from assay.selection.by_volume import Environments, Inverses, exchange
from assay.sources.capabilities import Source
from assay.sources.features.atom_features import atom_features

ROWS = 4096
"""Environments of a species that are kept before frames without a place in the common active set are let go."""


@dataclass(frozen=True)
class Found:
    """What one frame could add.

    | field | meaning |
    |---|---|
    | grades | γ of its atoms, `(A,)`; infinite for a species without an active set |
    | rows | by atomic number: features and indices of the atoms that take places of the active set if it comes alone |
    """

    grades: Array
    rows: Mapping[int, tuple[Array, Indices]]


@dataclass(frozen=True)
class Extends:
    """Picklable function `Frame → Found`."""

    source: Source
    inverses: Inverses

    def __call__(self, frame: Frame) -> Found:
        features, numbers = atom_features(self.source, frame.atoms), frame.atoms.numbers
        grades = np.full(len(numbers), np.inf)
        rows = {}
        for z in np.unique(numbers).tolist():
            atoms = np.flatnonzero(numbers == z)
            inverse = self.inverses[z] if z in self.inverses else unspanned(features[atoms])
            c = features[atoms] @ inverse
            if z in self.inverses:
                grades[atoms] = largest(c)
            if len(taken := np.unique(exchange(c)[1])):
                rows[z] = features[atoms[taken]], atoms[taken]
        return Found(grades, rows)


def unspanned(features: Array) -> Array:
    """`A⁻¹` before there is any environment: that of a small identity, in units of the columns' largest values."""
    maxima = column_maxima(features)
    top = maxima.max() or 1.0
    return np.diag(1.0 / (default_floor(features.dtype) * np.where(maxima > NOISE * top, maxima, top)))


class Candidates:
    """Environments that could extend active sets, by frame or by atom: `update(groups, found)`, then `pool()`.

    Kept is every group until there are `rows` environments of a species; then the groups with an environment in the
    active set of training and all of these, at most D of each species.
    """

    def __init__(self, inverses: Inverses, rows: int = ROWS) -> None:
        self.inverses = dict(inverses)
        self._kept: dict[int, list[tuple[Array, Indices]]] = {}
        self._rows = rows

    def update(self, groups: NDArray[np.int64], found: Found) -> None:
        """Add a frame; `groups` `(A,)` numbers what is chosen: the frame for each of its atoms, or each atom."""
        for z, (features, atoms) in found.rows.items():
            if z not in self.inverses:
                self.inverses[z] = unspanned(features)
            self._kept.setdefault(z, []).append((features, groups[atoms]))
        if any(sum(len(groups) for _, groups in kept) > self._rows for kept in self._kept.values()):
            self._prune()

    def pool(self) -> dict[int, Environments]:
        """The environments of each species."""
        return {
            z: Environments(*(np.concatenate(each) for each in zip(*kept, strict=True)))
            for z, kept in self._kept.items()
        }

    def _prune(self) -> None:
        pool = self.pool()
        taken = [each.groups[exchange(each.features @ self.inverses[z])[1]] for z, each in pool.items()]
        keep = np.unique(np.concatenate(taken))
        left = {z: each.of(keep) for z, each in pool.items()}
        self._kept = {z: [(each.features, each.groups)] for z, each in left.items()}
        self._rows = max(self._rows, 2 * max(len(each.groups) for each in left.values()))
