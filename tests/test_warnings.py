"""What Assay warns of is heard whatever filters there are: on the terminal, in the JSON, in the report, once."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

import assay
from assay.results.warning import AssayWarning, heard, listening, listens, remark, unheard, warn, with_warnings

SOURCE = Path(assay.__file__).parent
NO_BAR = "no error bar of the force"


def test_all_of_assay_s_warnings_can_be_heard() -> None:
    """Each is given by `assay.results.warning.warn`."""
    bare = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if path.name != "warning.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) == ("warnings", "warn")
    ]
    assert bare == []


def test_a_filter_keeps_nothing_from_who_listens() -> None:
    with warnings.catch_warnings(), listening() as told:
        warnings.simplefilter("ignore")
        for message in ("first", "second", "first"):
            warn(message)
    assert told == ["first", "second"]


def test_a_warning_is_python_s_too_and_points_to_the_caller() -> None:
    def inner() -> None:
        warn("told", stacklevel=2)

    with pytest.warns(AssayWarning, match="^told$") as caught:
        inner()
    with pytest.warns(UserWarning, match="^told$") as here:
        warn("told")
    assert caught[0].filename == here[0].filename == __file__
    assert here[0].lineno - caught[0].lineno == 2


def test_who_listens_around_hears_it_too_and_each_for_itself() -> None:
    said: list[str] = []
    with listening(said.append) as outer:
        remark("before")
        with listening() as inner:
            remark("within")
            assert heard() == ("within",)
        remark("before")
        with unheard():
            remark("a trial")
            warn("a trial")
    assert (outer, inner, said) == (["before", "within"], ["within"], ["before", "within"])
    assert heard() == ()


def test_a_verb_hears_its_own_run_alone() -> None:
    @listens
    def verb(message: str) -> dict[str, object]:
        remark(message)
        return with_warnings({"result": 1})

    assert verb("one") == {"result": 1, "warnings": ["one"]}
    assert verb("two") == {"result": 1, "warnings": ["two"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames without forces by symmetry, so that there is no error bar of the force."""
    folder = tmp_path_factory.mktemp("symmetric")
    frames = []
    for a in np.linspace(3.5, 3.8, 15):
        atoms = bulk("Cu", a=a, cubic=True)
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = 4 * (2 * (a - 3.62) ** 2 - 3.5), np.zeros((4, 3))
        frames.append(atoms)
    ase.io.write(folder / "train.extxyz", frames)
    members = (
        f'[[member]]\nlabel = "{name}"\ncalculator = "ase.calculators.lj.LennardJones"\n'
        f"arguments = {{ sigma = {sigma}, epsilon = 0.4, rc = 3.6 }}\n"
        for name, sigma in (("a", 2.26), ("b", 2.29), ("c", 2.32), ("d", 2.35))
    )
    (folder / "committee.toml").write_text('source = "ase_committee"\n' + "".join(members))
    return folder


@pytest.mark.parametrize("setting", ["", "ignore", "error", "ignore::UserWarning"])
def test_the_command_line_says_them_whatever_pythonwarnings_is(folder: Path, setting: str) -> None:
    pytest.importorskip("jinja2")

    def run(*words: object) -> str:
        command = [str(Path(sys.executable).parent / "assay"), *map(str, words)]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": setting}
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    told = run("build", "-t", "train.extxyz", "--source", "committee.toml", "-o", "a.gauge")
    assert told.count(f"warning: {NO_BAR}") == 1
    told = run("evaluate", "a.gauge", "train.extxyz", "--json", "e.json", "--report", "e.html")
    trained = "13 of these frames were trained on; they say nothing about new ones"
    assert told.count(f"warning: {trained}") == 1
    assert trained in json.loads((folder / "e.json").read_text())["warnings"]
    page = (folder / "e.html").read_text()
    assert page.index(f"<li>{trained}</li>") < page.index('id="verdict"')
    assert f"<dt>Said when it was built</dt><dd>{NO_BAR}" in page
    run("info", "a.gauge", "--json", "i.json")
    said = json.loads((folder / "i.json").read_text())
    assert said["warnings"] == []
    assert any(text.startswith(NO_BAR) for text in said["provenance"]["warnings"])
