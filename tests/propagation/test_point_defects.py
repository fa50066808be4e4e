"""Point defects: closed forms of bonds, the literature's numbers, the geometry of sites, and what leaves its site."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import mishin
import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.emt import EMT
from ase.spacegroup import crystal as spacegroup_crystal
from bonds import DEPTH, LENGTH, bonds

from assay.propagation.properties.defect_sites import HOLES, distortion, interstitial
from assay.propagation.properties.point_defects import PointDefects, strained
from assay.propagation.properties.prototypes import conventional, crystal
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import OfStationaryPoints, State

pytestmark = pytest.mark.properties


def point_defects(spec: str, *species: str) -> PointDefects:
    found = property_from_spec(spec, species)
    assert isinstance(found, PointDefects)
    return found


def numbers(spec: str, calculator: object, *species: str) -> dict[str, float]:
    defects = point_defects(spec, *species)
    found = defects.quantities(calculator, defects.start(calculator))
    return {name: float(quantity.value) for name, quantity in found.items()}


def cell(name: str, element: str) -> Atoms:
    return make_supercell(crystal(name, element), conventional(name))


def test_vacancy_of_bonds_costs_six_of_them() -> None:
    """Twelve broken, six regained; no bond is strained, so nothing relaxes, and the volume is that of an atom."""
    found = numbers("vacancy:fcc,size=2,cell=free", bonds(), "Cu")
    assert found["vacancy formation energy"] == pytest.approx(6 * DEPTH, abs=1e-4)
    assert found["vacancy formation volume"] == pytest.approx(LENGTH**3 / np.sqrt(2), rel=1e-3)
    assert found["vacancy symmetry kept"] == 1


def test_vacancy_of_a_compound_counts_its_atom_where_it_goes(tmp_path: Path) -> None:
    """Bonds that know no elements, in Cu3Au: as in fcc. Copper atoms (three a cell) are one kind of site."""
    ordered = spacegroup_crystal(
        ["Au", "Cu"], [(0, 0, 0), (0, 0.5, 0.5)], spacegroup=221, cellpar=[3.7, 3.7, 3.7, 90, 90, 90]
    )
    ordered.write(tmp_path / "Cu3Au.extxyz")
    spec = f"vacancy:{tmp_path}/Cu3Au.extxyz,size=2,remove=Cu,reference=fcc"
    assert numbers(spec, bonds(), "Au", "Cu")["vacancy formation energy"] == pytest.approx(6 * DEPTH, abs=1e-4)
    with pytest.raises(ValueError, match="remove=Au,reference=fcc"):
        point_defects(f"vacancy:{tmp_path}/Cu3Au.extxyz", "Au", "Cu")


def test_inequivalent_sites_have_vacancies_of_their_own() -> None:
    a15 = point_defects("vacancy:A15", "W")
    assert [defect.name for defect in a15.defects] == ["vacancy 1", "vacancy 2"]
    with pytest.raises(ValueError, match="not clear"):
        point_defects("interstitials:110,structure=A15", "W")


@pytest.mark.snap
def test_copper_as_published() -> None:
    copper = mishin.copper()
    assert numbers("vacancy", copper, "Cu")["vacancy formation energy"] == pytest.approx(mishin.VACANCY, abs=0.005)
    found = numbers("interstitials:100,size=4,cell=free", copper, "Cu")
    assert found["100 formation energy"] == pytest.approx(mishin.INTERSTITIAL, abs=0.02)


SHELLS = {
    ("bcc", "octahedral"): [(1 / 2, 2), (1 / np.sqrt(2), 4)],
    ("bcc", "tetrahedral"): [(np.sqrt(5) / 4, 4)],
    ("fcc", "octahedral"): [(1 / 2, 6)],
    ("fcc", "tetrahedral"): [(np.sqrt(3) / 4, 4)],
    ("hcp", "octahedral"): [(1 / np.sqrt(2), 6)],
    ("hcp", "tetrahedral"): [(np.sqrt(3 / 8), 4)],
    ("hcp", "basal-octahedral"): [(1 / np.sqrt(3), 3)],
    ("hcp", "basal-tetrahedral"): [(1 / np.sqrt(3), 3), (np.sqrt(2 / 3), 2)],
    ("diamond", "tetrahedral"): [(np.sqrt(3) / 4, 4), (1 / 2, 6)],
    ("diamond", "hexagonal"): [(np.sqrt(11) / 8, 6)],
}
"""Of each hole: distances (in lattice constants a) and numbers of the nearest atoms."""


@pytest.mark.parametrize(("name", "hole"), SHELLS)
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_holes_have_the_neighbours_of_their_name(name: str, hole: str, shift: float) -> None:
    host = cell(name, "W")
    a = host.cell.lengths()[0]
    host.positions += shift * a * np.array([1, 0.5, 0.2])
    built = interstitial(host, hole).inside(host, (3, 3, 3))
    distances = np.sort(built.get_distances(-1, range(len(built) - 1), mic=True)) / a
    expected = np.concatenate([np.full(count, distance) for distance, count in SHELLS[name, hole]])
    assert distances[: len(expected)] == pytest.approx(expected, abs=2e-3)
    assert distances[len(expected)] > expected[-1] + 0.05


def test_every_named_hole_is_checked() -> None:
    assert set(SHELLS) == {(name, hole) for name, holes in HOLES.items() for hole in holes}


@pytest.mark.parametrize("site", ["111", "110", "100", "tetrahedral", "octahedral"])
def test_relaxation_that_keeps_the_site_is_no_distortion_and_a_turn_is(site: str) -> None:
    host, repeats = cell("bcc", "W"), (3, 3, 4)
    defect = interstitial(host, site)
    built = defect.inside(host, repeats)
    centre = built.positions[-len(defect.added) :].mean(axis=0)
    away = (built + Atoms("H", [centre])).get_all_distances(mic=True, vector=True)[-1, :-1]
    breathing = built.copy()
    breathing.positions += 0.1 * away * (np.linalg.norm(away, axis=1) < 4.0)[:, None] + [1.0, 0.5, 0.2]
    assert distortion(defect, host, repeats, breathing) < 1e-6
    moved = built.copy()
    if site.isdigit():
        moved.positions[-2:] = centre + (built.positions[-2:] - centre) @ _turn().T
    else:
        moved.positions[-1] += (0.4, 0.25, 0.1)
    assert distortion(defect, host, repeats, moved) > 0.3


def _turn() -> np.ndarray:
    """By 35° about an axis of no symmetry."""
    axis, angle = np.array([0.36, 0.48, 0.8]), np.radians(35)
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) * np.cos(angle) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)


@pytest.mark.snap
def test_members_start_from_the_site_as_built_where_the_best_fit_left_it() -> None:
    copper = mishin.copper()
    both = point_defects("interstitials:100,110,size=2", "Cu")
    start = dict(both.start(copper))
    right = both.quantities(copper, start)
    assert right["110 formation energy"].value > right["100 formation energy"].value + 0.1
    turned = start["100"].copy()
    left = both.quantities(copper, start | {"110": turned})  # as if the best fit had turned its 110 into a 100
    assert left["110 formation energy"].value == pytest.approx(right["110 formation energy"].value, abs=1e-3)
    bulk = relaxed(start["bulk"], copper, "nothing")
    states = {name: relaxed(atoms, copper, "nothing") for name, atoms in start.items()}
    flagged = both.of_states(states | {"bulk": bulk, "110": State(turned, states["100"].energy)})
    assert (flagged["110 symmetry kept"].value, flagged["100 symmetry kept"].value) == (0, 1)


class Leaning(EMT):
    """EMT with a double well for the interstitial: its site is a saddle point, 0.3 Å from minima along x."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        if len(self.atoms) != 33:
            return
        x = self.atoms.positions[-1, 0] - self.atoms.positions[:-1, 0].mean() + self.atoms.cell[0, 0] / 8
        self.results["energy"] += 0.5 * ((x / 0.3) ** 2 - 1) ** 2
        force = -2 * ((x / 0.3) ** 2 - 1) * x / 0.3**2
        self.results["forces"][:, 0] += [*[-force / 32] * 32, force]


