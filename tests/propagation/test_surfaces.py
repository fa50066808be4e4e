"""Surfaces: broken bonds in closed form, published energies, thickness, and how slabs are cut."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import published
import pytest
from ase import Atoms
from ase.build import bulk
from ase.build import surface as ase_surface
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from assay.propagation.properties.prototypes import conventional, crystal
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.properties.surfaces import Surfaces, slab
from assay.propagation.property import NotConverged, OfStationaryPoints
from assay.regions.neighbours import close_pairs


def numbers(spec: str, calculator: Calculator, *species: str) -> dict[str, float]:
    property = property_from_spec(spec, species)
    found = property.quantities(calculator, property.start(calculator))
    return {name: float(quantity.value) for name, quantity in found.items()}


@pytest.mark.snap
def test_silicon_of_stillinger_and_weber_in_closed_form() -> None:
    """Bonds at their minimum and ideal angles leave no force at an ideal surface: each broken bond costs ε = 2.1683
    eV, two surfaces of an area a²/2 by two bonds, (100), or of √3 a²/4 by one, (111), cut between double layers."""
    a = 4 / np.sqrt(3) * 2 ** (1 / 6) * 2.0951
    found = numbers("surfaces:100,111,unit=meV/A2", published.calculator("Si.sw"), "Si")
    assert found["diamond (100)"] == pytest.approx(2168.3 * 2 / a**2, rel=1e-4)
    assert found["diamond (111)"] == pytest.approx(2168.3 * 2 / (np.sqrt(3) * a**2), rel=1e-4)
    joules = numbers("surfaces:111", published.calculator("Si.sw"), "Si")["diamond (111)"]
    assert joules == pytest.approx(0.0160217663 * found["diamond (111)"])


@pytest.mark.snap
def test_published_energies_of_copper() -> None:
    """Foiles, Baskes & Daw 1986, doi:10.1103/PhysRevB.33.7983: 1280, 1400 and 1170 erg/cm², relaxed."""
    found = numbers("surfaces:100,110,111", published.calculator("Cu_u3.eam"), "Cu")
    assert found == pytest.approx({"fcc (100)": 1.28, "fcc (110)": 1.40, "fcc (111)": 1.17}, rel=0.012)


@pytest.mark.snap
def test_high_indices_of_tungsten_are_converged_and_match_slabs_of_ase() -> None:
    """Thicker slabs change nothing; the same surfaces from conventional cells by ase.build, relaxed by LAMMPS."""
    file, millers = "W_zhou.eam.alloy", ("100", "110", "111", "211", "321")
    thin, thick = (
        numbers(f"surfaces:{','.join(millers)},thickness={t}", published.calculator(file), "W") for t in (20, 40)
    )
    assert thin == pytest.approx(thick, rel=2e-3)
    cell = relaxed(crystal("bcc", "W", primitive=False), published.calculator(file))
    for word in millers:
        indices = tuple(map(int, word))
        layers = int(20 * np.linalg.norm(indices) / cell.atoms.cell.lengths()[0]) + 1  # of a / |hkl|
        cut = ase_surface(cell.atoms, indices, layers, vacuum=10.0, periodic=True)
        lammps = published.Lammps(file, cut)
        lammps.run("min_style cg", *(["minimize 0 1e-8 1000 10000"] * 3), "run 0")
        area = np.linalg.norm(np.cross(*cut.cell.array[:2]))
        expected = (lammps["pe"] - len(cut) / 2 * cell.energy) / (2 * area) * 16.0217663
        assert thin[f"bcc ({word})"] == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("name", ["bcc", "fcc", "hcp", "diamond", "A15", "mu"])
@pytest.mark.parametrize("miller", [(1, 0, 0), (1, 1, 1), (2, 1, 0), (3, -2, 1), (0, 0, 1)])
def test_a_slab_is_the_crystal_between_two_planes(name: str, miller: tuple[int, int, int]) -> None:
    """Inside, atoms keep all neighbours of the crystal; cells are the smallest, layers whole, and normal to (hkl)."""
    crystal_ = crystal(name, "Fe")
    cut = slab(crystal_, miller, 12.0, 15.0)
    u, v, n = cut.cell.array
    normal = np.array(miller) @ crystal_.cell.reciprocal().array
    assert np.cross(n, normal) == pytest.approx(np.zeros(3), abs=1e-9)
    assert np.linalg.norm(np.cross(u, v)) == pytest.approx(crystal_.get_volume() * np.linalg.norm(normal))
    depth = 1 / np.linalg.norm(normal)
    layers, rest = divmod(len(cut), len(crystal_))
    assert rest == 0
    assert (layers - 1) * depth < 12.0 <= layers * depth + 1e-9
    assert np.linalg.norm(n) == pytest.approx(layers * depth + 15.0)
    heights = cut.positions @ normal * depth
    reach = 3.0
    pairs, _ = close_pairs(cut, reach)
    found = np.bincount(pairs.ravel(), minlength=len(cut))
    inside = (heights > heights.min() + reach) & (heights < heights.max() - reach)
    whole, _ = close_pairs(crystal_, reach)
    expected = set(np.bincount(whole.ravel(), minlength=len(crystal_)))
    assert set(found[inside]) <= expected
    assert inside.any()
    assert set(found) > expected or found.min() < min(expected)  # and at the surface some are missing


def test_pairs_of_planes_are_not_cut() -> None:
    """Diamond (111): gaps of 3:1; the cut leaves one broken bond per surface atom. hcp (10-10): gaps of 2:1."""
    for name, miller, narrow, wide in (("diamond", "111", 1, 3), ("hcp", "10-10", 1, 2)):
        surfaces = Surfaces.from_words([miller], {"structure": name}, ["Si"])
        cell = crystal(name, "Si")
        (_, indices), *_ = surfaces.millers
        conventional_plane = np.linalg.solve(conventional(name), np.array(indices))
        cut = slab(cell, tuple(int(i) for i in np.rint(conventional_plane / abs(conventional_plane).max())), 20.0, 9.0)
        normal = cut.cell.array[2] / np.linalg.norm(cut.cell.array[2])
        planes = np.unique(np.round(cut.positions @ normal, 6))
        gaps = np.diff(planes)
        assert gaps[[0, -1]] == pytest.approx([gaps.min()] * 2, abs=1e-4)
        assert gaps.max() / gaps.min() == pytest.approx(wide / narrow, rel=1e-4)


def test_slabs_take_the_lattice_of_each_potential() -> None:
    """Started from cells that are 2 % too long, the same energies: slabs take their potential's own lattice."""
    property = Surfaces.from_words(["100", "111"], {}, ["Cu"])
    start = property.start(EMT())
    far = {key: atoms.copy() for key, atoms in start.items()}
    for atoms in far.values():
        atoms.set_cell(atoms.cell * 1.02, scale_atoms=True)
    near, away = (property.quantities(EMT(), s) for s in (start, far))
    assert {k: q.value for k, q in away.items()} == pytest.approx({k: q.value for k, q in near.items()}, rel=2e-3)
    assert near["fcc (111)"].value < near["fcc (100)"].value  # the densest plane costs least


