"""Table of gauges × laws: what a gauge says does not depend on how a structure is written down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from copper import columns
from scipy.spatial.transform import Rotation

from assay import Gauge

ROTATION = Rotation.random(rng=np.random.default_rng(8)).as_matrix()
TOLERANCE = 1e-8

Law = Callable[[Atoms], tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]]


def permuted(atoms: Atoms) -> tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]:
    """Columns of atoms are permuted with them."""
    p = np.random.default_rng(1).permutation(len(atoms))
    return atoms[p], lambda name, column: column[p] if len(column) == len(p) and "frame" not in name else column


def rotated(atoms: Atoms) -> tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]:
    """Forces and stress turn; scores and error bars, the same along x, y and z, do not."""
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ ROTATION.T)
    turned.positions = atoms.positions @ ROTATION.T

    def expected(name: str, column: np.ndarray) -> np.ndarray:
        if name == "forces":
            return column @ ROTATION.T
        if name == "stress":
            full = column[0][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
            return (ROTATION @ full @ ROTATION.T)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]][None]
        return column

    return turned, expected


def translated(atoms: Atoms) -> tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]:
    moved = atoms.copy()
    moved.positions += [0.3, -11.7, 25.1]
    return moved, lambda name, column: column


def imaged(atoms: Atoms) -> tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]:
    """Each atom is replaced by one of its periodic images."""
    moved = atoms.copy()
    shifts = np.random.default_rng(2).integers(-2, 3, (len(atoms), 3)) * atoms.pbc
    moved.positions += shifts @ atoms.cell.array
    return moved, lambda name, column: column


def other_cell(atoms: Atoms) -> tuple[Atoms, Callable[[str, np.ndarray], np.ndarray]]:
    """The same lattice by other vectors, a left-handed set."""
    moved = atoms.copy()
    if atoms.pbc.all():
        moved.set_cell(atoms.cell.array[[1, 0, 2]] + [[0] * 3, [0] * 3, atoms.cell.array[0]], scale_atoms=False)
    return moved, lambda name, column: column


LAWS = {law.__name__: law for law in (permuted, rotated, translated, imaged, other_cell)}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("structure", range(5))
def test_law(any_gauge: Gauge, new: list[Atoms], structure: int, law: str):
    atoms = new[structure]
    changed, expected = LAWS[law](atoms)
    before, after = columns(any_gauge.assess([atoms])), columns(any_gauge.assess([changed]))
    assert after.keys() == before.keys()
    assert len(before) > 8
    for name, column in before.items():
        wanted = expected(name, column)
        np.testing.assert_allclose(after[name], wanted, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("structure", [0, 1, 2])
def test_a_supercell_says_the_same_of_every_atom(any_gauge: Gauge, new: list[Atoms], structure: int):
    atoms = new[structure]
    small, large = columns(any_gauge.assess([atoms])), columns(any_gauge.assess([atoms * (1, 2, 1)]))
    for name, column in small.items():
        if name == "energy":
            expected = 2 * column
        elif name.endswith("/frame") or name in ("stress", "stress bar", "energy bar"):
            expected = column
        else:
            expected = np.concatenate([column, column])
        np.testing.assert_allclose(large[name], expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def test_a_batch_is_its_frames_one_by_one(any_gauge: Gauge, new: list[Atoms]):
    """To the bit."""
    together = columns(any_gauge.assess(new[:3]))
    alone = [columns(any_gauge.assess([atoms])) for atoms in new[:3]]
    for name, column in together.items():
        np.testing.assert_array_equal(column, np.concatenate([each[name] for each in alone]), err_msg=name)


def test_the_order_of_frames_does_not_count(any_gauge: Gauge, new: list[Atoms]):
    assert any_gauge.assess(new[::-1]).batch.energy.tolist() == any_gauge.assess(new).batch.energy[::-1].tolist()


def test_frames_are_left_alone(any_gauge: Gauge, new: list[Atoms]):
    before = [atoms.copy() for atoms in new]
    any_gauge.assess(new)
    assert all(
        a == b and a.info == b.info and a.arrays.keys() == b.arrays.keys() for a, b in zip(new, before, strict=True)
    )
    assert all(atoms.calc is None for atoms in new)


def test_two_workers_say_what_one_does(committee: Gauge, new: list[Atoms]):
    """Chunks of 256 atoms: 40 frames make two of them."""
    one, two = (columns(committee.assess(8 * new, workers=workers)) for workers in (1, 2))
    for name, column in one.items():
        np.testing.assert_allclose(two[name], column, rtol=1e-12, atol=1e-12, err_msg=name)
