"""Facts on the method, not tables of names: others know a score by what it declares, a source by what it can do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import assay
from assay.gauge.bar_choice import default_bar
from assay.results.score import BarsOf, ScoreFacts, lead
from assay.scores.registry import KINDS, SCORES, score_of_bars
from assay.sources.capabilities import LinearSource, Source
from assay.sources.committees.committee import AseCommittee
from assay.sources.corrector import Corrector
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

SOURCE = Path(assay.__file__).parent
NAMES = {*KINDS.built_in, *KINDS.in_files}
WORDS = {
    "cli.select: distance",  # in an environment that is selected, a column
    "gauge.calculator: gamma",  # the key of ASE's `info`, `max_gamma`
    "results.score: distance",  # a kind of scores
    "selection.result: distance",  # the same column
}
"""What is spelt like a score and is none, or is a convention of files."""


def trees(source: Path) -> Iterator[tuple[str, ast.Module]]:
    """The modules of Assay by name, without `assay.`."""
    for path in sorted(source.rglob("*.py")):
        yield ".".join(path.relative_to(source).with_suffix("").parts), ast.parse(path.read_text())


def docstrings(tree: ast.Module) -> set[int]:
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    return {id(line.value) for body in bodies for line in body if isinstance(line, ast.Expr)}


def quoted_names(source: Path) -> set[str]:
    """`module: NAME` of scores, and of error bars `NAME:…`, that are quoted outside `scores/`."""
    found = set()
    for module, tree in trees(source):
        told = docstrings(tree)
        for node in () if module.startswith("scores.") else ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                found |= {f"{module}: {name}" for name in NAMES & {node.value.partition(":")[0]}}
    return found


def asked_classes(source: Path) -> set[str]:
    """`module: CLASS` of concrete scores and sources that `isinstance` is asked of outside their folder."""
    found = set()
    for module, tree in trees(source):
        homes = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                for name in (each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)):
                    home, original = homes.get(name, ("", ""))
                    if home.startswith("assay.") and home.split(".")[1] not in (module.split(".")[0], "results"):
                        kind = getattr(import_module(home), original)
                        if not getattr(kind, "_is_protocol", False) and (hasattr(kind, "kind") or hasattr(kind, "fit")):
                            found.add(f"{module}: {original}")
    return found


def test_no_score_is_known_by_its_name():
    assert quoted_names(SOURCE) == WORDS


def test_no_source_or_score_is_known_by_its_class():
    assert asked_classes(SOURCE) == set()


def test_it_sees_what_is_wrong(tmp_path: Path):
    for path, text in {
        "gauge/a.py": '"""gamma"""\nif name == "leverage:scale" or name == "gamma":\n    pass',
        "gauge/b.py": "from assay.linear.potential import LinearPotential as L\nisinstance(x, int | L)",
        "linear/c.py": "from assay.linear.potential import LinearPotential\nisinstance(x, LinearPotential)",
        "gauge/d.py": "from assay.sources.capabilities import Around\nisinstance(x, Around)",
        "scores/e.py": 'name = "gamma"',
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert quoted_names(tmp_path) == {"gauge.a: leverage", "gauge.a: gamma"}
    assert asked_classes(tmp_path) == {"gauge.b: LinearPotential"}


def committee(members: int, features: str = "") -> AseCommittee:
    named = [{"model": f"chgnet:{name}"} for name in ("0.3.0", "0.2.0", "r2scan")[:members]]
    return AseCommittee.from_toml({"member": named} | ({"features": features} if features else {}))


@pytest.mark.parametrize(
    ("source", "bar"),
    [
        (Snap(SnapSettings(("Cu",), twojmax=2)), "committee_force:scale"),
        (Corrector.from_settings({"model": "chgnet:0.3.0"}), "committee_energy:scale"),
        (committee(1, "chgnet:0.3.0"), "leverage:scale"),
        (committee(1), "leverage:scale"),
        (committee(3), "heterogeneous_force:scale"),
        (committee(3, "chgnet:0.3.0"), "heterogeneous_force:scale"),
    ],
    ids=["linear", "energies alone", "one with features", "one", "unlike", "unlike with features"],
)
def test_the_error_bar_that_a_source_has_by_default(source: Source | LinearSource, bar: str):
    assert default_bar(source) == bar


def test_one_score_is_the_default_bar_of_each():
    declared = [score.facts.default_bar_of for score in SCORES if score.facts.default_bar_of]
    assert sorted(declared) == sorted(BarsOf.__args__)
    assert {score_of_bars(each) for each in BarsOf.__args__} == {
        "committee_force", "committee_energy", "heterogeneous_force", "leverage",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["leverage", "gamma_local", "gamma"], "gamma"),
        (["leverage", "gamma_local"], "leverage"),
        (["gamma_local_clusterwise"], "gamma_local_clusterwise"),
        ([], ""),
    ],
)
def test_the_grade_leads_else_the_first(names: list[str], first: str):
    facts: dict[str, ScoreFacts] = {name: {**KINDS.built_in, **KINDS.in_files}[name].facts for name in names}
    assert lead(facts) == first
