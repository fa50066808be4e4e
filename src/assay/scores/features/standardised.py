"""Features in units of their spread in training, so that distances are between columns that can be compared.

Axis letters: n training atoms of one species, D features, S species.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures

CONSTANT = 1e-6
"""A column that varies less than this times its largest value in training counts as constant: leaving it is far."""
MOST_NUMBERS = 4_000_000
"""Numbers kept, of the atoms of all species: 32 MB; atoms beyond that are thinned out at random, with a fixed seed."""
COINCIDENT = 1e-6
"""Environments that differ by less than this in every standardised feature are one."""


def kept_rows(training: TrainingFeatures, z: int, beside: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Features `(n, D)` of the atoms of one species, thinned out to their share of `MOST_NUMBERS`, and their frames.

    `beside`: how many numbers are kept of each atom beside its features.
    """
    rows, frames = training.rows(z), training.frames_of(z)
    most = max(1, MOST_NUMBERS // ((rows.shape[1] + beside) * len(training.species)))
    if len(rows) > most:
        kept = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
        rows, frames = rows[kept], frames[kept]
    return np.array(rows), frames


def column_units(rows: Array, size: Array | None = None) -> Array:
    """Standard deviation of each column, `(D,)`; at least `CONSTANT` of the column's size (or else the largest size).

    `size` `(D,)` is the largest value of each column unless it is given.
    """
    size = np.abs(rows).max(axis=0) if size is None else size
    return np.asarray(np.maximum(rows.std(axis=0), CONSTANT * np.where(size > 0, size, size.max() or 1.0)))


def distinct(points: Array) -> Array:
    """One of each set of coincident standardised points: copies of a cell are not independent draws of a density."""
    _, first = np.unique(np.round(points / COINCIDENT), axis=0, return_index=True)
    return np.asarray(points[np.sort(first)])


def of_each_species(
    prediction: Prediction, name: str, numbers: NDArray[Any], models: Mapping[int, Callable[[Array], Array]]
) -> Array:
    """Values `(A,)` by the model of each atom's species; infinite for a species without one."""
    features = features_of(prediction, name)
    values = np.full(len(features), np.inf)
    for z, model in models.items():
        here = numbers == z
        if here.any():
            values[here] = model(np.asarray(features[here], dtype=np.float64))
    return values
