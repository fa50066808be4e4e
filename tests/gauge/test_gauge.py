"""The composition: fitted by construction, immutable, saved whole, and robust against frames that fail."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from copper import Says, columns, copper, labelled

from assay import Frame, FrameError, Gauge, GaugeFileError, Gaussian, Interval
from assay.calibration import CALIBRATORS
from assay.ensembles.weights import weights_of_rmse
from assay.gauge.batch import collect
from assay.results.assessment import Assessment
from assay.results.batch import Batch
from assay.results.prediction import Prediction
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.members.heterogeneous import HeterogeneousEnergy, HeterogeneousForce
from assay.storage.archive import load_state, save_state


def as_labelled(atoms: Atoms) -> Frame:
    labels = labelled(atoms)
    info, arrays = labels.info, labels.arrays
    return Frame(atoms, "x:0", "", info["REF_energy"], arrays["REF_forces"], info["REF_stress"])


def test_save_and_load_give_the_same_numbers_to_the_bit(any_gauge: Gauge, new: list[Atoms], tmp_path: Path):
    any_gauge.save(tmp_path / "x.gauge")
    loaded = Gauge.load(tmp_path / "x.gauge")
    before, after = columns(any_gauge.assess(new[:3])), columns(loaded.assess(new[:3]))
    assert after.keys() == before.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_save_and_load_keep_everything_else(any_gauge: Gauge, tmp_path: Path):
    any_gauge.save(tmp_path / "x.gauge")
    loaded = Gauge.load(tmp_path / "x.gauge")
    for name in ("r_cut", "bar", "species", "thresholds", "provenance"):
        assert getattr(loaded, name) == getattr(any_gauge, name), name
    assert [s.name for s in loaded.scores] == [s.name for s in any_gauge.scores]
    assert loaded.training.keys() == any_gauge.training.keys()
    for key, quantiles in any_gauge.training.items():
        np.testing.assert_array_equal(loaded.training[key], quantiles)
    loaded.save(tmp_path / "y.gauge")
    assert (tmp_path / "y.gauge").read_bytes() == (tmp_path / "x.gauge").read_bytes()


@pytest.mark.filterwarnings("ignore:error bar of the")  # from three frames
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_every_calibrator_survives_a_file(committee: Gauge, new: list[Atoms], tmp_path: Path, calibrator: str):
    """Fitted to the new frames' own EMT labels: whether the bars are good is not the matter here."""
    grouping = ":config_type" if CALIBRATORS[calibrator].of_groups else ""
    bare = replace(committee, bar=f"committee_force:{calibrator}{grouping}")
    pairs, failed = Gauge.split(bare.stream([as_labelled(atoms) for atoms in new[:3]]))
    assert not failed
    gauge = bare.calibrated(collect(pairs))
    gauge.save(tmp_path / "x.gauge")
    bars = [each.assess(new).bars.force for each in (gauge, Gauge.load(tmp_path / "x.gauge"))]
    intervals = ("conformal", "frame_conformal", "simultaneous_conformal", "mondrian")
    assert isinstance(bars[0], Interval if calibrator in intervals else Gaussian)
    np.testing.assert_array_equal(bars[1].half_width(0.5), bars[0].half_width(0.5))


def test_immutable(committee: Gauge):
    with pytest.raises(FrozenInstanceError):
        committee.bar = "committee_force:ratio"  # type: ignore[misc]


@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")  # of few frames
def test_calibration_makes_a_new_gauge(committee: Gauge, new: list[Atoms]):
    before = committee.calibrators
    pairs, _ = Gauge.split(committee.stream([as_labelled(new[0])]))
    assert committee.calibrated(collect(pairs)).calibrators != before
    assert committee.calibrators is before


