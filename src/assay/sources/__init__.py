"""What a potential knows about a frame. One file per foreign package, which is its only importer.

Two kinds of source exist:

* one that predicts by itself: `evaluate(frame) -> Evaluation`;
* one that gives a linear potential its rows: `design(frame) -> Design`, from which `assay.linear` fits a
  potential that then predicts (and is a source of the first kind).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ase import Atoms

from assay.prediction import Array


@dataclass(frozen=True)
class Evaluation:
    """What a potential says about one frame of A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | energy | predicted energy | float | eV |
    | forces | predicted forces | `(A, 3)` | eV/Å |
    | stress | predicted stress, Voigt xx yy zz yz xz xy; `None` where there is none | `(6,)` | eV/Å³ |
    | energy_members, forces_members, stress_members | predictions of the M members | `(M,)`, `(M, A, 3)`, `(M, 6)` | |
    | features | per-atom descriptor vectors | `(A, D)` | |
    """

    energy: float
    forces: Array
    stress: Array | None = None
    energy_members: Array | None = None
    forces_members: Array | None = None
    stress_members: Array | None = None
    features: Array | None = None


@dataclass(frozen=True)
class Design:
    """Energy, forces and stress of one frame of A atoms as linear functions of P coefficients.

    `energy = energy_row @ Θ + reference_energy`, `forces.ravel() = force_rows @ Θ + reference_forces.ravel()`,
    `stress = stress_rows @ Θ + reference_stress`.

    | field | shape | unit of the product with Θ |
    |---|---|---|
    | energy_row | `(P,)` | eV |
    | force_rows | `(3A, P)` | eV/Å |
    | stress_rows | `(6, P)`, `None` where no volume is defined | eV/Å³ |
    | features | `(A, D)` | |
    """

    energy_row: Array
    force_rows: Array
    stress_rows: Array | None
    features: Array
    reference_energy: float
    reference_forces: Array
    reference_stress: Array


class Source(Protocol):
    """A potential that predicts; it can be sent to a worker process and written to a gauge file."""

    kind: ClassVar[str]

    @property
    def label(self) -> str:
        """One line for people: what this is, with its settings."""

    def evaluate(self, frame: Atoms) -> Evaluation:
        """Predict one frame; raises `assay.frames.FrameError` where the frame is at fault."""

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays from which `from_state` makes the same source again."""


class LinearSource(Protocol):
    """A potential that is linear in its P coefficients."""

    kind: ClassVar[str]

    @property
    def label(self) -> str: ...

    @property
    def coefficients(self) -> int:
        """P."""

    def design(self, frame: Atoms) -> Design:
        """The rows of one frame."""

    def state(self) -> dict[str, Any]: ...
