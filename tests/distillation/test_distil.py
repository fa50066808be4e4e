"""`assay distil` from teachers to students: labels that come in two calls, what is not computed twice, the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from alloy import TEACHERS, alloy, only_labels, without_labels
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from click.testing import CliRunner

import assay
from assay.cli.main import cli
from assay.distillation import student
from assay.distillation.dft_labels import keys_of_labels
from assay.frames.frame import LabelKeys, content_hash
from assay.gauge.fit import fit_gauge
from assay.results.warning import listening

pytestmark = pytest.mark.snap

STUDENT = "snap:twojmax=2,rcut=4.0"
RMSE = (0.1, 0.2, 0.4)
FOUR = assay.LinearFit(ensemble_size=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alloy")
    frames = alloy(64)
    write(folder / "pool.extxyz", without_labels(frames))
    write(folder / "labelled.extxyz", only_labels(frames)[::-1])
    write(folder / "with-labels.extxyz", frames)
    write(folder / "test.extxyz", alloy(12, seed=5))
    return folder


@pytest.fixture(scope="module")
def finished(files):
    """With labels at hand, at two cut-offs and without one."""
    return assay.distil(
        "recorded", files / "pool.extxyz", STUDENT, files / "finished", labels=files / "labelled.extxyz",
        dft_fractions=(0.0, 0.1, 0.5), rmse=RMSE, test=files / "test.extxyz", linear_fit=FOUR,
    )  # fmt: skip


def rows(found):
    """As JSON."""
    return found.summary()["students"]


def test_shares_of_dft_labels_are_those_asked_for(finished):
    needed = [row.labels.dft_needed.share_of_atoms for row in finished.students]
    np.testing.assert_allclose(needed, [0.0, 0.1, 0.5], atol=0.5 / 64)
    assert finished.students[0].labels.cutoff is None
    assert finished.jobs == 0
    assert finished.rmse == RMSE


def test_labels_are_better_the_more_of_them_are_dft(finished):
    errors = [row.labels.errors.overall.force for row in finished.students]
    assert errors[0] > errors[1] > errors[2] > 0
    for row, taught in zip(finished.students, (64, 58, 32), strict=True):
        assert row.labels.teachers_errors.overall.frames == row.labels.teachers_labels_judged.frames == taught
        assert row.labels.errors.overall.frames == 64


def test_labels_of_some_frames_judge_the_teachers_labels_among_them(files, finished):
    write(files / "some.extxyz", read(files / "labelled.extxyz", ":")[::3])
    found = assay.distil(
        "recorded", files / "pool.extxyz", STUDENT, files / "some", labels=files / "some.extxyz", rmse=RMSE,
        dft_fractions=(0.5,), linear_fit=FOUR,
    ).students[0].labels  # fmt: skip
    held = {content_hash(atoms) for atoms in read(files / "some.extxyz", ":")}
    cutoff = found.cutoff
    mixed = read(files / f"finished/mixed-{cutoff:.6g}.extxyz", ":")
    judged = [a for a in mixed if content_hash(a) in held and a.info["label_source"] == "teachers"]
    truth = {content_hash(a): a.arrays["REF_forces"] for a in alloy(64)}
    square = [np.square(a.arrays["REF_forces"] - truth[content_hash(a)]) for a in judged]
    assert found.teachers_labels_judged.frames == len(judged) > 0
    assert found.teachers_errors.overall.force == pytest.approx(np.sqrt(np.mean(square)))
    assert found.errors.overall.frames == 22


@pytest.mark.parametrize("stress", [True, False])
def test_labels_may_be_results_of_a_calculator(files, stress):
    frames = alloy(64)[::-1]
    for atoms in frames:
        results = {"energy": atoms.info["REF_energy"], "forces": atoms.arrays["REF_forces"]}
        atoms.calc = SinglePointCalculator(atoms, **results, **({"stress": atoms.info["REF_stress"]} if stress else {}))
    done = without_labels(frames)
    for atoms, before in zip(done, frames, strict=True):
        atoms.calc = before.calc
    path, out = files / f"ase-{stress}.extxyz", files / f"ase-{stress}"
    write(path, done)
    found = assay.distil(
        "recorded", files / "pool.extxyz", STUDENT, out, labels=path, cutoffs=(1e-9,), rmse=RMSE,
        test=files / "test.extxyz", linear_fit=FOUR,
    )  # fmt: skip
    assert found.jobs == 0
    assert found.provenance.labels_under == {str(path): LabelKeys("energy", "forces", "stress")}
    assert found.summary()["provenance"]["labels_under"] == {str(path): ["energy", "forces"]}
    mixed = {content_hash(a): a for a in read(out / "mixed-1e-09.extxyz", ":")}
    for atoms in frames:
        if (there := mixed.get(content_hash(atoms))) and there.info["label_source"] == "DFT":
            assert there.info["REF_energy"] == pytest.approx(atoms.info["REF_energy"])
            np.testing.assert_allclose(there.arrays["REF_forces"], atoms.arrays["REF_forces"], atol=1e-7)
    assert len(mixed) > 50
    assert found.students[0].test_errors.overall.force > 0


def test_keys_that_are_asked_for_come_before_results_of_a_calculator(tmp_path):
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]])
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.ones((2, 3)))
    write(tmp_path / "own.extxyz", atoms)
    atoms.info["REF_energy"] = 2.0
    write(tmp_path / "both.extxyz", atoms)
    write(tmp_path / "none.extxyz", Atoms("Cu"))
    keys = LabelKeys(stress="none")
    assert keys_of_labels(tmp_path / "own.extxyz", keys) == LabelKeys("energy", "forces", "none")
    assert keys_of_labels(tmp_path / "both.extxyz", keys) == keys  # whose missing forces are an error then
    assert keys_of_labels(tmp_path / "none.extxyz", keys) == keys


def test_each_student_is_judged_beside_its_teachers(finished):
    test = alloy(12, seed=5)
    forces = np.concatenate([a.arrays["near_forces"] - a.arrays["REF_forces"] for a in test])
    for row in finished.students:
        theirs = row.teachers_test_errors
        assert theirs.overall.force == pytest.approx(np.sqrt(np.mean(forces**2)))
        worse = [
            kind
            for kind, each in row.test_errors.by_config_type.items()
            if each.force > theirs.by_config_type[kind].force
        ]
        assert sorted(row.teachers.student_is_worse.force) == sorted(worse)


def test_bars_say_what_they_are_bars_of(finished):
    bars = [row.student.bars for row in finished.students]
    assert "the difference from the teachers, not the error against DFT" in bars[0]
    assert "too few" in bars[1]
    assert bars[2].startswith("calibrated on kept-out DFT labels")


def test_held_out_frames_have_dft_labels_and_are_not_trained_on(finished, files):
    cutoff = finished.students[2].labels.cutoff
    held, mixed = (read(files / f"finished/{name}-{cutoff:.6g}.extxyz", ":") for name in ("heldout", "mixed"))
    assert len(held) == 5
    assert len(mixed) == 59
    assert {atoms.info["label_source"] for atoms in held} == {"DFT"}
    gauge = assay.Gauge.load(files / f"finished/student-{cutoff:.6g}.gauge")
    assert gauge.provenance["training"]["frames"] == 59
    assert gauge.provenance["held_out_hashes"] == [content_hash(atoms) for atoms in held]
    assert (files / f"finished/student-{cutoff:.6g}.snapcoeff").is_file()


def test_labels_that_come_later_are_picked_up_and_nothing_is_fitted_twice(files, monkeypatch):
    fits = []
    monkeypatch.setattr(student, "fit_gauge", lambda *a, **k: fits.append(a[0].paths.name) or fit_gauge(*a, **k))
    out = files / "twice"

    def call(**more):
        options = {"cutoffs": (1e9, 0.05), "rmse": RMSE, "linear_fit": FOUR} | more
        return assay.distil("recorded", files / "pool.extxyz", STUDENT, out, **options)

    first = call()
    jobs = read(out / "dft-jobs.extxyz", ":")
    assert first.jobs == len(jobs) == first.students[1].labels.pending.frames > 5
    assert sum(row.labels.dft.frames for row in first.students) == 0
    u = [atoms.info["U"] for atoms in jobs]
    assert u == sorted(u, reverse=True)
    assert min(u) >= 0.05
    assert fits == ["mixed-1e+09.extxyz", "mixed-0.05.extxyz"]

    assert rows(call()) == rows(first)
    assert len(fits) == 2

    by_hash = {content_hash(atoms): atoms for atoms in read(files / "labelled.extxyz", ":")}
    write(out / "dft.extxyz", [by_hash[content_hash(atoms)] for atoms in jobs[:-2]])
    second = call(labels=out / "dft.extxyz", rmse=())
    assert second.jobs == 2
    assert second.weights == first.weights
    assert second.students[1].labels.dft.frames == len(jobs) - 2
    assert fits[2:] == ["mixed-0.05.extxyz"]  # the other cut-off needs no DFT label, and is as it was
    assert second.students[0].student == first.students[0].student
    for row in (*first.students, second.students[1]):  # DFT's labels of the jobs alone judge no label of the teachers
        assert row.labels.teachers_labels_judged.frames == 0
        assert row.labels.errors is row.labels.teachers_errors is None
        assert row.summary()["label_errors"] == row.summary()["teachers_label_errors"] == {}
    assert second.students[0].labels.errors.overall.frames == len(jobs) - 2  # those are the teachers' at this cut-off

    assert call(labels=files / "labelled.extxyz", rmse=()).jobs == 0
    assert not (out / "dft-jobs.extxyz").exists()


def test_weights_come_from_the_labels_where_no_rmse_is_given(files):
    out = files / "measured"
    found = assay.distil(
        "recorded",
        files / "with-labels.extxyz",
        STUDENT,
        out,
        labels="pool",
        cutoffs=(1e9,),
        linear_fit=FOUR,
    )
    frames = alloy(64)
    errors = [
        np.concatenate([a.arrays[f"{name}_forces"] - a.arrays["REF_forces"] for a in frames]) for name in TEACHERS
    ]
    np.testing.assert_allclose(found.rmse, [np.sqrt(np.mean(e**2)) for e in errors])
    assert found.rmse_frames == found.summary()["teachers_rmse_frames"] == 64
    assert json.loads((out / "teachers.json").read_text(encoding="utf-8"))["frames"] == 64
    assert found.students[0].labels.dft.frames == 0  # labels that U does not ask for are not used


def test_rmse_of_a_later_file_of_teachers_counts(files):
    """More than what an earlier call kept."""
    members = [
        {"label": f"lj-{i}", "calculator": "ase.calculators.lj.LennardJones", "arguments": {"sigma": sigma, "rc": 5.0}}
        for i, sigma in enumerate((2.3, 2.4))
    ]
    for rmse, weights in (((), (0.5, 0.5)), ((0.1, 0.3), (0.75, 0.25))):
        told = [{**member, "rmse": value} for member, value in zip(members, rmse, strict=True)] if rmse else members
        found = assay.distil(
            {"source": "ase_committee", "member": told}, files / "pool.extxyz", STUDENT, files / "of-toml",
            cutoffs=(1e9,), linear_fit=FOUR,
        )  # fmt: skip
        np.testing.assert_allclose(found.weights, weights)


def test_given_held_out_frames_calibrate_and_uncertain_labels_weigh_less(files):
    def fit(name, **more):
        return assay.distil(
            "recorded", files / "pool.extxyz", STUDENT, files / name, cutoffs=(1e9,), rmse=RMSE, linear_fit=FOUR,
            calibration=files / "test.extxyz", labels=files / "labelled.extxyz", reference_frames=8, **more,
        )  # fmt: skip

    plain, weighted = fit("plain"), fit("weighted", weight_by_uncertainty=True)
    gauges = [assay.Gauge.load(files / name / "student-1e+09.gauge") for name in ("plain", "weighted")]
    assert [gauge.provenance["held_out"]["frames"] for gauge in gauges] == [12, 12]
    assert [gauge.provenance["weights"] for gauge in gauges] == ["uniform", "frame"]
    assert not np.allclose(gauges[0].source.theta, gauges[1].source.theta)
    assert plain.students[0].student.bars.startswith("calibrated on the DFT labels of other frames")
    assert plain.students[0].student.key != weighted.students[0].student.key


def test_structures_teach_as_their_files_do(files, monkeypatch):
    fits = []
    monkeypatch.setattr(student, "fit_gauge", lambda *a, **k: fits.append(a[0].paths.name) or fit_gauge(*a, **k))

    def call(name, how, **more):
        given = {key: how(files / f"{key}.extxyz") for key in ("pool", "labels", "test")}
        options = {"dft_fractions": (0.5,), "rmse": RMSE, "linear_fit": FOUR} | more
        return assay.distil("recorded", given["pool"], STUDENT, files / name, labels=given["labels"],
                            test=given["test"], calibration=how(files / "test.extxyz"), **options)  # fmt: skip

    write(files / "labels.extxyz", read(files / "labelled.extxyz", ":"))
    of_files, of_objects = call("paths", str), call("objects", lambda path: read(path, ":"))
    one, other = of_files.students[0], of_objects.students[0]
    assert one.student.summary()["student"] == other.student.summary()["student"]
    assert one.labels.errors == other.labels.errors
    assert [len(each.provenance.files) for each in (of_files, of_objects)] == [3, 0]
    assert len(fits) == 2
    assert rows(call("objects", lambda path: iter(read(path, ":")))) == rows(of_objects)
    assert len(fits) == 2

    def other_labels(path):
        frames = read(path, ":")
        if path.name == "test.extxyz":
            frames[0].arrays["REF_forces"][0] += 0.1
        return frames

    assert call("objects", other_labels).students[0].student.key != other.student.key
    assert len(fits) == 3


def test_held_out_frames_calibrate_by_any_name_on_the_command_line(files):
    words = ["distil", "--teachers", "recorded", "--pool", files / "pool.extxyz", "--uncertainty-cutoff", "1e9",
             "--student", STUDENT, "--ensemble-size", "4", "--no-report", "--rmse", "0.1,0.2,0.4",
             "--labels", files / "labelled.extxyz", "--reference-frames", "8"]  # fmt: skip
    found = {}
    for name in ("--calibration", "--heldout"):
        out = files / name.strip("-")
        with listening() as told:
            done = CliRunner().invoke(
                cli, [*map(str, words), name, str(files / "test.extxyz"), "-o", str(out)], obj="assay"
            )
        assert done.exit_code == 0, done.output
        assert ("--heldout is now --calibration" in told) == (name == "--heldout")
        found[name] = json.loads((out / "summary.json").read_text(encoding="utf-8"))["students"]
    assert found["--calibration"] == found["--heldout"]
    assert found["--heldout"][0]["student"]["bars"].startswith("calibrated on the DFT labels of other frames")


def test_held_out_frames_are_called_calibration_now(files):
    def fit(name, **given):
        return assay.distil(
            "recorded", files / "pool.extxyz", STUDENT, files / name, cutoffs=(1e9,), rmse=RMSE, linear_fit=FOUR,
            labels=files / "labelled.extxyz", reference_frames=8, **given,
        )  # fmt: skip

    test = files / "test.extxyz"
    with pytest.warns(FutureWarning, match=r"distil\(heldout=…\) is now distil\(calibration=…\)") as told:
        found = fit("old-name", heldout=test)
    assert [each.filename for each in told] == [__file__]
    assert rows(found) == rows(fit("new-name", calibration=test))
    with pytest.raises(ValueError, match="heldout is the old name of calibration"):
        fit("both-names", heldout=test, calibration=test)
    assert not (files / "both-names").exists()


def test_a_corrupted_dft_label_is_dropped(files):
    frames = alloy(64)
    frames[20].arrays["REF_forces"][0] += 3.0
    write(files / "noisy.extxyz", frames)
    found = assay.distil(
        "recorded", files / "noisy.extxyz", STUDENT, files / "noisy", labels="pool", dft_fractions=(1.0,), rmse=RMSE,
        drop_noisy_labels=True, linear_fit=FOUR,
    )  # fmt: skip
    assert [origin.rpartition(":")[2] for origin, _ in found.noisy] == ["20"]
    assert "forces" in found.noisy[0][1]
    assert found.jobs == 1


@pytest.mark.filterwarnings("ignore:error bar of the energy. one value carries:UserWarning")  # of a lone label
def test_frames_on_which_a_teacher_failed_need_dft_and_are_learnt_from_then(files):
    frames = alloy(64)
    for atoms in (frames[3], frames[40]):
        del atoms.arrays["near_forces"]
    write(files / "gaps.extxyz", without_labels(frames))
    write(files / "rest.extxyz", only_labels(frames[:3] + frames[4:]))

    def call(**more):
        return assay.distil(
            "recorded", files / "gaps.extxyz", STUDENT, files / "gaps", cutoffs=(1e9,), dft_fractions=(0.0,),
            linear_fit=FOUR, report=True, **more,
        )  # fmt: skip

    first = call(rmse=RMSE)
    assert [origin.rpartition(":")[2] for origin, _ in first.failed] == ["3", "40"]
    jobs = read(files / "gaps/dft-jobs.extxyz", ":")
    write(files / "alone.extxyz", only_labels(frames)[40])
    with pytest.warns(UserWarning, match="every frame with a DFT label"):
        call(labels=files / "alone.extxyz")
    assert {content_hash(a) for a in jobs} == {content_hash(frames[i]) for i in (3, 40)}
    assert not any("U" in atoms.info for atoms in jobs)
    assert [row.labels.pending.frames for row in first.students] == [2, 2]

    call(labels=files / "rest.extxyz")
    assert content_hash(read(files / "gaps/dft-jobs.extxyz", 0)) == content_hash(frames[3])
    assert len(json.loads((files / "gaps/summary.json").read_text(encoding="utf-8"))["teachers_failed"]) == 2
    mixed = {content_hash(a): a for a in read(files / "gaps/mixed-1e+09.extxyz", ":")}
    learnt = mixed[content_hash(frames[40])]
    assert learnt.info["label_source"] == "DFT"
    assert learnt.info["REF_energy"] == pytest.approx(frames[40].info["REF_energy"])
    assert content_hash(frames[3]) not in mixed
    assert all(np.isfinite(a.info["REF_energy"]) and np.isfinite(a.arrays["REF_forces"]).all() for a in mixed.values())
    taught = mixed[content_hash(frames[0])].info  # on DFT's zero, by labels that are known though not learnt from
    assert taught["REF_energy"] == pytest.approx(frames[0].info["REF_energy"], abs=0.1)
    assert "2 frames need DFT as a teacher failed" in (files / "gaps/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give a cut-off of the uncertainty"),
        ({"cutoffs": (0.0,)}, "must be positive"),
        ({"cutoffs": (0.1,), "student": "recorded"}, "a student is a potential that can be fitted, snap or ace"),
        ({"cutoffs": (0.1,), "rmse": (0.1, 0.2)}, "2 RMSEs of 3 teachers"),
        ({"cutoffs": (0.1,), "teachers": "recorded:models=['near']"}, "nobody to disagree with"),
        ({"cutoffs": (0.1,), "teacher_label": "best"}, "which teacher is best"),
    ],
)
def test_what_can_t_be_done_is_said(files, tmp_path, options, words):
    given = {"teachers": "recorded", "student": STUDENT} | options
    with pytest.raises(ValueError, match=words):
        assay.distil(pool=files / "pool.extxyz", out=tmp_path / "out", **given)


def test_the_command_writes_tables_json_and_a_report(files):
    out = files / "command"
    command = [
        *(str(Path(sys.executable).with_name("assay")), "distil", "--teachers", "recorded", "--pool", "pool.extxyz"),
        *(
            "--labels",
            "labelled.extxyz",
            "--dft-fraction",
            "0.25",
            "--uncertainty-cutoff",
            "9",
            "--rmse",
            "0.1,0.2,0.4",
        ),
        *("--student", STUDENT, "--test", "test.extxyz", "--ensemble-size", "4", "-o", out.name),
    ]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, check=True)
    assert "48 of 48" in done.stdout
    assert "on the test frames" in done.stdout
    assert "weights from force RMSEs as given" in done.stderr
    assert "not the error against DFT" in done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in ("Distillation", "64 frames", "3 teachers", "wild", "near", "force bars hold"):
        assert text in page
    for line in ("student, test frames", "teachers, test frames", "labels, frames of the pool with known DFT"):
        assert line in page
    told = json.loads(subprocess.run([*command, "--json", "-"], cwd=files, capture_output=True, check=True).stdout)
    assert told["students"] == json.loads((out / "summary.json").read_text(encoding="utf-8"))["students"]
    assert [row["dft_needed"]["frames"] for row in told["students"]] == [0, 16]
