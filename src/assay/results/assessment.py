"""What a gauge says about a batch of frames, and the labels to hold it against: plain columns.

Axis letters: F frames, A atoms of all frames concatenated; frame f holds the atoms `offsets[f]:offsets[f + 1]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, Level
from assay.results.envelope import Envelopes
from assay.results.error_bars import ErrorBar
from assay.results.score import Score

NO_PREDICTIONS = (
    "this gauge has features and no predictions, so there are no errors: it has scores (assay predict shows them), and "
    "neither error bars nor an evaluation. Build one with a source that predicts energies and forces for those"
)


@dataclass(frozen=True)
class Labels:
    """Reference energies, forces and stresses of F frames with A atoms.

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
class Assessment:
    """Predictions, scores and error bars of F frames with A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | names | `file:index` of each frame | `(F,)` | |
    | config_types | the group of each frame, `""` where it names none | `(F,)` | |
    | offsets | where each frame starts | `(F+1,)` | |
    | numbers | atomic numbers | `(A,)` | |
    | energy, forces, stress | predictions; `None` where there are none | `(F,)`, `(A, 3)`, `(F, 6)` | eV, eV/Å, eV/Å³ |
    | scores | by (name, level); frame scores are `(F,)`, the others `(A,)` | | |
    | energy_bar | error bar of the energy **per atom** | `(F,)` | eV |
    | force_bar | error bar of the force components | `(A, 3)` | eV/Å |
    | stress_bar | error bar of the stress components | `(F, 6)` | eV/Å³ |
    | still | force components that vanish by symmetry: see `assay.results.symmetry.STILL` | `(A, 3)` | |
    | bar | name of the error bar, `SCORE:CALIBRATOR[:GROUPING]`; `""` for features without predictions | | |
    | global_bars | of bars by group: how many values of each quantity have the bar of all, as their group was not \
calibrated | | |
    | neighbourhood_error | mean norm of the force error over each neighbourhood, with labels | `(A,)` | eV/Å |
    | companions | what scores say of atoms beside their values, by name, such as `gamma_cluster` | `(A,)` | |
    | envelopes | what members span of `energy` (of the frame), `forces`, `stress`, not calibrated; NaN where none \
| `(F,)`, `(A, 3)`, `(F, 6)` | eV, eV/Å, eV/Å³ |
    | members | M, 0 without members | | |
    | labels | the reference values, where all frames have them | | |
    | failed | frames left out: `file:index` and the reason | | |
    """

    names: tuple[str, ...]
    config_types: tuple[str, ...]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy: Array | None
    forces: Array | None
    stress: Array | None
    scores: Mapping[tuple[str, Level], Score]
    still: NDArray[np.bool_]
    bar: str
    energy_bar: ErrorBar | None = None
    force_bar: ErrorBar | None = None
    stress_bar: ErrorBar | None = None
    labels: Labels | None = None
    neighbourhood_error: Array | None = None
    failed: tuple[tuple[str, str], ...] = field(default=())
    companions: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    envelopes: Envelopes = field(default_factory=dict)
    members: int = 0
    global_bars: Mapping[str, int] = field(default_factory=dict)

    @property
    def natoms(self) -> NDArray[np.int64]:
        """Number of atoms of each frame, `(F,)`."""
        return np.diff(self.offsets)

    @property
    def frame_of_atom(self) -> NDArray[np.int64]:
        """The frame that each atom belongs to, `(A,)`."""
        return np.repeat(np.arange(len(self.names)), self.natoms)

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
