"""What a fitted score is to others."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction


class FittedScore(Protocol):
    """A method with everything it learnt from training frames.

    | attribute | meaning |
    |---|---|
    | name | as in the table of scores in the docs |
    | home | whether `values` are of atoms or of the frame |
    | in_error_units | the quantity whose training errors set the threshold (`force`: eV/Å, `energy`: eV/atom) |
    | fixed_threshold | a threshold that the method itself sets (γ > 1), for atoms and frames |
    """

    @property
    def name(self) -> str: ...

    @property
    def home(self) -> Literal["atom", "frame"]: ...

    @property
    def in_error_units(self) -> Literal["force", "energy"] | None: ...

    @property
    def fixed_threshold(self) -> float | None: ...

    def values(self, evaluation: Prediction, numbers: NDArray[Any]) -> Array:
        """Values of one frame: `(A,)` of atoms with atomic numbers `numbers`, or `(1,)`."""

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays."""


@runtime_checkable
class Companioned(Protocol):
    """A score of atoms that says something else of each beside its value: the column `companion`."""

    @property
    def companion(self) -> str: ...

    def values_and_companion(self, evaluation: Prediction, numbers: NDArray[Any]) -> tuple[Array, NDArray[Any]]:
        """`values`, and the companion column, two `(A,)`."""
