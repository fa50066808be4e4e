"""Features of the training atoms while scores are fitted to them: on disk, so that passes are cheap and memory is not.

Axis letters: F frames, n atoms of one species, D features, S species.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from assay.execution.scratch import scratch_file
from assay.results.arrays import Array


class TrainingFeatures:
    """Features of frames in the order they were appended, by species.

    The files have no names: nothing is left of them when the process ends, however it does.

    | attribute | meaning |
    |---|---|
    | kinds | group (`config_type`) of each frame, F of them |
    | numbers | atomic numbers of the atoms of each frame, F arrays |
    | energy_errors | of the energies per atom, `(F,)`, by a potential that was not fitted to these frames; NaN where \
not known, `None` if for none |
    """

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.numbers: list[NDArray[np.int64]] = []
        self.energy_errors: Array | None = None
        self._files: dict[int, IO[bytes]] = {}
        self._columns = 0
        self._keep: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, frames: Iterable[tuple[Array, NDArray[Any]]]) -> TrainingFeatures:
        """Of frames by their features `(A, D)` and atomic numbers `(A,)`."""
        training = cls()
        for features, numbers in frames:
            training.append(features, numbers)
        return training

    def append(self, features: Array, numbers: NDArray[Any], kind: str = "") -> None:
        """Add one frame: features `(A, D)`, atomic numbers `(A,)`."""
        self._columns = features.shape[1]
        self.kinds.append(kind)
        self.numbers.append(np.asarray(numbers, dtype=np.int64))
        for z in np.unique(numbers):
            if z not in self._files:
                self._files[int(z)] = scratch_file(self, "assay-features-")
            self._files[int(z)].write(np.ascontiguousarray(features[numbers == z], dtype=np.float64).data)

    def keep_only(self, keep: NDArray[np.bool_]) -> None:
        """Leave out the atoms where `keep` is false; `keep` has one value for each atom of all frames, in order.

        `species`, `rows` and `frames_of` know the kept atoms only; frames are described by all of their atoms.
        """
        self._keep = np.asarray(keep, dtype=bool)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers of the kept atoms, in increasing order."""
        numbers = self._numbers()
        return _different(numbers if self._keep is None else numbers[self._keep])

    @property
    def species_of_frames(self) -> tuple[int, ...]:
        """Atomic numbers of all atoms, in increasing order: that of `signatures`."""
        return _different(self._numbers())

    def rows(self, z: int) -> Array:
        """Features of the atoms of one species, `(n, D)`; a memory map unless atoms are left out. Don't write to it."""
        rows = self._rows(z)
        return rows if self._keep is None else np.asarray(rows[self._keep[self._numbers() == z]])

    def frames_of(self, z: int) -> NDArray[np.int64]:
        """The frame that each of `rows(z)` belongs to, `(n,)`."""
        here = self._numbers() == z
        return np.asarray(self._frames()[here if self._keep is None else here & self._keep])

    def signatures(self) -> Array:
        """`signature` of every frame, `(F, 2 S D)`, all atoms included."""
        parts = []
        for z in self.species_of_frames:
            rows, frames = self._rows(z), self._frames()[self._numbers() == z]
            starts = np.searchsorted(frames, np.arange(len(self.numbers) + 1))
            moments = np.zeros((len(self.numbers), 2 * self._columns))
            for f in np.unique(frames):
                moments[f] = _moments(rows[starts[f] : starts[f + 1]])
            parts.append(moments)
        return np.concatenate(parts, axis=1)

    def means(self) -> Array:
        """Features of every frame averaged over the atoms of each species, `(F, S D)`."""
        shape = (len(self.numbers), len(self.species_of_frames), 2, self._columns)
        return self.signatures().reshape(shape)[:, :, 0].reshape(shape[0], -1)

    def _rows(self, z: int) -> Array:
        self._files[z].flush()
        return np.memmap(self._files[z], dtype=np.float64, mode="r").reshape(-1, self._columns)

    def _numbers(self) -> NDArray[np.int64]:
        return np.concatenate([np.empty(0, np.int64), *self.numbers])

    def _frames(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.numbers)), [len(each) for each in self.numbers])


def _different(numbers: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(z) for z in np.unique(numbers))


def signature(features: Array, numbers: NDArray[Any], species: tuple[int, ...]) -> Array:
    """Mean and standard deviation of the features over the atoms of each species, `(2 S D,)`; 0 for absent species."""
    of_species = (features[numbers == z] for z in species)
    return np.concatenate([_moments(f) if len(f) else np.zeros(2 * features.shape[1]) for f in of_species])


def _moments(features: Array) -> Array:
    return np.concatenate([features.mean(axis=0), features.std(axis=0)])
