"""Hostile names, odd sizes, failed writes, missing packages: the report stays whole, small and honest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_report as made
from ase import Atoms
from report_reader import Page, sound

from assay.report import write_report
from assay.results.score import Score


def test_names_are_text_never_markup(page: Callable[..., str]) -> None:
    evil = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'
    plain = page(made.make(frames=3)[0])
    assessment, labels = made.make(frames=3, names=(evil, "b", "c"), failed=((evil, evil),))
    score = Score(f"$\\frac{{$ {evil}", "atom", assessment.scores["gamma", "atom"].values, 1.0)
    assessment = made.changed(assessment, config_types=(evil,) * 3)
    assessment = replace(assessment, bar=evil, scores={**assessment.scores, (score.name, "atom"): score})
    worst = made.structure(assessment)
    worst.info["origin"] = evil
    text = page(
        assessment,
        title=evil,
        provenance={evil: evil},
        evaluation=made.evaluate(assessment, labels),
        worst=worst,
    )
    read = sound(text)
    assert evil in read.column("frames", "Frame")
    assert set(read.tags) - set(Page(plain).tags) <= {"image"}
    assert read.tags.count("script") == 1


def test_same_input_gives_the_same_bytes(page: Callable[..., str]) -> None:
    def once() -> str:
        assessment, labels = made.make(frames=12)
        return page(
            assessment,
            evaluation=made.evaluate(assessment, labels),
            worst=made.structure(assessment),
            training=made.training(),
        )

    assert once() == once()


def test_size_does_not_grow_with_the_number_of_atoms(page: Callable[..., str]) -> None:
    assessment, labels = made.make(frames=400, atoms=100)
    assert len(page(assessment, evaluation=made.evaluate(assessment, labels))) < 700_000
    assessment, labels = made.make(frames=1, atoms=5000)
    found = made.evaluate(assessment, labels)
    assert len(page(assessment, evaluation=found, worst=made.structure(assessment))) < 1_000_000


def test_scores_with_zeros_infinities_and_negative_values(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    values = assessment.scores["gamma", "atom"].values.copy()
    values[:5], values[5:8] = 0.0, np.inf
    scores = {
        ("gamma", "atom"): Score("gamma", "atom", values, 1.5),
        ("density", "atom"): Score("density", "atom", 1.0 - values[8:].mean() - np.arange(len(values)), None),
        ("same", "atom"): Score("same", "atom", np.zeros(len(values)), 0.0),
    }
    other = replace(assessment, scores=scores)
    read = sound(page(other, evaluation=made.evaluate(other, labels)))
    assert "8 of them are zero or not finite" in read.text["score-0-panel"]


def test_a_molecule_without_cell(page: Callable[..., str]) -> None:
    assessment, _ = made.make(frames=1, atoms=3)
    water = Atoms("SiO2", positions=[[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0]])
    water.arrays["force_error_bar"] = np.array([0.1, 0.3, 0.2])
    read = sound(page(assessment, worst=water))
    assert "ring marks atom 1 (O)" in read.text["worst-panel"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    assessment, _ = made.make(frames=3)
    path = tmp_path / "report.html"
    other = made.evaluate(*made.make(frames=2))
    with pytest.raises(ValueError, match="the evaluation is of 2 frames and the assessment of 3 other frames"):
        write_report(path, assessment, title="", provenance={}, evaluation=other)
    with pytest.raises(ValueError, match="force_error_bar"):
        write_report(path, assessment, title="", provenance={}, worst=Atoms("H"))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, made.make(frames=3)[0], title="", provenance={})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_missing_extra_is_named(missing: str, tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from assay.report import write_report
from assay.report.evaluation.verdict import verdict
import synthetic_report
try:
    write_report("report.html", synthetic_report.make(frames=1)[0], title="", provenance={{}})
except ModuleNotFoundError as error:
    print(error)
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert f'the report needs {missing}, which is not installed: pip install "assay[report]"' in done.stdout


def test_importing_the_report_does_not_import_the_plotting(tmp_path: Path) -> None:
    code = "import json, sys, assay, assay.report; print(json.dumps([m for m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not {"matplotlib", "jinja2"} & set(json.loads(done.stdout))


def test_plot_settings_of_the_user_neither_matter_nor_change(page: Callable[..., str]) -> None:
    import matplotlib

    assessment, labels = made.make(frames=6)
    found = made.evaluate(assessment, labels)
    before = page(assessment, evaluation=found)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "axes.labelpad": 40}):
        mine = dict(matplotlib.rcParams)
        assert page(assessment, evaluation=found) == before
        assert dict(matplotlib.rcParams) == mine
