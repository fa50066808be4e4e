"""The verbs as functions, from labelled files to error bars, on copper."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from copper import COMMITTEE, SOURCE, Files, columns, copper, labelled

from assay import (
    Built,
    FrameError,
    FrameFiles,
    Gauge,
    LinearFit,
    Run,
    Weights,
    build,
    calibrate,
    evaluate,
    export,
    info,
    predict,
    read_frames,
)
from assay.evaluation.evaluate import evaluated
from assay.frames.frame import content_hash
from assay.regions.neighbourhoods import coordination
from assay.results.per_quantity import PerQuantity
from assay.sources.recorded.members_file import write_members

Rewrite = Callable[[Path, str, Callable[[int, Atoms], None]], Path]


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    """A file of frames again, each changed by a function of its index."""

    def written(path: Path, name: str, change: Callable[[int, Atoms], None]) -> Path:
        frames = ase.io.read(path, ":")
        for i, atoms in enumerate(frames):
            change(i, atoms)
        ase.io.write(tmp_path / name, frames)
        return tmp_path / name

    return written


def hashes(path: Path) -> list[str]:
    return [content_hash(frame.atoms) for frame in read_frames(path)]


# build


@pytest.mark.snap
def test_build_fits_scores_calibrates_and_says_how(built: Built, files: Files):
    gauge = built.gauge
    made = gauge.provenance
    assert gauge.species == ("Cu",)
    assert [score.name for score in gauge.scores] == [
        "committee_force",
        "committee_force_max",
        "committee_energy",
        "committee_energy_max",
        "gamma",
        "leverage",
        "gamma_local",
        "frame_outlier_factor",
    ]
    for fitted in (gauge.calibrators, gauge.constant):
        assert [quantity for quantity, _ in fitted.items()] == ["energy", "force", "stress"]
    assert (made["training"]["frames"], made["held_out"]["frames"]) == (30, 12)
    assert (made["training"]["atoms"], made["held_out"]["atoms"]) == (150, 60)
    assert made["training_hashes"] == sorted(hashes(files.train))
    assert made["held_out_hashes"] == hashes(files.held_out)
    assert made["files"] == {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (files.train, files.held_out)
    }
    assert made["source"] == {"source": "snap", "twojmax": 4, "rcut": 4.5}
    assert (built.skipped, built.duplicates, built.overlap) == ([], [], [])
    for key, quantiles in gauge.training.items():
        assert quantiles[[0, -1]].tolist() == [built.training.scores[key].min(), built.training.scores[key].max()]


@pytest.mark.snap
def test_the_fit_learns_copper(gauge: Gauge, files: Files):
    """Errors on new frames are below a fifth of what is there to learn."""
    result = evaluate(gauge, files.test)
    frames = list(read_frames(files.test))
    forces = np.concatenate([frame.forces for frame in frames])
    per_atom = np.array([frame.energy / len(frame.atoms) for frame in frames])
    assert result.errors.force.rmse < 0.2 * np.sqrt(np.mean(forces**2))
    assert result.errors.energy.rmse < 1000 * 0.2 * per_atom.std()


@pytest.mark.snap
def test_training_grades_and_leverages_are_those_of_training(built: Built):
    """γ ≤ 1.01 in one chunk; leverages sum up to their rank, at most D = 14."""
    assert built.training.scores["gamma", "atom"].max() <= 1.01 + 1e-9
    leverage = built.training.scores["leverage", "atom"]
    assert leverage.max() <= 1.0
    assert 10.0 < leverage.sum() <= 14.0 + 1e-6


@pytest.mark.snap
def test_error_bars_on_the_held_out_frames_are_calibrated(built: Built):
    """⟨e²/σ²⟩ is one over what they were fitted to, but for the correction of a small ensemble: (ν - 2)/ν, 1/M."""
    gauge, batch = built.gauge, built.held_out
    error = (batch.forces - batch.labels.forces)[~batch.still]
    spread = batch.spreads["committee_force"].force[~batch.still]
    assert 19 / 21 * np.mean((error / spread) ** 2) - 1 / 8 == pytest.approx(gauge.calibrators["force"].alpha ** 2)
    assert gauge.constant["force"].alpha == pytest.approx(np.sqrt(np.mean(error**2)))
    per_atom = (batch.energy - batch.labels.energy) / batch.natoms
    assert gauge.constant["energy"].alpha == pytest.approx(np.sqrt(np.mean(per_atom**2)))


@pytest.mark.snap
def test_frames_kept_out_are_never_fitted(files: Files, rewrite: Rewrite):
    """Without -c a tenth of each config_type is kept out: whatever their labels say, the potential stays the same."""
    plain = build(files.train, source=SOURCE, linear_fit=LinearFit(ensemble_size=4))
    kept_out = {int(name.rpartition(":")[2]) for name in plain.held_out.names}
    assert len(kept_out) == 3
    assert {index // 10 for index in kept_out} == {0, 1, 2}, "one of each config_type"
    of_held_out = {digest for i, digest in enumerate(hashes(files.train)) if i in kept_out}
    assert of_held_out.isdisjoint(plain.gauge.provenance["training_hashes"])
    assert of_held_out | set(plain.gauge.provenance["training_hashes"]) == set(hashes(files.train))
    assert kept_out.isdisjoint(int(name.rpartition(":")[2]) for name in plain.training.names)

    def spoil(i: int, atoms: Atoms) -> None:
        if i in kept_out:
            atoms.info["REF_energy"] += 50.0
            atoms.arrays["REF_forces"] *= -3.0

    spoilt = build(rewrite(files.train, "spoilt.extxyz", spoil), source=SOURCE, linear_fit=LinearFit(ensemble_size=4))
    np.testing.assert_allclose(spoilt.gauge.source.theta, plain.gauge.source.theta, rtol=1e-9)
    np.testing.assert_allclose(spoilt.gauge.source.members, plain.gauge.source.members, rtol=1e-9)
    assert spoilt.gauge.calibrators["force"].alpha > 2 * plain.gauge.calibrators["force"].alpha


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on 2 held-out values")
def test_a_species_is_never_kept_out_as_a_whole(files: Files, tmp_path: Path):
    """The 26th frame, alone of its config_type, would be the third that is kept out; it alone has aluminium."""
    strange = copper("rattled", 7)
    strange.symbols[0], strange.info["config_type"] = "Al", "z"
    ase.io.write(tmp_path / "t.extxyz", [*ase.io.read(files.train, ":25"), labelled(strange)])
    gauge = build(tmp_path / "t.extxyz", source=SOURCE, linear_fit=LinearFit(ensemble_size=4)).gauge
    assert gauge.species == ("Al", "Cu")
    assert gauge.provenance["held_out"]["frames"] == 2
    assert np.isfinite(gauge.assess([strange]).scores["gamma", "atom"].values).all()
    assert len(export(gauge, tmp_path / "alcu")) == 5


@pytest.mark.snap
def test_the_seed_decides_about_the_members_only(built: Built, files: Files):
    again, other = (
        build(
            files.train, source=SOURCE, calibration=files.held_out, linear_fit=LinearFit(ensemble_size=8, seed=seed)
        ).gauge
        for seed in (0, 1)
    )
    assert again.source.state()["members"].tolist() == built.gauge.source.state()["members"].tolist()
    assert other.source.theta.tolist() == built.gauge.source.theta.tolist()
    assert np.all(other.source.members != built.gauge.source.members)


@pytest.mark.snap
@pytest.mark.filterwarnings("ignore:error bar of the energy. 12 held-out values")
def test_weights_settings_and_scores_are_used(files: Files, gauge: Gauge):
    other = build(
        files.train,
        source={"source": "snap", "twojmax": 4, "rcut": 4.5},
        calibration=files.held_out,
        linear_fit=LinearFit(Weights("exponential"), ensemble_size=5),
        scores=["leverage"],
        error_bar="leverage:conformal",
        r_cut=3.5,
    ).gauge
    assert [score.name for score in other.scores] == ["leverage"]
    assert (other.bar, other.r_cut, other.provenance["weights"]) == ("leverage:conformal", 3.5, "exponential")
    assert len(other.source.members) == 5
    assert np.abs(other.source.theta - gauge.source.theta).max() > 1e-3


def test_build_reports_duplicates_and_does_not_calibrate_on_training_frames(files: Files, tmp_path: Path):
    train, held_out = ase.io.read(files.train, ":"), ase.io.read(files.held_out, ":")
    ase.io.write(tmp_path / "t.extxyz", [*train, train[3]])
    ase.io.write(tmp_path / "c.extxyz", [train[5], *held_out])
    built = build(tmp_path / "t.extxyz", source=COMMITTEE, calibration=tmp_path / "c.extxyz")
    assert built.duplicates == [(f"{tmp_path}/t.extxyz:3", f"{tmp_path}/t.extxyz:30")]
    assert built.overlap == [(f"{tmp_path}/t.extxyz:5", f"{tmp_path}/c.extxyz:0")]
    assert built.gauge.provenance["training"]["frames"] == 31
    assert built.gauge.provenance["held_out"]["frames"] == 12
    assert set(built.gauge.provenance["held_out_hashes"]).isdisjoint(built.gauge.provenance["training_hashes"])
    with pytest.raises(FrameError, match="every held-out frame is also a training frame"):
        build(tmp_path / "t.extxyz", source=COMMITTEE, calibration=tmp_path / "t.extxyz")


def test_build_reports_outliers_without_dropping_them(files: Files, rewrite: Rewrite):
    def spoil(i: int, atoms: Atoms) -> None:
        if i == 7:
            atoms.arrays["REF_forces"][0] = 328.0, 0.0, 0.0

    path = rewrite(files.train, "x.extxyz", spoil)
    built = build(path, source=COMMITTEE, calibration=files.held_out)
    assert [(origin, reason.split(",")[0]) for origin, reason in built.outliers] == [
        (f"{path}:7", "largest force 328 eV/Å")
    ]
    assert built.gauge.provenance["training"]["frames"] == 30


def test_a_bad_frame_stops_the_build_or_is_left_out(files: Files, rewrite: Rewrite):
    def spoil(i: int, atoms: Atoms) -> None:
        if i == 4:
            atoms.positions[1, 2] = np.nan

    path = rewrite(files.train, "x.extxyz", spoil)
    with pytest.raises(FrameError, match=r"x\.extxyz, frame 4, atom 1: position is not finite: nan"):
        build(path, source=COMMITTEE, calibration=files.held_out)
    built = build(path, source=COMMITTEE, calibration=files.held_out, run=Run(skip_bad=True))
    assert [origin for origin, _ in built.skipped] == [f"{path}:4"]
    assert built.gauge.provenance["training"]["frames"] == 29


def test_a_frame_that_the_source_fails_on(files: Files, tmp_path: Path):
    """A held-out frame of a species that was not in training."""
    strange = labelled(copper("rattled", 1))
    strange.symbols[0] = "Al"
    ase.io.write(tmp_path / "c.extxyz", [*ase.io.read(files.held_out, ":"), strange])
    with pytest.raises(FrameError, match=r"c\.extxyz:12: no reference energy of Al.*--skip-bad leaves them out"):
        build(files.train, source=COMMITTEE, calibration=tmp_path / "c.extxyz")
    built = build(files.train, source=COMMITTEE, calibration=tmp_path / "c.extxyz", run=Run(skip_bad=True))
    assert [origin for origin, _ in built.skipped] == [f"{tmp_path}/c.extxyz:12"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "gap:n=3"}, "unknown source 'gap' in 'gap:n=3'; there are snap, ace"),
        ({"source": "snap:twojmax"}, "'twojmax' is not key=value"),
        ({"source": "snap:twojmaks=4"}, "snap: unknown setting twojmaks; known are species, twojmax"),
        ({"scores": ["entropy"]}, "unknown score entropy; there are committee_force"),
        ({"scores": ["gamma"]}, "gamma needs features, which the source 'ase_committee' does not have"),
        ({"error_bar": "leverage:scale"}, "leverage needs features"),
        ({"error_bar": "committee_force"}, "is not SCORE:CALIBRATOR"),
        ({"error_bar": "committee_force:magic"}, "no calibrator 'magic'"),
    ],
)
def test_settings_that_can_not_be(files: Files, settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        build(files.train, **({"source": COMMITTEE, "calibration": files.held_out} | settings))


def test_one_frame_is_too_few_to_keep_one_out(tmp_path: Path):
    ase.io.write(tmp_path / "x.extxyz", labelled(copper("rattled", 0)))
    with pytest.raises(FrameError, match="1 training frame is too few to keep one out"):
        build(tmp_path / "x.extxyz", source=COMMITTEE)


def test_stages_are_told_and_the_file_is_written(files: Files, tmp_path: Path, new: list[Atoms]):
    stages: list[tuple[str, int | None, list[tuple[int, int]]]] = []

    def stage(name: str, total: int | None) -> Callable[[int, int], None]:
        stages.append((name, total, []))
        return lambda frames, atoms: stages[-1][2].append((frames, atoms))

    built = build(
        files.train, source=COMMITTEE, calibration=files.held_out, out=tmp_path / "x.gauge", run=Run(progress=stage)
    )
    assert [name for name, _, _ in stages] == ["reading labels", "members", "training errors", "held-out errors"]
    assert [calls[-1] for _, _, calls in stages] == [(30, 150), (30, 150), (30, 150), (12, 60)]
    before, after = columns(built.gauge.assess(new[:1])), columns(Gauge.load(tmp_path / "x.gauge").assess(new[:1]))
    assert all(np.array_equal(before[name], after[name]) for name in before)


# predict


def test_predict_is_assess_on_a_file(any_gauge: Gauge, files: Files):
    by_file = predict(any_gauge, files.test)
    by_hand = any_gauge.assess(read_frames(files.test))
    assert by_file.batch.names == by_hand.batch.names == tuple(f"{files.test}:{i}" for i in range(9))
    expected = columns(by_hand)
    for name, column in columns(by_file).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def test_predict_takes_a_path_and_many_files(committee: Gauge, files: Files, tmp_path: Path):
    committee.save(tmp_path / "x.gauge")
    (tmp_path / "y.extxyz.gz").write_bytes(gzip.compress(files.test.read_bytes()))
    assessment = predict(tmp_path / "x.gauge", [files.test, tmp_path / "y.extxyz.gz"])
    assert len(assessment.batch.names) == 18
    np.testing.assert_array_equal(assessment.batch.energy[:9], assessment.batch.energy[9:])


def test_what_predict_writes_is_what_it_says(any_gauge: Gauge, files: Files, tmp_path: Path):
    said = predict(any_gauge, files.test, out=tmp_path / "o.extxyz")
    read = ase.io.read(tmp_path / "o.extxyz", ":")
    assert [atoms.info["config_type"] for atoms in read] == list(said.batch.config_types)
    np.testing.assert_allclose([atoms.get_potential_energy() for atoms in read], said.batch.energy, rtol=1e-7)
    np.testing.assert_allclose(np.concatenate([atoms.get_forces() for atoms in read]), said.batch.forces, atol=1e-7)
    np.testing.assert_allclose([atoms.get_stress() for atoms in read], said.batch.stress, atol=1e-7)
    total = said.bars.energy.std * said.batch.natoms
    np.testing.assert_allclose([atoms.info["energy_uncertainty"] for atoms in read], total, rtol=1e-6)
    for key, bar in (
        ("forces_uncertainty", said.bars.force),
        ("committee_force", None),
        ("committee_force_neighbourhood", None),
    ):
        level = "neighbourhood" if key.endswith("neighbourhood") else "atom"
        values = bar.std if bar else said.scores["committee_force", level].values
        np.testing.assert_allclose(np.concatenate([atoms.arrays[key] for atoms in read]), values, atol=1e-7)
    for name in ("committee_energy", "max_committee_force"):
        values = said.scores[name.removeprefix("max_"), "frame"].values
        np.testing.assert_allclose([atoms.info[name] for atoms in read], values, rtol=1e-6)


def test_the_envelope_is_written_and_summarised(any_gauge: Gauge, files: Files, tmp_path: Path):
    predict(any_gauge, files.test, out=tmp_path / "o.extxyz", json_file=tmp_path / "j.json")
    rows = {row["frame"]: row for row in json.loads((tmp_path / "j.json").read_text())["by_risk"]}
    for i, atoms in enumerate(ase.io.read(tmp_path / "o.extxyz", ":")):
        told = any_gauge.source.predict(atoms)
        for name, store in (("energy", atoms.info), ("forces", atoms.arrays), ("stress", atoms.info)):
            every = np.concatenate([getattr(told, f"{name}_members"), [getattr(told, name)]])
            np.testing.assert_allclose(store[f"{name}_min"], every.min(axis=0), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(store[f"{name}_max"], every.max(axis=0), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(store[f"{name}_std"], every[:-1].std(axis=0, ddof=1), rtol=1e-5, atol=1e-7)
        row = rows[f"{files.test}:{i}"]
        assert row["energy_max_eV"] - row["energy_min_eV"] == pytest.approx(np.ptp([*told.energy_members, told.energy]))
        forces = np.concatenate([told.forces_members, told.forces[None]])
        assert row["largest_force_range_eV_per_A"] == pytest.approx(np.ptp(forces, axis=0).max(), abs=1e-6)
        assert row["largest_stress_std_eV_per_A3"] == pytest.approx(atoms.info["stress_std"].max(), abs=1e-7)


def test_a_frame_without_stress_costs_no_other_its_own(committee: Gauge, tmp_path: Path):
    cluster = copper("rattled", 5)
    cluster.pbc = False
    ase.io.write(tmp_path / "x.extxyz", [copper("rattled", 4), cluster])
    said = predict(committee, tmp_path / "x.extxyz", out=tmp_path / "o.extxyz", json_file=tmp_path / "j.json")
    with_stress, without = ase.io.read(tmp_path / "o.extxyz", ":")
    assert ("stress_min" in with_stress.info, "stress_min" in without.info) == (True, False)
    assert "energy_min" in without.info
    for of_each in (said.batch.stress, said.bars.stress.std):
        assert np.isfinite(of_each).all(axis=1).tolist() == [True, False]
    assert "NaN" not in (tmp_path / "j.json").read_text()
    assert np.isfinite(said.batch.envelopes.stress.low).all(axis=1).tolist() == [True, False]
    rows = {row["frame"][-1]: row for row in json.loads((tmp_path / "j.json").read_text())["by_risk"]}
    assert rows["0"]["largest_stress_range_eV_per_A3"] > 0
    assert rows["1"]["largest_stress_range_eV_per_A3"] is None


def test_evaluate_counts_the_labels_outside_of_the_members(committee: Gauge, files: Files):
    said = predict(committee, files.test)
    result = evaluate(committee, files.test)
    inside = [0, 0]
    for frame in read_frames(files.test):
        told = committee.source.predict(frame.atoms)
        inside[0] += told.energy_members.min() <= frame.energy <= told.energy_members.max()
        within = (told.forces_members.min(axis=0) <= frame.forces) & (frame.forces <= told.forces_members.max(axis=0))
        inside[1] += within.sum()
    assert not said.batch.still.any()
    assert result.members == 4
    assert result.envelopes.energy.violation == pytest.approx(1 - inside[0] / 9)
    assert result.envelopes.force.violation == pytest.approx(1 - inside[1] / said.batch.forces.size)
    assert 0 < result.envelopes.force.violation < 1
    low, high = result.envelopes.force.violation_95
    assert low < result.envelopes.force.violation < high


def test_predict_lists_what_it_can_not_and_keeps_the_rest(committee: Gauge, tmp_path: Path):
    frames = [copper("rattled", seed) for seed in range(4)]
    frames[1].positions[0] = np.inf
    frames[2].symbols[3] = "Au"
    ase.io.write(tmp_path / "x.extxyz", frames)
    said = predict(committee, tmp_path / "x.extxyz", out=tmp_path / "o.extxyz", json_file=tmp_path / "j.json")
    assert said.batch.names == (f"{tmp_path}/x.extxyz:0", f"{tmp_path}/x.extxyz:3")
    assert sorted(origin for origin, _ in said.failed) == [f"{tmp_path}/x.extxyz:1", f"{tmp_path}/x.extxyz:2"]
    assert len(ase.io.read(tmp_path / "o.extxyz", ":")) == 2
    summary = json.loads((tmp_path / "j.json").read_text())
    assert (summary["frames"], summary["skipped"], len(summary["failed"])) == (2, 2, 2)


def test_the_summary_is_sorted_by_risk(committee: Gauge, files: Files, tmp_path: Path):
    said = predict(committee, files.test, json_file=tmp_path / "j.json")
    summary = json.loads((tmp_path / "j.json").read_text())
    assert (summary["frames"], summary["atoms"], summary["error_bar"]) == (9, 45, "heterogeneous_force:scale")
    widths = [row["largest_force_error_bar_eV_per_A"] for row in summary["by_risk"]]
    assert widths == sorted(widths, reverse=True)
    assert sorted(row["frame"] for row in summary["by_risk"]) == sorted(said.batch.names)
    flagged = said.scores["committee_force", "atom"].flagged.mean()
    assert summary["flagged"]["committee_force"]["atom"] == pytest.approx(flagged)
    worst = summary["by_risk"][0]
    f = said.batch.names.index(worst["frame"])
    of_atoms = np.linalg.norm(said.bars.force.std, axis=1)[said.batch.offsets[f] : said.batch.offsets[f + 1]]
    assert worst["riskiest_atom"] == of_atoms.argmax()
    assert worst["largest_force_error_bar_eV_per_A"] == pytest.approx(of_atoms.max(), rel=1e-12)
    assert worst["energy_error_bar_eV_per_atom"] == pytest.approx(said.bars.energy.std[f], rel=1e-12)


def test_a_prediction_that_fails_leaves_no_half_written_file(committee: Gauge, tmp_path: Path):
    (tmp_path / "o.extxyz").write_text("old")
    ase.io.write(tmp_path / "x.extxyz", Atoms("Al", cell=[4, 4, 4], pbc=True))
    with pytest.raises(FrameError, match=r"no frame could be evaluated; the first: .*no reference energy of Al"):
        predict(committee, tmp_path / "x.extxyz", out=tmp_path / "o.extxyz")
    assert (tmp_path / "o.extxyz").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.extxyz", "x.extxyz"]


# evaluate


def test_evaluate_is_evaluation_of_the_assessment(any_gauge: Gauge, files: Files, tmp_path: Path):
    result = evaluate(any_gauge, files.test, json_file=tmp_path / "j.json")
    frames = list(read_frames(files.test))
    neighbours = np.concatenate([coordination(frame.atoms, any_gauge.r_cut) for frame in frames])
    by_hand = evaluated(any_gauge.assess(frames), any_gauge.constant_bar, neighbours)
    assert result.summary() == by_hand.summary()
    assert (result.training_overlap, result.calibration_overlap, result.failed) == (0, 0, ())
    assert json.loads((tmp_path / "j.json").read_text()) == {**result.summary(), "warnings": []}


def test_evaluate_counts_frames_that_were_trained_on(committee: Gauge, files: Files):
    result = evaluate(committee, [files.test, files.train])
    assert (result.frames, result.training_overlap) == (39, 30)


def test_evaluate_needs_labels_and_counts_what_it_skips(committee: Gauge, files: Files, rewrite: Rewrite):
    def strip(i: int, atoms: Atoms) -> None:
        if i == 2:
            del atoms.info["REF_energy"], atoms.info["REF_stress"], atoms.arrays["REF_forces"]
        if i == 3:
            atoms.symbols[0] = "Ni"

    path = rewrite(files.test, "x.extxyz", strip)
    with pytest.raises(FrameError, match=r"x\.extxyz, frame 2: no label 'REF_energy'"):
        evaluate(committee, path)
    result = evaluate(committee, path, run=Run(skip_bad=True))
    assert (result.frames, len(result.failed)) == (7, 2)
    assert sorted(origin for origin, _ in result.failed) == [f"{path}:2", f"{path}:3"]
    assert "Ni" not in result.by_element


# calibrate


def test_calibrating_on_the_same_held_out_frames_changes_nothing(any_gauge: Gauge, files: Files):
    again = calibrate(any_gauge, files.held_out)
    for quantity, calibrator in any_gauge.calibrators.items():
        assert again.calibrators[quantity].alpha == pytest.approx(calibrator.alpha, rel=1e-12)
        assert again.constant[quantity].alpha == pytest.approx(any_gauge.constant[quantity].alpha, rel=1e-12)
    assert again.thresholds == any_gauge.thresholds


def test_calibrate_on_other_frames(committee: Gauge, files: Files, rewrite: Rewrite, tmp_path: Path):
    """Labels off by a factor: error bars grow; potential, scores and thresholds stay."""

    def spoil(i: int, atoms: Atoms) -> None:
        atoms.arrays["REF_forces"] *= 20.0

    path = rewrite(files.test, "x.extxyz", spoil)
    new = calibrate(committee, path, out=tmp_path / "new.gauge", command="assay calibrate …")
    assert new.calibrators["force"].alpha > 2 * committee.calibrators["force"].alpha
    assert (new.thresholds, new.source, new.scores) == (committee.thresholds, committee.source, committee.scores)
    assert new.provenance["held_out"] == {"frames": 9, "atoms": 45}
    assert new.provenance["calibrated_by"] == "assay calibrate …"
    assert str(path) in new.provenance["files"]
    assert new.provenance["training_hashes"] == committee.provenance["training_hashes"]
    assert Gauge.load(tmp_path / "new.gauge").calibrators == new.calibrators


def test_calibrate_refuses_frames_that_were_trained_on(committee: Gauge, files: Files, tmp_path: Path):
    train, test = ase.io.read(files.train, ":"), ase.io.read(files.test, ":")
    ase.io.write(tmp_path / "x.extxyz", [*test, train[8], train[9]])
    with pytest.raises(FrameError, match=r"2 of 11 frames were trained on, the first is .*x\.extxyz:9; leave them out"):
        calibrate(committee, tmp_path / "x.extxyz", out=tmp_path / "new.gauge")
    assert not (tmp_path / "new.gauge").exists()


def test_calibrate_changes_what_makes_the_bar(committee: Gauge, files: Files):
    with pytest.warns(UserWarning, match="of the energy: 12 held-out values promise a coverage of 92.3% at most.*19"):
        new = calibrate(committee, files.held_out, error_bar="committee_force_max:conformal")
    assert new.bar == "committee_force_max:conformal"
    bar = new.assess(read_frames(files.held_out)).bars.force
    assert np.array_equal(bar.mean, predict(committee, files.held_out).batch.forces)
    error = np.concatenate([frame.forces for frame in read_frames(files.held_out)]) - bar.mean
    covered = np.mean(np.abs(error) <= bar.half_width(0.9))
    assert 0.9 <= covered <= 0.9 + 2 / error.size, "on the very values that it was fitted to, by construction"
    with pytest.raises(ValueError, match="no score 'gamma' in this gauge"):
        calibrate(committee, files.held_out, error_bar="gamma:scale")


# export and info


@pytest.mark.snap
def test_export_writes_what_it_lists(gauge: Gauge, tmp_path: Path):
    paths = export(gauge, tmp_path / "cu")
    names = ["cu.snapcoeff", "cu.snapparam", "cu.snap", "cu.guard", "cu.guard-after"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    coefficients = [float(line) for line in (tmp_path / "cu.snapcoeff").read_text().splitlines()[3:]]
    assert coefficients == gauge.source.theta.tolist(), "all digits, one species"


@pytest.mark.snap
@pytest.mark.parametrize("asked", ["deepmd", "pace"])
def test_export_in_the_format_of_another_potential(gauge: Gauge, tmp_path: Path, asked: str):
    with pytest.raises(ValueError, match=f"format '{asked}' is not that of this potential, snap"):
        export(gauge, tmp_path / "x", file_format=asked)
    assert list(tmp_path.iterdir()) == []


def test_export_of_what_is_not_snap(committee: Gauge, tmp_path: Path):
    with pytest.raises(ValueError, match=r"only a fitted SNAP or ACE potential can be exported; this gauge has .*lj0"):
        export(committee, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_info(any_gauge: Gauge, tmp_path: Path):
    any_gauge.save(tmp_path / "x.gauge")
    told = info(tmp_path / "x.gauge")
    assert json.loads(json.dumps(told.summary(), allow_nan=False)) == told.summary() == info(any_gauge).summary()
    assert told.species == ("Cu",)
    assert told.scores == tuple(score.name for score in any_gauge.scores)
    assert told.error_bar == any_gauge.bar
    assert told.summary()["calibrated"] == ["energy", "force", "stress"]
    assert told.calibration["force"] == any_gauge.calibrators["force"].alpha
    assert told.thresholds["committee_force", "atom"] == any_gauge.thresholds["committee_force", "atom"]
    assert "training_hashes" not in told.provenance
    assert told.provenance["training"] == {"frames": 30, "atoms": 150}


# the recorded source


@pytest.fixture(scope="session")
def recorded(files: Files, committee: Gauge) -> dict[str, Path]:
    """Members files of the three data sets, computed with the committee."""
    paths = {}
    for name in ("train", "held_out", "test"):
        frames = [frame.atoms for frame in read_frames(getattr(files, name))]
        paths[name] = files.folder / f"{name}.npz"
        models = [member["label"] for member in COMMITTEE["member"]]
        write_members(paths[name], models, frames, map(committee.source.source.predict, frames))
    return paths


def test_recorded_members_are_the_committee(files: Files, recorded: dict[str, Path], committee: Gauge, tmp_path: Path):
    """The same numbers from members in a file as from the calculators that made them."""
    built = build(
        FrameFiles(files.train, recorded["train"]),
        source="recorded",
        calibration=FrameFiles(files.held_out, recorded["held_out"]),
        out=tmp_path / "r.gauge",
    )
    gauge = Gauge.load(tmp_path / "r.gauge")
    assert gauge.source.source.models == ("lj0", "lj1", "lj2", "lj3")
    assert built.gauge.calibrators["force"].alpha == pytest.approx(committee.calibrators["force"].alpha, rel=1e-12)
    expected = columns(predict(committee, files.test))
    for name, column in columns(predict(gauge, files.test, members=recorded["test"])).items():
        np.testing.assert_allclose(column, expected[name], rtol=1e-12, atol=1e-12, err_msg=name)
    result, other = evaluate(gauge, files.test, members=recorded["test"]), evaluate(committee, files.test)
    assert result.summary()["errors"] == pytest.approx(other.summary()["errors"], rel=1e-12)
    assert calibrate(gauge, files.held_out, members=recorded["held_out"]).calibrators["energy"].alpha == pytest.approx(
        gauge.calibrators["energy"].alpha, rel=1e-12
    )

    with pytest.raises(FrameError, match="Recorded members can't predict other frames"):
        gauge.assess([copper("rattled", 5)])
    with pytest.raises(FrameError, match=r"none of the 12 frames in .*held_out\.npz has this structure"):
        evaluate(gauge, files.test, members=recorded["held_out"])


def test_members_files_must_match_the_frames_files(files: Files, recorded: dict[str, Path]):
    with pytest.raises(ValueError, match="2 members files for 1 frames files; give one for each"):
        build(FrameFiles(files.train, [recorded["train"], recorded["test"]]), source="recorded")


def test_members_follow_their_frames_when_bad_ones_are_skipped(
    files: Files, recorded: dict[str, Path], rewrite: Rewrite, tmp_path: Path
):
    """Without hashes in the members file, the place in the file counts, also behind a frame that is left out."""
    with np.load(recorded["test"]) as data:
        np.savez(tmp_path / "m.npz", **{key: data[key] for key in data.files if key != "hash"})

    def spoil(i: int, atoms: Atoms) -> None:
        if i == 5:
            atoms.arrays["REF_forces"][2] = np.nan

    path = rewrite(files.test, "x.extxyz", spoil)
    apart = FrameFiles(files.held_out, recorded["held_out"])
    gauge = build(FrameFiles(files.train, recorded["train"]), source="recorded", calibration=apart).gauge
    whole = predict(gauge, files.test, members=recorded["test"])
    result = predict(gauge, path, members=tmp_path / "m.npz")
    assert [name.rpartition(":")[2] for name in result.batch.names] == [str(i) for i in range(9) if i != 5]
    np.testing.assert_array_equal(result.batch.energy, np.delete(whole.batch.energy, 5))


def test_a_gauge_without_error_bars_can_still_predict(committee: Gauge, files: Files, tmp_path: Path):
    bare = replace(committee, calibrators=PerQuantity(), constant=PerQuantity())
    said = predict(bare, files.test, out=tmp_path / "o.extxyz", json_file=tmp_path / "j.json")
    assert said.bars.force is None
    assert "energy_uncertainty" not in ase.io.read(tmp_path / "o.extxyz", 0).info
    assert "largest_force_error_bar_eV_per_A" not in json.loads((tmp_path / "j.json").read_text())["by_risk"][0]
    assert not evaluate(bare, files.test).bars
