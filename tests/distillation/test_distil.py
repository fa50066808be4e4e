"""`assay distil` from teachers to students: labels that come in two calls, what is not computed twice, the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from alloy import TEACHERS, alloy, only_labels, without_labels
from ase.io import read, write

import assay
from assay import verbs
from assay.frames import content_hash

pytestmark = pytest.mark.snap

STUDENT = "snap:twojmax=2,rcut=4.0"
RMSE = (0.1, 0.2, 0.4)


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
        dft_fractions=(0.0, 0.1, 0.5), rmse=RMSE, test=files / "test.extxyz", ensemble_size=4,
    )  # fmt: skip


def test_shares_of_dft_labels_are_those_asked_for(finished):
    needed = [row["dft_needed"]["share_of_atoms"] for row in finished.students]
    np.testing.assert_allclose(needed, [0.0, 0.1, 0.5], atol=0.5 / 64)
    assert finished.students[0]["cutoff_eV_per_A"] is None
    assert finished.jobs == 0
    assert finished.rmse == RMSE


def test_labels_are_better_the_more_of_them_are_dft(finished):
    errors = [row["label_errors"]["force_rmse_eV_per_A"] for row in finished.students]
    assert errors[0] > errors[1] > errors[2] > 0
    assert finished.students[0]["teachers_label_errors"]["frames"] == 64


def test_each_student_is_judged_beside_its_teachers(finished):
    test = alloy(12, seed=5)
    forces = np.concatenate([a.arrays["near_forces"] - a.arrays["REF_forces"] for a in test])
    for row in finished.students:
        assert row["teachers"]["force_rmse_eV_per_A"] == pytest.approx(np.sqrt(np.mean(forces**2)))
        worse = [
            kind
            for kind, each in row["student"]["test"]["by_config_type"].items()
            if each["force_rmse_eV_per_A"] > row["teachers"]["by_config_type"][kind]["force_rmse_eV_per_A"]
        ]
        assert sorted(row["worse_than_teachers"]["force"]) == sorted(worse)


def test_bars_say_what_they_are_bars_of(finished):
    bars = [row["student"]["bars"] for row in finished.students]
    assert "the difference from the teachers, not the error against DFT" in bars[0]
    assert "too few" in bars[1]
    assert bars[2].startswith("calibrated on kept-out DFT labels")


def test_held_out_frames_have_dft_labels_and_are_not_trained_on(finished, files):
    cutoff = finished.students[2]["cutoff_eV_per_A"]
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
    monkeypatch.setattr(verbs.student, "build", lambda *a, **k: fits.append(a[0].name) or verbs.build.build(*a, **k))
    out = files / "twice"

    def call(**more):
        options = {"cutoffs": (1e9, 0.05), "rmse": RMSE, "ensemble_size": 4} | more
        return assay.distil("recorded", files / "pool.extxyz", STUDENT, out, **options)

    first = call()
    jobs = read(out / "dft-jobs.extxyz", ":")
    assert first.jobs == len(jobs) == first.students[1]["pending"]["frames"] > 5
    assert sum(row["dft"]["frames"] for row in first.students) == 0
    u = [atoms.info["U"] for atoms in jobs]
    assert u == sorted(u, reverse=True)
    assert min(u) >= 0.05
    assert fits == ["mixed-1e+09.extxyz", "mixed-0.05.extxyz"]

    assert call().students == first.students
    assert len(fits) == 2

    by_hash = {content_hash(atoms): atoms for atoms in read(files / "labelled.extxyz", ":")}
    write(out / "dft.extxyz", [by_hash[content_hash(atoms)] for atoms in jobs[:-2]])
    second = call(labels=out / "dft.extxyz", rmse=())
    assert second.jobs == 2
    assert second.weights == first.weights
    assert second.students[1]["dft"]["frames"] == len(jobs) - 2
    assert fits[2:] == ["mixed-0.05.extxyz"]  # the other cut-off needs no DFT label, and is as it was
    assert second.students[0]["key"] == first.students[0]["key"]

    assert call(labels=files / "labelled.extxyz", rmse=()).jobs == 0
    assert not (out / "dft-jobs.extxyz").exists()


def test_weights_come_from_the_labels_where_no_rmse_is_given(files):
    out = files / "measured"
    found = assay.distil(
        "recorded", files / "with-labels.extxyz", STUDENT, out, labels="pool", cutoffs=(1e9,), ensemble_size=4
    )
    frames = alloy(64)
    errors = [
        np.concatenate([a.arrays[f"{name}_forces"] - a.arrays["REF_forces"] for a in frames]) for name in TEACHERS
    ]
    np.testing.assert_allclose(found.rmse, [np.sqrt(np.mean(e**2)) for e in errors])
    assert found.students[0]["dft"]["frames"] == 0  # labels that U does not ask for are not used


def test_given_held_out_frames_calibrate_and_uncertain_labels_weigh_less(files):
    def fit(name, **more):
        return assay.distil(
            "recorded", files / "pool.extxyz", STUDENT, files / name, cutoffs=(1e9,), rmse=RMSE, ensemble_size=4,
            heldout=files / "test.extxyz", **more,
        )  # fmt: skip

    plain, weighted = fit("plain"), fit("weighted", weight_by_uncertainty=True)
    gauges = [assay.Gauge.load(files / name / "student-1e+09.gauge") for name in ("plain", "weighted")]
    assert [gauge.provenance["held_out"]["frames"] for gauge in gauges] == [12, 12]
    assert [gauge.provenance["weights"] for gauge in gauges] == ["uniform", "frame"]
    assert not np.allclose(gauges[0].source.theta, gauges[1].source.theta)
    assert plain.students[0]["student"]["bars"].startswith("calibrated on the DFT labels of other frames")
    assert plain.students[0]["key"] != weighted.students[0]["key"]


def test_a_corrupted_dft_label_is_dropped(files):
    frames = alloy(64)
    frames[20].arrays["REF_forces"][0] += 3.0
    write(files / "noisy.extxyz", frames)
    found = assay.distil(
        "recorded", files / "noisy.extxyz", STUDENT, files / "noisy", labels="pool", dft_fractions=(1.0,), rmse=RMSE,
        drop_noisy_labels=True, ensemble_size=4,
    )  # fmt: skip
    assert [origin.rpartition(":")[2] for origin, _ in found.noisy] == ["20"]
    assert "forces" in found.noisy[0][1]
    assert found.jobs == 1


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
    assert "Errors against DFT" in done.stdout
    assert "not the error against DFT" in done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in ("Distillation", "64 frames", "3 teachers", "wild", "near", "force bars hold"):
        assert text in page
    told = json.loads(subprocess.run([*command, "--json", "-"], cwd=files, capture_output=True, check=True).stdout)
    assert told["students"] == json.loads((out / "summary.json").read_text(encoding="utf-8"))["students"]
    assert [row["dft_needed"]["frames"] for row in told["students"]] == [0, 16]
