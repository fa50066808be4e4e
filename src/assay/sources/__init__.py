"""What a potential knows about a frame. One file per foreign package, which is its only importer.

Three kinds of source exist:

* one that predicts by itself: `evaluate(frame) -> Evaluation`;
* one that has features and no predictions: its `Evaluation` has features only, from which scores are made, but no
  error bars;
* one that gives a linear potential its rows: `design(frame) -> Design`, from which `assay.linear` fits a
  potential that then predicts (and is a source of the first kind).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.prediction import Array

LARGEST = 20_000
"""Coefficients beyond which a dense least-squares fit is refused."""


@dataclass(frozen=True)
class Evaluation:
    """What a potential says about one frame of A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | energy | predicted energy; `None` with features only | float | eV |
    | forces | predicted forces; `None` with features only | `(A, 3)` | eV/Å |
    | stress | predicted stress, Voigt xx yy zz yz xz xy; `None` where there is none | `(6,)` | eV/Å³ |
    | energy_members, forces_members, stress_members | predictions of the M members | `(M,)`, `(M, A, 3)`, `(M, 6)` | |
    | features | per-atom descriptor vectors | `(A, D)` | |
    | feature_forces | `-∂(Σ_i f_id)/∂r` of them, where they were asked for | `(D, A, 3)` | 1/Å |
    """

    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None
    energy_members: Array | None = None
    forces_members: Array | None = None
    stress_members: Array | None = None
    features: Array | None = None
    feature_forces: Array | None = None


@dataclass(frozen=True)
class Design:
    """Energy, forces and stress of one frame of A atoms as linear functions of P coefficients.

    `energy = energy_row @ Θ + reference_energy`, `forces.ravel() = force_rows @ Θ + reference_forces.ravel()`,
    `stress = stress_rows @ Θ + reference_stress`.

    | field | shape | unit of the product with Θ |
    |---|---|---|
    | energy_row | `(P,)` | eV |
    | force_rows | `(3A, P)`, `None` where no coefficient changes forces | eV/Å |
    | stress_rows | `(6, P)`, `None` where no volume is defined | eV/Å³ |
    | features | `(A, D)` | |
    """

    energy_row: Array
    force_rows: Array | None
    stress_rows: Array | None
    features: Array
    reference_energy: float
    reference_forces: Array
    reference_stress: Array

    def predictions(self, coefficients: Array) -> Predictions:
        """What N coefficient vectors `(N, P)` predict: one matrix product for all."""
        energies = self.energy_row @ coefficients.T + self.reference_energy
        forces = self.reference_forces[None]
        if self.force_rows is not None:
            forces = (coefficients @ self.force_rows.T).reshape(len(coefficients), -1, 3)
            forces += self.reference_forces
        stresses = None
        if self.stress_rows is not None:
            stresses = coefficients @ self.stress_rows.T + self.reference_stress
        return Predictions(energies, forces, stresses, self.features)


@dataclass(frozen=True)
class Predictions:
    """What N coefficient vectors of a linear potential say about one frame of A atoms.

    | field | shape | unit |
    |---|---|---|
    | energies | `(N,)` | eV |
    | forces | `(N, A, 3)`, or `(1, A, 3)` where no coefficient changes them | eV/Å |
    | stresses | `(N, 6)` or `(1, 6)`, as forces; `None` where no volume is defined | eV/Å³ |
    | features | `(A, D)` | |
    """

    energies: Array
    forces: Array
    stresses: Array | None
    features: Array


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
    """A potential that is linear in its P coefficients: first the S constants of its species, then the others."""

    kind: ClassVar[str]

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols, S of them."""

    @property
    def label(self) -> str: ...

    @property
    def coefficients(self) -> int:
        """P."""

    @property
    def cutoff(self) -> float | None:
        """No atom farther away than this has a part in an atom's features, Å; `None` where that is not known."""

    def for_species(self, species: Sequence[str]) -> Self:
        """This source, ready for frames with these chemical symbols where it names none itself."""

    def design(self, frame: Atoms) -> Design:
        """The rows of one frame."""

    def predictions(self, frame: Atoms, coefficients: Array) -> Predictions:
        """What N coefficient vectors `(N, P)` predict for one frame, in the way that is fastest."""

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`, in the way that is fastest."""

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """The features of `design`, `(A, D)`, without the cost of force rows; of the `first` atoms only, `(first, D)`,
        where the others are there as neighbours."""

    def state(self) -> dict[str, Any]: ...
