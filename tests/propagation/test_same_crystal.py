"""Crystals strained and intact, and crystals that became others."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.propagation.properties.prototypes import PROTOTYPES, crystal
from assay.propagation.properties.same_crystal import CHANGED, change, require_same
from assay.propagation.property import NotConverged


def stretched(atoms: Atoms, ratio: float, volume: float = 1.0) -> Atoms:
    """c/a times `ratio`."""
    longer = atoms.copy()
    scale = np.array([ratio ** (-1 / 3), ratio ** (-1 / 3), ratio ** (2 / 3)]) * volume ** (1 / 3)
    longer.set_cell(longer.cell.array * scale, scale_atoms=True)
    return longer


def test_the_change_in_closed_form() -> None:
    """bcc to fcc: 8 neighbours at √3/2 → 1/√2 of a, of 6 at 1 four → 1/√2 and two → 1; V/N from 1/2 to 1/4 a³."""
    scale = np.cbrt(2.0)  # ∛(V/N) of bcc over that of fcc
    logarithms = np.log(scale * np.array([np.sqrt(2 / 3)] * 8 + [1 / np.sqrt(2)] * 4 + [1.0] * 2))
    bcc = crystal("bcc", "W")
    assert change(stretched(bcc, np.sqrt(2), volume=1.3), bcc) == pytest.approx(np.sqrt(np.mean(logarithms**2)))
    assert change(stretched(bcc, 1, volume=1.3), bcc) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "ratio", "becomes"),
    [
        ("bcc", np.sqrt(2), "fcc"),
        ("fcc", np.sqrt(1 / 2), "bcc"),
        ("beta-Sn", np.sqrt(2) / 0.5456, "diamond"),
        ("hcp", 2.6 / 1.633, "another structure"),
    ],
)
def test_what_became_another_one_is_named(name: str, ratio: float, becomes: str) -> None:
    given = crystal(name, "Si")
    for volume in (0.8, 1.2):
        with pytest.raises(NotConverged, match=f"^x: became {becomes}"):
            require_same(stretched(given, ratio, volume), given, "x")


@pytest.mark.parametrize("name", PROTOTYPES)
def test_a_strained_crystal_is_itself(name: str) -> None:
    """7 % of c/a and 30 % of volume for all, and 0.02 of a bond for each atom."""
    given = crystal(name, "Cu")
    moved = stretched(given, 1.07, 1.3)
    moved.rattle(0.05, seed=1)
    assert 0 < change(moved, given) < CHANGED
    require_same(moved, given, name)


@pytest.mark.parametrize(("element", "c_over_a"), [("Zn", 1.856), ("Cd", 1.886), ("Be", 1.568)])
def test_hcp_elements_are_hcp(element: str, c_over_a: float) -> None:
    found, ideal = (bulk(element, "hcp", a=2.7, c=2.7 * ratio) for ratio in (c_over_a, 1.633))
    assert 0 < change(found, ideal) < CHANGED
    require_same(found, ideal, "hcp")


def test_an_atom_that_leaves_its_place_is_noticed() -> None:
    given = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    moved = given.copy()
    moved.positions[1::2] += (1.4, 1.4, 1.4)  # rock salt to zinc blende
    with pytest.raises(NotConverged, match="became another structure"):
        require_same(moved, given, "NaCl")
