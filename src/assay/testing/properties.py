"""Laws of properties: numbers follow the potential alone, whatever was computed before, and a failure is said."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from assay.frames.frame import FrameError
from assay.propagation.methods.resume import digest
from assay.propagation.property import (
    NotConverged,
    OfStationaryPoints,
    Property,
    Quantities,
    Quantity,
    State,
    Structures,
)
from assay.propagation.result import finite, unlike
from assay.testing.laws import check, require, require_same, table

RELAXED = 1e-3
"""To which numbers agree of one relaxation and of a second one from there."""

NewCalculator = Callable[[], Calculator]


@dataclass(frozen=True)
class PropertyCase:
    """A property and potentials that give all its numbers: the best fit, and a member or more that differ from it.

    Each of `potentials` makes a new calculator.
    """

    given: Property
    potentials: Sequence[NewCalculator]

    @cached_property
    def _start(self) -> Structures:
        return self.given.start(self.potentials[0]())

    @property
    def start(self) -> dict[str, Atoms]:
        """The structures of the best fit, copied."""
        return {name: atoms.copy() for name, atoms in self._start.items()}

    def of(self, index: int, given: Property | None = None) -> Quantities:
        """The numbers of one potential, with a new calculator; of a copy of the property where one is `given`."""
        return (given or self.given).quantities(self.potentials[index](), self.start)

    @cached_property
    def found(self) -> tuple[Quantities, ...]:
        """The numbers of all potentials, in their order."""
        return tuple(self.of(index) for index in range(len(self.potentials)))


class Broken(Calculator):  # type: ignore[misc]
    """A potential that fails, as one does that does not know an element; or all whose numbers are NaN."""

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (ASE's own)

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        if self.fails:
            raise FrameError("the potential fails")
        n = len(self.atoms)
        shapes = {"energies": (n,), "forces": (n, 3), "stress": (6,)}
        self.results = {name: np.full(shapes.get(name, ()), np.nan) for name in self.implemented_properties}


def _same(what: str, found: Quantities, expected: Quantities, tolerance: float = 0.0) -> None:
    require(found.keys() == expected.keys(), f"{what}: {', '.join(found)}, needed {', '.join(expected)}")
    for name, quantity in expected.items():
        require_same(f"{name}, {what}", found[name].value, quantity.value, tolerance)


def says_what_it_is(case: PropertyCase) -> None:
    """A name, and structures by name that carry no calculator."""
    name, start = case.given.name, case._start
    require(isinstance(name, str) and bool(name), f"name is {name!r}, needed what the user writes")
    require(isinstance(start, Mapping), f"start gives {type(start).__name__}, needed structures by name")
    for key, atoms in start.items():
        require(isinstance(key, str) and isinstance(atoms, Atoms), f"start has {key!r}: {atoms!r}, needed ase.Atoms")
        require(atoms.calc is None, f"the structure {key!r} of start carries a calculator, which can't be kept")


def numbers_with_units(case: PropertyCase) -> None:
    """At least one quantity: a finite number, or a curve of `(n,)` over abscissae of that shape; each with its unit."""
    found = case.found[0]
    require(isinstance(found, Mapping) and bool(found), f"quantities are {found!r}, needed one or more by name")
    for name, quantity in found.items():
        require(isinstance(quantity, Quantity), f"{name} is {quantity!r}, needed a Quantity with its unit")
        require(isinstance(quantity.unit, str), f"the unit of {name} is {quantity.unit!r}, needed text")
        value = np.asarray(quantity.value)
        require(value.ndim < 2 and value.dtype.kind in "fiu", f"{name} is {value!r}, needed a number or a curve")
        bad = int((~np.isfinite(value)).sum())
        require(bad == 0, f"{name}: {bad} of {value.size} numbers are not finite")
        over = None if quantity.x is None else np.shape(quantity.x)
        needed = value.shape if value.ndim else None
        require(over == needed, f"{name} of shape {value.shape} is over abscissae of shape {over}, needed {needed}")


def like_the_best_fit(case: PropertyCase) -> None:
    """Every potential gives quantities of the same names, units, shapes and abscissae."""
    best, *others = case.found
    for found in others:
        require(found.keys() == best.keys(), f"a member has {', '.join(found)}, and the best fit {', '.join(best)}")
        for name, quantity in best.items():
            why, unit = unlike(quantity, found[name]), found[name].unit
            require(not why, f"{name} {why}")
            require(unit == quantity.unit, f"{name} is in {unit!r}, and with the best fit in {quantity.unit!r}")


def follows_the_potential(case: PropertyCase) -> None:
    """Another potential gives other numbers: no one of the best fit's is handed on."""
    best, *others = case.found
    for found in others:
        same = all(np.array_equal(found[name].value, quantity.value) for name, quantity in best.items())
        require(not same, "another potential gives the same numbers, to the bit")


