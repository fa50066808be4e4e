"""The composition of a gauge: the same from files, objects and frames, which are read once; options and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from copper import COMMITTEE, SOURCE, Files

from assay import FrameError, FrameFiles, Gauge, LabelKeys, LinearFit, MemberChoice, Run, ScoreFit, build
from assay.frames.frame import Frame
from assay.frames.reading import read_frames
from assay.gauge.fit import fit_gauge
from assay.sources import frame_files
from assay.sources.frame_files import frames_of
from assay.sources.recorded.members_file import write_members
from assay.sources.registry import given_source


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that the reader of frames opened."""
    found: list[str] = []

    def counting(paths: Any, **options: Any) -> Iterator[Frame]:
        found.extend(Path(path).name for path in ([paths] if isinstance(paths, str | Path) else paths))
        return read_frames(paths, **options)

    monkeypatch.setattr(frame_files, "read_frames", counting)
    return found


def numbers(gauge: Gauge) -> dict[str, Any]:
    """What a gauge says in numbers."""
    return {
        "thresholds": dict(gauge.thresholds),
        "alpha": {quantity: calibrator.alpha for quantity, calibrator in gauge.calibrators.items()},
        "training": {key: values.tolist() for key, values in gauge.training.items()},
        "hashes": gauge.provenance["training_hashes"] + gauge.provenance["held_out_hashes"],
    }


def test_each_file_is_parsed_once(files: Files, opened: list[str]) -> None:
    build(files.train, source=COMMITTEE, calibration=files.held_out)
    assert opened == ["train.extxyz", "held_out.extxyz"]


def test_a_file_that_calibrates_too_is_parsed_once(files: Files, opened: list[str]) -> None:
    build(files.train, source=COMMITTEE)
    assert opened == ["train.extxyz"]


@pytest.mark.snap
def test_a_second_pass_parses_nothing(files: Files, opened: list[str]) -> None:
    options = ScoreFit(without_outliers=True, cluster_thresholds=True)
    build(files.train, source=SOURCE, calibration=files.held_out, linear_fit=LinearFit(ensemble_size=4),
          score_fit=options)  # fmt: skip
    assert opened == ["train.extxyz", "held_out.extxyz"]


def test_files_with_members_are_parsed_once(files: Files, opened: list[str], tmp_path: Path, committee: Gauge) -> None:
    given = {}
    for name in ("train", "held_out"):
        frames = ase.io.read(getattr(files, name), ":")
        models = committee.source.source.member_names
        write_members(tmp_path / f"{name}.npz", models, frames, map(committee.source.source.predict, frames))
        given[name] = FrameFiles(getattr(files, name), tmp_path / f"{name}.npz")
    gauge = build(given["train"], source="recorded", calibration=given["held_out"]).gauge
    assert opened == ["train.extxyz", "held_out.extxyz"]
    assert gauge.calibrators["force"].alpha == pytest.approx(committee.calibrators["force"].alpha, rel=1e-12)


def test_structures_make_the_gauge_of_their_file(files: Files, committee: Gauge) -> None:
    train, held_out = ase.io.read(files.train, ":"), ase.io.read(files.held_out, ":")
    of_lists = build(train, source=COMMITTEE, calibration=held_out).gauge
    of_streams = build(iter(train), source=COMMITTEE, calibration=(atoms for atoms in held_out)).gauge
    assert numbers(of_lists) == numbers(of_streams) == numbers(committee)
    assert of_lists.provenance["files"] == {}
    assert len(committee.provenance["files"]) == 2


def test_frames_and_an_object_make_the_gauge_of_files(files: Files, committee: Gauge) -> None:
    source, settings = given_source(COMMITTEE)
    train, held_out = frames_of(files.train), frames_of(files.held_out)
    gauge = fit_gauge(train, source, calibration=held_out, settings=settings).gauge
    assert numbers(gauge) == numbers(committee)
    assert gauge.provenance["source"] == committee.provenance["source"]
    assert gauge.provenance["command"] == ""


def test_an_executor_makes_the_same_gauge(files: Files, committee: Gauge) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        gauge = build(files.train, source=COMMITTEE, calibration=files.held_out, run=Run(executor)).gauge
    assert numbers(gauge) == numbers(committee)


def test_held_out_frames_are_called_calibration_now(files: Files, committee: Gauge) -> None:
    with pytest.warns(FutureWarning, match=r"build\(heldout=…\) is now build\(calibration=…\)"):
        gauge = build(files.train, source=COMMITTEE, heldout=files.held_out).gauge
    assert numbers(gauge) == numbers(committee)
    with pytest.raises(ValueError, match="heldout is the old name of calibration"):
        build(files.train, source=COMMITTEE, heldout=files.held_out, calibration=files.held_out)


def test_files_keep_their_own_keys_and_take_those_of_the_verb(files: Files, committee: Gauge, tmp_path: Path) -> None:
    frames = ase.io.read(files.train, ":")
    for atoms in frames:
        atoms.info["dft_energy"], atoms.arrays["dft_forces"] = atoms.info.pop("REF_energy"), atoms.arrays["REF_forces"]
        atoms.info["dft_stress"] = atoms.info.pop("REF_stress")
        del atoms.arrays["REF_forces"]
    ase.io.write(tmp_path / "dft.extxyz", frames)
    keys = LabelKeys("dft_energy", "dft_forces", "dft_stress")
    own = build(FrameFiles(tmp_path / "dft.extxyz", keys=keys), source=COMMITTEE, calibration=files.held_out).gauge
    asked = build(tmp_path / "dft.extxyz", source=COMMITTEE, keys=keys).gauge
    files_alone = build(FrameFiles(tmp_path / "dft.extxyz"), source=COMMITTEE, keys=keys).gauge
    assert numbers(own) == numbers(committee)
    assert numbers(asked) == numbers(files_alone)


def test_calibration_frames_that_can_not_be_read_stop_a_build_before_its_fit(files: Files) -> None:
    stages: list[str] = []
    run = Run(progress=lambda name, total: stages.append(name))
    with pytest.raises(FrameError, match="no such file"):
        build(files.train, source=COMMITTEE, calibration="nowhere.extxyz", run=run)
    assert stages == ["reading labels"]


def test_options_of_a_fit_are_checked_when_they_are_made() -> None:
    with pytest.raises(ValueError, match="unknown posterior 'laplace'"):
        LinearFit(posterior="laplace")
    assert LinearFit(posterior="bootstrap").drawn_from.name == "bootstrap"


def test_a_choice_of_members_needs_members(files: Files) -> None:
    with pytest.raises(ValueError, match="is for members that a source brings along, which soap does not"):
        build(files.train, source="soap", members=MemberChoice(best=2))


def test_a_radius_is_positive(files: Files) -> None:
    with pytest.raises(ValueError, match=r"must be positive, got 0\.0"):
        build(files.train, source=COMMITTEE, r_cut=0.0)
    assert np.isfinite(build(files.train, source=COMMITTEE, r_cut=3.0).training.scores["committee_force", "atom"]).all()
