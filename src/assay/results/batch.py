"""Frames as a potential and its scores see them, as plain columns: predictions, scores, spreads, and labels beside.

Axis letters: F frames, A atoms of all frames concatenated; frame f holds the atoms `offsets[f]:offsets[f + 1]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, ReadOnly
from assay.results.envelope import Envelope
from assay.results.per_quantity import PerQuantity
from assay.results.score import Key

NO_PREDICTIONS = (
    "this gauge has features and no predictions, so there are no errors: it has scores (assay predict shows them), and "
    "neither error bars nor an evaluation. Build one with a source that predicts energies and forces for those"
)


@dataclass(frozen=True)
class Labels(ReadOnly):
    """Reference energies, forces and stresses of F frames with A atoms; NaN where a frame has none.

    | field | shape | unit |
    |---|---|---|
    | energy | `(F,)` | eV |
    | forces | `(A, 3)` | eV/Å |
    | stress | `(F, 6)` or `None` | eV/Å³ |
    """

    energy: Array
    forces: Array
    stress: Array | None = None


@dataclass(frozen=True)
class Batch(ReadOnly):
    """Predictions, scores, and the uncalibrated spreads that become error bars, of F frames with A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | names | `file:index` of each frame | `(F,)` | |
    | config_types | the group of each frame, `""` where it names none | `(F,)` | |
    | offsets | where each frame starts | `(F+1,)` | |
    | numbers | atomic numbers | `(A,)` | |
    | energy | predicted; `None`, as forces, unless every frame has it | `(F,)` | eV |
    | forces, stress | predicted; NaN for frames that have no stress, as molecules have none | `(A, 3)`, `(F, 6)` | \
eV/Å, eV/Å³ |
    | scores | by (name, level); frame scores are `(F,)`, the others `(A,)` | | |
    | spreads | by score: of energies **per atom**, force and stress components, not calibrated, as far as every \
frame has them | `(F,)`, `(A, 3)`, `(F, 6)` | as the score |
    | still | force components that vanish by symmetry: see `assay.results.symmetry.STILL` | `(A, 3)` | |
    | members | M, 0 without members | | |
    | labels | the reference values; `None` where no frame has any | | |
    | neighbourhood_error | mean norm of the force error over each neighbourhood, with labels; NaN without | `(A,)` | \
eV/Å |
    | companions | what scores say of atoms beside their values, by name, such as `gamma_cluster` | `(A,)` | |
    | envelopes | what members span of energies (of frames), forces and stresses, not calibrated; NaN for frames that \
have none | `(F,)`, `(A, 3)`, `(F, 6)` | eV, eV/Å, eV/Å³ |
    | volumes | of the cells, NaN of frames that are not periodic in all directions | `(F,)` | Å³ |

    Values of a quantity, as in `errors`, are energies per atom `(F,)` eV, force components `(A, 3)` eV/Å and stress
    components `(F, 6)` eV/Å³.
    """

    names: tuple[str, ...]
    config_types: tuple[str, ...]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy: Array | None
    forces: Array | None
    stress: Array | None
    scores: Mapping[Key, Array]
    spreads: Mapping[str, PerQuantity[Array]]
    still: NDArray[np.bool_]
    members: int = 0
    labels: Labels | None = None
    neighbourhood_error: Array | None = None
    companions: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    envelopes: PerQuantity[Envelope] = field(default_factory=PerQuantity)
    volumes: Array | None = None

    @property
    def natoms(self) -> NDArray[np.int64]:
        """Number of atoms of each frame, `(F,)`."""
        return np.diff(self.offsets)

    @property
    def frame_of_atom(self) -> NDArray[np.int64]:
        """The frame that each atom belongs to, `(A,)`."""
        return np.repeat(np.arange(len(self.names)), self.natoms)

    @property
    def fractions(self) -> Array:
        """Of the S species that there are, of the atoms of each frame, `(F, S)`."""
        species, index = np.unique(self.numbers, return_inverse=True)
        counts = np.zeros((len(self.names), len(species)))
        np.add.at(counts, (self.frame_of_atom, index), 1)
        return counts / self.natoms[:, None]

    @property
    def predicted(self) -> PerQuantity[Array]:
        """The predicted values of each quantity."""
        return PerQuantity(None if self.energy is None else self.energy / self.natoms, self.forces, self.stress)

    @property
    def counted(self) -> PerQuantity[NDArray[np.bool_]]:
        """Which values count: those predicted, and with a label where there are labels, but for force components that
        vanish by symmetry."""
        frames, labels = np.ones(len(self.names), dtype=bool), self.labels
        components = np.ones((len(self.names), 6), dtype=bool) if self.stress is None else ~np.isnan(self.stress)
        if labels is None:
            return PerQuantity(frames, ~self.still, components)
        return PerQuantity(
            ~np.isnan(labels.energy),
            ~self.still & ~np.isnan(labels.forces),
            components if labels.stress is None else components & ~np.isnan(labels.stress),
        )

    @property
    def labelled(self) -> PerQuantity[NDArray[np.bool_]]:
        """Which frames have a label of each quantity, `(F,)`."""
        if self.labels is None:
            return PerQuantity()
        energy, forces, stress = self.labels.energy, self.labels.forces, self.labels.stress
        return PerQuantity(
            ~np.isnan(energy),
            ~np.isnan(forces[self.offsets[:-1], 0]),
            None if stress is None else ~np.isnan(stress[:, 0]),
        )

    @property
    def frames_of(self) -> PerQuantity[NDArray[np.int64]]:
        """The frame of each value."""
        frames = np.arange(len(self.names))
        components = (np.repeat(each[:, None], n, axis=1) for each, n in ((self.frame_of_atom, 3), (frames, 6)))
        return PerQuantity(frames, *components)

    def of_values(self, atoms: NDArray[np.bool_]) -> PerQuantity[NDArray[np.bool_]]:
        """Which values belong to one of these atoms `(A,)`, or to a frame with such an atom."""
        frames = np.zeros(len(self.names), dtype=bool)
        frames[self.frame_of_atom[atoms]] = True
        return PerQuantity(frames, *(np.repeat(each[:, None], n, axis=1) for each, n in ((atoms, 3), (frames, 6))))

    def errors(self, labels: Labels) -> PerQuantity[Array]:
        """Prediction - label of each value, where there are both; raises `ValueError` without predictions."""
        stress = None if self.stress is None or labels.stress is None else self.stress - labels.stress
        return PerQuantity(self.energy_error(labels), self.force_error(labels), stress)

    def energy_error(self, labels: Labels) -> Array:
        """Prediction - label of the energy per atom, `(F,)` eV; raises `ValueError` without predictions."""
        if self.energy is None:
            raise ValueError(NO_PREDICTIONS)
        return np.asarray((self.energy - labels.energy) / self.natoms)

    def force_error(self, labels: Labels) -> Array:
        """Prediction - label of the force components, `(A, 3)` eV/Å; raises `ValueError` without predictions."""
        if self.forces is None:
            raise ValueError(NO_PREDICTIONS)
        return np.asarray(self.forces - labels.forces)
