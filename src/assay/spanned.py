"""Labels beside what the members of an ensemble span, as flat columns: what `evaluate` counts and a report draws.

Axis letters: F frames, A atoms of all frames, N values of one quantity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.assessment import Assessment, Labels
from assay.envelope import Envelope
from assay.prediction import Array

Mask = NDArray[np.bool_]
Name = Literal["force", "energy", "stress"]


@dataclass(frozen=True)
class Spanned:
    """N values in eV/Å (force components), eV/atom (energies) or eV/Å³ (stress components).

    | field | meaning | shape |
    |---|---|---|
    | label, predicted | reference, best fit | `(N,)` |
    | low, high, std | as in `Envelope` | `(N,)` |
    | frame | which frame each is of | `(N,)` |
    """

    label: Array
    predicted: Array
    low: Array
    high: Array
    std: Array
    frame: NDArray[np.int64]

    @property
    def outside(self) -> Mask:
        """Whose label is outside the envelope, `(N,)`."""
        return np.asarray((self.label < self.low) | (self.label > self.high))


def spanned(
    assessment: Assessment, labels: Labels, frames: Mask | None = None, atoms: Mask | None = None
) -> dict[Name, Spanned]:
    """The quantities that have members, labels and at least one value; of some frames `(F,)` and atoms `(A,)` only.

    Force components that vanish by symmetry are left out, and frames without an envelope.
    """
    frames = np.ones(len(assessment.names), dtype=bool) if frames is None else frames
    atoms = np.ones(len(assessment.numbers), dtype=bool) if atoms is None else atoms
    moving = atoms[:, None] & ~assessment.still
    return {name: one for name, one in _all(assessment, labels, frames, moving) if one.label.size}


def _all(assessment: Assessment, labels: Labels, frames: Mask, moving: Mask) -> Iterator[tuple[Name, Spanned]]:
    of_frame, natoms = np.arange(len(frames)), assessment.natoms
    envelopes = assessment.envelopes
    if "forces" in envelopes and assessment.forces is not None:
        of_component = np.repeat(assessment.frame_of_atom[:, None], 3, axis=1)
        yield "force", _flat(labels.forces, assessment.forces, envelopes["forces"], moving, of_component)
    if "energy" in envelopes and assessment.energy is not None:
        per_atom = Envelope(*(getattr(envelopes["energy"], of) / natoms for of in ("std", "low", "high")))
        yield "energy", _flat(labels.energy / natoms, assessment.energy / natoms, per_atom, frames, of_frame)
    if "stress" in envelopes and assessment.stress is not None and labels.stress is not None:
        here = np.repeat(frames[:, None], 6, axis=1)
        of_component = np.repeat(of_frame[:, None], 6, axis=1)
        yield "stress", _flat(labels.stress, assessment.stress, envelopes["stress"], here, of_component)


def _flat(label: Array, predicted: Array, envelope: Envelope, here: Mask, frame: NDArray[np.int64]) -> Spanned:
    kept = here & np.isfinite(envelope.std)
    low, high, std = (column[kept] for column in (envelope.low, envelope.high, envelope.std))
    return Spanned(label[kept], predicted[kept], low, high, std, frame[kept])
