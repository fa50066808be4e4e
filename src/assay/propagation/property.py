"""What a property is: numbers and curves that a potential gives, and the structures they are computed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.results.arrays import Array

Free = Literal["nothing", "positions", "volume", "cell"]
"""What relaxes: nothing; positions in a fixed cell; positions and an isotropic strain; positions and the whole cell."""


@dataclass(frozen=True)
class Quantity:
    """One number, or one curve, that one potential gives.

    | field | meaning | shape |
    |---|---|---|
    | value | the number, or the curve's ordinates | `()` or `(n,)` |
    | unit | such as eV, eV/atom, Å³/atom, GPa, THz; empty for pure numbers | |
    | x, x_label | abscissa of a curve, the same for every potential | `(n,)` |
    | ticks | marked abscissae, such as the points of a path in the Brillouin zone | |
    """

    value: float | Array
    unit: str
    x: Array | None = None
    x_label: str = ""
    ticks: tuple[tuple[float, str], ...] = ()


YES_OR_NO = "yes or no"
"""Unit of a number that is 1 or 0: tables show the share of the members that say yes."""

Quantities = Mapping[str, Quantity]
"""By name, unique within a property and the same for every potential, such as `bcc volume`."""

Structures = Mapping[str, Atoms]
"""By name; they carry no calculator."""


class NotConverged(RuntimeError):
    """A relaxation or path that did not converge: the member is counted, shown and left out of the statistics.

    | argument | meaning |
    |---|---|
    | reason | for people |
    | partial | quantities that were found all the same, of `Property.quantities` |
    | structures | structures that were found all the same, of `Property.start` |
    """

    def __init__(self, reason: str, partial: Quantities | None = None, structures: Structures | None = None) -> None:
        super().__init__(reason)
        self.partial: Quantities = dict(partial or {})
        self.structures: Structures = dict(structures or {})


class Property(Protocol):
    """What `assay propagate` repeats with every member. It can be sent to a worker process."""

    @property
    def name(self) -> str:
        """As the user wrote it, such as `crystals:bcc,fcc`."""

    def start(self, calculator: Calculator) -> Structures:
        """Relaxed structures of the best fit, from which every member starts; raises `NotConverged`, with those that
        there are."""

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        """The numbers of one potential, of the structures in `start`, relaxed anew from there; raises `NotConverged`,
        with those that there are."""


@dataclass(frozen=True)
class Stationary:
    """A stationary point of the best fit (a minimum, or a saddle point), and what was free to move.

    `cell_of` names the stationary point whose cell this one's is a supercell of, such as a defect's crystal: with
    every potential its cell strains as that one does, C_m = C (c⁻¹ c_m), and is held there.
    """

    atoms: Atoms
    free: Free
    cell_of: str | None = None


@dataclass(frozen=True)
class State:
    """A structure and its energy (eV) with one potential."""

    atoms: Atoms
    energy: float


@runtime_checkable
class OfStationaryPoints(Protocol):
    """A property whose numbers follow from stationary points alone: the implicit derivative serves for it."""

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        """The stationary points among the structures of the best fit, of which some may be missing."""

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        """The numbers that energies, cells and positions of these points (by the same names) give; where points are
        missing, those that need none of them."""