def test_a_site_on_a_saddle_point_is_left_with_a_rattle_only() -> None:
    still, rattled = (
        numbers(f"interstitials:octahedral,size=2{option}", Leaning(), "Cu") for option in ("", ",rattle=0.01")
    )
    assert (still["octahedral symmetry kept"], rattled["octahedral symmetry kept"]) == (1, 0)
    assert rattled["octahedral formation energy"] < still["octahedral formation energy"] - 0.1


@pytest.mark.snap
@pytest.mark.parametrize("spec", ["vacancy:size=2", "vacancy:size=2,cell=free", "interstitials:100,size=2"])
def test_numbers_follow_from_stationary_points(spec: str) -> None:
    """Relaxed states give the numbers; forces vanish there, and the stress too where the cell is free."""
    copper, defects = mishin.copper(), pickle.loads(pickle.dumps(point_defects(spec, "Cu")))
    assert isinstance(defects, OfStationaryPoints)
    start = defects.start(copper)
    points = defects.stationary(start)
    for point in points.values():
        assert np.abs(copper.get_forces(point.atoms)).max() < 1e-3
        if point.free == "cell":
            assert np.abs(copper.get_stress(point.atoms)).max() * point.atoms.get_volume() < 0.05
        elif point.cell_of is not None:
            repeats = point.atoms.cell.lengths() / points[point.cell_of].atoms.cell.lengths()
            assert repeats == pytest.approx(np.rint(repeats), abs=1e-9)
    states = {name: relaxed(point.atoms, copper, "nothing") for name, point in points.items()}
    found = defects.quantities(copper, start)
    for name, quantity in defects.of_states(states).items():
        assert quantity.value == pytest.approx(found[name].value, abs=2e-3), name


