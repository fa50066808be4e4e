"""The guard of a molecular-dynamics run: stops, keeps the frame, or not if it has exploded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet
from copper import copper, heat

from assay import Gauge, Guard, GuardStop, read_frames
from assay.gauge.calculator import GaugeCalculator

SCORE = "committee_force"


@pytest.fixture
def atoms(committee: Gauge) -> Atoms:
    atoms = copper("rattled", 3)
    atoms.calc = GaugeCalculator(committee)
    return atoms


def value(atoms: Atoms) -> float:
    return float(atoms.calc.get_property(SCORE, atoms).max())


def test_below_or_at_the_threshold_nothing_happens(atoms: Atoms, tmp_path: Path):
    Guard(atoms, tmp_path / "x.extxyz", score=SCORE, threshold=value(atoms))()
    assert not (tmp_path / "x.extxyz").exists()


def test_above_it_the_frame_is_kept_and_the_run_stops(atoms: Atoms, tmp_path: Path):
    now = value(atoms)
    guard = Guard(atoms, tmp_path / "x.extxyz", score=SCORE, threshold=0.9 * now)
    with pytest.raises(
        GuardStop, match=rf"committee_force = {now:.3g} > {0.9 * now:.3g}; the frame is in .*x\.extxyz"
    ) as stop:
        guard()
    assert (stop.value.value, stop.value.saved) == (now, True)
    assert stop.value.atoms == atoms
    assert stop.value.atoms is not atoms
    kept = ase.io.read(tmp_path / "x.extxyz")
    np.testing.assert_allclose(kept.positions, atoms.positions, atol=1e-7)
    np.testing.assert_allclose(kept.arrays[SCORE], atoms.calc.results[SCORE], rtol=1e-7)
    np.testing.assert_allclose(kept.arrays["forces_uncertainty"], atoms.calc.results["forces_uncertainty"], rtol=1e-7)


def test_frames_are_appended(atoms: Atoms, tmp_path: Path):
    for _ in range(3):
        with pytest.raises(GuardStop):
            Guard(atoms, tmp_path / "x.extxyz", score=SCORE, threshold=1e-3, cap=np.inf)()
        atoms.rattle(0.02, seed=1)
    kept = ase.io.read(tmp_path / "x.extxyz", ":")
    assert len(kept) == 3
    np.testing.assert_allclose(
        kept[2].positions - kept[0].positions, 2 * (kept[1].positions - kept[0].positions), atol=1e-6
    )


@pytest.mark.parametrize(("cap", "saved"), [(1.0001, True), (0.9999, False)])
def test_above_the_cap_the_frame_is_not_kept(atoms: Atoms, tmp_path: Path, cap: float, saved: bool):
    now = value(atoms)
    guard = Guard(atoms, tmp_path / "x.extxyz", score=SCORE, threshold=0.5 * now, cap=cap * now)
    with pytest.raises(
        GuardStop, match="the frame is in" if saved else r"above the cap .*, the frame is not kept"
    ) as stop:
        guard()
    assert stop.value.saved is saved
    assert (tmp_path / "x.extxyz").exists() is saved


def test_defaults_come_from_the_gauge(atoms: Atoms, committee: Gauge):
    guard = Guard(atoms, "x", score=SCORE)
    assert guard.threshold == committee.thresholds[SCORE, "atom"]
    assert guard.cap == 1000 * guard.threshold


def test_without_the_grade_the_first_score_is_watched(atoms: Atoms, tmp_path: Path):
    guard = Guard(atoms, tmp_path / "x.extxyz", threshold=0.9 * value(atoms))
    assert guard.score == SCORE
    with pytest.raises(GuardStop, match="committee_force = "):
        guard()


@pytest.mark.snap
def test_it_stops_dynamics_that_heats_up(gauge: Gauge, tmp_path: Path):
    """At 100 K nothing happens within 20 steps; from 20 000 K it stops the run before its end, with γ > 1."""
    for temperature, stops in ((100, False), (20_000, True)):
        atoms = bulk("Cu", cubic=True)
        atoms.calc = GaugeCalculator(gauge)
        heat(atoms, temperature)
        dynamics = VelocityVerlet(atoms, 2 * units.fs)
        dynamics.attach(Guard(atoms, tmp_path / f"{temperature}.extxyz", threshold=1.5), interval=2)
        if not stops:
            dynamics.run(20)
            assert not (tmp_path / f"{temperature}.extxyz").exists()
            continue
        with pytest.raises(GuardStop, match="gamma = "):
            dynamics.run(200)
        assert dynamics.nsteps < 200
        kept = ase.io.read(tmp_path / f"{temperature}.extxyz")
        assert kept.info["max_gamma"] > 1.5
        np.testing.assert_allclose(kept.positions, atoms.positions, atol=1e-7)


def test_another_calculator_is_refused():
    atoms = bulk("Cu")
    atoms.calc = EMT()
    with pytest.raises(TypeError, match="needs atoms with a calculator of a gauge, not EMT"):
        Guard(atoms, "x")
    with pytest.raises(TypeError, match="not NoneType"):
        Guard(bulk("Cu"), "x")


@pytest.mark.parametrize("score", ["gamma", "committee_energy", "energy"])
def test_a_score_that_the_gauge_has_not_for_atoms(atoms: Atoms, score: str):
    with pytest.raises(ValueError, match=f"no score '{score}' of atoms in this gauge; it has committee_force, "):
        Guard(atoms, "x", score=score)


@pytest.mark.parametrize("score", ["energy", "forces", "stress", "energy_ensemble", "forces_uncertainty"])
def test_a_property_that_is_no_score_is_refused_whatever_the_threshold(atoms: Atoms, score: str):
    with pytest.raises(ValueError, match=f"no score '{score}' of atoms"):
        Guard(atoms, "x", score=score, threshold=1.0)


@pytest.mark.parametrize("threshold", [np.nan, 0.0, -1.0])
def test_a_threshold_that_is_none(atoms: Atoms, threshold: float):
    with pytest.raises(ValueError, match=f"needs 0 < threshold <= cap, got {threshold:g}"):
        Guard(atoms, "x", score=SCORE, threshold=threshold)


def test_no_threshold_at_all(atoms: Atoms, committee: Gauge):
    atoms.calc = GaugeCalculator(replace(committee, thresholds={}))
    with pytest.raises(ValueError, match="this gauge has no threshold for committee_force; give one"):
        Guard(atoms, "x", score=SCORE)
    assert Guard(atoms, "x", score=SCORE, threshold=2.0).cap == 2000.0


@pytest.mark.parametrize("cap", [np.nan, 0.5])
def test_a_cap_below_the_threshold_would_keep_nothing(atoms: Atoms, cap: float):
    with pytest.raises(ValueError, match=f"needs 0 < threshold <= cap, got 1 and {cap:g}"):
        Guard(atoms, "x", score=SCORE, threshold=1.0, cap=cap)


@pytest.mark.parametrize("name", ["caught.extxyz", "caught.extxyz.gz", "caught.xyz.xz", "caught.dump.gz"])
def test_caught_frames_are_read_again_under_any_name_that_is_taken(atoms: Atoms, name: str, tmp_path: Path):
    for count in (1, 2):
        with pytest.raises(GuardStop):
            Guard(atoms, tmp_path / name, score=SCORE, threshold=0.5 * value(atoms))()
        found = list(read_frames(tmp_path / name))
        assert len(found) == count
        np.testing.assert_allclose(found[-1].atoms.positions, atoms.positions, atol=1e-7)


def test_a_name_of_another_format_is_refused_before_the_run(atoms: Atoms):
    with pytest.raises(ValueError, match=r"caught\.traj: frames are written as"):
        Guard(atoms, "caught.traj", score=SCORE)
