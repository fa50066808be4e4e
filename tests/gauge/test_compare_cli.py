"""`assay compare` as a user runs it, on a committee that needs nothing beyond the core."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from ase.io import read, write
from copper import Files
from test_cli import assay, committee_toml

from assay.cli.compare import test_sets as sets_of
from assay.comparison.figures import Estimate
from assay.comparison.reasons import estimate, two

QUICK = ("--resamples", 20, "--calibrators", "scale,conformal")


def test_a_table_a_recommendation_with_reasons_and_json(files: Files, tmp_path: Path) -> None:
    words = ("compare", "-t", files.train, "-c", files.held_out, "-e", files.test, "-e", f"again={files.test}")
    source = ("--source", committee_toml(tmp_path))
    done = assay(*words, *source, *QUICK, "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert [split["name"] for split in result["splits"]] == ["training", "calibration", "test", "again"]
    for name in ("committee_force", "random", "constant"):
        assert f"│ {name} " in done.stdout
    told = " ".join(done.stdout.split())
    for key in ("error_bars", "energy_bars", "ranking_frames", "ranking_atoms"):
        for reason in result["recommendation"][key]["reasons"]:
            assert reason in told


def test_the_page(files: Files, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    words = ("compare", "-t", files.train, "-e", files.test, "--source", committee_toml(tmp_path), *QUICK)
    done = assay(*words, "--scores", "committee_force", "--report", "r.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "written to r.html" in done.stderr
    assert "Comparison of uncertainties" in (tmp_path / "r.html").read_text("utf-8")


def test_json_on_stdout_is_all_that_is_there(files: Files, tmp_path: Path) -> None:
    words = ("compare", "-t", files.train, "-e", files.test, "--source", committee_toml(tmp_path), *QUICK)
    done = assay(*words, "--scores", "committee_force", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["methods"]) == {"committee_force", "committee_energy", "random", "constant"}


def test_mistakes_are_one_message(files: Files, tmp_path: Path) -> None:
    words = ("compare", "-t", files.train, "--source", committee_toml(tmp_path), *QUICK)
    missing = assay(*words, "-e", "ood=nowhere.xyz", cwd=tmp_path)
    assert missing.returncode == 2
    assert "'nowhere.xyz' does not exist" in missing.stderr
    overlap = assay(*words, "-e", files.train, cwd=tmp_path)
    assert overlap.returncode == 1
    assert "--allow-overlap" in overlap.stderr
    unknown = assay(*words, "-e", files.test, "--scores", "luck", cwd=tmp_path)
    assert unknown.returncode == 1
    assert "luck" in unknown.stderr
    members = assay(*words, "-e", files.test, "--test-members", files.test, "--test-members", files.test, cwd=tmp_path)
    twice = assay(*words, "-e", files.test, "-j", 2, "--executor", "local:2", cwd=tmp_path)
    assert twice.returncode == 2
    assert "-j N is --executor local:N" in twice.stderr
    assert members.returncode == 2
    assert "Traceback" not in "".join(each.stderr for each in (missing, overlap, unknown, members))


def test_sets_have_the_names_that_were_given_or_those_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("test.extxyz.gz", "b/test.xyz", "a=1.xyz", "calibration.xyz"):
        (tmp_path / name).touch()
    first, second, odd, taken = (
        str(tmp_path / name) for name in ("test.extxyz.gz", "b/test.xyz", "a=1.xyz", "calibration.xyz")
    )
    names = [name for name, _ in sets_of([first, second, f"hot={first}", f"hot={second}", odd, taken])]
    assert names == ["test", "test-2", "hot", "hot", "a=1", "calibration-2"]
    assert sets_of([f"hot={odd}"]) == [("hot", Path(odd))]
    with pytest.raises(click.BadParameter, match=r"no\.xyz"):
        sets_of(["no.xyz"])
    with pytest.raises(click.BadParameter, match="no name before"):
        sets_of([f"={first}"])


def test_what_is_to_mind_is_on_the_terminal_and_frames_are_counted_in_english(files: Files, tmp_path: Path) -> None:
    words = ("compare", "-t", files.train, "-e", f"one={tmp_path / 'one.xyz'}", "--source", committee_toml(tmp_path))
    write(tmp_path / "one.xyz", read(files.test, 0), format="extxyz")
    done = assay(*words, *QUICK, "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.partition("\nMind\n")[2].split())
    result = json.loads((tmp_path / "r.json").read_text())
    assert "one has 1 different frame: intervals by resampling so few are too narrow" in result["remarks"]
    assert all(remark in told for remark in result["remarks"])
    assert "1 frames" not in done.stdout
    assert "one has 1 frame only" in told


def test_skills_beyond_all_use_are_short() -> None:
    assert [two(value) for value in (-871441.97, 4e5, -100.0, -0.001, 0.456)] == [
        "< −100", "> 100", "−100.00", "0.00", "0.46"
    ]  # fmt: skip
    assert estimate(Estimate(-0.5, -1e6, 0.25)) == "−0.50 [< −100, 0.25]"
