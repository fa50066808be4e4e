"""Error bars of groups, from the frames of a file to the calculator: by species, chemistry, config_type and cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from copper import KINDS, Files, Says, copper

from assay import Frame, Gauge, LinearFit, ScoreFit, build, calibrate
from assay.calibration.grouped import Grouped
from assay.gauge.batch import collect
from assay.gauge.calculator import GaugeCalculator
from assay.gauge.groups import groups
from assay.results.batch import Batch
from assay.results.per_quantity import PerQuantity
from assay.results.prediction import Prediction
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.members.committee import CommitteeForce
from assay.scores.members.heterogeneous import HeterogeneousForce


def alloy(symbols: str, kind: str, seed: int) -> Frame:
    """Every force component of Mo is off by the pooled spread of the atom's members, and of W by ten times that."""
    rng = np.random.default_rng(seed)
    n = len(Atoms(symbols))
    atoms = Atoms(symbols, 3.0 * np.arange(3 * n).reshape(n, 3))
    members = rng.normal(size=(5, n, 3))
    forces = members.mean(axis=0)
    spread = np.sqrt(members.var(axis=0, ddof=1).mean(axis=1))
    atoms.info["says"] = Prediction(0.0, forces, energy_members=rng.normal(size=5), forces_members=members)
    error = np.where(atoms.numbers == 42, 1.0, 10.0) * spread
    return Frame(atoms, f"{kind}:{seed}", kind, rng.normal(), forces + error[:, None] * rng.choice([-1, 1], (n, 3)))


def batch(gauge: Gauge, *frames: Frame) -> Batch:
    pairs, failed = Gauge.split(gauge.stream(frames))
    assert not failed
    return collect(pairs)


@pytest.fixture
def metals() -> Gauge:
    return Gauge(Says(), (CommitteeForce(),), 5.0, "committee_force:grouped:species", ("Mo", "W", "Nb"))


@pytest.mark.filterwarnings("ignore:error bar of the energy. 3 of 3 groups have fewer")
def test_species_have_their_own_bars(metals: Gauge):
    """α² = -1/5 + 10/12 ⟨e²/s²⟩ with 3 · 4 degrees of freedom, and ⟨e²/s²⟩ = 1 for Mo, 100 for W."""
    held_out = [alloy(s, "any", i) for i, s in enumerate(["Mo3W", "Mo2W2", "W4", "Mo4", "Mo3W", "W6"])]
    gauge = metals.calibrated(batch(metals, *held_out))
    new = gauge.assessment(batch(gauge, alloy("MoWNb", "any", 99)))
    alpha = np.sqrt(-1 / 5 + 10 / 12 * np.array([1.0, 100.0]))
    spread = batch(gauge, alloy("MoWNb", "any", 99)).spreads["committee_force"].force
    np.testing.assert_allclose(new.bars.force.std[:2], alpha[:, None] * spread[:2], rtol=1e-12)
    of_all = gauge.calibrators["force"].of_all.alpha
    np.testing.assert_allclose(new.bars.force.std[2], of_all * spread[2], rtol=1e-12)
    assert alpha[0] < of_all < alpha[1]
    assert new.global_bars == PerQuantity(energy=1, force=3), "Nb was not held out, and few frames are Mo-Nb-W"


@pytest.mark.filterwarnings("ignore:error bar of the .*. . of 2 groups have fewer")
def test_chemical_systems_have_their_own_bars(metals: Gauge):
    """Errors of W are ten spreads, of Mo one: pure W has the widest bars; what was not held out has the bar of all."""
    name = "heterogeneous_force:grouped:chemical_system"
    gauge = replace(metals, bar=name, scores=(HeterogeneousForce((0.3, 0.3, 0.2, 0.1, 0.1)),))
    held_out = [alloy(s, "any", i) for i, s in enumerate(["Mo3W", "W4", "Mo3W", "W6", "Mo3W"] * 3)]
    fitted = gauge.calibrated(batch(gauge, *held_out))
    alphas = {system: scale.alpha for system, scale in fitted.calibrators["force"].scales.items()}
    alphas["Mo-Nb"] = fitted.calibrators["force"].of_all.alpha
    assert alphas["W"] > 1.5 * alphas["Mo-W"]
    for symbols, system in (("W3", "W"), ("MoW2", "Mo-W"), ("MoNb", "Mo-Nb")):
        frames = batch(fitted, alloy(symbols, "any", 50))
        bar = fitted.assessment(frames).bars.force
        np.testing.assert_allclose(bar.std, alphas[system] * frames.spreads["heterogeneous_force"].force, rtol=1e-12)


