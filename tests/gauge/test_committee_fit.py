"""Members as `build` makes an ensemble of them: energies on one scale, weights by errors, the best kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from copper import COMMITTEE, SOURCE, Files, frames

import assay
from assay import Gauge, MemberChoice, Run, build
from assay.ensembles.referenced import Referenced
from assay.frames.frame import FrameError, LabelKeys
from assay.frames.reading import read_frames
from assay.sources.recorded.recorded import Recorded
from assay.verbs.info import info

MODELS = ("good", "middling", "fair", "bad")
NOISE = (0.05, 0.2, 0.3, 0.6)
"""eV/Å, of each member's forces."""
OFFSETS = (0.0, 3.0, 1.0, -40.0)
"""eV/atom."""
SCORES = ("committee_energy", "heterogeneous", "heterogeneous_force", "heterogeneous_energy")


def recorded(folder: Path, count: int = 30, seed: int = 0, scale: Sequence[float] = NOISE) -> Path:
    """Frames that carry four members: labels with noise, and other zeros of the energy."""
    rng, written = np.random.default_rng(seed), []
    for atoms in frames(count, seed):
        for model, noise, offset in zip(MODELS, scale, OFFSETS, strict=True):
            energy = atoms.info["REF_energy"] + len(atoms) * (offset + 0.01 * rng.normal())
            atoms.info[f"{model}_energy"] = energy
            atoms.arrays[f"{model}_forces"] = atoms.arrays["REF_forces"] + noise * rng.normal(size=(len(atoms), 3))
        written.append(atoms)
    path = folder / f"recorded{seed}.extxyz"
    ase.io.write(path, written)
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recorded")
    return {name: recorded(folder, 30, seed) for name, seed in (("train", 0), ("held_out", 500), ("test", 900))}


def built(paths: dict[str, Path], **options: Any) -> Gauge:
    return build(paths["train"], calibration=paths["held_out"], source="recorded", **options).gauge


def of_members(gauge: Gauge, key: str) -> list[Any]:
    return [found[key] for found in gauge.provenance["members"]["members"]]


def weights_of(gauge: Gauge, name: str = "heterogeneous") -> tuple[float, ...]:
    return next(score.weights for score in gauge.scores if score.name == name)


def test_energies_are_shifted_onto_the_labels(paths: dict[str, Path], tmp_path: Path):
    gauge = built(paths, out=tmp_path / "x.gauge")
    told = gauge.provenance["members"]
    assert (told["references"], told["frames"], told["undetermined"]) == ("labels", 30, [])
    np.testing.assert_allclose(of_members(gauge, "before_meV_per_atom"), np.abs(OFFSETS) * 1000, atol=30)
    assert max(of_members(gauge, "after_meV_per_atom")) < 20
    np.testing.assert_allclose([s["Cu"] for s in of_members(gauge, "shift_eV")], -np.array(OFFSETS), atol=0.01)
    loaded = Gauge.load(tmp_path / "x.gauge")
    result = assay.evaluate(loaded, paths["test"])
    assert result.errors.energy.rmse < 15
    assert info(loaded).provenance["members"] == info(gauge).provenance["members"]


def test_references_onto_a_member_or_none(paths: dict[str, Path]):
    with pytest.warns(UserWarning, match="the energies have another zero than the labels"):
        onto, none = built(paths, members=MemberChoice("middling")), built(paths, members=MemberChoice("none"))
    errors = [assay.evaluate(gauge, paths["test"]).errors for gauge in (onto, none)]
    energies = [error.energy.rmse for error in errors]
    np.testing.assert_allclose(energies, [3000, 1000 * abs(sum(OFFSETS)) / 4], atol=30)
    assert errors[0].force.rmse == errors[1].force.rmse
    assert isinstance(none.source, Recorded)
    assert none.provenance["members"]["references"] == "none"


