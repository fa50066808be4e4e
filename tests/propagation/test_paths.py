"""Transformation paths: the symmetry of their points, energies of other sources, and their curvature."""

from __future__ import annotations

import pickle

import numpy as np
import published
import pytest
from ase import Atoms, units
from ase.calculators.emt import EMT
from ase.spacegroup.symmetrize import check_symmetry

from assay.propagation.properties.paths import ENDS, POINTS, Paths, along
from assay.propagation.properties.prototypes import crystal, shortest_distance
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import OfStationaryPoints

pytestmark = pytest.mark.properties

BCC = crystal("bcc", "Cu")
SPACE_GROUPS = {"bcc": 229, "bcc again": 229, "fcc": 225, "sc": 221, "hcp": 194, "bct": 139}
BETWEEN = {"bain": 139, "trigonal": 166, "orthorhombic": 69, "hexagonal": 63}  # I4/mmm, R-3m, Fmmm, Cmcm


@pytest.mark.parametrize(("path", "point"), [(path, point) for path in ENDS for point in POINTS[path]])
def test_the_points_of_higher_symmetry_are_the_crystals_of_their_names(path: str, point: str) -> None:
    atoms = along(path, POINTS[path][point], BCC)
    assert check_symmetry(atoms, symprec=1e-6).number == SPACE_GROUPS[point]
    if point != "bct":
        ideal = crystal(point.split()[0], "Cu")
        ideal.set_cell(ideal.cell * (BCC.get_volume() / ideal.get_volume() * len(ideal)) ** (1 / 3), scale_atoms=True)
        assert shortest_distance(atoms) == pytest.approx(shortest_distance(ideal))
    assert ENDS[path][0] < POINTS[path][point] < ENDS[path][1]


@pytest.mark.parametrize("path", ENDS)
def test_every_point_keeps_the_volume_and_the_symmetry_of_the_path(path: str) -> None:
    for p in np.linspace(*ENDS[path], 8):
        atoms = along(path, p, BCC)
        assert atoms.get_volume() / len(atoms) == pytest.approx(BCC.get_volume())
        assert check_symmetry(atoms, symprec=1e-4).number == BETWEEN[path]


def test_the_orthorhombic_path_comes_back_the_way_it_went() -> None:
    for p in (0.95, 1.1, 1.3):
        there, back = (_energy(along("orthorhombic", q, BCC)) for q in (p, 2 / p))
        assert there == pytest.approx(back, abs=1e-10)
    assert _energy(along("orthorhombic", 1.3, BCC)) != pytest.approx(_energy(along("orthorhombic", 1.0, BCC)), abs=1e-3)


def _energy(atoms: Atoms) -> float:
    return relaxed(atoms, EMT(), "nothing").energy / len(atoms)


def test_energies_at_the_ends_are_those_of_the_crystals() -> None:
    """fcc, sc and hcp of EMT at the volume of its bcc, and both paths to fcc alike."""
    property = property_from_spec("path:points=5", ["Cu"])
    found = property.quantities(EMT(), property.start(EMT()))
    bcc = relaxed(crystal("bcc", "Cu"), EMT())
    for path, point in (("bain", "fcc"), ("trigonal", "fcc"), ("trigonal", "sc"), ("hexagonal", "hcp")):
        ideal = crystal(point, "Cu")
        scale = bcc.atoms.get_volume() / (ideal.get_volume() / len(ideal))
        ideal.set_cell(ideal.cell * scale ** (1 / 3), scale_atoms=True)
        assert found[f"{path} path, {point}"].value == pytest.approx(_energy(ideal) - bcc.energy, abs=1e-6)
    for path in ENDS:
        curve = found[f"{path} path"]
        assert curve.x is not None
        assert curve.x_label == "p"
        assert (np.diff(curve.x) > 0).all()
        marked = np.interp([p for p, _ in curve.ticks], curve.x, curve.value)
        assert marked[0] == pytest.approx(0, abs=1e-9)
        assert [point for _, point in curve.ticks] == list(POINTS[path])
        assert curve.x[[0, -1]] == pytest.approx(ENDS[path])


@pytest.mark.snap
def test_curvatures_are_elastic_constants() -> None:
    """With L = ln p and v the volume per atom: bain ⅔ v C' · 2, trigonal 4/3 v C44, orthorhombic v (¾ C' + ¼ C44),
    C' = (C11 − C12)/2. Tungsten of Zhou, Johnson & Wadley 2004 (doi:10.1103/PhysRevB.69.144113) has, as fitted,
    the experimental constants 522, 204 and 161 GPa."""
    calculator = published.calculator("W_zhou.eam.alloy")
    bcc = relaxed(crystal("bcc", "W"), calculator).atoms
    c11, c12, c44 = 522.0, 204.0, 161.0
    expected = {
        "bain": 2 / 3 * (c11 - c12),
        "trigonal": 4 / 3 * c44,
        "orthorhombic": 3 / 8 * (c11 - c12) + c44 / 4,
    }
    h = 0.01
    for path, constant in expected.items():
        e = [relaxed(along(path, np.exp(x), bcc), calculator, "nothing").energy for x in (-h, 0, h)]
        curvature = (e[0] - 2 * e[1] + e[2]) / h**2 / bcc.get_volume() / units.GPa
        assert curvature == pytest.approx(constant, rel=0.03)


def test_the_states_of_the_start_strained_as_bcc_give_the_same_numbers() -> None:
    """What the implicit derivative relies on: every point is bcc's cell, deformed; nothing else is free."""
    property = pickle.loads(pickle.dumps(Paths.from_words(["bain", "hexagonal"], {"points": "4"}, ["Cu"])))
    assert property.name == "path:bain,hexagonal,points=4"
    assert isinstance(property, OfStationaryPoints)
    start = property.start(EMT())
    points = property.stationary(start)
    assert {point.cell_of for key, point in points.items() if key != "bcc"} == {"bcc"}
    states = {key: relaxed(point.atoms, EMT(), point.free) for key, point in points.items()}
    again = property.of_states(states)
    for name, quantity in property.quantities(EMT(), start).items():
        assert again[name].value == pytest.approx(quantity.value, abs=1e-6)


def test_each_potential_has_its_own_volume() -> None:
    """Started at cells that are 2 % too long, the same numbers."""
    property = Paths.from_words(["bain"], {"points": "4"}, ["Cu"])
    start = property.start(EMT())
    far = {key: atoms.copy() for key, atoms in start.items()}
    for atoms in far.values():
        atoms.set_cell(atoms.cell * 1.02, scale_atoms=True)
    near, away = (property.quantities(EMT(), s)["bain path"].value for s in (start, far))
    assert away == pytest.approx(near, abs=1e-4)


def test_words_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown path burgers; known are bain, trigonal"):
        property_from_spec("path:burgers", ["W"])
    with pytest.raises(ValueError, match="points=1: needs a whole number, 2 or more"):
        property_from_spec("path:bain,points=1", ["W"])
    with pytest.raises(ValueError, match="say which with element="):
        property_from_spec("path:bain", ["Mo", "W"])
