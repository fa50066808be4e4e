"""Barriers: wells with closed forms, the literature's migration energy, the geometry of a hop."""

from __future__ import annotations

import pickle
from pathlib import Path

import ase.io
import mishin
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from assay.propagation.properties.barriers import Barrier
from assay.propagation.properties.minimum_energy_path import minimum_energy_path, one_barrier, saddle_point
from assay.propagation.properties.prototypes import structure
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, OfStationaryPoints, Quantities

pytestmark = pytest.mark.properties


class Well(Calculator):
    """E = V(x) + k/2 (y − c x²)² of one atom: stationary where V′ = 0 and y = c x², at the energies V."""

    implemented_properties = ("energy", "forces")

    def __init__(self, *coefficients: float, bend: float = 0.6) -> None:
        super().__init__()
        self.bend = bend
        self.v = np.polynomial.Polynomial(coefficients)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        (x, y, z), k, c = self.atoms.positions[0], 4.0, self.bend
        off = y - c * x**2
        self.results["energy"] = float(self.v(x) + k / 2 * off**2 + k / 2 * z**2)
        self.results["forces"] = np.array([[2 * k * c * x * off - self.v.deriv()(x), -k * off, -k * z]])


@pytest.fixture
def ends(tmp_path: Path) -> Path:
    frames = [Atoms("H", [[x, y, 0.0]]) for x, y in ((-0.9, 0.5), (1.1, 0.7))]
    ase.io.write(tmp_path / "ends.extxyz", frames)
    return tmp_path / "ends.extxyz"


def barrier(spec: str, *species: str) -> Barrier:
    found = pickle.loads(pickle.dumps(property_from_spec(spec, species)))
    assert isinstance(found, Barrier)
    return found


def quantities(spec: str, calculator: Calculator, *species: str) -> Quantities:
    found = barrier(spec, *species)
    return found.quantities(calculator, found.start(calculator))


def test_a_tilted_double_well(ends: Path) -> None:
    """V = (x² − 1)² + x/4: energies at the roots of V′ = 4 x³ − 4 x + 1/4."""
    well = Well(1, 0.25, -2, 0, 1)
    left, top, right = np.sort(well.v.deriv().roots().real)
    found = quantities(f"barrier:{ends}", well, "H")
    assert found["forward barrier"].value == pytest.approx(well.v(top) - well.v(left), abs=1e-4)
    assert found["backward barrier"].value == pytest.approx(well.v(top) - well.v(right), abs=1e-4)
    curve = found["energy along the path"]
    assert curve.value[0] == 0
    assert curve.value[-1] == pytest.approx(well.v(right) - well.v(left), abs=1e-4)
    assert curve.value.max() == pytest.approx(well.v(top) - well.v(left), abs=5e-3)
    assert (np.diff(np.sign(np.diff(curve.value))) != 0).sum() == 1  # up, then down
    assert found["one barrier"].value == 1


@pytest.mark.parametrize("images", [3, 5, 8])
def test_the_barrier_of_a_path_with_a_dip_in_the_middle(ends: Path, images: int) -> None:
    """V = (1 − x²)² (1 + 3 x²) is highest at x² = 1/9, with 256/243; at x = 0 is a dip of 1."""
    found = quantities(f"barrier:{ends},images={images}", Well(1, 0, 1, 0, -5, 0, 3), "H")
    assert found["forward barrier"].value == pytest.approx(256 / 243, abs=1e-4)
    assert found["one barrier"].value == 0


def test_an_image_at_rest_in_a_dip_is_not_the_top() -> None:
    straight = [Atoms("H", [[x, 0.0, 0.0]]) for x in (-1, -0.5, 0, 0.5, 1)]
    found = minimum_energy_path(straight, Well(1, 0, 1, 0, -5, 0, 3, bend=0.0))
    assert found.saddle.energy == pytest.approx(256 / 243, abs=1e-4)
    assert abs(found.saddle.atoms.positions[0, 0]) == pytest.approx(1 / 3, abs=1e-3)


def test_members_reconverge_the_path(ends: Path) -> None:
    best, member = Well(1, 0.25, -2, 0, 1), Well(1.5, -0.4, -2.2, 0.1, 1.2)
    double = barrier(f"barrier:{ends}", "H")
    found = double.quantities(member, double.start(best))
    left, top, right = np.sort(member.v.deriv().roots().real)
    assert found["forward barrier"].value == pytest.approx(member.v(top) - member.v(left), abs=1e-4)
    assert found["backward barrier"].value == pytest.approx(member.v(top) - member.v(right), abs=1e-4)


def test_the_saddle_point_is_one(ends: Path) -> None:
    """No force, and one direction of negative curvature."""
    well, double = Well(1, 0.25, -2, 0, 1), barrier(f"barrier:{ends}", "H")
    points = double.stationary(double.start(well))
    downhill = {}
    for name, point in points.items():
        assert np.abs(well.get_forces(point.atoms)).max() < 1e-3
        hessian = []
        for step in 1e-4 * np.eye(3):
            forces = []
            for sign in (1, -1):
                moved = point.atoms.copy()
                moved.positions += sign * step
                forces.append(well.get_forces(moved)[0])
            hessian.append((forces[1] - forces[0]) / 2e-4)
        downhill[name] = int((np.linalg.eigvalsh(hessian) < 0).sum())
    assert downhill == {"initial": 0, "saddle": 1, "final": 0}


