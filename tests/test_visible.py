"""Names in files can't steer a terminal, hide in a page, or be taken for markup."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import assay
from assay.cli.tables import listed, note, show
from assay.results.visible import visible, visible_name

STEERING = {
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x1b[2Jx": r"\x1b[2Jx",
    "a\rb": r"a\rb",
    "a\x00b\x08\x7f\x9b": r"a\x00b\x08\x7f\x9b",
    "abc\u202egnp.exe": r"abc\u202egnp.exe",
    "a\u2028b\u2066c\u200fd": r"a\u2028b\u2066c\u200fd",
    "half\udcff": r"half\udcff",
}
MARKUP = ("run[old].gauge", "x[/b]", "[bold red]", "[link=http://x]y[/link]", ":smile:", r"\[x]")


@pytest.mark.parametrize("text", STEERING)
def test_what_steers_is_spelt_out(text: str) -> None:
    assert visible(text) == STEERING[text]


@pytest.mark.parametrize(
    "text", [*MARKUP, "eV/Å², γ ≤ 1 ± 0.3 µ", "日本語", "two\nlines\tand a tab", "\N{WORD JOINER}"]
)
def test_other_text_stays(text: str) -> None:
    assert visible(text) == text


def test_a_name_is_on_one_line() -> None:
    assert visible_name("a\nwarning: b\tc") == r"a\nwarning: b\tc"


@pytest.mark.parametrize("text", [*STEERING, *MARKUP])
def test_tables_and_notes_show_names_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(text, ["name", text], [[text, "1"]])
    note(f"error: {text}: no such file")
    listed("frames", [(text, text)])
    told = capsys.readouterr()
    shown = STEERING.get(text, text)
    assert told.out.count(shown) == 3
    assert told.err == f"error: {shown}: no such file\n1 frames:\n  {shown}: {shown}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gauge of four toy potentials, whose name and whose frames' names steer terminals."""
    folder = tmp_path_factory.mktemp("names")
    members = [
        {
            "label": f"[red]m{i}\u202e",
            "calculator": "ase.calculators.lj.LennardJones",
            "arguments": {"sigma": s, "rc": 3.6},
        }
        for i, s in enumerate((2.26, 2.29, 2.32, 2.35))
    ]
    draw = np.random.default_rng(2)

    def frame(i: int) -> Atoms:
        atoms = bulk("Cu", cubic=True)
        atoms.positions += draw.normal(0, 0.1, (4, 3))
        atoms.info |= {"REF_energy": -14 + draw.normal(), "config_type": ["plain", "a\x1b[2Jb", "[/b]\u202ec"][i % 3]}
        atoms.arrays["REF_forces"] = draw.normal(size=(4, 3))
        return atoms

    frames = [frame(i) for i in range(30)]
    assay.build(frames[:21], calibration=frames[21:], source={"source": "ase_committee", "member": members},
                out=folder / "run[b]\x1b]0;x\x07.gauge")  # fmt: skip
    ase.io.write(folder / "x.extxyz", frames)
    (folder / "x.extxyz").rename(folder / "f\x1b[2J[red]\udcff.extxyz")
    return folder


@pytest.mark.parametrize("verb", ["info", "predict", "evaluate", "select", "calibrate", "no such file"])
def test_no_verb_passes_them_on(folder: Path, verb: str) -> None:
    if verb in ("predict", "evaluate"):
        pytest.importorskip("jinja2")
    gauge, frames = "run[b]\x1b]0;x\x07.gauge", "f\x1b[2J[red]\udcff.extxyz"
    words = {
        "info": ["info", gauge],
        "predict": ["predict", gauge, frames, "--report", "p.html", "-o", "o\x1b.extxyz"],
        "evaluate": ["evaluate", gauge, frames, "--report", "e.html", "--json", "e.json"],
        "select": ["select", gauge, frames, "-n", "2", "--by", "random"],
        "calibrate": ["calibrate", gauge, frames, "-o", "c.gauge"],
        "no such file": ["info", "no\x1b[2J.gauge"],
    }[verb]
    command = [str(Path(sys.executable).parent / "assay"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == {"no such file": 2, "calibrate": 1}.get(verb, 0), told
    assert not set(told) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert r"\x1b" in told
    assert "Traceback" not in told
    if verb in ("predict", "evaluate"):
        page = (folder / f"{verb[0]}.html").read_text(encoding="utf-8")
        assert not set(page) & {"\x1b", "\x07", "\x9b", "\u202e"}
        assert r"[/b]\u202ec" in page
    if verb == "evaluate":
        assert json.loads((folder / "e.json").read_text())["frames"] == 30
