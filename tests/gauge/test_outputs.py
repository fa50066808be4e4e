"""What a verb reads is never written over, whatever the name or link, and that is told before anything is computed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copper import COMMITTEE, Files
from test_cli import assay as command
from test_cli import committee_toml

import assay
from assay import FrameFiles, Gauge
from assay.verbs.outputs import require_outputs

Verb = Callable[[Any, Path, Any], object]
"""A verb of the folder with all inputs, its output, and the frames."""


def _files(folder: Path) -> FrameFiles:
    return FrameFiles([folder / "frames.extxyz"], [folder / "members.npz"])


SPEC = "ase_committee:mace:model.pt@python,chgnet:0.3.0"
VERBS: dict[str, tuple[Verb, Sequence[str]]] = {
    "build": (
        lambda f, out, train: assay.build(train, calibration=f / "other.extxyz", source=COMMITTEE, out=out),
        ("frames.extxyz", "other.extxyz"),
    ),
    "build, members": (lambda f, out, _: assay.build(_files(f), source="recorded", out=out), ("members.npz",)),
    "build, spec": (lambda f, out, train: assay.build(train, source=SPEC, out=out), ("model.pt", "python")),
    "build, table": (
        lambda f, out, train: assay.build(train, source={"source": "ace", "potential": "model.pt"}, out=out),
        ("model.pt",),
    ),
    "build, toml": (
        lambda f, out, train: assay.build(train, source=str(f / "committee.toml"), out=out),
        ("committee.toml", "model.pt"),
    ),
    "calibrate": (
        lambda f, out, frames: assay.calibrate(f / "cu.gauge", frames, members=f / "members.npz", out=out),
        ("cu.gauge", "frames.extxyz", "members.npz"),
    ),
    "compare": (
        lambda f, out, train: assay.compare(
            train, {"test": f / "other.extxyz"}, source=COMMITTEE, calibration=[f / "members.npz"], json_file=out
        ),
        ("frames.extxyz", "other.extxyz", "members.npz"),
    ),
    "compare, report": (
        lambda f, out, train: assay.compare(train, f / "other.extxyz", source=COMMITTEE, report=out),
        ("frames.extxyz", "other.extxyz"),
    ),
    "evaluate": (
        lambda f, out, frames: assay.evaluate(f / "cu.gauge", frames, json_file=out),
        ("cu.gauge", "frames.extxyz"),
    ),
    "evaluate, report": (
        lambda f, out, frames: assay.evaluate(f / "cu.gauge", frames, report=out),
        ("cu.gauge", "frames.extxyz"),
    ),
    "members": (
        lambda f, out, frames: assay.members(["members.npz", "mace:model.pt"], frames, out),
        ("members.npz", "model.pt", "frames.extxyz"),
    ),
    "predict": (
        lambda f, out, frames: assay.predict(f / "cu.gauge", frames, members=[f / "members.npz"], out=out),
        ("cu.gauge", "frames.extxyz", "members.npz"),
    ),
    "predict, json": (
        lambda f, out, frames: assay.predict(f / "cu.gauge", frames, json_file=out),
        ("cu.gauge", "frames.extxyz"),
    ),
    "propagate": (
        lambda f, out, frames: assay.propagate(
            f / "cu.gauge", ["msd:other.extxyz"], trajectory=frames, reference=f / "r.json", csv=out
        ),
        ("cu.gauge", "frames.extxyz", "other.extxyz", "r.json"),
    ),
    "propagate, resume": (
        lambda f, out, frames: assay.propagate(f / "cu.gauge", ["crystals:fcc"], reference=f / "r.json", resume=out),
        ("cu.gauge", "r.json"),
    ),
    "select": (
        lambda f, out, pool: assay.select(f / "cu.gauge", pool, 2, train=[f / "other.extxyz"], out=out),
        ("cu.gauge", "frames.extxyz", "other.extxyz"),
    ),
    "transferability": (
        lambda f, out, frames: assay.transferability(frames, source=COMMITTEE, json_file=out),
        ("frames.extxyz",),
    ),
}
ENDINGS = {"predict": ".extxyz", "select": ".extxyz", "members": ".npz"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that nothing may read: every reader of frames and gauges fails the test."""
    for name in ("frames.extxyz", "other.extxyz", "members.npz", "model.pt", "python", "cu.gauge", "r.json"):
        (tmp_path / name).write_text(f"content of {name}")
    (tmp_path / "committee.toml").write_text('source = "ase_committee"\n[[member]]\nmodel = "mace:model.pt"\n')
    monkeypatch.chdir(tmp_path)

    def computed(*_: object, **__: object) -> None:
        raise AssertionError("something was read before the outputs were looked at")

    monkeypatch.setattr("assay.sources.frame_files.read_frames", computed)
    monkeypatch.setattr("assay.verbs.loading.Gauge.load", computed)
    return tmp_path


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
@pytest.mark.parametrize(("name", "read"), [(name, read) for name, (_, inputs) in VERBS.items() for read in inputs])
def test_no_verb_writes_over_what_it_reads(name: str, read: str, link: str, folder: Path) -> None:
    verb, _ = VERBS[name]
    out = folder / read
    if link != "itself":
        out = folder / f"link{ENDINGS.get(name, '')}"
        (out.symlink_to if link == "symbolic" else out.hardlink_to)(folder / read)
    before = (folder / read).read_bytes()
    with pytest.raises(ValueError, match=r"is read|says another format|frames are written as"):
        verb(folder, out, folder / "frames.extxyz")
    if link != "itself":  # what it is called says nothing
        with pytest.raises(ValueError, match=r"this file is read.*would be written over"):
            verb(folder, out, folder / "frames.extxyz")
    assert (folder / read).read_bytes() == before


