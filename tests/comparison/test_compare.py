"""`assay.compare` from files to figures: on the shipped silicon, and with a committee that has no features."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from numpy.typing import NDArray

import assay
from assay import FrameError, FrameFiles, LabelKeys, LinearFit, Run, ScoreFit, Weights
from assay.calibration.grouped import Grouped
from assay.calibration.scale import Scale
from assay.calibration.simultaneous_conformal import SimultaneousConformal
from assay.comparison.figures import BarFigures
from assay.comparison.reading import from_summary
from assay.comparison.result import CALIBRATION, TRAINING, ComparisonResult
from assay.comparison.sets import FrameSets
from assay.frames.frame import Frame
from assay.frames.reading import read_frames
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions
from assay.verbs.compare import by_name

SNAP = "snap:twojmax=2,rcut=4.5"
SCORES = ("committee_force", "committee_energy", "gamma", "leverage", "frame_outlier_factor")
LENNARD_JONES = {
    "source": "ase_committee",
    "member": [
        {"label": f"lj{i}", "calculator": "ase.calculators.lj.LennardJones", "arguments": {"sigma": s, "epsilon": 0.4}}
        for i, s in enumerate((2.0, 2.1, 2.2, 2.3))
    ],
}
LOCAL = Run(allow_import=("ase.calculators.lj",))
SILICON = Path(str(files("assay"))) / "demo_data" / "silicon-pbe"


@pytest.fixture(scope="module")
def silicon(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few frames of each set of silicon-pbe."""
    folder = tmp_path_factory.mktemp("silicon")
    paths = {}
    for name, step in (("train", 3), ("calibration", 3), ("test", 4), ("ood", 8)):
        with gzip.open(SILICON / f"{name}.extxyz.gz", "rt") as file:
            frames = ase.io.read(file, "::" + str(step), format="extxyz")
        for atoms in frames:
            atoms.calc = None
        paths[name] = folder / f"{name}.extxyz"
        ase.io.write(paths[name], frames)
    return paths


class Distance:
    """A score of one's own: distance from the mean of the training environments."""

    name = "distance_from_mean"
    home = "atom"
    facts = ScoreFacts(reads=("features",))

    def __init__(self, centre: Array) -> None:
        self.centre = centre

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        return np.asarray(np.linalg.norm(features_of(prediction, self.name) - self.centre, axis=1))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Distance:
        return cls(training.rows(14).mean(axis=0))

    def state(self) -> dict[str, Any]:
        return {"centre": self.centre}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Distance:
        return cls(state["centre"])


class Broken(Distance):
    name = "broken"

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Distance:
        raise ValueError("needs a crystal ball")


def read_sets(paths: Mapping[str, Path], skip_bad: bool = False) -> FrameSets:
    return FrameSets({name: FrameFiles(path, skip_bad=skip_bad) for name, path in paths.items()})


@pytest.fixture(scope="module")
def compared(silicon: Mapping[str, Path]) -> ComparisonResult:
    return assay.compare(
        silicon["train"], {"test": silicon["test"], "out of distribution": silicon["ood"]},
        calibration=silicon["calibration"], source=SNAP, scores=(*SCORES, Distance, Broken),
        posteriors=("pops", "bootstrap"), linear_fit=LinearFit(ensemble_size=12), resamples=50,
        calibrators=("scale", "conformal"),
    )  # fmt: skip


@pytest.mark.snap
def test_every_method_is_judged_on_every_set(compared: ComparisonResult) -> None:
    of_posteriors = {f"{kind}[{name}]" for kind in SCORES[:2] for name in ("pops", "bootstrap")}
    features = {"gamma", "leverage", "frame_outlier_factor", "distance_from_mean"}
    assert set(compared.methods) == of_posteriors | features | {"broken", "random", "constant"}
    for name in ("calibration", "test", "out of distribution"):
        assert set(compared.ranking[name].force_frame) == of_posteriors | features | {"random"}
        assert set(compared.bars[name].force) == of_posteriors | features | {"constant"}
        assert compared.bars[name].force["leverage"]["scale"].skill.value is not None
    assert [each.name for each in compared.splits] == ["training", "calibration", "test", "out of distribution"]


