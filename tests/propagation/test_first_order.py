"""Linear propagation: exact for what is linear, few evaluations, and a word where a quantity is not linear."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from pair_rows import pairs

from assay.linear.potential import LinearPotential
from assay.propagation.methods.first_order import first_order, principal_directions
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, Quantities, Quantity, Structures
from assay.results.arrays import Array

P = 6  # coefficients of `pairs`


def _structures() -> dict[str, Atoms]:
    shaken = bulk("Cu", a=3.7, cubic=True)
    shaken.rattle(0.1, seed=1)
    return {"fcc": bulk("Cu", a=3.8), "shaken": shaken}


@dataclass
class Energies:
    """Energies of given structures, as numbers, as a curve and as a square; counts evaluations."""

    name: str = "energies"
    evaluations: int = field(default=0, compare=False)

    def start(self, calculator: Calculator) -> Structures:
        return _structures()

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        self.evaluations += 1
        energies = np.array([calculator.get_potential_energy(atoms) for atoms in start.values()])
        return {
            "first": Quantity(float(energies[0]), "eV"),
            "curve": Quantity(energies, "eV", np.arange(2.0), "structure"),
            "square": Quantity(float((energies[0] - ZERO) ** 2), "eV²"),
        }


ZERO = float(pairs().rows.predictions(_structures()["fcc"], pairs().theta[None]).energy_members[0])


def _members(potential: LinearPotential, frame: Atoms) -> Array:
    return potential.rows.predictions(frame, potential.members).energy_members


def test_linear_quantities_are_exact_and_others_are_named() -> None:
    potential, property_ = pairs(members=40), Energies()
    found = first_order(potential, property_, _structures(), potential.members, share=1.0 - 1e-13)
    exact = np.array([_members(potential, atoms) for atoms in _structures().values()])
    assert np.allclose(found["first"].members, exact[0], atol=1e-8)
    assert np.allclose(found["curve"].members, exact.T, atol=1e-8)
    assert property_.evaluations == 2 * P + 1
    assert found.notes[0].startswith(f"{P} directions")
    assert found.notes[1] == "not linear over these members: square; resample them"  # it has no slope at the best fit


def test_fewer_directions_hold_nearly_all_of_the_spread() -> None:
    potential, property_ = pairs(members=200), Energies()
    found = first_order(potential, property_, _structures(), potential.members, share=0.99)
    exact = np.array([_members(potential, atoms) for atoms in _structures().values()])
    assert property_.evaluations < 2 * P + 1
    assert np.allclose(found["curve"].std, exact.std(axis=1, ddof=1), rtol=0.1)


def test_directions_are_of_predictions_not_of_coefficients() -> None:
    """A large change of coefficients that predicts nothing takes no direction; small ones that do, are reproduced."""
    potential = pairs(members=60)
    frames = list(_structures().values())
    z, directions = principal_directions(potential, frames, potential.members, 1.0 - 1e-13)
    assert np.allclose(z @ directions, potential.members - potential.theta, atol=1e-9)
    assert np.allclose(z.T @ z, np.eye(len(directions)), atol=1e-12)

    one = potential.theta + np.outer(
        np.random.default_rng(0).standard_normal(60), potential.members[0] - potential.theta
    )
    assert len(principal_directions(potential, frames, one)[1]) == 1


@dataclass(frozen=True)
class Lattice:
    """Lattice constant: a derivative that passes through a relaxation."""

    name: str = "lattice"
    most: float = np.inf

    def start(self, calculator: Calculator) -> Structures:
        return {"fcc": relaxed(bulk("Cu", a=3.8), calculator, "cell", fmax=1e-6).atoms}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        a = float(relaxed(start["fcc"], calculator, "cell", fmax=1e-6).atoms.cell.lengths()[0] * np.sqrt(2))
        if a > self.most:
            raise NotConverged("too large")
        return {"a": Quantity(a, "Å")}


def test_relaxed_lattice_beside_resampling() -> None:
    potential = pairs(members=30, size=0.005)
    property_ = Lattice()
    start = property_.start(potential.rows.calculator(potential.theta))
    found = first_order(potential, property_, start, potential.members)["a"]
    exact = np.array(
        [property_.quantities(potential.rows.calculator(theta), start)["a"].value for theta in potential.members]
    )
    assert found.std == pytest.approx(exact.std(ddof=1), rel=0.03)
    assert np.corrcoef(found.members, exact)[0, 1] > 0.999


@dataclass
class Part(Energies):
    """The curve is not there above an energy, and never a number of its own."""

    most: float = np.inf

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        found = dict(Energies.quantities(self, calculator, start))
        del found["square"]
        if found["first"].value > self.most:
            del found["curve"]
        raise NotConverged("no square", partial=found)


def test_what_there_is_in_part_is_kept_and_the_rest_is_said() -> None:
    potential = pairs(members=40)
    whole = first_order(potential, Energies(), _structures(), potential.members)
    part = first_order(potential, Part(), _structures(), potential.members)
    assert list(part.quantities) == ["first", "curve"]
    assert np.array_equal(part["curve"].members, whole["curve"].members)
    assert part.notes[1:] == ("left out, as the best fit does not give it: no square",)
    less = first_order(potential, Part(most=ZERO + 1e-9), _structures(), potential.members)
    assert list(less.quantities) == ["first"]
    assert less.notes[2].endswith("give it: curve is not there; no square; resample it")


def test_what_is_refused() -> None:
    potential = pairs(members=5)
    with pytest.raises(ValueError, match=r"5 members differ in \d directions.*resample it"):
        first_order(potential, Energies(), _structures(), potential.members)
    with pytest.raises(ValueError, match="no structures"):
        first_order(potential, Energies(), {}, potential.members)
    many = pairs(members=30)
    property_ = Lattice(most=3.82)
    with pytest.raises(NotConverged, match="too large"):
        first_order(many, property_, Lattice().start(many.rows.calculator(many.theta)), many.members)
