"""Pairs of atoms against ASE's neighbour list, for random cells of any periodicity."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

import assay.regions.neighbours
from assay.regions.neighbours import WIDEST, close_pairs, neighbour_images, pair_blocks


def random_frame(pbc: tuple[bool, ...], seed: int) -> Atoms:
    """Up to 9 atoms, many outside of a skewed cell that can be smaller than the cut-off; free vectors may be zero."""
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * rng.uniform(2, 6, 3) + rng.normal(0, 1.0, (3, 3))
    if seed % 2:
        cell[~np.array(pbc)] = 0.0
    n = int(rng.integers(1, 10))
    return Atoms(f"H{n}", rng.uniform(-8, 8, (n, 3)), cell=cell, pbc=pbc)


@pytest.mark.parametrize("cutoff", [1.0, 2.5, 5.5])
@pytest.mark.parametrize("pbc", list(product([True, False], repeat=3)))
def test_pairs_and_distances_are_those_of_ase(pbc, cutoff):
    for seed in range(8):
        atoms = random_frame(pbc, seed)
        pairs, d = close_pairs(atoms, cutoff)
        i, j, d = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]], np.r_[d, d]
        expected = neighbor_list("ijd", atoms, cutoff)
        ours, theirs = np.lexsort((d.round(9), j, i)), np.lexsort((expected[2].round(9), *expected[1::-1]))
        np.testing.assert_array_equal(i[ours], expected[0][theirs])
        np.testing.assert_array_equal(j[ours], expected[1][theirs])
        np.testing.assert_allclose(d[ours], expected[2][theirs], atol=1e-9)


@pytest.mark.parametrize("pbc", list(product([True, False], repeat=3)))
def test_images_are_those_of_ase(pbc):
    for seed in range(8):
        atoms = random_frame(pbc, seed)
        pairs, shifts, box = neighbour_images(atoms, 5.5)
        i, j = pairs.T
        assert (np.diff(i) >= 0).all()
        vectors = atoms.positions[j] + shifts @ box - atoms.positions[i]
        expected = neighbor_list("ijD", atoms, 5.5)
        ours, theirs = (np.lexsort((*d.round(6).T, j, i)) for i, j, d in ((i, j, vectors), expected))
        np.testing.assert_array_equal(i[ours], expected[0][theirs])
        np.testing.assert_array_equal(j[ours], expected[1][theirs])
        np.testing.assert_allclose(vectors[ours], expected[2][theirs], atol=1e-9)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_blocks_are_all_pairs(monkeypatch, size):
    monkeypatch.setattr(assay.regions.neighbours, "BLOCK", size)
    atoms = random_frame((True, True, False), 4)
    blocks = list(pair_blocks(atoms, 4.0))
    assert all(len(i) == len(j) <= size for i, j in blocks)
    expected = close_pairs(atoms, 4.0)[0]
    assert len(expected) > 20
    np.testing.assert_array_equal(np.hstack([np.stack(block) for block in blocks]).T, expected)


def test_nobody_near():
    assert len(close_pairs(Atoms("H"), 3.0)[0]) == 0
    assert list(pair_blocks(Atoms("H2", [[0, 0, 0], [0, 0, 3.1]]), 3.0)) == []


def test_widest_frame():
    """Beyond this, vesin's division by zero would end the process."""
    dimer = Atoms("H2", [[0, 0, 0], [0, 0, WIDEST - 10]])
    assert len(close_pairs(dimer, 1.0)[0]) == 0
    for atoms in (Atoms("H2", [[0, 0, 0], [0, 0, WIDEST]]), Atoms("H", cell=[3, 3, 1.1 * WIDEST], pbc=True)):
        with pytest.raises(ValueError, match=r"extends over .* Å \(more than 10000 Å\)"):
            close_pairs(atoms, 1.0)
        with pytest.raises(ValueError, match="extends over"):
            next(pair_blocks(atoms, 1.0))
