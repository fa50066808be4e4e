"""README, documentation and examples do what they say: every block of Python and shell is run, page by page."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import assay
from assay import __all__ as public_names
from assay.scores.registry import SCORES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = [page for page in PAGES if re.search(r"^```(python|sh)$", page.read_text(encoding="utf-8"), re.M)]
NEEDS = {"universal": (pytest.mark.chgnet, pytest.mark.sevennet)}
"""Further markers of a page's blocks."""
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CODE = [path for folder in ("src", "studies", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
ENTRY_POINTS = {f"assay.{group}" for group in ("scores", "sources", "calibrators", "properties")}
"""Groups of entry points, which need not be modules."""


def run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.snap
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=NEEDS.get(page.stem, ()), id=page.stem) for page in RUNNABLE],
)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    run([str(ROOT / "docs" / "run_blocks.py"), str(page)], tmp_path)


@pytest.mark.snap
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    assert run([str(example)], tmp_path)


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_block_that_fails_is_noticed(language: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```{language}\nprint('fine')\n```\n" if language == "python" else "```sh\necho fine\n```\n")
    run([str(ROOT / "docs" / "run_blocks.py"), str(page)], tmp_path)
    page.write_text(f"{page.read_text()}\n```{language}\nno_such_thing\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:5"):
        run([str(ROOT / "docs" / "run_blocks.py"), str(page)], tmp_path)


def test_a_page_shows_no_warning(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\necho 'warning: odd' >&2\n```\n\n```text\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: warning: odd"):
        run([str(ROOT / "docs" / "run_blocks.py"), str(page)], tmp_path)


def test_refreshing_a_page_writes_what_its_blocks_print(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    blocks = "```python\nx = 6\n```\n\n```python\nprint(7 * x)\n```\n\n```text\n{}\n```\n\n```sh\nn=3\n```\n\n"
    blocks += "```sh\necho $n\n```\n\n```text\n{}\n```\n\n```text\nnot an output\n```\n"
    page.write_text(blocks.format("old", "old\nolder"))
    run([str(ROOT / "docs" / "run_blocks.py"), "--refresh", str(page)], tmp_path)
    assert page.read_text() == blocks.format(42, 3)


def console_lines() -> list[str]:
    texts = [block for page in PAGES for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.M | re.S)]
    return [line for text in texts for line in text.splitlines()]


@pytest.mark.parametrize("line", console_lines())
def test_commands_that_are_not_run_here_are_those_of_installing(line: str) -> None:
    if line.startswith("make "):
        done = subprocess.run(["make", "-n", *line.split()[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    else:
        assert line.startswith("pip install ")


def test_extras_that_pages_name_exist() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra
        for page in PAGES
        for extras in re.findall(r"pip install .*\[([\w,]+)\]", page.read_text())
        for extra in extras.split(",")
    }
    assert named
    assert named <= set(known)


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_of_scores_has_every_score() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "scores.md").read_text(), re.M)
    assert sorted(rows) == sorted(score.name for score in SCORES)


def test_the_reference_has_every_public_name() -> None:
    reference = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in public_names if not re.search(rf"assay\.{name}$", reference, re.M)] == []


MEMBERS = re.compile(r"^\.\. autoclass:: (assay[\w.]+)\n   :members:((?: .*\n(?:    .*\n)*)?)", re.M)
IMPORTED = re.compile(r"^ *from (assay(?:\.\w+)*) import (?:\(([^)]*)\)|([^(#\n]*))", re.M)


def names_in(text: str) -> Iterator[str]:
    """`assay.…` wherever it stands, each name of `from assay.… import …`, and the members that the reference lists."""
    yield from re.findall(r"(?<![\w./-])assay(?:\.[A-Za-z_]\w*)+", text)
    for module, *imported in IMPORTED.findall(text):
        yield from (f"{module}.{each.split()[0]}" for each in "".join(imported).split(",") if each.strip())
    for owner, members in MEMBERS.findall(text):
        yield from (f"{owner}.{name}" for name in re.findall(r"\w+", members))


def exists(name: str) -> bool:
    """Whether there is something of this name: a module, what is in one, a field of a class; or it needs a package that
    is not here."""
    parts = name.split(".")
    found, deepest = assay, 1
    for end in range(2, len(parts) + 1):
        try:
            found, deepest = import_module(".".join(parts[:end])), end
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("assay"):
                return True
            break
    for part in parts[deepest:]:
        if part in getattr(found, "__annotations__", {}):
            return True
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_names_that_pages_and_code_refer_to_exist() -> None:
    assert list(names_in("`assay.a.B`, /assay.x, assay.c(d)\nfrom assay.e import f, g as h")) == [
        "assay.a.B", "assay.c", "assay.e", "assay.e.f", "assay.e.g"
    ]  # fmt: skip
    assert exists("assay.gauge.gauge.Gauge.load")
    assert not exists("assay.gauge.gauge.Gauge.lode")
    assert not exists("assay.gauges.gauge")
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (*PAGES, *CODE)
        for name in dict.fromkeys(names_in(path.read_text(encoding="utf-8")))
        if name not in ENTRY_POINTS and not exists(name)
    ]
    assert stale == []
