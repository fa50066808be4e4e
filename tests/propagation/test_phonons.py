"""Phonons: closed forms of nearest-neighbour bonds, the literature's frequencies, unstable crystals."""

from __future__ import annotations

import pickle
from pathlib import Path

import mishin
import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.data import atomic_masses, atomic_numbers
from bonds import LENGTH, STIFFNESS, bonds

from assay.propagation.properties.phonons import Phonons, path, reach, repeats_apart
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import Quantities, Quantity

pytestmark = pytest.mark.properties


def quantities(spec: str, calculator: Calculator, *species: str) -> Quantities:
    phonons = pickle.loads(pickle.dumps(property_from_spec(spec, species)))
    return phonons.quantities(calculator, phonons.start(calculator))


def at(found: Quantities, point: str) -> list[float]:
    """Frequencies of the branches at a marked point."""
    branches = [quantity for name, quantity in found.items() if name.startswith("branch")]
    (x,) = [x for x, label in branches[0].ticks if label == point][:1]
    return [float(branch.value[np.argmin(np.abs(branch.x - x))]) for branch in branches]


def terahertz(multiple_of_stiffness: float, element: str = "Cu") -> float:
    """ν = √(n k / m) / 2π."""
    omega = np.sqrt(multiple_of_stiffness * STIFFNESS / atomic_masses[atomic_numbers[element]])
    return float(omega / (2 * np.pi) * units.fs * 1e3)


@pytest.fixture(scope="module")
def of_bonds() -> Quantities:
    return quantities("phonons:fcc,mesh=12", bonds(), "Cu")


def test_fcc_of_bonds_at_the_zone_boundary(of_bonds: Quantities) -> None:
    """Ashcroft & Mermin, problem 22.3: m ω² = 8 k and 4 k at X, 8 k and 2 k at L."""
    assert at(of_bonds, "X") == pytest.approx([terahertz(4), terahertz(4), terahertz(8)], rel=2e-3)
    assert at(of_bonds, "L") == pytest.approx([terahertz(2), terahertz(2), terahertz(8)], rel=2e-3)
    assert at(of_bonds, "Γ") == pytest.approx([0, 0, 0], abs=0.02)
    assert of_bonds["highest frequency"].value == pytest.approx(terahertz(8), rel=2e-3)
    assert of_bonds["imaginary modes"].value == 0


def test_density_of_states_has_three_modes_an_atom_and_the_second_moment_of_bonds(of_bonds: Quantities) -> None:
    """⟨m ω²⟩ is the mean of the diagonal of the force constants: twelve bonds, each k/3 on the average."""
    density = of_bonds["density of states"]
    assert density.unit == "1/THz/atom"
    modes = np.trapezoid(density.value, density.x)
    assert modes == pytest.approx(3, rel=0.01)
    assert np.trapezoid(density.value * density.x**2, density.x) / modes == pytest.approx(terahertz(4) ** 2, rel=0.01)


def test_densities_are_of_one_atom() -> None:
    found = quantities("phonons:hcp,mesh=6,size=3", bonds(), "Cu")
    assert sum(name.startswith("branch") for name in found) == 6
    assert np.trapezoid(found["density of states"].value, found["density of states"].x) == pytest.approx(3, rel=0.02)


def test_the_path_of_fcc(of_bonds: Quantities) -> None:
    """Hinuma et al. 2017; |ΓX| = 2π/a and |ΓL| = √3 π/a."""
    branch, a = of_bonds["branch 1"], np.sqrt(2) * LENGTH
    assert [label for _, label in branch.ticks] == ["Γ", "X", "U|K", "Γ", "L", "W", "X"]
    ticks = [x for x, _ in branch.ticks]
    assert ticks[1] == pytest.approx(2 * np.pi / a, rel=1e-3)
    assert ticks[4] - ticks[3] == pytest.approx(np.sqrt(3) * np.pi / a, rel=1e-3)
    assert all(quantity.x is not None and len(quantity.x) == len(quantity.value) for quantity in _curves(of_bonds))


