"""Atoms that leave, and gases of lone atoms: real features of real potentials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import assay
from assay import Built, Gauge, Guard, GuardStop, LinearFit
from assay.verbs.demo import demo_data

SNAP, SOAP, ACE = "snap:twojmax=4", "soap:max_radial=4,max_angular=3", "ace:number_of_functions_per_element=40"
SOURCES = (
    pytest.param(SNAP, marks=pytest.mark.snap),
    pytest.param(ACE, marks=pytest.mark.ace),
    pytest.param(SOAP, marks=pytest.mark.soap),
)
LIFTED = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0)


def silicon(part: str, step: int) -> list[Atoms]:
    return list(ase.io.read(demo_data(part), f"::{step}"))


@pytest.fixture(scope="module")
def built() -> dict[str, Built]:
    return {}


def gauge_of(source: str, built: dict[str, Built], *more: Atoms) -> Gauge:
    key = f"{source} {len(more)}"
    if key not in built:
        train = [*silicon("train", 2), *more]
        built[key] = assay.build(
            train, source=source, calibration=silicon("calibration", 2), linear_fit=LinearFit(ensemble_size=8)
        )
    return built[key].gauge


def slab() -> tuple[Atoms, int]:
    """Silicon in vacuum, and its topmost atom."""
    atoms = bulk("Si", a=5.47, cubic=True).repeat((1, 1, 2))
    atoms.center(vacuum=15.0, axis=2)
    return atoms, int(np.argmax(atoms.positions[:, 2]))


def gas() -> Atoms:
    places = [[x, y, z] for x in (0, 9.0) for y in (0, 9.0) for z in (0, 9.0)]
    return Atoms("Si8", places, cell=[18.0] * 3, pbc=True)


@pytest.mark.parametrize("source", SOURCES)
def test_an_atom_that_leaves_is_flagged_all_the_way(source: str, built: dict[str, Built]) -> None:
    gauge = gauge_of(source, built)
    atoms, top = slab()
    for height in LIFTED[3:]:
        lifted = atoms.copy()
        lifted.positions[top, 2] += height
        found = gauge.assess([lifted])
        for score in ("gamma", "gamma_local"):
            assert found.scores[score, "atom"].values[top] > 1.0, (score, height)
        leverage = found.scores["leverage", "atom"]
        assert leverage.values[top] > gauge.training["leverage", "atom"].max()
        if found.bars.force is not None:
            constant = gauge.constant_bar("force", found.batch.predicted.force)
            width, least = found.bars.force.half_width(0.95)[top], constant.half_width(0.95)[top]
            assert (width >= least).all()
            assert (least > 0.01).all()
            assert found.bars.energy.half_width(0.95) >= gauge.constant_bar("energy", np.zeros(1)).half_width(0.95)


@pytest.mark.parametrize("source", SOURCES)
def test_every_guard_stops_a_gas_of_lone_atoms(source: str, built: dict[str, Built], tmp_path: Path) -> None:
    gauge = gauge_of(source, built)
    atoms = gas()
    atoms.calc = assay.calculator(gauge)
    for score in (score.name for score in gauge.scores if score.home == "atom"):
        with pytest.raises(GuardStop):
            Guard(atoms, tmp_path / "gas.extxyz", score=score)()
    assert (atoms.calc.results["emptiness"] > 1.0).all() == (source != SOAP), "SOAP has a share of the atom itself"


@pytest.mark.snap
def test_with_lone_atoms_in_training_they_are_home(built: dict[str, Built], tmp_path: Path) -> None:
    lone = Atoms("Si", cell=[12.0] * 3, pbc=True)
    lone.info["REF_stress"] = np.zeros(6)
    lone.info["REF_energy"], lone.arrays["REF_forces"] = -100.0, np.zeros((1, 3))
    gauge = gauge_of(SNAP, built, lone)
    atoms = gas()
    atoms.calc = assay.calculator(gauge)
    Guard(atoms, tmp_path / "gas.extxyz")()
    assert atoms.calc.results["emptiness"].max() <= 1.0


@pytest.mark.snap
def test_what_training_knows_is_as_before(built: dict[str, Built], tmp_path: Path) -> None:
    gauge = gauge_of(SNAP, built)
    found = gauge.assess(silicon("test", 1))
    plain = replace(gauge, emptiness=None).assess(silicon("test", 1))
    known = found.batch.companions["emptiness"] <= 1.0
    assert known.mean() > 0.99
    for key, score in found.scores.items():
        if key[1] == "atom":
            np.testing.assert_array_equal(score.values[known], plain.scores[key].values[known])
    np.testing.assert_array_equal(found.bars.force.std[known], plain.bars.force.std[known])
    gauge.save(tmp_path / "s.gauge")
    of_gas, again = (each.assess([gas()]).scores["gamma", "atom"] for each in (gauge, Gauge.load(tmp_path / "s.gauge")))
    np.testing.assert_array_equal(of_gas.values, again.values)