def test_weights_are_the_inverse_of_the_errors(paths: dict[str, Path]):
    gauge, rmse = built(paths), []
    for model in MODELS:
        errors = [f.atoms.arrays[f"{model}_forces"] - f.forces for f in read_frames(paths["train"])]
        rmse.append(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
    np.testing.assert_allclose(of_members(gauge, "force_rmse_eV_per_A"), rmse)
    expected = (1 / np.array(rmse)) / (1 / np.array(rmse)).sum()
    for name in SCORES[1:]:
        np.testing.assert_allclose(weights_of(gauge, name), expected)
    np.testing.assert_allclose(of_members(gauge, "weight"), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"members": MemberChoice(rmse=(3.0, 1.0, 1.0, 1.0))},
        {"source": {"source": "recorded", "rmse": [3.0, 1.0, 1.0, 1.0]}},
    ],
)
def test_given_errors_win(paths: dict[str, Path], options: dict[str, Any]):
    gauge = build(paths["train"], calibration=paths["held_out"], **({"source": "recorded"} | options)).gauge
    np.testing.assert_allclose(weights_of(gauge), [0.1, 0.3, 0.3, 0.3])
    np.testing.assert_allclose(of_members(gauge, "force_rmse_eV_per_A"), NOISE, rtol=0.1)


@pytest.mark.filterwarnings("ignore:α from 2 members is biased:UserWarning")
@pytest.mark.filterwarnings("ignore:error bar of the energy.*the median 68 % bar:UserWarning")  # two may agree
@pytest.mark.filterwarnings("ignore:the ensemble has two members:UserWarning")
def test_the_best_are_kept(paths: dict[str, Path]):
    gauge = built(paths, members=MemberChoice(best=2))
    assert isinstance(gauge.source, Referenced)
    assert gauge.source.source.models == gauge.source.references.members == ("good", "middling")
    assert of_members(gauge, "used") == [True, True, False, False]
    assert of_members(gauge, "weight")[2:] == [0.0, 0.0]
    assert len(weights_of(gauge)) == 2
    frame = next(read_frames(paths["test"]))
    mean = (frame.atoms.arrays["good_forces"] + frame.atoms.arrays["middling_forces"]) / 2
    np.testing.assert_allclose(gauge.source.predict(frame.atoms).forces, mean)
    swapped = built(paths, members=MemberChoice(best=2, rmse=(3.0, 1.0, 1.0, 1.0)))
    assert swapped.source.source.models == ("middling", "fair")


@pytest.mark.filterwarnings("ignore:α from . members is biased:UserWarning")
def test_as_many_as_rank_best(paths: dict[str, Path]):
    gauge = built(paths, members=MemberChoice(best="auto"))
    choice = gauge.provenance["members"]["choice"]
    best = max(choice["table"], key=lambda row: row["spearman"])
    assert sum(of_members(gauge, "used")) == best["count"] == len(weights_of(gauge))
    assert "rank" in choice["note"]


def test_a_frame_on_which_a_member_failed(paths: dict[str, Path], tmp_path: Path):
    content = ase.io.read(paths["train"], ":")
    del content[4].arrays["bad_forces"]
    ase.io.write(tmp_path / "x.extxyz", content)
    options = {"calibration": paths["held_out"], "source": {"source": "recorded", "models": list(MODELS)}}
    with pytest.raises(FrameError, match=r"x\.extxyz:4: no recorded energy and forces of bad"):
        build(tmp_path / "x.extxyz", **options)
    found = build(tmp_path / "x.extxyz", run=Run(skip_bad=True), **options)
    assert [origin for origin, _ in found.skipped] == [f"{tmp_path}/x.extxyz:4"]
    assert found.gauge.provenance["members"]["frames"] == 29


