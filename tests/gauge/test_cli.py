"""The command line as a user runs it: exit codes, what goes where, and nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import pytest
from copper import PAIRS, Files

from assay import Gauge

ASSAY = [str(Path(sys.executable).parent / "assay")]


def assay(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ASSAY, *map(str, words)], capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


@pytest.fixture
def gauge_file(committee: Gauge, tmp_path: Path) -> Path:
    committee.save(tmp_path / "cu.gauge")
    return tmp_path / "cu.gauge"


def committee_toml(folder: Path) -> Path:
    path = folder / "committee.toml"
    members = (
        f'[[member]]\nlabel = "{each["label"]}"\ncalculator = "{each["calculator"]}"\narguments = {{ '
        + ", ".join(f"{k} = {v}" for k, v in each["arguments"].items())
        + " }\n"
        for each in PAIRS
    )
    path.write_text('source = "ase_committee"\n' + "".join(members))
    return path


def test_frames_to_calibrate_on_have_their_old_name_too(files: Files, tmp_path: Path) -> None:
    toml = committee_toml(tmp_path)
    hashes = []
    for name in ("-c", "--calibration", "--heldout"):
        words = ("build", "-t", files.train, name, files.held_out, "--source", toml, "-o", "x.gauge")
        done = assay(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        hashes.append(Gauge.load(tmp_path / "x.gauge").provenance["held_out_hashes"])
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) == 12
    told = assay("build", "--help", cwd=tmp_path).stdout
    assert "--calibration-members" in told
    assert "heldout" not in told


def test_workers_are_an_executor_of_local_processes(gauge_file: Path, files: Files, tmp_path: Path) -> None:
    found = []
    for words in ([], ["-j", "2"], ["--executor", "local:2"]):
        done = assay("predict", gauge_file, files.test, *words, "--json", "-", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1] == found[2]
    for words, message in (
        (["-j", "2", "--executor", "local:2"], "give one of them"),
        (["--executor", "dask"], "needed local:N"),
        (["-j", "0"], "range x>=1"),
    ):
        done = assay("predict", gauge_file, files.test, *words, cwd=tmp_path)
        assert done.returncode == 2
        assert message in " ".join(done.stderr.split())


def test_build_then_evaluate_and_predict(files: Files, tmp_path: Path) -> None:
    built = assay("build", "-t", files.train, "--source", committee_toml(tmp_path), "-o", "a.gauge", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert "heterogeneous_force:scale" in built.stdout
    assert "written to a.gauge" in built.stderr

    evaluated = assay("evaluate", "a.gauge", files.test, "--json", "-", cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    result = json.loads(evaluated.stdout)  # nothing else on stdout
    assert result["frames"] == 9
    assert result["error_bars"]["force"]["bar"] == "heterogeneous_force:scale"

    predicted = assay("predict", "a.gauge", files.test, "-o", "p.extxyz.gz", "--json", "p.json", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    frames = ase.io.read(tmp_path / "p.extxyz.gz", ":")
    assert [len(atoms) for atoms in frames] == [len(atoms) for atoms in ase.io.read(files.test, ":")]
    assert frames[0].arrays["forces_uncertainty"].min() > 0
    assert json.loads((tmp_path / "p.json").read_text())["frames"] == 9


def test_calibrate_and_info(gauge_file: Path, files: Files, tmp_path: Path) -> None:
    new = assay(
        "calibrate", gauge_file, files.test, "--error-bar", "committee_force:conformal", "-o", "n.gauge", cwd=tmp_path
    )
    assert new.returncode == 0, new.stderr
    told = assay("info", "n.gauge", "--json", "-", cwd=tmp_path)
    assert json.loads(told.stdout)["error_bar"] == "committee_force:conformal"
    assert "committee_force:conformal" in assay("info", "n.gauge", cwd=tmp_path).stdout
    again = assay("evaluate", "n.gauge", files.test, cwd=tmp_path)
    assert "9 of these frames were calibrated on" in again.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["predict", "{gauge}", "{test}", "--fail-above", "0.001"], 3, "--fail-above 0.001: exceeded"),
        (["predict", "{gauge}", "{test}", "--fail-above", "1000"], 0, ""),
        (["predict", "{gauge}", "{test}", "--fail-above", "committee_force=0.001"], 3, "exceeded"),
        (["predict", "{gauge}", "{test}", "--fail-above", "nan"], 2, "neither a number nor SCORE=number"),
        (["predict", "{gauge}", "nowhere.extxyz"], 2, "does not exist"),
        (["frobnicate"], 2, "No such command"),
        (["predict", "{test}", "{test}"], 1, "not a gauge file"),
        (["evaluate", "{gauge}", "{test}", "--energy-key", "dft"], 1, "no label 'dft'"),
        (["evaluate", "{gauge}", "{test}", "--json", "nowhere/x.json"], 1, "folder nowhere does not exist"),
        (["calibrate", "{gauge}", "{train}", "-o", "n.gauge"], 1, "were trained on"),
        (["export", "{gauge}", "-o", "cu"], 1, "only a fitted SNAP or ACE potential can be exported"),
        (
            ["build", "-t", "{train}", "--source", "snap:twojmax=abc", "-o", "x.gauge"],
            1,
            "twojmax must be a whole number",
        ),
        (["build", "-t", "{train}", "--source", "magic", "-o", "x.gauge"], 1, "unknown source 'magic'"),
    ],
)
def test_exit_codes(words: list[str], code: int, message: str, gauge_file: Path, files: Files, tmp_path: Path) -> None:
    names = {"gauge": gauge_file, "test": files.test, "train": files.train}
    run = assay(*(word.format(**names) for word in words), cwd=tmp_path)
    assert run.returncode == code, run.stderr
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.glob("x.gauge"))


def test_a_bad_frame_costs_neither_the_others_nor_goes_unsaid(gauge_file: Path, files: Files, tmp_path: Path) -> None:
    frames = ase.io.read(files.test, ":")
    frames[2].numbers[0] = 79
    ase.io.write(tmp_path / "new.extxyz", frames)
    strict = assay("predict", gauge_file, "new.extxyz", "-o", "p.extxyz", cwd=tmp_path)
    assert strict.returncode == 1
    assert "new.extxyz:2: no reference energy of Au" in strict.stderr
    assert len(ase.io.read(tmp_path / "p.extxyz", ":")) == 8
    assert assay("predict", gauge_file, "new.extxyz", "--skip-bad", cwd=tmp_path).returncode == 0


def wait_until_frames_are_written(run: subprocess.Popen[str]) -> None:
    """Until predicted frames are in the file without a name that `frames_out` collects them in."""
    until = time.monotonic() + 100
    while run.poll() is None and time.monotonic() < until:
        for each in Path(f"/proc/{run.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since
                if "(deleted)" in str(each.readlink()) and each.stat().st_size > 0:
                    return
        time.sleep(0.02)
    raise AssertionError(f"no frame was written before it ended: {run.poll()}")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files of a process are seen in /proc")
def test_ctrl_c_leaves_no_half_written_file(gauge_file: Path, files: Files, tmp_path: Path) -> None:
    many = list(ase.io.read(files.test, ":")) * 800
    ase.io.write(tmp_path / "many.extxyz", many)
    (tmp_path / "p.extxyz").write_text("before")
    run = subprocess.Popen(
        [*ASSAY, "predict", str(gauge_file), "many.extxyz", "-o", "p.extxyz"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    wait_until_frames_are_written(run)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "interrupted" in told
    assert (tmp_path / "p.extxyz").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cu.gauge", "many.extxyz", "p.extxyz"]
