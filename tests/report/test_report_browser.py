"""The page in a real browser: sorting works, and nothing makes a phone scroll sideways."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_report as made

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="NOT CHECKED IN A BROWSER: chromium is not installed")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def in_browser(page: str, script: str, folder: Path, width: int = 1280) -> Any:
    """What `script` returns, run on `page` (as `page`) in a frame `width` pixels wide."""
    host = folder / "host.html"
    host.write_text(
        f"""<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre>
<iframe id="page" width="{width}" height="900" style="border:0" srcdoc="{html.escape(page)}"></iframe>
<script>
onload = () => {{
  const window = document.getElementById("page").contentWindow, page = window.document;
  const found = (() => {{ {script} }})();
  document.getElementById("result").textContent = JSON.stringify(found);
}};
</script>""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    return json.loads(html.unescape(found[1]))


@pytest.fixture
def full(page: Callable[..., str]) -> str:
    """A page with everything on it, with a frame name and a command too long for a phone."""
    names = ("a_very_long_name_without_any_place_to_break_it" * 3, *(f"frames.xyz:{i}" for i in range(1, 60)))
    assessment, labels = made.make(names=names, failed=((names[0], "x" * 200),))
    return page(
        assessment,
        evaluation=made.evaluate(assessment, labels),
        training=made.training(),
        worst=made.structure(assessment),
        title="A_title_without_any_place_to_break_it" * 3,
        provenance={"Command": "assay evaluate " + "x" * 300, "SHA-256 of " + "y" * 200: "z" * 64},
    )


def test_clicking_a_heading_sorts(full: str, tmp_path: Path) -> None:
    script = """
const head = [...page.querySelectorAll("#atoms th")];
const place = head.findIndex((cell) => cell.textContent.startsWith("Force error"));
const rows = () => [...page.querySelectorAll("#atoms tbody tr")];
const read = (column) => rows().map((row) => row.cells[column].textContent.trim());
const sorted = () => head.map((cell) => cell.getAttribute("aria-sort"));
const seen = { place, before: read(place), aria: [sorted()] };
head[place].querySelector("button").click();
seen.descending = read(place); seen.aria.push(sorted());
head[place].querySelector("button").click();
seen.ascending = read(place); seen.aria.push(sorted());
head[0].querySelector("button").click();
seen.names = read(0); seen.aria.push(sorted());
return seen;
"""
    seen = in_browser(full, script, tmp_path)
    before = np.array(seen["before"], dtype=float)
    assert (np.diff(before) > 0).any()
    assert [float(text) for text in seen["descending"]] == sorted(before, reverse=True)
    assert [float(text) for text in seen["ascending"]] == sorted(before)
    frame_number = [int(name.rpartition(":")[2]) for name in seen["names"]]
    assert frame_number == sorted(frame_number)
    place = seen["place"]
    assert [aria[place] for aria in seen["aria"]] == ["none", "descending", "ascending", "none"]
    assert all(aria.count("none") == len(aria) - 1 for aria in seen["aria"])


def test_undefined_numbers_sort_last_either_way(page: Callable[..., str], tmp_path: Path) -> None:
    assessment, labels = made.make()
    result = made.evaluate(assessment, labels)
    gamma = result.scores["gamma"]
    gamma = replace(gamma, atom=replace(gamma.atom, spearman=None))
    result = replace(result, scores={**result.scores, "gamma": gamma})
    script = """
const button = page.querySelectorAll("#score-table th button")[2];
const read = () => [...page.querySelectorAll("#score-table tbody tr")].map((row) => row.cells[2].textContent.trim());
return [0, 1].map(() => { button.click(); return read(); });
"""
    falling, rising = in_browser(page(assessment, evaluation=result), script, tmp_path)
    assert falling[-1] == rising[-1] == "–"
    assert falling[:-1] == rising[-2::-1]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(full: str, tmp_path: Path, width: int) -> None:
    script = """
const svg = page.querySelector("#coverage-panel svg");
const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
const size = (text) => scale * parseFloat(window.getComputedStyle(text).fontSize);
const sizes = [...svg.querySelectorAll("text")].map(size);
return { width: window.innerWidth, scroll: page.documentElement.scrollWidth, smallest: Math.min(...sizes) };
"""
    seen = in_browser(full, script, tmp_path, width)
    assert seen["width"] == width
    assert seen["scroll"] <= width
    assert seen["smallest"] >= 10, "text in figures stays readable"