def test_the_group_of_every_value(metals: Gauge):
    both = batch(metals, alloy("Mo2W", "bcc", 0), alloy("W2", "", 1))
    by_species = groups(both, "species", ())
    assert by_species["energy"].tolist() == ["Mo-W", "W"]
    assert by_species["force"].tolist() == [[s] * 3 for s in ("Mo", "Mo", "W", "W", "W")]
    by_system = groups(both, "chemical_system", ())
    assert by_system["energy"].tolist() == ["Mo-W", "W"]
    assert by_system["force"].tolist() == [["Mo-W"] * 3] * 3 + [["W"] * 3] * 2
    assert by_system["stress"].tolist() == [["Mo-W"] * 6, ["W"] * 6]
    by_kind = groups(both, "config_type", ())
    assert by_kind["force"][:, 0].tolist() == ["bcc"] * 3 + [""] * 2
    assert by_kind["stress"].tolist() == [["bcc"] * 6, [""] * 6]
    clusters = replace(both, companions={"gamma_cluster": np.array([1, 0, 1, -1, -1])})
    by_cluster = groups(clusters, "cluster", [LocalGrade({}, {}, ("hot", "cold"))])
    assert by_cluster["force"][:, 2].tolist() == ["cold", "hot", "cold", "", ""]
    assert by_cluster["energy"].tolist() == ["cold", ""]


@pytest.mark.filterwarnings("ignore:error bar of the .*. 3 of 3 groups have fewer")
def test_config_types_from_file_to_calculator(committee: Gauge, files: Files, tmp_path: Path):
    """The calculator reads the config_type of its atoms. Without one, or with a new one, they have the bar of all."""
    calibrate(committee, files.held_out, error_bar="committee_force:grouped:config_type", out=tmp_path / "x.gauge")
    gauge = Gauge.load(tmp_path / "x.gauge")
    force = gauge.calibrators["force"]
    assert isinstance(force, Grouped)
    assert set(force.groups) == set(KINDS)
    alphas = {kind: force.scales[kind].alpha for kind in KINDS} | {"": force.of_all.alpha, "new": force.of_all.alpha}
    assert len(set(alphas.values())) == 4
    for kind, alpha in alphas.items():
        atoms = copper("rattled", 5)
        atoms.info["config_type"] = kind
        assessment = gauge.assess([atoms])
        np.testing.assert_allclose(assessment.bars.force.std, alpha * committee_spread(gauge, atoms), rtol=1e-12)
        assert assessment.global_bars["force"] == (0 if kind in KINDS else 12)
        atoms.calc = GaugeCalculator(gauge)
        uncertainty = atoms.calc.get_property("forces_uncertainty", atoms)
        np.testing.assert_array_equal(uncertainty, assessment.bars.force.half_width(0.6826894921370859))


def committee_spread(gauge: Gauge, atoms: Atoms) -> np.ndarray:
    variance = gauge.source.predict(atoms).forces_members.var(axis=0, ddof=1)
    return np.repeat(np.sqrt(variance.mean(axis=1, keepdims=True)), 3, axis=1)


@pytest.mark.filterwarnings("ignore:error bar of the")
def test_intervals_know_which_frame_a_value_is_of(metals: Gauge):
    """The median of frames of 1, 2 and 9 atoms, whose ratios are 1 (Mo), 1 and 10 (W): a frame of Mo weighs as much."""
    frames = [alloy("Mo", "", 0), alloy("Mo2", "", 1), alloy("W9", "", 2)]
    bars = {}
    for name in ("conformal", "frame_conformal", "simultaneous_conformal"):
        gauge = replace(metals, bar=f"committee_force:{name}")
        gauge = gauge.calibrated(batch(gauge, *frames))
        found = gauge.assessment(batch(gauge, alloy("W", "", 3))).bars.force
        bars[name] = found.factor(0.5).ravel()
    np.testing.assert_allclose(bars["conformal"], 10.0, rtol=1e-12)
    np.testing.assert_allclose(bars["frame_conformal"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(bars["simultaneous_conformal"], 1.0, rtol=1e-12)


def test_a_bar_of_the_whole_counts_no_groups(committee: Gauge, files: Files):
    assert not committee.assess([copper("rattled", 5)]).global_bars


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the")
def test_clusters_of_the_local_grade(files: Files):
    """Frames are calibrated by the cluster that most of their atoms are in, atoms by their own."""
    source = "snap:twojmax=4,rcut=4.5"
    built = build(files.train, source=source, calibration=files.held_out, score_fit=ScoreFit("config_type"),
                  linear_fit=LinearFit(ensemble_size=8), error_bar="committee_force:grouped:cluster")  # fmt: skip
    force = built.gauge.calibrators["force"]
    assert set(force.groups) <= set(KINDS)
    assert force.groups
    assert built.held_out is not None
    own = groups(built.held_out, "cluster", built.gauge.scores)["force"][~built.held_out.still]
    for name in force.groups:
        assert (own == name).sum() >= 30
    with pytest.raises(ValueError, match="its clusters are those of gamma_local, which is not asked for"):
        build(files.train, source=source, scores=["gamma"], error_bar="committee_force:mondrian:cluster")
