"""The three quantities that a potential predicts, and one thing for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

from assay.results.arrays import ReadOnly

Quantity = Literal["energy", "force", "stress"]
"""Energy per atom of a frame (eV), a component of a force (eV/Å), a component of the stress (eV/Å³)."""
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
FORCES_FIRST: tuple[Quantity, ...] = ("force", "energy", "stress")
"""The order of tables and pages."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class PerQuantity(ReadOnly, Generic[T]):
    """One thing each for energy, force and stress; `None` where there is none."""

    energy: T | None = None
    force: T | None = None
    stress: T | None = None

    @classmethod
    def of(cls, given: Mapping[str, T | None]) -> PerQuantity[T]:
        """From a mapping of quantities; raises `TypeError` for another name."""
        return cls(**given)

    def __getitem__(self, quantity: Quantity) -> T | None:
        value: T | None = getattr(self, quantity)
        return value

    def items(self) -> Iterator[tuple[Quantity, T]]:
        """The quantities that have one, with what they have."""
        for quantity in QUANTITIES:
            if (value := self[quantity]) is not None:
                yield quantity, value

    def forces_first(self) -> Iterator[tuple[Quantity, T]]:
        """As `items`, in the order in which people are told of them: force, energy, stress."""
        for quantity in FORCES_FIRST:
            if (value := self[quantity]) is not None:
                yield quantity, value

    def map(self, function: Callable[[T], R | None]) -> PerQuantity[R]:
        """`function` of each that is there."""
        return PerQuantity.of({quantity: function(value) for quantity, value in self.items()})

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(True for _ in self.items())


UNITS = PerQuantity("eV/atom", "eV/Å", "eV/Å³")
"""Of errors and error bars of each quantity."""


def together(*given: PerQuantity[Any]) -> Iterator[tuple[Any, ...]]:
    """The quantities that all have, each with what they have: `(quantity, one of the first, one of the second, …)`."""
    for quantity in QUANTITIES:
        each = [one[quantity] for one in given]
        if all(value is not None for value in each):
            yield (quantity, *each)