def test_frames_may_be_given_in_any_form(folder: Path) -> None:
    out = folder / "frames.extxyz"
    for frames in ("frames.extxyz", [out], (out,), FrameFiles("frames.extxyz"), {"a": FrameFiles([out])}.values()):
        with pytest.raises(ValueError, match="this file is read"):
            require_outputs(frames, frames=out)


@pytest.mark.parametrize("given", [lambda path: (each for each in [path]), lambda path: np.array([str(path)])])
def test_frames_that_come_one_after_the_other_are_looked_at_too(
    given: Callable[[Path], Any], committee: Gauge, files: Files, tmp_path: Path
) -> None:
    path = shutil.copy(files.test, tmp_path / "mine.extxyz")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="this file is read"):
        assay.predict(committee, given(path), out=path)
    assert path.read_bytes() == before


def test_two_outputs_are_two_files(folder: Path) -> None:
    (folder / "link").symlink_to("result")
    with pytest.raises(ValueError, match="link: both the json and the report would be written there"):
        require_outputs(json="result", report="link")
    require_outputs(json=os.devnull, report=os.devnull, frames=os.devnull)
    require_outputs(json="result", report="result2")


def test_names_of_other_formats_are_refused_and_those_that_say_nothing_are_not(folder: Path) -> None:
    for kind, name in (("gauge", "x.extxyz"), ("gauge", "x.npz"), ("json", "x.csv"), ("json", "x.json.gz"),
                       ("report", "x.pdf"), ("csv", "x.html"), ("members", "x.traj"), ("latex", "x.csv")):  # fmt: skip
        with pytest.raises(ValueError, match="says another format than what is written there"):
            require_outputs(**{kind: name})
        require_outputs(**{kind: "name"})
        require_outputs(**{kind: "name.v2"})


def test_places_that_can_t_be_written_are_told(folder: Path) -> None:
    with pytest.raises(IsADirectoryError, match="a folder, needed the name of a file"):
        require_outputs(json=folder)
    with pytest.raises(FileNotFoundError, match="the folder no does not exist"):
        require_outputs(json="no/x.json")
    (folder / "broken.json").symlink_to("gone/x.json")
    with pytest.raises(FileNotFoundError, match=r"the folder .*gone does not exist"):
        require_outputs(json="broken.json")
    with pytest.raises(ValueError, match="in a file that can be read again"):
        require_outputs(resume=os.devnull)


def test_a_distillation_keeps_the_labels_that_were_put_into_its_own_jobs(folder: Path) -> None:
    (folder / "out").mkdir()
    jobs = folder / "out" / "dft-jobs.extxyz"
    jobs.write_text("labelled by hand")
    with pytest.raises(ValueError, match="this file is read"):
        assay.distil("recorded", FrameFiles("frames.extxyz", "members.npz"), "snap:twojmax=2", "out", labels=[jobs])
    assert jobs.read_text() == "labelled by hand"


def test_the_command_line_refuses_too(committee: Gauge, files: Files, tmp_path: Path) -> None:
    committee.save(tmp_path / "cu.gauge")
    gauge, toml = tmp_path / "cu.gauge", committee_toml(tmp_path)
    before = gauge.read_bytes()
    for words in (
        ["info", gauge, "--json", "cu.gauge"],
        ["predict", gauge, files.test, "--json", "cu.gauge"],
        ["calibrate", gauge, files.held_out, "-o", "cu.gauge"],
        ["members", toml, files.test, "-o", "m.npz", "--json", "committee.toml"],
    ):
        done = command(*words, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert gauge.read_bytes() == before
    assert not (tmp_path / "m.npz").exists()
