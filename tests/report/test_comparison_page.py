"""The page of a comparison: what it shows is what the result has, whatever the result."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic_comparison
from report_reader import Page
from test_report_browser import CHROMIUM, in_browser

from assay.comparison.overview import Overview
from assay.comparison.reading import from_summary
from assay.metrics import signed_miscalibration_area
from assay.report.comparison.page import write_comparison_report
from assay.report.comparison.tables import bars, memory

LARGE = synthetic_comparison.made(28, 5)
SECTIONS = {"recommendation", "at-a-glance", "compared", "figures", "everything", "made", "words"}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def write(result: dict[str, Any]) -> str:
        path = tmp_path / "comparison.html"
        write_comparison_report(path, from_summary(json.loads(json.dumps(result, allow_nan=False))))
        return path.read_text("utf-8")

    return write


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    write_comparison_report(path, from_summary(LARGE))
    return path.read_text("utf-8")


def sound(text: str) -> Page:
    page = Page(text)
    assert set(page.text) >= SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "#0102" not in text, "no stand-in colour is left"
    assert "Content-Security-Policy" in text
    return page


@pytest.mark.parametrize("tests", [0, 1, 5])
def test_the_recommendation_with_its_reasons_and_every_method(
    written: Callable[[dict[str, Any]], str], large: str, tests: int
) -> None:
    result = LARGE if tests == 5 else synthetic_comparison.made(4, tests)
    page = sound(large if tests == 5 else written(result))
    found = result["recommendation"]
    told = page.text["recommendation"].replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", "")
    for name in (from_summary(result).recommendation.error_bars.name, found["ranking_frames"]["method"]):
        assert name
        assert name in told
    for part in ("error_bars", "energy_bars", "ranking_frames", "ranking_atoms"):
        assert all(reason in told for reason in found[part]["reasons"])
    assert all(warning in told for warning in found["warnings"])
    compared = [name for name, of in result["methods"].items() if not of["failed"]]
    assert sorted(page.column("glance", "Method")) == sorted(compared)
    assert page.column("splits", "Set") == [split["name"] for split in result["splits"]]
    if tests == 5:
        assert "needs at most 8 features" in page.text["failed"]


def test_the_glance_has_the_worst_test_set_and_its_interval(written: Callable[[dict[str, Any]], str]) -> None:
    result = synthetic_comparison.made(12, 3)
    page = sound(written(result))
    method = page.column("glance", "Method")[0]
    of = {s: t["force_frame"][method]["spearman"] for s, t in result["ranking"].items() if s != "calibration"}
    worst = min(of, key=lambda split: of[split]["value"])
    cell = page.column("glance", "Frames, worst test")[0].lstrip("★☆ ")
    assert cell == f"{of[worst]['value']:.2f}{of[worst]['low']:.2f} to {of[worst]['high']:.2f}{worst}"
    home = result["ranking"]["calibration"]["force_frame"][method]["spearman"]
    assert page.column("glance", "Frames, home")[0].lstrip("★☆ ").startswith(f"{home['value']:.2f}")


def test_marks_are_of_what_is_best_or_tied_on_every_test_set() -> None:
    result = synthetic_comparison.made(12, 2)
    first, second, *_ = Overview.of(from_summary(result)).methods()

    def mark(best: list[str], tied: list[list[str]]) -> str:
        for split, b, t in zip(("test", "ood"), best, tied, strict=True):
            result["best"][split]["force_frame"]["spearman"] |= {"best": b, "tied": [b, *t]}
        overview = Overview.of(from_summary(result))
        return overview.ranking(first, "force_frame", "spearman", overview.tests).mark

    assert mark([first, first], [[], []]) == "best"
    assert mark([first, second], [[], [first]]) == "tied"
    assert mark([first, second], [[], []]) == ""


def test_what_is_not_defined_is_a_dash_and_never_the_worst_of_some(written: Callable[[dict[str, Any]], str]) -> None:
    result = synthetic_comparison.made(6, 2)
    nothing = dict.fromkeys(("value", "low", "high"))
    result["ranking"]["ood"]["force_frame"]["gamma"]["spearman"] = nothing
    page = sound(written(result))
    row = page.column("glance", "Method").index("gamma")
    assert page.column("glance", "Frames, worst test")[row] == "–"
    assert page.column("glance", "Frames, home")[row] != "–"


def test_every_number_of_the_bars_is_in_a_table_with_energies_in_meV(written: Callable[[dict[str, Any]], str]) -> None:
    result = synthetic_comparison.made(6, 1)
    result["bars"]["test"]["energy"]["gamma"]["scale"]["mean_width"] = 0.5
    page = sound(written(result))
    row = page.column("bars-energy-1", "Bar").index("gamma:scale")
    assert page.column("bars-energy-1", "Mean ±")[row] == "250"
    assert "gaussian_process" not in page.text["everything"]


def test_a_page_without_bars_or_rankings_is_still_a_page(written: Callable[[dict[str, Any]], str]) -> None:
    result = copy.deepcopy(synthetic_comparison.made(6, 1))
    result["bars"] = {split: {} for split in result["bars"]}
    result["ranking"] = {split: {} for split in result["ranking"]}
    result["best"] = {split: {} for split in result["best"]}
    page = sound(written(synthetic_comparison.recommended(result).summary()))
    assert "No score gave error bars" in page.text["recommendation"]


def test_names_are_text_and_the_same_result_gives_the_same_bytes(written: Callable[[dict[str, Any]], str]) -> None:
    evil = '"><script>alert(1)</script><img src=http://evil.example/x>'
    text = json.dumps(synthetic_comparison.made(6, 1)).replace('"test"', json.dumps(evil))
    text = text.replace(f'"role": {json.dumps(evil)}', '"role": "test"')
    page = sound(written(json.loads(text)))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    small = synthetic_comparison.made(4, 0)
    assert written(small) == written(copy.deepcopy(small))


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_260_000, "3.3 MB"), (2e13, "20.0 TB")]
)
def test_memory_in_words(count: float, text: str) -> None:
    assert memory(count) == text


@pytest.mark.skipif(CHROMIUM is None, reason="NOT CHECKED IN A BROWSER: chromium is not installed")
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(large: str, tmp_path: Path, width: int) -> None:
    script = """