def same_again(case: PropertyCase) -> None:
    """A potential gives the same numbers again, to the bit."""
    for index, found in enumerate(case.found):
        _same("a second time", case.of(index), found)


def potentials_alone(case: PropertyCase) -> None:
    """What a potential gives does not depend on those before it, to the bit."""
    found = case.found
    for index in reversed(range(len(found))):
        _same("in another order", case.of(index), found[index])


def sent_to_a_process(case: PropertyCase) -> None:
    """Pickled for a worker process, it gives the same numbers, to the bit."""
    sent: Property = pickle.loads(pickle.dumps(case.given))
    require(sent.name == case.given.name, f"pickled, it is called {sent.name!r}")
    _same("pickled", case.of(1, sent), case.found[1])


def known_again(case: PropertyCase) -> None:
    """A run that is resumed knows it by its settings: those of a dataclass, or a text that is not an address."""
    sent: Property = pickle.loads(pickle.dumps(case.given))
    same = digest(sent) == digest(case.given)
    require(same, "a copy has other settings, so that no run can be resumed: make it a dataclass")


def inputs_stay(case: PropertyCase) -> None:
    """The structures of the best fit, from which every member starts, are left as they are."""
    start = case.start
    case.given.quantities(case.potentials[1](), start)
    require(start.keys() == case._start.keys(), f"start has {', '.join(start)} after the call")
    for name, before in case._start.items():
        require(start[name].calc is None, f"{name} has a calculator after the call")
        for part in ("numbers", "positions", "cell", "pbc"):
            require_same(f"{part} of {name} after the call", getattr(start[name], part), getattr(before, part))


def a_failure_is_said(case: PropertyCase) -> None:
    """Of a potential that fails, or whose numbers are NaN, no number comes: it raises, or gives none that is finite."""
    for what, fails in (("fails", True), ("gives NaN", False)):
        try:
            found = case.given.quantities(Broken(fails), case.start)
        except NotConverged as error:
            found = error.partial
        except Exception:  # anything else is a failure of the member, too
            continue
        finite_ones, _ = finite(found)
        require(not finite_ones, f"a potential that {what} gives {', '.join(finite_ones)}")


def unknown_options_are_refused(case: PropertyCase) -> None:
    """`from_words`, where there is one, refuses an option that it does not know with `ValueError`."""
    from_words: Any = getattr(type(case.given), "from_words", None)
    if from_words is None:
        return
    species = sorted({symbol for atoms in case.start.values() for symbol in atoms.symbols}) or ["Cu"]
    with suppress(ValueError):
        raise AssertionError(f"takes no_such_option=1: {from_words([], {'no_such_option': '1'}, species)!r}")


def states_give_the_numbers(case: PropertyCase) -> None:
    """Of one that follows from stationary points: those of the best fit give its numbers."""
    given = case.given
    if not isinstance(given, OfStationaryPoints):
        return
    start, states = case.start, {}
    points = given.stationary(start)
    for name, point in points.items():
        require(name in start, f"the stationary point {name!r} is not in start, which has {', '.join(start)}")
        cell_of = point.cell_of
        require(cell_of is None or cell_of in points, f"{name!r} has the cell of {cell_of!r}, which is no such point")
        atoms = point.atoms.copy()
        atoms.calc = case.potentials[0]()
        states[name] = State(point.atoms, float(atoms.get_potential_energy()))
    found = given.of_states(states)
    _same("from the stationary points", found, {name: case.found[0][name] for name in found}, RELAXED)
    require(bool(found), "no number follows from its stationary points")


LAWS_OF_PROPERTIES = table(
    says_what_it_is,
    numbers_with_units,
    like_the_best_fit,
    follows_the_potential,
    same_again,
    potentials_alone,
    sent_to_a_process,
    known_again,
    inputs_stay,
    a_failure_is_said,
    unknown_options_are_refused,
    states_give_the_numbers,
)
"""By name; each of a `PropertyCase`."""


def check_property(given: Property, potentials: Sequence[NewCalculator]) -> None:
    """Every law of properties, with potentials that give all its numbers.

    | argument | meaning |
    |---|---|
    | given | with the contract of `assay.propagation.property.Property` |
    | potentials | two or more, each a function that makes a new ASE calculator; the first is the best fit |

    Raises `AssertionError` that lists the laws it breaks, and by how much.
    """
    if len(potentials) < 2:
        raise ValueError(f"laws of properties compare potentials: give two or more, not {len(potentials)}")
    case = f"{len(potentials)} potentials", PropertyCase(given, potentials)
    check(f"the property {getattr(given, 'name', given)}", LAWS_OF_PROPERTIES, [case])