def test_error_bars_are_alpha_times_the_members_spread(committee: Gauge, new: list[Atoms]):
    """From the weighted members, by hand: pooled over the components of a force and of the stress tensor."""
    weights = next(np.array(score.weights) for score in committee.scores if score.name == "heterogeneous_force")

    def variance_of(members: np.ndarray) -> np.ndarray:
        return np.tensordot(weights, (members - members.mean(axis=0)) ** 2, axes=1)

    assert np.ptp(weights) > 0.01
    evaluation = committee.source.predict(new[1])
    assessment = committee.assess([new[1]])
    alpha = {quantity: calibrator.alpha for quantity, calibrator in committee.calibrators.items()}
    variance = variance_of(evaluation.forces_members).mean(axis=1)
    expected = np.repeat(alpha["force"] * np.sqrt(variance)[:, None], 3, axis=1)
    np.testing.assert_allclose(assessment.bars.force.std, expected, rtol=1e-12)
    of_energy = alpha["energy"] * np.sqrt(variance_of(evaluation.energy_members)) / len(new[1])
    np.testing.assert_allclose(assessment.bars.energy.std, [of_energy], rtol=1e-12)
    full = evaluation.stress_members[:, [[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    of_stress = alpha["stress"] * np.sqrt(variance_of(full).mean())
    np.testing.assert_allclose(assessment.bars.stress.std, np.full((1, 6), of_stress), rtol=1e-12)
    assert [bar.unit for bar in (assessment.bars.energy, assessment.bars.force, assessment.bars.stress)] == [
        "eV/atom",
        "eV/Å",
        "eV/Å³",
    ]


def test_the_mean_of_a_bar_is_the_prediction(any_gauge: Gauge, new: list[Atoms]):
    assessment = any_gauge.assess(new[:3])
    np.testing.assert_array_equal(assessment.bars.force.mean, assessment.batch.forces)
    np.testing.assert_array_equal(assessment.bars.energy.mean, assessment.batch.energy / [4, 4, 7])
    np.testing.assert_array_equal(assessment.bars.stress.mean, assessment.batch.stress)


def test_atoms_and_frames_may_be_mixed(committee: Gauge, new: list[Atoms]):
    assessment = committee.assess([new[0], Frame(new[1], "file.xyz:7", "liquid")])
    assert assessment.batch.names == ("atoms:0", "file.xyz:7")
    assert assessment.batch.config_types == ("rattled", "liquid")
    assert assessment.batch.offsets.tolist() == [0, 4, 8]
    assert assessment.batch.natoms.tolist() == [4, 4]
    assert assessment.batch.frame_of_atom.tolist() == [0] * 4 + [1] * 4
    assert assessment.batch.labels is None
    assert assessment.batch.neighbourhood_error is None


def broken() -> dict[str, tuple[Atoms, str]]:
    """Frames that can't be assessed, and what the reason must say."""
    strange = copper("rattled", 1)
    strange.symbols[2] = "Zr"
    nan, infinite, close, flat = (copper("rattled", 1) for _ in range(4))
    nan.positions[3, 1] = np.nan
    infinite.cell[1, 1] = np.inf
    close.positions[1] = close.positions[0] + 0.01
    flat.cell[2] = flat.cell[1]
    far = copper("rattled", 1)
    far.pbc, far.positions[0, 0] = False, 1e8
    return {
        "unknown species": (strange, r"Zr, which was not in the training frames \(Cu\)|no reference energy of Zr"),
        "NaN": (nan, r"atom 3: position is not finite: nan"),
        "infinite cell": (infinite, "cell is not finite: inf"),
        "on top of each other": (close, "atoms 0 and 1: 0.0173 Å apart"),
        "no volume": (flat, "span no volume"),
        "no atoms": (Atoms(cell=[3, 3, 3], pbc=True), "no atoms"),
        "exploded": (far, r"extends over 1e\+08 Å"),
    }


@pytest.mark.parametrize("fault", broken())
def test_a_frame_that_fails_is_listed_and_costs_nothing_of_the_others(any_gauge: Gauge, new: list[Atoms], fault: str):
    atoms, reason = broken()[fault]
    assessment = any_gauge.assess([new[0], atoms, new[1]])
    assert assessment.batch.names == ("atoms:0", "atoms:2")
    ((origin, said),) = assessment.failed
    assert origin == "atoms:1"
    assert re.search(reason, said), said
    healthy = columns(any_gauge.assess([new[0], new[1]]))
    for name, column in columns(assessment).items():
        np.testing.assert_array_equal(column, healthy[name], err_msg=name)


def test_where_every_frame_fails_the_first_reason_is_told(committee: Gauge):
    with pytest.raises(FrameError, match="no frame could be evaluated; the first: no reference energy of Al"):
        committee.assess([Atoms("Al"), Atoms("Fe")])
    with pytest.raises(FrameError, match="no frame could be evaluated; the first: no frames"):
        committee.assess([])


def says(evaluation: Prediction | Exception) -> Atoms:
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])
    atoms.info["says"] = evaluation
    return atoms


def fine(**changes: np.ndarray) -> Prediction:
    rng = np.random.default_rng(3)
    members = {"energy_members": rng.normal(size=4), "forces_members": rng.normal(size=(4, 2, 3))}
    return Prediction(1.0, np.zeros((2, 3)), **(members | changes))


@pytest.fixture
def saying() -> Gauge:
    return Gauge(Says(), (CommitteeForce(), CommitteeEnergy()), 5.0, "committee_force:scale", ("Cu",))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (RuntimeError("segmentation"), "RuntimeError: segmentation"),
        (FrameError("too hot"), "too hot"),
        (fine(forces_members=np.full((4, 2, 3), np.nan)), "predicted forces_members not finite"),
        (fine(energy_members=np.array([1.0, np.inf])), "predicted energy_members not finite"),
        (fine(forces_members=np.zeros((1, 2, 3))), "ValueError: committee_force needs at least two members"),
    ],
)
def test_a_source_that_fails_on_a_frame(saying: Gauge, said: Prediction | Exception, reason: str):
    assessment = saying.assess([says(fine()), says(said), says(fine())])
    assert assessment.batch.names == ("atoms:0", "atoms:2")
    assert assessment.failed[0][0] == "atoms:1"
    assert assessment.failed[0][1].startswith(reason)


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'mace'"), PermissionError("--allow-import")])
def test_a_missing_package_is_no_fault_of_the_frame(saying: Gauge, error: Exception):
    with pytest.raises(type(error)):
        saying.assess([says(fine()), says(error)])