const sizes = [...page.querySelectorAll("figure svg")].flatMap((svg) => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll("text")].map((text) => scale * parseFloat(window.getComputedStyle(text).fontSize));
});
const glance = page.querySelector(".glance .scroll");
return {
  scroll: page.documentElement.scrollWidth, smallest: Math.min(...sizes),
  cut: [glance.scrollWidth - glance.clientWidth, glance.scrollHeight - glance.clientHeight],
};
"""
    seen = in_browser(large, script, tmp_path, width)
    assert seen["scroll"] <= width
    assert seen["smallest"] >= 10, "text in figures stays readable"
    assert seen["cut"] == [0, 0] or width < 1280, "the table at a glance fits"


def test_figures_have_a_point_for_every_method_with_numbers(written: Callable[[dict[str, Any]], str]) -> None:
    text = written(synthetic_comparison.made(6, 1))
    forest = re.search(r'id="forest-frames-panel".*?</svg>', text, re.DOTALL)
    assert forest is not None
    for name in ("gamma", "leverage", "committee_force[pops]", "random"):
        assert f">{name}</text>" in forest[0]
    assert ">constant</text>" not in forest[0]


def test_the_sign_of_the_area_is_told_as_it_is() -> None:
    too_small, too_large = (signed_miscalibration_area([1.0, -2.0, 0.5], [std] * 3) for std in (0.1, 10.0))
    assert too_large < 0 < too_small
    heads = [column.head for column in bars(from_summary(LARGE), "force")[0].columns]
    assert "Area, + too small" in heads