def _curves(found: Quantities) -> list[Quantity]:
    return [quantity for quantity in found.values() if np.ndim(quantity.value)]


@pytest.mark.snap
def test_copper_as_published() -> None:
    found = quantities("phonons:mesh=4", mishin.copper(), "Cu")
    for point, expected in mishin.FREQUENCIES.items():
        assert at(found, point) == pytest.approx(expected, abs=0.015)


@pytest.mark.snap
def test_members_share_path_and_grid_and_a_cell_as_given_is_made_primitive(tmp_path: Path) -> None:
    """A calculator with doubled energies has √2 the frequencies at the same abscissae."""
    bulk("Cu", "fcc", a=3.6, cubic=True).repeat((1, 1, 2)).write(tmp_path / "copper.extxyz")
    copper = mishin.copper()
    by_name = Phonons.from_words(["fcc"], {"mesh": "4", "size": "3"}, ["Cu"])
    by_file = Phonons.from_words([str(tmp_path / "copper.extxyz")], {"mesh": "4", "size": "3"}, ["Cu"])
    start = by_name.start(copper)
    best, other = by_name.quantities(copper, start), by_file.quantities(copper, by_file.start(copper))
    assert list(best) == list(other)
    for point in ("X", "L", "W"):
        assert at(other, point) == pytest.approx(at(best, point), abs=0.01)
    doubled = by_name.quantities(Doubled(copper), start)
    for name in ("branch 1", "branch 3", "density of states"):
        assert np.array_equal(doubled[name].x, best[name].x)
    assert np.asarray(doubled["branch 3"].value) == pytest.approx(np.sqrt(2) * best["branch 3"].value, abs=0.01)


class Doubled(Calculator):
    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, of: Calculator) -> None:
        super().__init__()
        self.of = of

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        super().calculate(atoms, properties, system_changes)
        for name in self.implemented_properties:
            self.results[name] = 2 * np.asarray(self.of.get_property(name, atoms))


def test_an_unstable_crystal_has_imaginary_modes() -> None:
    """Simple cubic has no resistance to shear with central forces."""
    found = quantities("phonons:sc,mesh=4,size=4", LennardJones(sigma=2.3, epsilon=0.4, rc=6.0, smooth=True), "Cu")
    assert found["imaginary modes"].value > 0.1
    assert min(float(np.min(found[f"branch {b}"].value)) for b in (1, 2, 3)) < -0.5
    density = found["density of states"]
    assert np.trapezoid(density.value, density.x) == pytest.approx(3, rel=0.03)


def test_supercells_hold_what_an_atom_feels() -> None:
    crystal = bulk("Cu", "fcc", a=np.sqrt(2) * LENGTH)
    assert reach(crystal, bonds(), 0.01) == pytest.approx(LENGTH, abs=1e-6)
    assert repeats_apart(crystal, 2 * LENGTH + 0.1) == (3, 3, 3)
    flat = bulk("Cu", "hcp", a=2.6, c=10.0)
    assert repeats_apart(flat, 9.0) == (4, 4, 1)


def test_the_path_of_a_turned_crystal_is_the_same() -> None:
    crystal = bulk("Si", "diamond", a=5.43)
    turned = crystal.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    (x, points, ticks), (x_turned, points_turned, ticks_turned) = path(crystal), path(turned)
    assert [label for _, label in ticks] == [label for _, label in ticks_turned]
    assert x_turned == pytest.approx(x, abs=1e-6)
    lengths, lengths_turned = (
        np.linalg.norm(q @ atoms.cell.reciprocal().array, axis=1)
        for q, atoms in ((points, crystal), (points_turned, turned))
    )
    assert lengths_turned == pytest.approx(lengths, abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("phonons:fcc,mesh=0", "whole number"),
        ("phonons:fcc,displacement=-1", "positive"),
        ("phonons:fcc,grid=3", "mesh="),
    ],
)
def test_what_it_does_not_know_is_an_error(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        property_from_spec(spec, ["Cu"])