def test_it_is_a_property_of_stationary_points_and_travels() -> None:
    property = pickle.loads(pickle.dumps(property_from_spec("surfaces:110,vacuum=12", ["Cu"])))
    assert property.name == "surfaces:110,vacuum=12"
    assert isinstance(property, OfStationaryPoints)
    start = property.start(EMT())
    points = property.stationary(start)
    assert (points["bulk"].free, points["bulk"].cell_of) == ("cell", None)
    assert (points["(110)"].free, points["(110)"].cell_of) == ("positions", "bulk")
    states = {key: relaxed(point.atoms, EMT(), point.free) for key, point in points.items()}
    direct = property.quantities(EMT(), start)
    assert property.of_states(states)["fcc (110)"].value == pytest.approx(direct["fcc (110)"].value, rel=1e-4)


def test_a_slab_of_an_alloy() -> None:
    alloy = bulk("CuAu", "cesiumchloride", a=3.0)
    cut = slab(alloy, (1, 1, 0), 15.0, 10.0)
    assert cut.symbols.count("Cu") == cut.symbols.count("Au")
    heights = np.sort(cut.positions @ np.array([1, 1, 0]) / np.sqrt(2))
    assert all(b - a < 2.2 for a, b in pairwise(heights))


def test_words_that_make_no_sense_are_refused() -> None:
    for spec, message in {
        "surfaces": "needs Miller indices",
        "surfaces:11": "'11' is no Miller index",
        "surfaces:000": "'000' is no plane",
        "surfaces:999": "'999' is the plane 111: give indices without",
        "surfaces:100,2-20": "'2-20' is the plane 1-10:",
        "surfaces:110,11-20": "110, 11-20: the same plane twice",
        "surfaces:1020": "of four indices h k i l, i is −h − k",
        "surfaces:110,unit=eV": "unit=eV: needs one of J/m2, meV/A2",
        "surfaces:110,thickness=-3": "thickness=-3: needs a positive length",
        "surfaces:110,layers=3": "no such option: layers=",
        "surfaces:110,structure=bbc": "neither a file nor one of bcc",
    }.items():
        with pytest.raises(ValueError, match=message):
            property_from_spec(spec, ["W"])
    assert dict(Surfaces.from_words(["1-10", "11-20"], {}, ["W"]).millers) == {
        "(1-10)": (1, -1, 0),
        "(11-20)": (1, 1, 0),
    }
    with pytest.raises(NotConverged, match="bulk: the volume changed"):
        Surfaces.from_words(["100"], {}, ["Cu"]).quantities(EMT(), {"bulk": bulk("Cu", a=5.4), "(100)": Atoms()})