def test_supercells_keep_images_apart() -> None:
    for name, element in (("bcc", "W"), ("fcc", "Cu"), ("hcp", "Ti"), ("diamond", "Si")):
        defects = point_defects(f"vacancy:{name}", element)
        heights = 1 / np.linalg.norm(defects.crystal.repeat(defects.repeats).cell.reciprocal().array, axis=1)
        assert (heights >= 10).all()
        assert (heights < 15).all(), name


def test_strained_takes_the_supercell_along_with_its_cell() -> None:
    unit = cell("hcp", "Ti")
    wider = unit.copy()
    wider.set_cell(unit.cell.array @ (np.eye(3) + 0.01 * np.arange(9).reshape(3, 3)), scale_atoms=True)
    moved = strained(unit.repeat((2, 3, 1)), unit, wider)
    assert moved.positions == pytest.approx(wider.repeat((2, 3, 1)).positions, abs=1e-9)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("vacancy:bcc,cell=loose", "fixed, free"),
        ("vacancy:bcc,sise=4", "known are size="),
        ("vacancy:bcc,size=0", "whole number"),
        ("vacancy:bcc,fcc", "one structure"),
        ("interstitials:hexagonal", "bcc has octahedral, tetrahedral"),
        ("interstitials:000", "octahedral"),
        ("interstitials:structure=sigma", "name the sites"),
    ],
)
def test_what_it_does_not_know_is_an_error(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        point_defects(spec, "W")


def test_a_position_of_the_cell_is_a_site() -> None:
    by_name, by_position = (interstitial(cell("bcc", "W"), site) for site in ("octahedral", "0.5/0.5/0"))
    assert replace(by_position, name="octahedral") == by_name
