"""Files as people have them: what the meaning of is sure is read, what is not costs its own frame and no other."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.frames.frame import FrameError, Skipped
from assay.frames.reading import read_frames


def frame(seed: int, n: int = 3, number: str = "{:14.8f}", eol: str = "\n") -> str:
    """Extended XYZ with the energy `-seed`."""
    rng = np.random.default_rng(seed)
    x = np.arange(3 * n).reshape(n, 3) * 1.7 + rng.normal(0, 0.05, (n, 3))
    rows = ["Si " + " ".join(number.format(float(v)) for v in (*x[i], *rng.normal(size=3))) for i in range(n)]
    lattice = 'Lattice="20 0 0 0 20 0 0 0 20"'
    comment = f"{lattice} Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-{seed}.5"
    return eol.join([str(n), comment, *rows, ""])


def snapshot(seed: int, n: int = 3) -> str:
    """Of a LAMMPS dump."""
    rng = np.random.default_rng(seed)
    rows = [f"{i + 1} Si " + " ".join(f"{v:.6g}" for v in 2.0 * i + rng.random(3)) for i in range(n)]
    box = "ITEM: BOX BOUNDS pp pp pp\n0 20\n0 20\n0 20"
    return "\n".join(
        [f"ITEM: TIMESTEP\n{seed}\nITEM: NUMBER OF ATOMS\n{n}\n{box}", "ITEM: ATOMS id element x y z", *rows, ""]
    )


def read(path: Path, content: str | bytes) -> tuple[list[float | None], list[str]]:
    """Energies (or timesteps) of what is read, and the reasons of what is left out."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    skipped: Skipped = []
    frames = list(read_frames(path, skipped=skipped))
    if skipped:
        with pytest.raises(FrameError, match=re.escape(f"{path}, frame ")):
            list(read_frames(path))
    return [f.atoms.info.get("timestep", f.energy) for f in frames], [reason for _, reason in skipped]