@pytest.mark.snap
def test_a_method_that_cannot_be_fitted_says_why_and_takes_nothing_down(compared: ComparisonResult) -> None:
    assert compared.methods["broken"].failed == "needs a crystal ball"
    assert all("broken" not in targets.force_atom for targets in compared.ranking.values())


@pytest.mark.snap
def test_costs_are_there(compared: ComparisonResult) -> None:
    for name, method in compared.methods.items():
        if method.family != "control" and not method.failed:
            assert method.microseconds_per_atom > 0, name
    assert compared.methods["leverage"].bytes > 8 * 14
    assert compared.source_cost.fit_seconds > 0
    assert set(compared.source_cost.posteriors) == {"pops", "bootstrap"}


BARS = [
    *(f"{score}:{calibrator}" for score in SCORES for calibrator in ("scale", "conformal")),
    "committee_force_max:scale",
    "heterogeneous:scale",
    "heterogeneous_force:conformal",
    "committee_force:isotonic",
    "kernel_entropy:isotonic",
    "local_prediction_rigidity:scale",
]


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")  # 13 calibration frames promise no 95 %
@pytest.mark.parametrize("bar", BARS)
def test_the_figures_are_those_of_a_gauge(silicon: Mapping[str, Path], bar: str) -> None:
    """Committee, error bars and rankings as `build` and `evaluate` have them, for the posterior that they both use."""
    score, calibrator = bar.split(":")
    ours = assay.compare(
        silicon["train"], {"ood": silicon["ood"]}, calibration=silicon["calibration"], source=SNAP, scores=[score],
        linear_fit=LinearFit(ensemble_size=12), posteriors=["pops"], resamples=20, calibrators=[calibrator],
    )  # fmt: skip
    gauge = assay.build(
        silicon["train"], calibration=silicon["calibration"], source=SNAP, scores=[score], error_bar=bar,
        linear_fit=LinearFit(ensemble_size=12),
    ).gauge  # fmt: skip
    theirs = assay.evaluate(gauge, silicon["ood"])
    name = f"{score}[pops]" if score.startswith(("committee", "heterogeneous")) else score
    expected = theirs.scores[score].frame.spearman_without_symmetry_zeros
    if not score.startswith("committee_energy"):  # which evaluate ranks by errors of energies
        assert ours.ranking["ood"].force_frame[name].spearman.value == pytest.approx(expected)
    for quantity in ("force", "energy"):
        found, expected = ours.bar("ood", quantity, name, calibrator), theirs.bars[quantity]
        if quantity == "force" and score == "committee_energy":
            assert found is None  # it says nothing of single forces
            continue
        for level in (0.5, 0.68, 0.9, 0.95):
            assert found.coverage[level].value == pytest.approx(expected.figures.coverage[level])
        assert found.mean_width == pytest.approx(expected.figures.mean_width)
        assert (found.crps, found.nll) == pytest.approx((expected.figures.crps, expected.figures.nll))


