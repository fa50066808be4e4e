"""Sets of training frames as they come: predictions of invented potentials, awkward ones among them.

Axis letters: M members, A atoms, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction

W, MO, ABSENT = 74, 42, 73
"""The species of all sets, and one that none has."""
D = 5
MEMBERS = 4

Known = tuple[Prediction, NDArray[np.int64]]
"""What a source says of a frame, with all that a score may read, and its atomic numbers `(A,)`."""


def told(features: Array, numbers: NDArray[np.int64], seed: int) -> Known:
    """A frame of these features; the rest is drawn by chance."""
    rng, n = np.random.default_rng(seed), len(numbers)
    forces = rng.normal(size=(n, 3))
    prediction = Prediction(
        energy=float(rng.normal()),
        forces=forces,
        energy_members=rng.normal(-3.0 * n, 0.2, MEMBERS),
        forces_members=forces + rng.normal(0.0, 0.1, (MEMBERS, n, 3)),
        features=np.array(features, dtype=np.float64),
        feature_forces=rng.normal(size=(features.shape[1], n, 3)),
    )
    return prediction, np.asarray(numbers, dtype=np.int64)


def _frames(seed: int = 0, count: int = 24, columns: int = D) -> list[tuple[Array, NDArray[np.int64]]]:
    """Two species in varying proportion, each around a place of its own."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        numbers = rng.choice([W, MO], size=8)
        made.append((rng.normal(size=(8, columns)) + np.where(numbers == W, 3.0, 5.0)[:, None], numbers))
    return made


def _changed(f: Array) -> Array:
    """The last column depends on others, the one before is the same for all atoms."""
    return np.column_stack([f[:, :3], np.full(len(f), 7.0), f[:, 0] - 2.0 * f[:, 1]])


def _told(frames: Sequence[tuple[Array, NDArray[np.int64]]]) -> tuple[Known, ...]:
    return tuple(told(features, numbers, seed) for seed, (features, numbers) in enumerate(frames))


TRAINING_SETS: Mapping[str, tuple[Known, ...]] = {
    "two species": _told(_frames()),
    "dependent and constant columns": _told([(_changed(f), z) for f, z in _frames()]),
    "fewer atoms than features": _told(_frames(count=2, columns=30)),
    "every frame twice": _told([each for each in _frames(count=6) for _ in range(2)]),
    "one kind of environment": _told([(np.full((4, D), 2.5), np.full(4, W))] * 3),
    "one atom": _told([(np.linspace(1.0, 2.0, D)[None], np.array([W]))]),
    "atoms alone": _told([(f[:1], np.array([W])) for f, _ in _frames()]),
    "an empty column": _told([(f * [1, 1, 0, 1, 1], z) for f, z in _frames()]),
}
"""By what is odd in them."""


def new_frames(known: Sequence[Known]) -> list[Known]:
    """Three of its own frames, the same a little changed, and some from elsewhere."""
    rng = np.random.default_rng(99)
    found = list(known[:3])
    for prediction, numbers in known[:3]:
        features = features_of(prediction)
        found.append((replace(prediction, features=features + 0.1 * rng.normal(size=features.shape)), numbers))
    return found + [(replace(p, features=3.0 * features_of(p)), numbers) for p, numbers in known[:3]]


def features_of(prediction: Prediction) -> Array:
    """Those of a frame of these sets, `(A, D)`."""
    if prediction.features is None:
        raise ValueError("the frames of training sets have features")
    return prediction.features


def of_atoms(prediction: Prediction, index: NDArray[np.int64]) -> Prediction:
    """The same of some atoms, in the order of `index`; the energies stay those of the frame."""

    def taken(values: Array | None, axis: int) -> Array | None:
        return None if values is None else np.take(values, index, axis=axis)

    return replace(
        prediction,
        forces=taken(prediction.forces, 0),
        forces_members=taken(prediction.forces_members, 1),
        features=taken(prediction.features, 0),
        feature_forces=taken(prediction.feature_forces, 1),
    )


def twice_over(prediction: Prediction) -> Prediction:
    """Two frames like it as one: every atom is there twice, and energies are twice as large."""
    atoms = len(features_of(prediction))
    double = of_atoms(prediction, np.tile(np.arange(atoms), 2))
    energies = prediction.energy_members
    energy = None if prediction.energy is None else 2.0 * prediction.energy
    return replace(double, energy=energy, energy_members=None if energies is None else 2.0 * energies)