def test_without_calibration_there_are_no_error_bars(saying: Gauge):
    assessment = saying.assess([says(fine())])
    assert (assessment.bars.energy, assessment.bars.force, assessment.bars.stress) == (None, None, None)
    assert saying.constant_bar("force", assessment.batch.forces) is None
    assert not assessment.scores["committee_force", "atom"].flagged.any()


def test_the_constant_bar_is_the_same_everywhere(committee: Gauge):
    bar = committee.constant_bar("force", np.zeros((5, 3)))
    assert np.ptp(bar.std) == 0.0
    assert bar.std[0, 0] > 0.0
    assert bar.unit == "eV/Å"


def test_calibration_needs_labels(saying: Gauge):
    pairs, _ = Gauge.split(saying.stream([Frame(says(fine()), "x:0")]))
    with pytest.raises(ValueError, match="calibration needs labelled frames"):
        saying.calibrated(collect(pairs))


@pytest.mark.filterwarnings("ignore:error bar of the energy. the largest 1 % of e²/s² carry")
@pytest.mark.parametrize(("members", "bound"), [(3, 0.1), (11, 0.06)])
def test_bars_of_unlike_members_hold(saying: Gauge, members: int, bound: float):
    """Members with errors of 0.5 to 2 times those of others, weights ∝ 1/RMSE: ⟨z²⟩ = 1 on new frames, whatever their
    scale. Over 200 seeds ⟨z²⟩ was 1.00 ± 0.03 and 1.00 ± 0.02."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(0.5, 2.0, members)
    weights = weights_of_rmse(sizes)
    scores = (HeterogeneousForce(weights), HeterogeneousEnergy(weights))
    gauge = replace(saying, bar="heterogeneous_force:scale", scores=scores)

    def drawn(frames: int, n: int = 30) -> Batch:
        found = []
        for i in range(frames):
            atoms = Atoms(f"Cu{n}", np.outer(2.5 * np.arange(n), [1.0, 0.0, 0.0]))
            scale, labels = rng.uniform(0.1, 1.0, (n, 1)), rng.normal(size=(n, 3))
            own = sizes[:, None, None] * rng.normal(size=(members, n, 3))
            forces = labels + scale * (0.5 * rng.normal(size=(n, 3)) + own)
            energies = sizes * rng.normal(size=members)
            atoms.info["says"] = Prediction(0.0, forces.mean(axis=0), None, energies, forces)
            found.append(Frame(atoms, f"x:{i}", "", rng.normal(), labels))
        return collect(Gauge.split(gauge.stream(found))[0])

    new = drawn(150)
    z = (new.forces - new.labels.forces) / gauge.calibrated(drawn(150)).assessment(new).bars.force.std
    assert np.mean(z**2) == pytest.approx(1.0, abs=bound)


@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")  # of few frames
@pytest.mark.filterwarnings("ignore:error bar of the force.*the median 68 % bar:UserWarning")
@pytest.mark.parametrize(("label", "vanishes"), [(0.005, True), (0.5, False)])
def test_components_that_vanish_by_symmetry_are_left_out_of_ratios(saying: Gauge, label: float, vanishes: bool):
    """One of two atoms does not move but for rounding errors. If its label agrees, it does not count; if not, as for an
    atom beyond the cut-off, it is an error like any other."""
    members = np.random.default_rng(0).normal(size=(10, 2, 3))
    members[:, 0] *= 1e-7
    labels = np.array([[label] * 3, [1.0, 2.0, -1.0]])
    frame = Frame(says(fine(forces_members=members)), "x:0", "", 0.0, labels)
    pairs, _ = Gauge.split(saying.stream([frame]))
    batch = collect(pairs)
    assert batch.still.tolist() == [[vanishes] * 3, [False] * 3]
    alpha = saying.calibrated(batch).calibrators["force"].alpha
    pooled = members.var(axis=0, ddof=1).mean(axis=1)[:, None]
    plain = np.mean((labels**2 / pooled)[1 if vanishes else slice(None)])
    assert alpha == pytest.approx(np.sqrt(25 / 27 * plain - 1 / 10), rel=1e-12)  # Eq. 27 with 3 · 9 degrees of freedom


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ("committee_force", "'committee_force' is not SCORE:CALIBRATOR.*, e.g. committee_force:scale"),
        ("gamma:scale", "no score 'gamma' in this gauge; it has committee_force, committee_energy"),
        ("committee_force:magic", "no calibrator 'magic'; there are scale, ratio, isotonic"),
        (
            "committee_force:mondrian",
            "mondrian needs a grouping, .* one of species, chemical_system, config_type, cluster$",
        ),
        ("committee_force:grouped:colour", "one of species, chemical_system, config_type, cluster, not 'colour'"),
        ("committee_force:scale:species", "scale takes no grouping; grouped and mondrian do"),
        ("committee_force:scale:species:x", "is not SCORE:CALIBRATOR"),
        ("committee_force:grouped:cluster", "by cluster needs the score gamma_local"),
    ],
)
def test_an_error_bar_that_can_not_be(saying: Gauge, bar: str, message: str):
    with pytest.raises(ValueError, match=message):
        replace(saying, bar=bar)


@pytest.mark.parametrize("loss", ["scores", "source", "bar"])
def test_a_file_without_what_a_gauge_needs(committee: Gauge, tmp_path: Path, loss: str):
    """Its checksums are right, so that it is no damage: another program wrote it."""
    committee.save(tmp_path / "x.gauge")
    state = load_state(tmp_path / "x.gauge")
    del state[loss]
    save_state(tmp_path / "x.gauge", state)
    with pytest.raises(GaugeFileError, match=rf"x\.gauge: not a gauge that .*{loss}.*build it again"):
        Gauge.load(tmp_path / "x.gauge")


def test_scores_carry_their_thresholds(any_gauge: Gauge, new: list[Atoms]):
    assessment: Assessment = any_gauge.assess(new)
    for (name, level), score in assessment.scores.items():
        assert (score.name, score.level) == (name, level)
        assert score.threshold == any_gauge.thresholds[name, level]
        assert score.values.shape == ((len(new),) if level == "frame" else (sum(map(len, new)),))
