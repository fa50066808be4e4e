"""Reweighted averages through the verb, and the observables themselves, against closed forms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import scaled_lj
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator

from assay import Gauge, Run, propagate
from assay.linear.potential import LinearPotential
from assay.propagation.methods.observables import msd, observable_from_spec, rdf
from assay.results.arrays import Array
from assay.results.prediction import Prediction

K, STIFFER = 2.0, np.array([1.8, 1.9, 2.1, 2.25])
T = 600.0


@dataclass(frozen=True)
class Oscillator:
    """`E = ½ k x²` of one atom at x: linear in k."""

    kind = "oscillator"
    label = "oscillator"
    species = ("H",)

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        x = frame.positions[0, 0]
        return Prediction(energy_members=0.5 * x**2 * coefficients[:, 0])

    def calculator(self, coefficients: Array) -> Calculator:
        return Calculator()


@pytest.fixture
def gauge() -> Gauge:
    source = LinearPotential(Oscillator(), np.array([K]), STIFFER[:, None], 0.0)  # type: ignore[arg-type]
    return Gauge(source, scores=(), r_cut=5.0, bar="", species=("H",))


@pytest.fixture
def trajectory(tmp_path: Path) -> Path:
    """Exactly Boltzmann distributed, without correlation in time: quantiles, in a fixed random order."""
    rng = np.random.default_rng(8)
    x = rng.normal(0, np.sqrt(units.kB * T / K), 4000)
    frames = [Atoms("H", [(each, 0, 0)], info={"x2": each**2}) for each in x]
    ase.io.write(tmp_path / "md.extxyz", frames)
    return tmp_path / "md.extxyz"


def test_an_oscillator_is_as_wide_as_each_stiffness_makes_it(gauge: Gauge, trajectory: Path) -> None:
    result = propagate(gauge, ["info:x2", "energy"], method="reweight", trajectory=trajectory, temperature=T)
    width = result["info:x2"]["info:x2"]
    exact = units.kB * T / STIFFER
    assert width.members == pytest.approx(exact, rel=0.07)  # √(2/4000) = 2 % of sampling, more for the softest
    shift = width.members - width.value
    assert shift == pytest.approx(exact - units.kB * T / K, abs=0.012 * exact.max())
    energy = result["energy"]["energy"]
    assert energy.members == pytest.approx(np.full(4, 0.5 * units.kB * T), rel=0.07)  # equipartition, whatever k
    assert energy.unit == "eV/atom"
    assert any("error of sampling" in note for note in result["info:x2"].notes)


def test_a_trajectory_may_come_as_structures(gauge: Gauge, trajectory: Path) -> None:
    asked = {"method": "reweight", "temperature": T}
    by_path = propagate(gauge, "info:x2", trajectory=trajectory, **asked)["info:x2"]["info:x2"]
    for given in (ase.io.read(trajectory, ":"), ase.io.iread(trajectory)):
        found = propagate(gauge, "info:x2", trajectory=given, **asked)["info:x2"]["info:x2"]
        assert found.members.tolist() == by_path.members.tolist()
    with pytest.raises(ValueError, match="the trajectory: 9 frames, needed 40"):
        propagate(gauge, "energy", trajectory=ase.io.read(trajectory, ":9"), **asked)


def test_the_cumulant_expansion_can_be_asked_for(gauge: Gauge, trajectory: Path) -> None:
    """`⟨x²⟩ ≈ k_B T / K (1 − (K_m − K) / K)`: the expansion of `k_B T / K_m` to first order."""
    asked = {"method": "reweight", "trajectory": trajectory, "temperature": T}
    told = propagate(gauge, "info:x2", estimator="cumulant", **asked)["info:x2"]
    first = units.kB * T / K * (1 - (STIFFER - K) / K)
    assert told["info:x2"].members == pytest.approx(first, rel=0.07)
    assert told.notes[0].startswith("cumulant estimator")
    assert propagate(gauge, "info:x2", **asked)["info:x2"].notes[0].startswith("exponential estimator")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": None}, "needs a trajectory of the best fit and its temperature"),
        ({"properties": "mass"}, "unknown observable 'mass'; with the method reweight there are energy"),
        ({"properties": "info"}, "needs a key"),
        ({"properties": "info:nothing"}, "no 'nothing'"),
        ({"properties": "rdf:bin=3"}, "bin"),
        ({"resume": "x.jsonl"}, "nothing to resume"),
        ({"run": Run("local:2")}, "one process"),
        ({"element": "H"}, "no prototypes"),
        ({"temperature": float("nan")}, "temperature must be finite"),
        ({"temperature": float("inf")}, "temperature must be finite"),
        ({"temperature": 0.0}, "temperature must be finite"),
        ({"properties": ["info:x2", "info:x2"]}, "asked for twice: info:x2"),
        ({"properties": "volume:foo"}, "knows no foo"),
        ({"properties": "energy:x=3"}, "no such option: x=; it has none"),
        ({"properties": "rdf:foo"}, "knows no foo"),
        ({"properties": "array:charge"}, r"md.extxyz:0: array:charge: no 'charge'"),
        ({"properties": "volume"}, r"md.extxyz:0: volume: "),
        (
            {
                "method": "resample",
                "properties": "elastic:bcc",
                "trajectory": None,
                "temperature": None,
                "estimator": "cumulant",
            },
            "estimator are for the method reweight",
        ),
        ({"method": "resample", "properties": "elastic:bcc"}, "are for the method reweight"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: dict[str, Any], message: str, gauge: Gauge, trajectory: Path
) -> None:
    given = {"properties": "info:x2", "method": "reweight", "trajectory": trajectory, "temperature": T, **arguments}
    with pytest.raises(ValueError, match=message):
        propagate(gauge, **given)


def test_expansions_need_coefficients_and_stationary_points(gauge: Gauge) -> None:
    for method in ("implicit", "linear", "reweight"):
        more = {"trajectory": "x", "temperature": T} if method == "reweight" else {}
        with pytest.raises(ValueError, match="linear potential"):
            propagate(scaled_lj.gauge(), scaled_lj.Fragile() if not more else "energy", method=method, **more)
    with pytest.raises(ValueError, match="fragile: resample it, or take the method linear"):
        propagate(gauge, scaled_lj.Fragile(), method="implicit")
    with pytest.raises(ValueError, match="nothing to resume"):
        propagate(gauge, scaled_lj.Fragile(), method="linear", resume="x.jsonl")
    with pytest.raises(ValueError, match="one process: leave out the 2 workers"):
        propagate(gauge, scaled_lj.Fragile(), method="linear", run=Run("local:2"))


def test_the_first_shell_of_fcc_has_twelve_atoms() -> None:
    atoms = bulk("Cu", a=3.6, cubic=True) * 2
    edges = np.linspace(0, 3.0, 31)
    g = rdf(atoms, edges)
    density = len(atoms) / atoms.get_volume()
    assert float((g * 4 / 3 * np.pi * np.diff(edges**3)).sum() * density) == pytest.approx(12)
    assert int(g.argmax()) == int(3.6 / np.sqrt(2) / 0.1)
    gas = Atoms("H1500", np.random.default_rng(1).uniform(0, 20, (1500, 3)), cell=[20] * 3, pbc=True)
    assert rdf(gas, np.linspace(0, 6, 7))[2:] == pytest.approx(np.ones(4), rel=0.06)


def test_displacements_are_from_the_nearest_image_without_drift() -> None:
    sites = bulk("Cu", a=3.6, cubic=True)
    frame = sites.copy()
    frame.positions += [[0.1, 0, 0], [-0.1, 0, 0], [0, 0.1, 0], [0, -0.1, 0]]
    frame.positions += (0.3, 0.2, 0.1)
    frame.positions[1] += sites.cell[0]
    assert msd(frame, sites) == pytest.approx(0.01)


def test_arrays_are_averaged_over_atoms() -> None:
    frame = Atoms("H2", [(0, 0, 0), (0, 0, 1)])
    frame.arrays["charge"] = np.array([1.0, 4.0])
    of = observable_from_spec("array:charge").of
    assert of is not None
    assert list(of(frame)) == [2.5]
