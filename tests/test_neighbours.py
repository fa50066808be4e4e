"""Pairs of atoms against ASE's neighbour list, for random cells of any periodicity."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from assay.neighbours import WIDEST, neighbours


def random_frame(pbc: tuple[bool, ...], seed: int) -> Atoms:
    """Up to 9 atoms, many outside of a skewed cell that can be smaller than the cut-off; free vectors may be zero."""
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * rng.uniform(2, 6, 3) + rng.normal(0, 1.0, (3, 3))
    if seed % 2:
        cell[~np.array(pbc)] = 0.0
    n = int(rng.integers(1, 10))
    return Atoms(f"H{n}", rng.uniform(-8, 8, (n, 3)), cell=cell, pbc=pbc)


@pytest.mark.parametrize("cutoff", [1.0, 2.5, 5.5])
@pytest.mark.parametrize("pbc", product([True, False], repeat=3))
def test_pairs_and_distances_are_those_of_ase(pbc, cutoff):
    for seed in range(8):
        atoms = random_frame(pbc, seed)
        i, j, d = neighbours(atoms, cutoff, "ijd", full=True)
        expected = neighbor_list("ijd", atoms, cutoff)
        ours, theirs = np.lexsort((d.round(9), j, i)), np.lexsort((expected[2].round(9), *expected[1::-1]))
        np.testing.assert_array_equal(i[ours], expected[0][theirs])
        np.testing.assert_array_equal(j[ours], expected[1][theirs])
        np.testing.assert_allclose(d[ours], expected[2][theirs], atol=1e-9)
        assert len(neighbours(atoms, cutoff, "i", full=False)[0]) == len(i) / 2


def test_widest_frame():
    """Beyond this, vesin's division by zero would end the process."""
    dimer = Atoms("H2", [[0, 0, 0], [0, 0, WIDEST - 10]])
    assert len(neighbours(dimer, 1.0, "i", full=True)[0]) == 0
    for atoms in (Atoms("H2", [[0, 0, 0], [0, 0, WIDEST]]), Atoms("H", cell=[3, 3, 1.1 * WIDEST], pbc=True)):
        with pytest.raises(ValueError, match=r"extends over .* Å \(more than 10000 Å\)"):
            neighbours(atoms, 1.0, "i", full=True)
