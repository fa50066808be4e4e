"""Structure types: symmetry by spglib, neighbours by counting, and the files and elements that a user names."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup.symmetrize import check_symmetry

from assay.propagation.properties.prototypes import (
    PROTOTYPES,
    close_packed_volume,
    conventional,
    crystal,
    shortest_distance,
    stable,
    structure,
    the_element,
)
from assay.regions.neighbours import close_pairs

pytestmark = pytest.mark.properties

# Pearson symbol's number of atoms, atoms per primitive cell, space group (International Tables)
TYPES = {
    "bcc": (2, 1, 229),
    "fcc": (4, 1, 225),
    "hcp": (2, 2, 194),
    "dhcp": (4, 4, 194),
    "sc": (1, 1, 221),
    "diamond": (8, 2, 227),
    "beta-Sn": (4, 2, 141),
    "A15": (8, 8, 223),
    "C14": (12, 12, 194),
    "C15": (24, 6, 227),
    "C36": (24, 24, 194),
    "sigma": (30, 30, 136),
    "chi": (58, 29, 217),
    "mu": (39, 13, 166),
    "Al12W": (26, 13, 204),
}
# Neighbours up to a cut-off between shells, in units of the shortest distance: the shells of the lattices; the
# coordination polyhedra of Frank & Kasper 1959 (doi:10.1107/S0365110X59001499): 12, 14, 15 and 16 neighbours, in A15
# 2 of 8 atoms with 12 and 6 with 14, in Laves phases 2 of 3 with 12 and 1 of 3 with 16, in σ 10, 16 and 4 of 30 with
# 12, 14 and 15, in μ 7, 2, 2 and 2 of 13 with 12, 14, 15 and 16; in αMn 2 and 8 of 58 with 16, 24 with 13, 24 with 12
# (Hobbs, Hafner & Spišák 2003, doi:10.1103/PhysRevB.68.014407).
NEIGHBOURS = {
    "bcc": (1.05, 8),
    "fcc": (1.2, 12),
    "hcp": (1.2, 12),
    "dhcp": (1.2, 12),
    "sc": (1.2, 6),
    "diamond": (1.2, 4),
    "beta-Sn": (1.2, 6),
    "A15": (1.35, (2 * 12 + 6 * 14) / 8),
    "C14": (1.35, (2 * 12 + 16) / 3),
    "C15": (1.35, (2 * 12 + 16) / 3),
    "C36": (1.35, (2 * 12 + 16) / 3),
    "sigma": (1.42, (10 * 12 + 16 * 14 + 4 * 15) / 30),
    "chi": (1.42, (10 * 16 + 24 * 13 + 24 * 12) / 58),
    "mu": (1.45, (7 * 12 + 2 * 14 + 2 * 15 + 2 * 16) / 13),
}


def test_every_type_is_tabulated() -> None:
    assert TYPES.keys() == PROTOTYPES.keys()


@pytest.mark.parametrize("name", TYPES)
def test_symmetry_and_cells(name: str) -> None:
    atoms, primitive, group = TYPES[name]
    small, large = crystal(name, "W"), crystal(name, "W", primitive=False)
    assert (len(large), len(small)) == (atoms, primitive)
    for cell in (small, large):
        assert check_symmetry(cell, symprec=1e-4).number == group
    assert conventional(name) @ small.cell.array == pytest.approx(large.cell.array, abs=1e-9)
    assert small.get_volume() / primitive == pytest.approx(large.get_volume() / atoms)
    assert not small.info
    assert set(small.arrays) == {"numbers", "positions"}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_coordination(name: str) -> None:
    reach, expected = NEIGHBOURS[name]
    atoms = crystal(name, "Fe")
    pairs, _ = close_pairs(atoms, reach * shortest_distance(atoms))
    assert 2 * len(pairs) / len(atoms) == pytest.approx(expected)


def test_twelve_atoms_around_each_tungsten_of_its_aluminide_are_nearly_an_icosahedron() -> None:
    """Adam & Rich 1954, doi:10.1107/S0365110X54002514; the edges of a regular one are 1.0515 times its radius."""
    atoms = crystal("Al12W", "Al", primitive=False)
    (centre,) = np.flatnonzero(np.linalg.norm(atoms.positions, axis=1) < 1e-6)
    distances = np.sort(np.delete(atoms.get_distances(centre, range(26), mic=True), centre))
    assert distances[:12] == pytest.approx([distances[0]] * 12)
    assert distances[12] > 1.5 * distances[0]
    shell = [i for i in range(26) if 0 < atoms.get_distance(centre, i, mic=True) < 1.1 * distances[0]]
    edges = np.concatenate([np.sort(atoms.get_distances(i, shell, mic=True))[1:6] for i in shell])
    assert edges / distances[0] == pytest.approx(np.full(60, 1.0515), rel=0.03)


@pytest.mark.parametrize(("element", "name"), [("W", "bcc"), ("Cu", "fcc"), ("Ti", "hcp"), ("Si", "diamond")])
def test_the_stable_phase_has_its_volume(element: str, name: str) -> None:
    ours, theirs = crystal(name, element), bulk(element)
    assert stable(element) == name
    assert ours.get_volume() / len(ours) == pytest.approx(theirs.get_volume() / len(theirs))
    # silicon: diamond and β-Sn at their minima, 20.0 and 15.3 Å³/atom by Yin & Cohen
    if element == "Si":
        assert crystal("beta-Sn", "Si").get_volume() / 2 == pytest.approx(15.3, rel=0.02)


def test_an_element_without_a_lattice_takes_touching_spheres() -> None:
    atoms = crystal("fcc", "As")
    assert shortest_distance(atoms) == pytest.approx(2 * 1.19)  # covalent radius of arsenic, Cordero et al. 2008
    assert close_packed_volume("As") == pytest.approx((2 * 1.19) ** 3 / np.sqrt(2))
    for element in ("As", "Te"):  # ASE has tellurium's lattice as hcp, without its basis
        with pytest.raises(ValueError, match="say which structure"):
            stable(element)
    assert shortest_distance(crystal("fcc", "Te")) == pytest.approx(2 * 1.38)


def test_a_file_is_taken_as_given(tmp_path: Path) -> None:
    alloy = bulk("NaCl", "rocksalt", a=5.6)
    alloy.info["REF_energy"] = 1.0
    ase.io.write(tmp_path / "salt.extxyz", alloy)
    read = structure(str(tmp_path / "salt.extxyz"), {}, ["Cl", "Na"])
    assert read.label == "salt"
    assert read.atoms.get_chemical_formula() == "ClNa"
    assert read.atoms.cell.array == pytest.approx(alloy.cell.array)
    assert (read.conventional == np.eye(3)).all()
    with pytest.raises(ValueError, match="holds Cl; the potential knows Na"):
        structure(str(tmp_path / "salt.extxyz"), {}, ["Na"])
    alloy.pbc = (True, True, False)
    ase.io.write(tmp_path / "slab.extxyz", alloy)
    with pytest.raises(ValueError, match="periodic in all three"):
        structure(str(tmp_path / "slab.extxyz"), {}, ["Cl", "Na"])
    (tmp_path / "text.extxyz").write_text("no frame")
    with pytest.raises(ValueError, match="ASE can't read it"):
        structure(str(tmp_path / "text.extxyz"), {}, ["Na"])


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(ValueError, match="'bbc' is no structure type; known are bcc, fcc"):
        crystal("bbc", "W")
    with pytest.raises(ValueError, match="'Xx' is not a chemical element"):
        crystal("bcc", "Xx")
    with pytest.raises(ValueError, match="neither a file nor one of bcc"):
        structure("nowhere.cif", {}, ["W"])
    with pytest.raises(ValueError, match="say which with element="):
        the_element({}, ["Mo", "W"])
    with pytest.raises(ValueError, match="element=Fe: the potential knows Mo, W"):
        the_element({"element": "Fe"}, ["Mo", "W"])
    assert the_element({"element": "W"}, ["Mo", "W"]) == "W"
