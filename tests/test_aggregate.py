"""Atom → neighbourhood → frame, against loops over every pair and image."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from assay.regions.neighbourhoods import frame_max, frame_mean, neighbourhood_mean

R_CUT = 3.7


def brute_force(values: np.ndarray, atoms: Atoms, r_cut: float, images: int = 6) -> np.ndarray:
    """`s_i^local`: the mean over i itself and every atom or image within `r_cut`, pair by pair."""
    cell = atoms.cell.array
    shifts = [np.array(n) @ cell for n in product(*(range(-images, images + 1) if p else (0,) for p in atoms.pbc))]
    means = []
    for i, here in enumerate(atoms.positions):
        inside = [values[i]]
        for j, there in enumerate(atoms.positions):
            for shift in shifts:
                distance = np.linalg.norm(there + shift - here)
                if distance < r_cut and not (i == j and not shift.any()):
                    inside.append(values[j])
        means.append(np.mean(inside, axis=0))
    return np.array(means)


def structures() -> dict[str, Atoms]:
    rng = np.random.default_rng(0)
    skewed = Atoms("CuAlCu", scaled_positions=rng.random((3, 3)), cell=rng.normal(0, 2.0, (3, 3)) + 3 * np.eye(3))
    left_handed = bulk("Cu", cubic=True)
    left_handed.set_cell(left_handed.cell.array[[1, 0, 2]], scale_atoms=False)
    left_handed.rattle(0.1, seed=1)
    outside = bulk("Cu", cubic=True) * (2, 1, 1)
    outside.rattle(0.1, seed=2)
    outside.positions += rng.integers(-3, 4, (8, 3)) @ outside.cell.array
    slab, wire = (bulk("Cu", cubic=True) for _ in "ab")
    slab.pbc, wire.pbc = (True, True, False), (False, True, False)
    sheet = bulk("Cu", cubic=True)
    sheet.cell[2], sheet.pbc = 0.0, (True, True, False)
    thin = Atoms("Cu3", positions=[[0, 0, 0], [0.9, 0.2, 0.1], [0.3, 1.0, 4.0]], cell=[1.9, 2.1, 9.0], pbc=True)
    for atoms in (slab, wire, sheet):
        atoms.rattle(0.1, seed=3)
    skewed.pbc = True
    return {
        "smaller than the cut-off": bulk("Cu"),
        "much smaller along two axes": thin,
        "triclinic": skewed,
        "left-handed": left_handed,
        "atoms outside the cell": outside,
        "slab": slab,
        "wire": wire,
        "no third cell vector": sheet,
        "molecule without cell": molecule("CH3CH2OH"),
        "one atom without cell": Atoms("Cu"),
        "one atom in a large cell": Atoms("Cu", cell=[20, 20, 20], pbc=True),
        "too far apart": Atoms("Cu2", positions=[[0, 0, 0], [R_CUT + 1e-9, 0, 0]]),
    }


every_structure = pytest.mark.parametrize("name", structures())


@every_structure
def test_neighbourhood_mean_is_the_mean_over_pairs_and_images(name: str):
    atoms = structures()[name]
    values = np.random.default_rng(1).lognormal(size=len(atoms))
    expected = brute_force(values, atoms, R_CUT)
    np.testing.assert_allclose(neighbourhood_mean(values, atoms, R_CUT), expected, rtol=1e-12)


@every_structure
def test_columns_share_the_neighbours(name: str):
    atoms = structures()[name]
    values = np.random.default_rng(1).lognormal(size=(len(atoms), 3))
    together = neighbourhood_mean(values, atoms, R_CUT)
    assert together.shape == values.shape
    for k in range(3):
        np.testing.assert_array_equal(together[:, k], neighbourhood_mean(values[:, k], atoms, R_CUT))


@every_structure
def test_infinite_where_a_neighbour_is(name: str):
    atoms = structures()[name]
    values = np.ones(len(atoms))
    values[0] = np.inf
    means = neighbourhood_mean(values, atoms, R_CUT)
    np.testing.assert_array_equal(means, brute_force(values, atoms, R_CUT))
    assert np.isinf(means[0])


def test_the_radius_counts():
    """Copper has 12 neighbours at a/√2 and 6 at a: the mean of 1 at the first and 0 elsewhere is 1/N."""
    atoms = bulk("Cu", a=3.6, cubic=True) * (3, 3, 3)
    values = np.zeros(len(atoms))
    values[0] = 1.0
    for r_cut, n in ((2.0, 1), (3.0, 13), (3.61, 19)):
        mean = neighbourhood_mean(values, atoms, r_cut)
        assert mean[0] == pytest.approx(1 / n, rel=1e-14)
        assert np.count_nonzero(mean) == n


def test_frame_mean_and_maximum():
    values, offsets = np.array([1.0, 5.0, 3.0, -2.0, np.inf, 0.0]), np.array([0, 3, 4, 6])
    assert frame_mean(values, offsets).tolist() == [3.0, -2.0, np.inf]
    assert frame_max(values, offsets).tolist() == [5.0, -2.0, np.inf]