def test_a_member_that_made_the_labels_has_no_weight_that_is_infinite(tmp_path: Path):
    path = recorded(tmp_path, 30, 0, (0.0, 0.2, 0.3, 0.6))
    with pytest.warns(UserWarning, match="good predicts the forces of the training frames exactly"):
        gauge = build(path, source="recorded").gauge
    assert weights_of(gauge) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": MemberChoice("vasp")}, "onto 'vasp': there are labels and good, middling, fair, bad, and none"),
        ({"members": MemberChoice(rmse=(1.0, 2.0))}, "needed one above 0 for each of good, middling, fair, bad"),
        ({"members": MemberChoice(rmse=(1.0, 2.0, 2.0, 0.0))}, "needed one above 0"),
        ({"members": MemberChoice(best=1)}, "the 1 best of 4 members: give 2 to 4"),
        ({"members": MemberChoice(best=5)}, "the 5 best of 4 members"),
        (
            {"source": SOURCE, "members": MemberChoice("none")},
            "is for members .* which snap does not",
        ),
        ({"source": SOURCE, "members": MemberChoice(best=2)}, "is for members that a source brings along"),
        ({"keys": LabelKeys(energy="none")}, "REF_energy|energy"),
    ],
)
def test_choices_that_can_not_be(paths: dict[str, Path], options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        build(paths["train"], calibration=paths["held_out"], **({"source": "recorded"} | options))


def test_members_that_run_keep_their_scale(files: Files, tmp_path: Path):
    """Through the gauge file, as calculators of single members, and in properties."""
    gauge = build(files.train, source=COMMITTEE, calibration=files.held_out, out=tmp_path / "x.gauge").gauge
    atoms: Atoms = ase.io.read(files.test, 0)
    told = Gauge.load(tmp_path / "x.gauge").source.predict(atoms)
    atoms.calc = gauge.source.calculator(1)
    assert atoms.get_potential_energy() == pytest.approx(told.energy_members[1])
    result = assay.propagate(gauge, f"energies:{files.test},zero=none,per=atom")
    energies = [each.value for each in next(iter(result.properties.values())).quantities.values()]
    np.testing.assert_allclose(energies[0], told.energy / len(atoms))


@pytest.mark.parametrize("score", ["heterogeneous_force", "heterogeneous_energy", "committee_energy"])
def test_compare_gives_the_bars_of_build(paths: dict[str, Path], score: str):
    ours = assay.compare(
        paths["train"], {"test": paths["test"]}, calibration=paths["held_out"], source="recorded", scores=[score],
        resamples=20, calibrators=["scale"],
    )  # fmt: skip
    gauge = built(paths, scores=[score], error_bar=f"{score}:scale")
    theirs = assay.evaluate(gauge, paths["test"]).bars.energy.figures
    found = ours.bars["test"].energy[score]["scale"]
    assert found.mean_width == pytest.approx(theirs.mean_width)
    assert found.nll == pytest.approx(theirs.nll)


def test_a_member_unlike_the_others_is_named(tmp_path: Path):
    files = [recorded(tmp_path, 20, seed, (0.05, 0.06, 0.07, 5.0)) for seed in (3, 600)]
    with pytest.warns(UserWarning, match=r"member bad: its force RMSE is \S+ eV/Å, that of a typical member 0\.0"):
        build(files[0], calibration=files[1], source="recorded")


@pytest.mark.filterwarnings("ignore:error bar of the energy.*another zero:UserWarning")
def test_another_zero_makes_no_thresholds(paths: dict[str, Path]):
    none, shifted = built(paths, members=MemberChoice("none")).thresholds, built(paths).thresholds
    names = ("committee_energy", "committee_energy_max", "heterogeneous_energy")
    assert shifted.keys() - none.keys() == {(name, "frame") for name in names}
    assert ("heterogeneous_force", "atom") in none


@pytest.mark.filterwarnings("ignore:error bar of the energy.*another zero:UserWarning")
def test_elements_that_the_members_know_and_training_frames_do_not(paths: dict[str, Path], tmp_path: Path):
    """Nothing is fitted to elements but energy references: without any, members and their bars are given."""
    content = ase.io.read(paths["test"], ":")
    for atoms in content:
        atoms.symbols[0] = "W"
    ase.io.write(tmp_path / "new.extxyz", content)
    built(paths, members=MemberChoice("none"), out=tmp_path / "x.gauge")
    gauge = Gauge.load(tmp_path / "x.gauge")
    new, old = (gauge.assess(read_frames(path)) for path in (tmp_path / "new.extxyz", paths["test"]))
    assert new.failed == ()
    np.testing.assert_array_equal(new.batch.forces, old.batch.forces)
    np.testing.assert_array_equal(new.bars.force.half_width(0.68), old.bars.force.half_width(0.68))
    assert assay.evaluate(gauge, tmp_path / "new.extxyz").by_element["W"].atoms == len(content)
    with pytest.raises(FrameError, match=r"no reference energy of W.*--references none"):
        built(paths).assess(read_frames(tmp_path / "new.extxyz"))