@pytest.mark.parametrize(
    ("curve", "one"),
    [
        ([0, 0.3, 0.5, 0.1, 0.0], True),
        ([0, 0.3, 0.295, 0.5, 0.0], True),  # an error of the images
        ([0, -0.1, 0.5, 0.1, 0.0], False),
        ([0, 0.3, 0.1, 0.5, 0.0], False),
        ([0, 0.3, 0.5, -0.1, 0.0], False),
        ([0, 0.5, 0.1, 0.4, 0.0], False),
    ],
)
def test_dips_on_both_sides_are_noticed(curve: list[float], one: bool) -> None:
    assert one_barrier(np.array(curve)) is one


def test_no_barrier_is_no_number(ends: Path) -> None:
    """One well only: both ends relax into it."""
    with pytest.raises(NotConverged, match="same structure"):
        barrier(f"barrier:{ends}", "H").start(Well(0, 0, 1))


def test_the_bottom_of_a_well_is_no_saddle_point() -> None:
    with pytest.raises(NotConverged, match="no saddle point"):
        saddle_point(Atoms("H", [[0.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]), Well(0, 0, 1))
    found = saddle_point(Atoms("H", [[0.1, 0.1, 0.0]]), np.array([[1.0, 0.3, 0.0]]), Well(0, 0, -1))
    assert found.positions == pytest.approx(np.zeros((1, 3)), abs=1e-3)


@pytest.mark.snap
def test_a_vacancy_hops_in_copper_as_published() -> None:
    copper, hop = mishin.copper(), barrier("barrier:vacancy", "Cu")
    start = hop.start(copper)
    found = hop.quantities(copper, start)
    for name in ("forward barrier", "backward barrier"):
        assert found[name].value == pytest.approx(mishin.MIGRATION, abs=0.003)
    curve = found["energy along the path"].value
    assert curve == pytest.approx(curve[::-1], abs=0.01)
    assert isinstance(hop, OfStationaryPoints)
    points = hop.stationary(start)
    assert {name: (point.free, point.cell_of) for name, point in points.items()} == {
        "bulk": ("cell", None),
        **dict.fromkeys(("initial", "saddle", "final"), ("positions", "bulk")),
    }
    states = {name: relaxed(point.atoms, copper, "nothing") for name, point in points.items()}
    assert np.linalg.norm(copper.get_forces(points["saddle"].atoms), axis=1).max() < 1e-3
    assert hop.of_states(states)["forward barrier"].value == pytest.approx(found["forward barrier"].value, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "element", "hop"),
    [
        ("bcc", "W", np.sqrt(3) / 2),
        ("fcc", "Cu", 1 / np.sqrt(2)),
        ("hcp", "Ti", 1.0),
        ("diamond", "Si", np.sqrt(3) / 4),
    ],
)
def test_a_nearest_neighbour_takes_the_place_of_the_vacancy(name: str, element: str, hop: float) -> None:
    found = barrier(f"barrier:vacancy,structure={name},size=3", element)
    first, last = found.ends
    moved = np.linalg.norm(last.positions - first.positions, axis=1)
    assert (moved > 1e-9).sum() == 1
    assert moved.max() == pytest.approx(hop * found.crystal.cell.lengths()[0], rel=1e-3)
    perfect = found.crystal.repeat(3)
    assert len(first) == len(perfect) - 1
    both = first + last[[int(moved.argmax())]]  # the hopping atom twice: every site is taken
    assert np.sort(both.get_scaled_positions().round(6) % 1, axis=0) == pytest.approx(
        np.sort(perfect.get_scaled_positions().round(6) % 1, axis=0)
    )


def test_atoms_take_the_shortest_way_between_the_frames(tmp_path: Path) -> None:
    crystal = structure("fcc", {}, ["Cu"]).atoms.repeat(2)
    other = crystal.copy()
    other.positions[1] += 0.1 + crystal.cell[2]
    ase.io.write(tmp_path / "two.extxyz", [crystal, other])
    first, last = barrier(f"barrier:{tmp_path}/two.extxyz", "Cu").ends
    assert np.abs(last.positions - first.positions).max() == pytest.approx(0.1, abs=1e-6)


def test_what_it_does_not_know_is_an_error(tmp_path: Path) -> None:
    frames = [Atoms("H2", [[0, 0, 0], [0, 0, z]]) for z in (0.7, 0.8, 0.9)]
    ase.io.write(tmp_path / "three.extxyz", frames)
    ase.io.write(tmp_path / "others.extxyz", [frames[0], Atoms("HO", frames[0].positions)])
    for spec, message in (
        ("barrier", "two frames"),
        ("barrier:vacancy,mesh=3", "known are structure="),
        ("barrier:vacancy,structure=fcc,element=H,images=1", "images=1: needs a whole number, 2 or more"),
        (f"barrier:{tmp_path}/three.extxyz", "3 frames"),
        (f"barrier:{tmp_path}/others.extxyz", "same atoms"),
    ):
        with pytest.raises(ValueError, match=message):
            barrier(spec, "H", "O")