def edited(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return edit


SURE: dict[str, Callable[[str], str | bytes]] = {
    "byte-order mark": lambda t: codecs.BOM_UTF8 + t.encode(),
    "UTF-16": lambda t: t.encode("utf-16"),
    "Windows": lambda t: t.replace("\n", "\r\n"),
    "old Macintosh": lambda t: t.replace("\n", "\r"),
    "joined files with marks": lambda t: t.replace("\n3\n", "\n\ufeff3\n").encode("utf-8-sig"),
    "zeros of a crash before a frame": lambda t: t.replace("\n3\n", "\n\0\0\0\0" + "3\n"),
    "end of a DOS file": lambda t: t + "\x1a",
    "blank lines": lambda t: "\n \n" + t.replace("\n3\n", "\n\n\t\n3\n") + "\n\n",
    "text after the number of atoms": lambda t: re.sub("(?m)^3$", "3 atoms of silicon", t),
    "lower-case keys": lambda t: t.replace("Lattice", "lattice").replace("Properties", "properties"),
    "upper-case keys": lambda t: t.replace("Lattice", "LATTICE").replace("species:", "Species:"),
    "small symbols": lambda t: t.replace("Si ", "si "),
    "numbered atoms": lambda t: t.replace("Si ", "Si1 "),
    "ions": lambda t: t.replace("Si ", "Si4+ "),
    "pseudopotentials": lambda t: t.replace("Si ", "Si_pv "),
    "atomic numbers": lambda t: t.replace("species:S:1", "Z:I:1").replace("Si ", "14 "),
    "Fortran's exponents": lambda t: re.sub(r"(\d)$", r"\1D+00", t, flags=re.MULTILINE).replace("3D+00\nL", "3\nL"),
    "Fortran's exponents in the comment": lambda t: re.sub(r"energy=-(\d)\.5", r"energy=-0.\g<1>5D+01", t),
    "remarks after the numbers": lambda t: t.replace("\nSi ", " # fixed\nSi ").replace(".5 # fixed", ".5"),
    "JSON": lambda t: t.replace("REF_energy", r'a="_JSON {\"b\": [1, {\"c\": \"d e\"}]}" REF_energy'),
    "odd keys": lambda t: t.replace("REF_energy", "3A-7=T E(total)=-12.5 gap/eV=3 [x]=1 flagged REF_energy"),
    "an apostrophe at the end": lambda t: t.replace(".5\n", ".5 the students' cell\n"),
    "flags in words": lambda t: t.replace("REF_energy", 'pbc="true true True" REF_energy'),
    "no newline at the end": lambda t: t.rstrip("\n"),
    "a long value": lambda t: t.replace("REF_energy", f'a="{" ".join(["1.5"] * 3000)}" REF_energy'),
}


@pytest.mark.parametrize("case", SURE)
@pytest.mark.parametrize("name", ["a.extxyz", "a.XYZ"])
def test_what_is_sure_is_read(tmp_path: Path, case: str, name: str):
    text = frame(1) + frame(2) + frame(3)
    plain, path = tmp_path / "plain.extxyz", tmp_path / name
    plain.write_text(text)
    content = SURE[case](text)
    assert read(path, content) == ([-1.5, -2.5, -3.5], [])
    for one, other in zip(read_frames(plain), read_frames(path), strict=True):
        assert one.atoms.symbols.get_chemical_formula() == other.atoms.symbols.get_chemical_formula() == "Si3"
        assert (one.atoms.positions == other.atoms.positions).all()
        assert (one.forces == other.forces).all()
        assert (one.atoms.cell == other.atoms.cell).all()
        assert one.atoms.pbc.all()
        assert other.atoms.pbc.all()


def test_hydrogen_of_any_mass_is_hydrogen(tmp_path: Path):
    (tmp_path / "a.xyz").write_text("3\nheavy water\nO 0 0 0\nD 1 0 0\nT 0 1 0\n")
    (found,) = read_frames(tmp_path / "a.xyz")
    assert found.atoms.get_chemical_symbols() == ["O", "H", "H"]
    assert not found.atoms.pbc.any()


BAD: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "a byte of Latin-1": (lambda t: t.replace("REF", "a=caf@ REF").encode().replace(b"@", b"\xe9"), "byte 0xe9"),
    "species as a number": (edited("Si ", "14 "), "atom 0 is '14': a number, which may be that of an element or a"),
    "species X": (edited("Si ", "X "), "atom 0 is X: not a chemical symbol"),
    "a species that is none": (edited("Si ", "Qq "), "atom 0 is 'Qq': not a chemical symbol"),
    "two letters with a number": (edited("Si ", "CA1 "), "atom 0 is 'CA1'"),
    "stars": (lambda t: re.sub(r"(?m)^Si .{14}", "Si **********", t, count=1), "could not convert"),
    "a number too few": (lambda t: re.sub(r"(?m)^(Si .*) \S+$", r"\1", t, count=1), "atom 0: 6 columns, but Prop"),
    "a number too many": (lambda t: re.sub(r"(?m)^(Si .*)$", r"\1 0.25", t, count=1), "1: 0 numbers more than Prop"),
    "a row too many": (lambda t: t + t.splitlines(keepends=True)[-1], "4 rows for 3 atoms"),
    "a row too few": (lambda t: "".join(t.splitlines(keepends=True)[:-1]), "truncated: 2 of 3 atoms"),
    "a quote that swallows": (edited("REF_energy", 'a="open REF_energy'), "is never closed"),
    "a quote that swallows the flags": (lambda t: t.replace(".5\n", '.5 a="open pbc="F F F"\n'), "pbc= stands inside"),
    "a lattice of eight": (edited("0 0 20", "0 20"), "expecting special 3x3 matrix"),
    "flags of two": (edited("REF_energy", 'pbc="T T" REF_energy'), "pbc is 'True True'"),
    "flags in other words": (edited("REF_energy", 'pbc="p p p" REF_energy'), "pbc is 'p p p'"),
    "a billion columns": (edited("REF_forces:R:3", "x:R:1000000000"), "but Properties names 1000000004"),
    "half a column": (edited("REF_forces:R:3", "REF_forces:R"), "needed NAME:TYPE:COLUMNS"),
    "no positions": (edited("pos:R:3", "place:R:3"), "needed one column species"),
    "a singular cell": (edited("20 0 0 0 20 0 0 0 20", "20 0 0 0 20 0 20 20 0"), "span no volume"),
    "a cell singular but for rounding": (
        edited("20 0 0 0 20 0 0 0 20", "20.1 0.3 0.7 0.2 20.3 0.9 20.3 20.6 1.6"),
        "span no volume",
    ),
    "no number of atoms": (edited("3\n", "three\n"), "needed a number of atoms, got the line 'three'"),
    "minus three atoms": (edited("3\n", "-3\n"), "needed a number of atoms, got the line '-3'"),
    "more atoms than could be": (edited("3\n", "9" * 5000 + "\n"), "needed a number of atoms"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_costs_itself_alone(tmp_path: Path, case: str):
    spoil, words = BAD[case]
    spoilt = spoil(frame(2))
    parts = [frame(1).encode(), spoilt if isinstance(spoilt, bytes) else spoilt.encode(), frame(3).encode()]
    energies, reasons = read(tmp_path / "a.extxyz", b"".join(parts))
    assert energies == [-1.5, -3.5]
    assert len(reasons) == 1
    assert words in reasons[0]
    assert "a.extxyz, frame 1" in reasons[0]


@pytest.mark.parametrize("end", range(1, 24))
def test_half_a_frame_of_a_killed_run_costs_itself_alone(tmp_path: Path, end: int):
    """Cut anywhere, also within a line, on which the restarted run then writes."""
    whole = frame(2)
    cut = whole[: end * len(whole) // 24]
    energies, reasons = read(tmp_path / "a.extxyz", frame(1) + cut + frame(3) + frame(4))
    assert "\n" in cut
    assert (energies, len(reasons)) == ([-1.5, -3.5, -4.5], 1)


@pytest.mark.parametrize("end", range(1, 24))
def test_half_a_snapshot_of_a_killed_run_costs_itself_alone(tmp_path: Path, end: int):
    whole = snapshot(2)
    cut = whole[: end * len(whole) // 24]
    steps, reasons = read(tmp_path / "a.dump", snapshot(1) + cut + snapshot(3) + snapshot(4))
    assert (steps, len(reasons)) == ([1, 3, 4], 1)


@pytest.mark.parametrize("number", ["{:14.8f}", "{:.6g}", "{!r}", "{:.3e}"])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_last_number_that_may_be_cut_is_not_believed(tmp_path: Path, number: str, lost: int):
    text = frame(1, number=number) + frame(2, number=number)
    energies, reasons = read(tmp_path / "a.extxyz", text[: -1 - lost])
    assert energies == [-1.5]
    assert "frame 1: cannot be read (ValueError: truncated: the line of atom 2 may lack its end" in reasons[0]


def test_the_last_number_of_a_dump_is_not_believed_either(tmp_path: Path):
    steps, reasons = read(tmp_path / "a.dump", (snapshot(1) + snapshot(2))[:-3])
    assert steps == [1]
    assert "may lack its end" in reasons[0]


def test_units_of_a_dump_are_those_of_all_its_snapshots(tmp_path: Path):
    steps, reasons = read(tmp_path / "a.dump", "ITEM: UNITS\nlj\n" + snapshot(1) + snapshot(2))
    assert steps == []
    assert [reason.endswith("units lj; needed metal or real, which have lengths in Å)") for reason in reasons] == [
        True
    ] * 2


def test_an_atom_that_stands_twice(tmp_path: Path):
    steps, reasons = read(tmp_path / "a.dump", snapshot(1) + snapshot(2).replace("\n3 Si", "\n2 Si") + snapshot(3))
    assert steps == [1, 3]
    assert "id 2 stands 2 times" in reasons[0]


# ---------------------------------------------------------------- drawn by chance

EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["drop", "put", "cut"]), st.binary(min_size=1, max_size=6)),
    min_size=1,
    max_size=3,
)
DATA = """title

3 atoms
1 atom types
0 20 xlo xhi
0 20 ylo yhi
0 20 zlo zhi

Masses

1 28.085

Atoms # atomic

1 1 0.0 0.0 0.5
2 1 2.0 2.0 2.5
3 1 4.0 4.0 4.5
"""
READERS = {
    "a.extxyz": "".join(map(frame, (1, 2, 3))),
    "a.dump": "".join(map(snapshot, (1, 2, 3))),
    "a.data": DATA,
    "a.cif": None,
    "a.traj": None,
    "a.vasp": None,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_whatever_is_in_a_file_only_frames_and_frame_errors_come_out(tmp_path: Path, name: str, edits):
    import ase.io
    from ase.build import bulk

    path = tmp_path / name
    if (text := READERS[name]) is None:
        ase.io.write(path, bulk("Si", cubic=True))
        content = bytearray(path.read_bytes())
    else:
        content = bytearray(text.encode())
    for place, kind, new in edits:
        at = int(place * len(content))
        if kind == "drop":
            del content[at : at + 5]
        elif kind == "put":
            content[at:at] = new
        else:
            del content[at:]
    path.write_bytes(content)
    skipped: Skipped = []
    try:
        frames = list(read_frames(path, skipped=skipped))
    except FrameError as error:
        frames, skipped = [], [("", str(error))]
    for found in frames:
        assert len(found.atoms) > 0
        assert np.isfinite(found.atoms.positions).all()
    assert all(str(path) in reason for _, reason in skipped)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), new=st.binary(min_size=1, max_size=4))
def test_damage_within_one_frame_costs_no_other(tmp_path: Path, place: float, new: bytes):
    """Bytes in place of others: but for a number of atoms that is another, and lines that end otherwise."""
    middle = bytearray(frame(2).encode())
    at = 2 + int(place * (len(middle) - 2 - len(new)))
    middle[at : at + len(new)] = new
    if b"\n" in new or b"\r" in new or middle.count(b"\n") != 5:
        return
    energies, reasons = read(tmp_path / "a.extxyz", frame(1).encode() + bytes(middle) + frame(3).encode())
    assert energies[0] == -1.5
    assert energies[-1] == -3.5
    assert len(energies) + len(reasons) == 3
