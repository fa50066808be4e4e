"""What the page says, read back with an HTML parser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_report as made
from ase import Atoms

from assay.prediction import Gaussian, Interval, Score
from assay.report import write_report

SECTIONS = {"verdict", "bars", "ranking", "scores", "riskiest", "numbers", "made", "words"}
VOID = {"meta", "br", "image"}


class Page(HTMLParser):
    """Ids, attributes, the text of each element with an id, and tables as rows of cell texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action", "srcset"}
        ]
        if tag not in VOID:
            self._open.append((tag, given.get("id")))
        if given.get("id"):
            self.text[given["id"] or ""] = ""
        if tag == "table":
            self.tables[given["id"] or ""] = []
        if tag == "tr":
            next(reversed(self.tables.values())).append([])
        if tag in {"td", "th"}:
            next(reversed(self.tables.values()))[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, id in self._open:
            if id:
                self.text[id] += data
            if tag in {"td", "th"}:
                next(reversed(self.tables.values()))[-1][-1] += data

    def column(self, table: str, start: str) -> list[str]:
        """Cells of the first column whose heading starts with `start`."""
        head, *rows = self.tables[table]
        place = next(i for i, name in enumerate(head) if name.startswith(start))
        return [row[place] for row in rows]


def sound(text: str) -> Page:
    """Parse a page, asserting what holds for every page: sections, unique ids, nothing from outside."""
    page = Page(text)
    assert set(page.text) >= SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "@import" not in text
    assert "url(http" not in text
    assert "#0102" not in text, "no stand-in colour is left"
    assert "Content-Security-Policy" in text
    return page


def floats(cells: list[str]) -> list[float]:
    return [float(cell.replace("▲ ", "").replace(",", "").replace("−", "-")) for cell in cells]


def test_full_report_has_every_figure_and_table(page: Callable[..., str]) -> None:
    assessment, labels = made.make(failed=(("bad.xyz:3", "NaN forces"),))
    result = made.evaluate(assessment, labels)
    text = page(
        assessment,
        labels=labels,
        evaluation=result,
        training=made.training(),
        worst=made.structure(assessment),
        provenance={"Command": "assay evaluate a.xyz", "numpy": "2.0"},
    )
    read = sound(text)
    figures = {id.removesuffix("-panel") for id in read.ids if id.endswith("-panel")}
    assert figures == {
        *("error-force", "error-energy", "error-stress", "coverage", "rmv-force", "rmv-energy"),
        *("sparsification", "score-0", "score-1", "score-2", "worst"),
    }
    assert set(read.tables) == {"score-table", "frames", "atoms", "bar-table", "by-config-type", "by-element"}
    assert "right size" in read.text["verdict-heading"]
    assert f"{result['errors']['force_rmse_eV_per_A']:.3f}" in read.text["verdict"]
    assert "assay evaluate a.xyz" in read.text["made"]
    assert "NaN forces" in read.text["failed"]
    assert made.structure(assessment).info["origin"] in read.text["worst-panel"]


def test_tables_are_sorted_riskiest_first_and_hold_the_real_errors(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    read = sound(page(assessment, labels=labels))
    bar = np.linalg.norm(assessment.force_bar.std, axis=1)
    error = np.linalg.norm(assessment.forces - labels.forces, axis=1)
    order = np.argsort(-bar)[:50]
    assert len(read.tables["atoms"]) == 51
    np.testing.assert_allclose(floats(read.column("atoms", "Force bar")), bar[order], atol=6e-4)
    np.testing.assert_allclose(floats(read.column("atoms", "Force error")), error[order], atol=6e-4)
    assert read.column("atoms", "Frame") == [assessment.names[f] for f in assessment.frame_of_atom[order]]
    assert read.column("atoms", "Atom") == [str(i % 40) for i in order]
    largest = bar.reshape(60, 40).max(axis=1)
    frames = np.argsort(-largest)[:50]
    assert read.column("frames", "Frame") == [assessment.names[f] for f in frames]
    flagged = assessment.scores["gamma", "frame"].flagged[frames]
    assert [cell.startswith("▲") for cell in read.column("frames", "gamma")] == flagged.tolist()


def test_predictions_without_labels_say_where_the_risk_is(page: Callable[..., str]) -> None:
    assessment, _ = made.make(stress=False)
    read = sound(page(assessment, worst=made.structure(assessment)))
    assert "No reference labels" in read.text["bars"]
    assert "Where the risk is" in read.text["verdict"]
    assert "Largest force bar" in read.text["verdict"]
    assert not any("error" in head for head in read.tables["atoms"][0])
    assert read.text["numbers"].count("No evaluation") == 1


def test_scores_without_bars_still_rank(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="none")
    read = sound(page(assessment, labels=labels, evaluation=made.evaluate(assessment, labels)))
    assert "no error bars to judge" in read.text["verdict"]
    assert "No force diagram: the gauge gives no bars" in read.text["bars"]
    assert "sparsification-panel" in read.ids
    ranked = floats(read.column("atoms", "gamma"))
    assert ranked == sorted(ranked, reverse=True)
    ranked = floats(read.column("frames", "Largest gamma"))
    assert ranked == sorted(ranked, reverse=True)


def test_frame_scores_alone_rank_frames(page: Callable[..., str]) -> None:
    assessment, _ = made.make(bars="none")
    scores = {key: score for key, score in assessment.scores.items() if key[1] == "frame"}
    read = sound(page(replace(assessment, scores=scores)))
    ranked = floats(read.column("frames", "gamma"))
    assert ranked == sorted(ranked, reverse=True)
    assert "atoms" not in read.tables


def test_nothing_to_rank_by(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="none")
    read = sound(page(replace(assessment, scores={}), labels=labels))
    assert "neither error bars nor scores" in read.text["riskiest"]
    assert "no error bars or scores of atoms" in read.text["ranking"]
    assert "gave no scores" in read.text["scores"]


def test_intervals_get_coverage_and_a_sentence_instead_of_variances(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="interval")
    read = sound(page(assessment, labels=labels, evaluation=made.evaluate(assessment, labels)))
    assert "coverage-panel" in read.ids
    assert "rmv-force-panel" not in read.ids
    assert "have no variance" in read.text["bars"]
    assert read.column("bar-table", "Force")[6] == "–", "the likelihood of an interval is not defined"


def test_intervals_that_promise_nothing(page: Callable[..., str]) -> None:
    """Two calibration errors can't promise 68 %: the bars are infinite, and the page says so."""
    assessment, labels = made.make(bars="interval", frames=4)
    few = Interval(assessment.forces, np.ones_like(assessment.forces), np.array([0.5, 1.0]), "eV/Å")
    read = sound(page(replace(assessment, force_bar=few), labels=labels))
    assert set(read.column("atoms", "Force bar")) == {"∞"}
    assert "error-force-panel" not in read.ids


@pytest.mark.parametrize("atoms", [1, 2, 8])
@pytest.mark.parametrize("bars", ["gaussian", "interval", "none"])
def test_one_frame(page: Callable[..., str], atoms: int, bars: Any) -> None:
    assessment, labels = made.make(frames=1, atoms=atoms, bars=bars)
    read = sound(page(assessment, labels=labels, evaluation=made.evaluate(assessment, labels)))
    assert "1 frame ·" in page(assessment)
    assert "rests on 1 frame only" in read.text["verdict"]
    assert len(read.tables["atoms"]) == 1 + atoms


def test_every_frame_failed(page: Callable[..., str]) -> None:
    assessment, labels = made.make(frames=0, failed=tuple((f"a.xyz:{i}", "too close") for i in range(60)))
    read = sound(page(assessment, labels=labels))
    assert "60 frames were left out" in read.text["made"]
    assert read.text["failed"].count("too close") == 50


def test_still_components_are_left_out_and_counted(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    still = np.zeros_like(assessment.still)
    still[:7] = True
    zero = assessment.force_bar.std.copy()
    zero[:7] = 0.0
    bar = Gaussian(assessment.forces, zero, "eV/Å")
    assessment = replace(assessment, still=still, force_bar=bar)
    read = sound(page(assessment, labels=labels, evaluation=made.evaluate(assessment, labels)))
    assert "21 force components are left out" in read.text["bars"]
    assert len(read.column("score-table", "Spearman, moving atoms")) == 3


@pytest.mark.parametrize(
    ("shrink", "words"), [(1.0, "right size"), (0.5, "too narrow"), (2.0, "too wide")], ids=["right", "narrow", "wide"]
)
def test_verdict_names_what_is_wrong(page: Callable[..., str], shrink: float, words: str) -> None:
    assessment, labels = made.make()
    bar = Gaussian(assessment.forces, shrink * assessment.force_bar.std, "eV/Å")
    assessment = replace(assessment, force_bar=bar)
    read = sound(page(assessment, labels=labels, evaluation=made.evaluate(assessment, labels)))
    assert words in read.text["verdict-heading"]


def test_verdict_warns_of_frames_that_were_trained_on(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    result = made.evaluate(assessment, labels) | {"training_overlap": 12}
    assert (
        "12 frames of these were trained on"
        in sound(page(assessment, labels=labels, evaluation=result)).text["verdict"]
    )


def test_verdict_names_the_groups_that_coverage_differs_between(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    flat = Gaussian(assessment.forces, np.full_like(assessment.forces, 0.12), "eV/Å")
    result = made.evaluate(replace(assessment, force_bar=flat), labels)
    read = sound(page(assessment, labels=labels, evaluation=result))
    assert "(liquid) and 100.0\N{NO-BREAK SPACE}% (bulk)" in read.text["verdict"]


def test_undefined_numbers_are_dashes(page: Callable[..., str]) -> None:
    assessment, labels = made.make()

    def emptied(node: Any) -> Any:
        return {key: emptied(value) for key, value in node.items()} if isinstance(node, dict) else None

    result = emptied(made.evaluate(assessment, labels))
    read = sound(page(assessment, labels=labels, evaluation=result))
    assert "not defined on these frames" in read.text["verdict-heading"]
    assert set(read.column("score-table", "Spearman")) == {"–"}
    assert "None" not in "".join(read.text[id] for id in SECTIONS)
    assert "nan" not in "".join(read.text[id] for id in ("verdict", "numbers", "ranking"))


def test_names_are_text_never_markup(page: Callable[..., str]) -> None:
    evil = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'
    plain = page(made.make(frames=3)[0])
    assessment, labels = made.make(frames=3, names=(evil, "b", "c"), failed=((evil, evil),))
    score = Score(f"$\\frac{{{evil}", "atom", assessment.scores["gamma", "atom"].values, 1.0)
    assessment = replace(
        assessment, config_types=(evil,) * 3, bar=evil, scores={**assessment.scores, (score.name, "atom"): score}
    )
    worst = made.structure(assessment)
    worst.info["origin"] = evil
    text = page(
        assessment,
        title=evil,
        provenance={evil: evil},
        labels=labels,
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
        return page(assessment, labels=labels, worst=made.structure(assessment), training=made.training())

    assert once() == once()


def test_size_does_not_grow_with_the_number_of_atoms(page: Callable[..., str]) -> None:
    assessment, labels = made.make(frames=2000, atoms=100)
    assert len(page(assessment, labels=labels)) < 500_000
    assessment, labels = made.make(frames=1, atoms=5000)
    assert len(page(assessment, labels=labels, worst=made.structure(assessment))) < 1_000_000


def test_scores_with_zeros_infinities_and_negative_values(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    values = assessment.scores["gamma", "atom"].values.copy()
    values[:5], values[5:8] = 0.0, np.inf
    scores = {
        ("gamma", "atom"): Score("gamma", "atom", values, 1.5),
        ("density", "atom"): Score("density", "atom", -values[::-1] + values.mean(), None),
        ("same", "atom"): Score("same", "atom", np.zeros(len(values)), 0.0),
    }
    read = sound(page(replace(assessment, scores=scores), labels=labels))
    assert "8 of them are zero or not finite" in read.text["score-0-panel"]


def test_a_molecule_without_cell(page: Callable[..., str]) -> None:
    assessment, _ = made.make(frames=1, atoms=3)
    water = Atoms("SiO2", positions=[[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0]])
    water.arrays["force_error_bar"] = np.array([0.1, 0.3, 0.2])
    read = sound(page(assessment, worst=water))
    assert "ring marks atom 1 (O)" in read.text["worst-panel"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    assessment, labels = made.make(frames=3)
    path = tmp_path / "report.html"
    other = replace(labels, forces=labels.forces[:-1])
    with pytest.raises(ValueError, match="the labels have forces of shape"):
        write_report(path, assessment, title="", provenance={}, labels=other)
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
    before = page(assessment, labels=labels)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        mine = dict(matplotlib.rcParams)
        assert page(assessment, labels=labels) == before
        assert dict(matplotlib.rcParams) == mine
