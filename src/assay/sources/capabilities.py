"""What a source can do, as small protocols: others ask for these, never for its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self

from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.results.arrays import Array
from assay.results.design import Design, Predictions
from assay.results.prediction import Prediction


class Source(Protocol):
    """A potential that predicts; it can be sent to a worker process and written to a gauge file."""

    kind: ClassVar[str]

    @property
    def label(self) -> str:
        """One line for people: what this is, with its settings."""

    def predict(self, frame: Atoms) -> Prediction:
        """Predict one frame; raises `assay.frames.frame.FrameError` where the frame is at fault."""

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