@pytest.fixture(scope="module")
def odd(silicon: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same frames with a core of half of the atoms; one atom of training has a wrong label, and its own place."""
    folder, paths = tmp_path_factory.mktemp("odd"), {}
    for name in ("train", "calibration", "test"):
        frames = ase.io.read(silicon[name], ":")
        for atoms in frames:
            atoms.arrays["core"] = np.arange(len(atoms)) % 2 == 0
        if name == "train":
            frames[3].positions[0] += (0.8, 0.0, 0.0)
            frames[3].arrays["REF_forces"][0] += 50.0
        paths[name] = folder / f"{name}.extxyz"
        ase.io.write(paths[name], frames)
    return paths


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")  # 13 calibration frames promise no 95 %
def test_scores_are_fitted_to_the_atoms_that_build_fits_them_to(odd: Mapping[str, Path]) -> None:
    found = []
    for options in (ScoreFit(), ScoreFit(core="core"), ScoreFit(without_outliers=True)):
        given: dict[str, Any] = {"calibration": odd["calibration"], "source": SNAP, "scores": ["leverage"]}
        ours = assay.compare(
            odd["train"], {"test": odd["test"]}, **given, posteriors=["pops"], resamples=20, calibrators=["scale"],
            linear_fit=LinearFit(ensemble_size=12), score_fit=options,
        )  # fmt: skip
        gauge = assay.build(
            odd["train"], **given, error_bar="leverage:scale", linear_fit=LinearFit(ensemble_size=12),
            score_fit=options,
        ).gauge  # fmt: skip
        theirs = assay.evaluate(gauge, odd["test"])
        ranked = ours.ranking["test"].force_frame["leverage"].spearman.value
        assert ranked == pytest.approx(theirs.scores["leverage"].frame.spearman_without_symmetry_zeros)
        bar = ours.bar("test", "force", "leverage", "scale")
        assert bar.mean_width == pytest.approx(theirs.bars.force.figures.mean_width)
        found.append(bar.mean_width)
    assert len({round(width, 6) for width in found}) == 3, "each option changes the fit"


@pytest.mark.snap
def test_labels_weigh_as_in_build(silicon: Mapping[str, Path]) -> None:
    """With a force scale of their own: `compare` used to sum the weights of forces with that of 50 eV/Å."""
    fit = LinearFit(Weights("exponential", b=3.0), ensemble_size=4)
    given: dict[str, Any] = {"calibration": silicon["calibration"], "source": SNAP, "scores": ["leverage"]}
    ours = assay.compare(
        silicon["train"], silicon["test"], **given, posteriors=["pops"], resamples=20, calibrators=["ratio"],
        linear_fit=fit,
    )  # fmt: skip
    gauge = assay.build(silicon["train"], **given, error_bar="leverage:ratio", linear_fit=fit).gauge
    theirs = assay.evaluate(gauge, silicon["test"]).errors
    errors = ours.splits[2].errors
    assert (errors.energy_rmse, errors.force_rmse) == pytest.approx((theirs.energy.rmse, theirs.force.rmse), rel=1e-9)


class MyScale(Scale):
    name = "my_scale"


class MyWholeFrames(SimultaneousConformal):
    name = "my_whole_frames"


def test_classes_calibrate_as_names_do(silicon: Mapping[str, Path]) -> None:
    result = assay.compare(
        silicon["train"], silicon["test"], calibration=silicon["calibration"], source=LENNARD_JONES, run=LOCAL,
        resamples=20, calibrators=["scale", MyScale, "grouped:species", (Grouped, "config_type"), MyWholeFrames],
        scores=["committee_force"],
    )  # fmt: skip
    names = ["scale", "my_scale", "grouped:species", "grouped:config_type", "my_whole_frames"]
    bars = result.bars["test"].force["committee_force"]
    assert list(bars.by_calibrator) == names
    assert bars["my_scale"] == bars["scale"]
    assert bars["my_whole_frames"].coverage[0.68].value > bars["scale"].coverage[0.68].value
    assert result.recommendation.error_bars.calibrator != "my_whole_frames"
    assert any(told.startswith("my_whole_frames promises bars") for told in result.recommendation.warnings)


def test_labels_under_keys_of_the_files_are_no_member(silicon: Mapping[str, Path], tmp_path: Path) -> None:
    keys, files = LabelKeys("dft_energy", "dft_forces", "none"), {}
    rng = np.random.default_rng(0)
    for name in ("train", "calibration", "test"):
        frames = ase.io.read(silicon[name], ":")
        for atoms in frames:
            energy, forces = atoms.info.pop("REF_energy"), atoms.arrays.pop("REF_forces")
            atoms.info["dft_energy"], atoms.arrays["dft_forces"] = energy, forces
            for member in ("a", "b", "c"):
                atoms.info[f"{member}_energy"] = energy + 0.1 * rng.normal()
                atoms.arrays[f"{member}_forces"] = forces + 0.1 * rng.normal(size=forces.shape)
        ase.io.write(tmp_path / f"{name}.extxyz", frames)
        files[name] = FrameFiles(tmp_path / f"{name}.extxyz", keys=keys)
    result = assay.compare(
        files["train"], files["test"], calibration=files["calibration"], source="recorded", resamples=20,
        calibrators=["scale"], scores=["committee_force"],
    )  # fmt: skip
    assert result.settings["models"] == ["a", "b", "c"]


@pytest.mark.snap
def test_the_spread_of_a_posterior_does_not_depend_on_what_it_is_compared_with(
    compared: ComparisonResult, silicon: Mapping[str, Path]
) -> None:
    alone = assay.compare(
        silicon["train"], {"out of distribution": silicon["ood"]}, calibration=silicon["calibration"], source=SNAP,
        scores=("committee_force",), posteriors=("bootstrap",), linear_fit=LinearFit(ensemble_size=12), resamples=20,
        calibrators=("scale",),
    )  # fmt: skip
    ours, theirs = (
        each.ranking["out of distribution"].force_atom["committee_force[bootstrap]"].spearman.value
        for each in (alone, compared)
    )
    assert ours == pytest.approx(theirs, abs=0.02)  # the errors are those of another best fit, by 1e-3


@pytest.mark.snap
def test_the_summary_has_the_keys_that_it_always_had(compared: ComparisonResult) -> None:
    told = compared.summary()
    assert list(told) == [
        "assay", "command", "source", "settings", "seed", "resamples", "r_cut", "remarks", "label_check", "splits",
        "source_cost", "methods", "ranking", "bad", "bars", "best", "recommendation",
    ]  # fmt: skip
    training, home, *_ = told["splits"]
    assert list(training) == ["name", "role", "frames", "atoms", "errors", "files", "skipped", "failed"]
    assert set(home) - set(training) == {"symmetry_zero_components"}
    assert list(home["errors"]) == [
        "energy_rmse_meV_per_atom", "force_rmse_eV_per_A", "largest_force_error_eV_per_A"
    ]  # fmt: skip
    assert list(told["source_cost"]) == ["fit_seconds", "evaluation_microseconds_per_atom", "posteriors"]
    assert list(told["methods"]["gamma"]) == [
        "family", "home", "fit_seconds", "microseconds_per_atom", "bytes", "failed"
    ]  # fmt: skip
    targets = ["force_atom", "force_neighbourhood", "force_frame", "energy_frame"]
    assert list(told["ranking"]["test"]) == list(told["bad"]["test"]) == targets
    assert list(told["ranking"]["test"]["force_atom"]["gamma"]) == ["spearman", "auroc", "detection", "flagged"]
    assert list(told["bad"]["test"]["force_atom"]) == ["limit", "share"]
    assert list(told["bars"]["test"]) == ["force", "energy"]
    assert list(told["bars"]["test"]["force"]["gamma"]) == ["not_applicable", "scale", "conformal"]
    scale = told["bars"]["test"]["force"]["gamma"]["scale"]
    assert list(scale) == [
        "coverage", "mean_width", "interval_score", "skill", "ence", "nll", "crps", "area", "remarks"
    ]  # fmt: skip
    assert list(scale["coverage"]) == ["0.5", "0.68", "0.9", "0.95"]
    assert list(scale["skill"]) == ["value", "low", "high"]
    assert list(told["best"]["test"]) == [*targets, "force_bar", "energy_bar"]
    assert list(told["best"]["test"]["force_atom"]) == ["spearman", "auroc", "detection"]
    assert list(told["best"]["test"]["force_bar"]["interval_score"]) == ["best", "tied", "better_than_control"]
    assert list(told["recommendation"]) == [
        "error_bars", "energy_bars", "ranking_frames", "ranking_atoms", "warnings"
    ]  # fmt: skip
    assert list(told["recommendation"]["error_bars"]) == ["bar", "posterior", "reasons", "alternatives"]


@pytest.mark.snap
def test_a_result_is_frozen_and_comes_back_from_its_json(compared: ComparisonResult) -> None:
    again = from_summary(json.loads(json.dumps(compared.summary(), allow_nan=False)))
    assert again == compared
    assert pickle.loads(pickle.dumps(compared)) == compared
    assert replace(again, seed=1) != compared
    with pytest.raises(FrozenInstanceError):
        compared.seed = 1  # type: ignore[misc]
    figures = compared.bar("test", "force", "gamma", "scale")
    assert isinstance(figures, BarFigures)
    assert figures is compared.bars["test"].force["gamma"]["scale"]
    assert compared.bar("test", "force", "gamma", "isotonic") is None


def test_structures_in_memory_are_as_good_as_files(silicon: Mapping[str, Path]) -> None:
    """Of every kind at once: a list of Atoms, an iterator that ends, a tuple of Frames."""
    arguments = {
        "source": LENNARD_JONES, "resamples": 20, "calibrators": ("scale",), "scores": ("committee_force",),
        "run": LOCAL,
    }  # fmt: skip
    read = {name: ase.io.read(path, ":") for name, path in silicon.items()}
    ours = assay.compare(
        read["train"], {"test": iter(read["test"]), "ood": tuple(read_frames(silicon["ood"]))},
        calibration=(atoms for atoms in read["calibration"]), **arguments,
    )  # fmt: skip
    theirs = assay.compare(
        silicon["train"], {"test": silicon["test"], "ood": silicon["ood"]}, calibration=silicon["calibration"],
        **arguments,
    )  # fmt: skip
    assert (ours.ranking, ours.bars, ours.best, ours.bad) == (theirs.ranking, theirs.bars, theirs.best, theirs.bad)
    assert [each.files for each in ours.splits] == [{}] * 4
    assert all(list(each.files) == [str(silicon[name])] for each, name in zip(theirs.splits, silicon, strict=True))
    alone = assay.compare(read["train"], iter(read["test"]), calibration=read["calibration"], **arguments)
    assert alone.tests == ("test",)
    assert alone.ranking["test"] == theirs.ranking["test"]


def test_files_are_parsed_once(silicon: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []

    def counted(paths: Sequence[Path], **options: Any) -> Iterator[Frame]:
        parsed.extend(paths)
        return read_frames(paths, **options)

    monkeypatch.setattr("assay.sources.frame_files.read_frames", counted)
    assay.compare(
        silicon["train"], {"test": silicon["test"]}, calibration=silicon["calibration"], source=LENNARD_JONES,
        resamples=20, calibrators=("scale",), run=LOCAL,
    )  # fmt: skip
    assert parsed == [silicon[name] for name in ("train", "calibration", "test")]


def test_members_files_belong_to_frames_files(silicon: Mapping[str, Path], tmp_path: Path) -> None:
    """Numbers are those of the committee itself; in two processes too."""
    files = {}
    for name in ("train", "calibration", "test"):
        assay.members(LENNARD_JONES, silicon[name], tmp_path / f"{name}.npz", run=LOCAL)
        files[name] = FrameFiles(silicon[name], tmp_path / f"{name}.npz")
    options: dict[str, Any] = {"resamples": 20, "calibrators": ("scale",), "scores": ["committee_force"]}
    ours = assay.compare(
        files["train"], {"test": files["test"]}, calibration=files["calibration"], source="recorded",
        run=Run("local:2"), **options,
    )  # fmt: skip
    theirs = assay.compare(
        silicon["train"], silicon["test"], calibration=silicon["calibration"], source=LENNARD_JONES, run=LOCAL,
        **options,
    )  # fmt: skip
    spearman, score = (
        [each.ranking["test"].force_frame["committee_force"].spearman.value for each in (ours, theirs)],
        [each.bar("test", "force", "committee_force", "scale").interval_score.value for each in (ours, theirs)],
    )
    assert spearman[0] == pytest.approx(spearman[1])
    assert score[0] == pytest.approx(score[1])
    assert [each.files for each in ours.splits] == [each.files for each in theirs.splits]


def test_bad_structures_in_memory_are_named_or_left_out(silicon: Mapping[str, Path]) -> None:
    frames = {name: ase.io.read(path, ":") for name, path in silicon.items()}
    del frames["test"][3].info["REF_energy"], frames["test"][3].arrays["REF_forces"]
    frames["test"][3].info.pop("REF_stress", None)
    arguments = {
        "calibration": frames["calibration"], "source": LENNARD_JONES, "resamples": 20, "calibrators": ("scale",),
        "run": LOCAL,
    }  # fmt: skip
    with pytest.raises(FrameError, match="test, frame 3: no label 'REF_energy'"):
        assay.compare(frames["train"], {"test": frames["test"]}, **arguments)
    forgiving = arguments | {"run": replace(LOCAL, skip_bad=True)}
    found = assay.compare(frames["train"], {"test": frames["test"]}, **forgiving).splits[2]
    assert (found.name, found.frames, [origin for origin, _ in found.failed]) == (
        "test", len(frames["test"]) - 1, ["test:3"]
    )  # fmt: skip
    with pytest.raises(FrameError, match="without energy or forces"):
        assay.compare([Frame(frames["train"][0], "mine:0")], {"test": frames["test"]}, **arguments)
    with pytest.raises(TypeError, match=r"frames are paths, or ase\.Atoms and Frames; among those given is 1"):
        assay.compare([1], {"test": frames["test"]}, **arguments)


def test_a_committee_without_features(silicon: Mapping[str, Path], tmp_path: Path) -> None:
    result = assay.compare(
        silicon["train"], [silicon["test"], silicon["ood"]], calibration=silicon["calibration"], source=LENNARD_JONES,
        resamples=20, calibrators=("scale",), json_file=tmp_path / "result.json",
        run=LOCAL,
    )  # fmt: skip
    assert set(result.ranking) == {"calibration", "test", "ood"}
    names = {"committee_force", "heterogeneous", "heterogeneous_force", "heterogeneous_energy"}
    assert names <= result.methods.keys()
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(
        json.dumps({**result.summary(), "warnings": []})
    )
    assert from_summary(json.loads((tmp_path / "result.json").read_text())).summary() == result.summary()


def test_calibration_frames_are_kept_out_of_training(silicon: Mapping[str, Path]) -> None:
    sets = read_sets({TRAINING: silicon["train"], "test": silicon["test"]})
    assert 0.1 < 1 - sets.fitted.mean() < 0.3
    assert not sets.hashes[TRAINING] & sets.hashes[CALIBRATION]
    assert len(sets.hashes[CALIBRATION]) == (~sets.fitted).sum()


def test_kept_out_frames_that_equal_a_fitted_one_are_not_calibrated_on(
    silicon: Mapping[str, Path], tmp_path: Path
) -> None:
    frames = ase.io.read(silicon["train"], ":")
    copies = [atoms.copy() for atoms in frames]
    for atoms in copies:
        atoms.info["config_type"] = "copy"
    ase.io.write(tmp_path / "twice.extxyz", [*frames, *copies])
    sets = read_sets({TRAINING: tmp_path / "twice.extxyz", "test": silicon["test"]})
    kept_out = int((~sets.fitted).sum())
    assert not sets.hashes[TRAINING] & sets.hashes[CALIBRATION]
    assert 0 < len(list(sets.frames(CALIBRATION))) < kept_out


@pytest.mark.parametrize(
    ("test", "calibration", "used"), [("train", "calibration", TRAINING), ("test", "test", CALIBRATION)]
)
def test_sets_that_share_frames_are_refused(
    silicon: Mapping[str, Path], test: str, calibration: str, used: str
) -> None:
    sets = read_sets({TRAINING: silicon["train"], CALIBRATION: silicon[calibration], "other": silicon[test]})
    with pytest.raises(FrameError, match=f"frames of other are also {used} frames.*--allow-overlap"):
        sets.require_apart()


def test_overlap_is_refused_unless_forced(silicon: Mapping[str, Path]) -> None:
    arguments = {
        "calibration": silicon["calibration"], "source": LENNARD_JONES, "resamples": 20, "calibrators": ("scale",),
        "run": LOCAL,
    }  # fmt: skip
    with pytest.raises(FrameError, match="are also training frames"):
        assay.compare(silicon["train"], silicon["train"], **arguments)
    assert assay.compare(silicon["train"], silicon["train"], **arguments, allow_overlap=True).ranking["train"]


def test_what_is_odd_about_the_sets_is_remarked(silicon: Mapping[str, Path], tmp_path: Path) -> None:
    frames = ase.io.read(silicon["test"], ":")
    frames[0].arrays["REF_forces"][0, 0] = 1e3
    ase.io.write(tmp_path / "odd.extxyz", frames)
    result = assay.compare(
        silicon["train"], {"odd": tmp_path / "odd.extxyz", "again": silicon["test"]},
        calibration=silicon["calibration"], source=LENNARD_JONES, resamples=20, calibrators=("scale",),
        run=LOCAL,
    )  # fmt: skip
    told = "\n".join(result.remarks)
    assert f"{len(frames) - 1} of {len(frames)} frames of again are also odd frames" in told or (
        f"{len(frames)} of {len(frames)} frames of again are also odd frames" in told
    )
    assert "1 frame of odd with labels far from the others, such as" in told
    assert isinstance(result.bars["odd"].force["committee_force"]["scale"].remarks, tuple)


@pytest.mark.snap
def test_bars_of_groups(silicon: Mapping[str, Path]) -> None:
    """By a grouping in which all frames are of one group, a bar is the bar of all."""
    result = assay.compare(
        silicon["train"], {"test": silicon["test"]}, calibration=silicon["calibration"], source=SNAP,
        scores=("leverage",), posteriors=("bootstrap",), resamples=20, calibrators=("scale", "grouped:species"),
    )  # fmt: skip
    grouped, scale = (result.bars["test"].force["leverage"][each] for each in ("grouped:species", "scale"))
    assert grouped.coverage == scale.coverage
    assert grouped.interval_score.value == pytest.approx(scale.interval_score.value)


def test_species_that_training_does_not_have_are_refused_before_anything_is_fitted(
    silicon: Mapping[str, Path], tmp_path: Path
) -> None:
    frames = ase.io.read(silicon["test"], ":")
    frames[0].symbols[0] = "Ge"
    ase.io.write(tmp_path / "new.extxyz", frames)
    sets = read_sets({TRAINING: silicon["train"], CALIBRATION: silicon["calibration"], "new": tmp_path / "new.extxyz"})
    with pytest.raises(FrameError, match=r"new has Ge, and the training frames Si only"):
        sets.require_species()


def test_a_set_that_is_skipped_whole_says_why(silicon: Mapping[str, Path], tmp_path: Path) -> None:
    frames = ase.io.read(silicon["test"], ":")
    for atoms in frames:
        atoms.info["dft"] = atoms.info.pop("REF_energy")
    ase.io.write(tmp_path / "keys.extxyz", frames)
    sets = read_sets({TRAINING: silicon["train"], "keys": tmp_path / "keys.extxyz"}, skip_bad=True)
    with pytest.raises(FrameError, match=r"keys: .*keys\.extxyz, frame 0: no label 'REF_energy', nor in any"):
        _ = sets.hashes


def test_names_of_test_sets() -> None:
    assert list(by_name(["a/far.extxyz.gz", "b/far.extxyz", "training.xyz"])) == ["far", "far-2", "training-2"]
    assert list(by_name(".hidden")) == [".hidden"]
    files = FrameFiles(["a/far.extxyz.gz", "b/far.extxyz"])
    assert by_name(files) == {"test": files}
    with pytest.raises(ValueError, match="can't have the name calibration"):
        by_name({"calibration": "x.xyz"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"calibrators": ("scale", "guess")}, "no calibrator 'guess'"),
        ({"scores": ("gamma",)}, "gamma needs features"),
        ({"scores": (Distance,)}, "distance_from_mean needs features"),
        ({"calibrators": ("mondrian",)}, "mondrian needs a grouping"),
        ({"calibrators": ((Scale, "species"),)}, "scale takes no grouping"),
        ({"calibrators": ((Scale, "species", "more"),)}, "is neither CALIBRATOR nor"),
        ({"calibrators": (object,)}, "is not a calibrator: it lacks name"),
        ({"calibrators": (MyScale, type("Other", (Scale,), {"name": "my_scale"}))}, "two calibrators are called my_sc"),
        ({"linear_fit": LinearFit(posterior="bootstrap")}, r"give posteriors=\['bootstrap', …\]"),
        ({"score_fit": ScoreFit("kmeans")}, "clusters 'kmeans' are of gamma_local, which is not asked for"),
        ({"score_fit": ScoreFit(core="core")}, "no atoms to choose: none of committee_force, .* fitted to features"),
        ({"score_fit": ScoreFit(cluster_thresholds=True)}, "those of the calibration frames, which others are judged"),
        ({"resamples": 5}, "5 resamples give no intervals"),
        ({"r_cut": 0.0}, "radius of a neighbourhood"),
        ({"source": "soap:cutoff=4"}, "no errors to judge by"),
        ({"tests": []}, "nothing to judge on"),
    ],
)
def test_what_cannot_be_asked(silicon: Mapping[str, Path], changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "tests": {"test": silicon["test"]}, "calibration": silicon["calibration"], "source": LENNARD_JONES,
        "resamples": 20, "run": LOCAL, **changed,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        assay.compare(silicon["train"], **arguments)
