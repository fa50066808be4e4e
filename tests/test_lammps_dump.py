"""LAMMPS's dumps and data files: as LAMMPS writes them, as Assay writes them, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.frames.frame import FrameError
from assay.frames.reading import read_frames
from assay.frames.writing import frames_out
from assay.sources.lammps import forget_shared_memory, import_lammps

BOXES = {
    "orthogonal": "region box block -1 11 0 9 2 10",
    "triclinic": "region box prism -1 11 0 9 2 10 2.5 -1.5 3.0",
    "leaning": "region box prism -1 11 0 9 2 10 -2.5 -1.5 -3.0",
}
GENERAL = ("avec", "bvec", "cvec", "abc origin")


@pytest.fixture(params=BOXES)
def lammps(request: pytest.FixtureRequest):
    """30 W and Mo atoms that have left the box through periodic boundaries, z is free; types 1 and 2."""
    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    forget_shared_memory()
    lmp.commands_string(
        f"""units metal
        atom_modify map array
        boundary p p f
        {BOXES[request.param]}
        create_box 2 box
        create_atoms 1 random 20 5 box
        create_atoms 2 random 10 6 box
        mass 1 183.84
        mass 2 95.95
        pair_style zero 4.0
        pair_coeff * *
        velocity all set 40.0 -25.0 0.0
        fix 1 all nve
        neigh_modify every 1 delay 0
        timestep 0.01
        run 50"""
    )
    yield lmp
    lmp.close()


def of_lammps(lmp) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unwrapped positions and types by id, and the vectors of the box, from LAMMPS itself."""
    ids = lmp.numpy.extract_atom("id")[:30]
    order = np.argsort(ids)
    low, high, xy, yz, xz, _, _ = lmp.extract_box()
    lengths = np.subtract(high, low)
    box = np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]])
    flags = np.array(lmp.numpy.extract_atom("image")[:30]).reshape(30, -1)
    if flags.shape[1] == 1:
        turns = np.stack([(flags[:, 0] >> 10 * k & 1023) - 512 for k in range(3)], axis=1)
    else:
        turns = flags
    unwrapped = np.array(lmp.numpy.extract_atom("x")[:30]) + turns @ box
    return unwrapped[order], np.array(lmp.numpy.extract_atom("type")[:30])[order], box


def same_modulo_box(frame: Atoms, positions: np.ndarray, box: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(frame.cell.array, box, atol=1e-12)
    turns = np.linalg.solve(box.T, (frame.positions - positions).T).T
    np.testing.assert_allclose(turns, np.round(turns), atol=atol)
    assert (np.round(turns)[:, ~frame.pbc] == 0).all()


@pytest.mark.snap
@pytest.mark.parametrize("columns", ["x y z", "xu yu zu", "xs ys zs", "xsu ysu zsu"])
@pytest.mark.parametrize("elements", [True, False])
@pytest.mark.parametrize("suffix", ["dump", "dump.gz"])
def test_dumps_that_lammps_writes(lammps, tmp_path: Path, columns: str, elements: bool, suffix: str):
    path = tmp_path / f"written.{suffix}"
    extra = "element" if elements else "mass"
    lammps.commands_string(
        f"""dump 1 all custom 1 {tmp_path}/written.dump id type {columns} vx {extra}
        dump_modify 1 {"element W Mo" if elements else ""} format float %.15g
        run 1"""
    )
    lammps.command("undump 1")
    if suffix.endswith("gz"):
        path.write_bytes(gzip.compress((tmp_path / "written.dump").read_bytes()))
    frames = list(read_frames(path))
    positions, types, box = of_lammps(lammps)
    assert [frame.atoms.info["timestep"] for frame in frames] == [50, 51]
    atoms = frames[1].atoms
    assert atoms.pbc.tolist() == [True, True, False]
    assert (atoms.numbers == np.array([0, 74, 42])[types]).all()
    assert atoms.arrays["id"].tolist() == list(range(1, 31))
    same_modulo_box(atoms, positions, box, atol=1e-12)
    if columns in ("xu yu zu", "xsu ysu zsu"):
        np.testing.assert_allclose(atoms.positions, positions, atol=1e-10)


@pytest.mark.snap
@pytest.mark.parametrize("style", ["atomic", "charge", "full"])
def test_data_files_that_lammps_writes(lammps, tmp_path: Path, style: str):
    lammps.command(f"write_data {tmp_path}/atomic.data")
    path = tmp_path / f"{style}.data"
    if style != "atomic":  # the same file with the columns that other styles have
        before, _, after = (tmp_path / "atomic.data").read_text().partition("Atoms # atomic\n\n")
        lines = after.splitlines()
        extra = {"charge": lambda i, t: f"{i} {t} 0.5", "full": lambda i, t: f"{i} 7 {t} 0.5"}[style]
        rows = [" ".join([extra(*line.split()[:2]), *line.split()[2:]]) for line in lines[:30]]
        path.write_text(before + f"Atoms # {style}\n\n" + "\n".join([*rows, *lines[30:]]) + "\n")
    (frame,) = read_frames(path)
    positions, types, box = of_lammps(lammps)
    assert (frame.atoms.numbers == np.array([0, 74, 42])[types]).all()
    same_modulo_box(frame.atoms, positions, box, atol=1e-9)


@pytest.mark.snap
def test_type_labels_name_the_species_of_a_data_file(lammps, tmp_path: Path):
    lammps.command("labelmap atom 1 W 2 Mo")
    lammps.command(f"write_data {tmp_path}/labels.data types labels")
    (frame,) = read_frames(tmp_path / "labels.data")
    positions, types, box = of_lammps(lammps)
    assert (frame.atoms.numbers == np.array([0, 74, 42])[types]).all()
    same_modulo_box(frame.atoms, positions, box, atol=1e-9)


def cells() -> dict[str, Atoms]:
    crystal = bulk("W", "bcc", a=3.2, cubic=True).repeat((2, 2, 3))
    crystal.numbers[::3] = 42
    crystal.rattle(0.1, seed=0)
    tilted = crystal.copy()
    tilted.set_cell([[6.4, 0, 0], [2.0, 6.4, 0], [-3.0, 1.0, 9.6]], scale_atoms=True)
    general = crystal.copy()
    general.rotate(33.0, (1, 2, 3), rotate_cell=True)
    left = general.copy()
    left.set_cell(left.cell.array[[0, 2, 1]])
    slab = crystal.copy()
    slab.pbc = (True, True, False)
    molecule = Atoms("MoW", [[0, 0, 0], [1.5, 2.5, -0.3]])
    surface = general.copy()
    surface.pbc = (True, False, True)
    surface.set_cell(surface.cell.array * [[1], [0], [1]])
    return {
        "crystal": crystal, "tilted": tilted, "general": general, "left-handed": left, "slab": slab,
        "molecule": molecule, "surface": surface,
    }  # fmt: skip


@pytest.mark.parametrize("name", cells())
@pytest.mark.parametrize("suffix", ["dump", "lammpstrj.gz"])
def test_a_dump_gives_back_what_was_written(tmp_path: Path, name: str, suffix: str):
    atoms = cells()[name]
    path = tmp_path / f"a.{suffix}"
    with frames_out(path) as write:
        write(atoms)
        write(atoms[::-1])
    first, second = (frame.atoms for frame in read_frames(path))
    for back, frame in ((first, atoms), (second, atoms[::-1])):
        assert (back.numbers == frame.numbers).all()
        np.testing.assert_allclose(back.positions, frame.positions, atol=6e-9)
        assert back.pbc.sum() == frame.pbc.sum()
        assert np.linalg.det(back.cell.array) > 0
        lattice, again = frame.cell.array[frame.pbc], back.cell.array[back.pbc]
        order = [np.abs(again - vector).sum(axis=1).argmin() for vector in lattice]
        assert sorted(order) == list(range(len(lattice)))
        np.testing.assert_allclose(again[order], lattice, atol=1e-12)


@pytest.mark.snap
@pytest.mark.parametrize("name", ["crystal", "tilted"])
def test_lammps_reads_the_dumps_that_are_written(tmp_path: Path, name: str):
    atoms = cells()[name]
    atoms.wrap()
    with frames_out(tmp_path / "a.dump") as write:
        write(atoms)
    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    forget_shared_memory()
    lmp.commands_string(
        f"""units metal
        region box {"block 0 1 0 1 0 1" if name == "crystal" else "prism 0 1 0 1 0 1 0.1 0.1 0.1"}
        create_box 2 box
        mass * 1.0
        read_dump {tmp_path}/a.dump 0 x y z box yes add keep"""
    )
    order = np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
    np.testing.assert_allclose(lmp.numpy.extract_atom("x")[: len(atoms)][order], atoms.positions, atol=1e-7)
    low, high, xy, yz, xz, _, _ = lmp.extract_box()
    box = atoms.cell.array
    np.testing.assert_allclose([*np.subtract(high, low), xy, xz, yz], [*np.diag(box), box[1, 0], box[2, 0], box[2, 1]])
    lmp.close()


@pytest.mark.snap
def test_general_triclinic_boxes_as_lammps_writes_them(tmp_path: Path):
    """LAMMPS keeps its own axes inside, and writes the box and the positions that it was given."""
    atoms = cells()["general"]
    atoms.wrap()
    vectors = "".join(
        f"{' '.join(map(repr, vector))} {name}\n"
        for vector, name in zip([*atoms.cell.array.tolist(), [0.5, -1.0, 2.0]], GENERAL, strict=True)
    )
    types = np.where(atoms.numbers == 74, 1, 2)
    origin = np.array([0.5, -1.0, 2.0])
    rows = zip(range(1, len(atoms) + 1), types, *(atoms.positions + origin).T, strict=True)
    rows = "\n".join("{} {} {:.12f} {:.12f} {:.12f}".format(*row) for row in rows)
    given = tmp_path / "given.data"
    given.write_text(f"t\n\n{len(atoms)} atoms\n2 atom types\n{vectors}\nMasses\n\n1 183.84\n2 95.95\n\n"
                     f"Atoms # atomic\n\n{rows}\n")  # fmt: skip
    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    forget_shared_memory()
    lmp.commands_string(
        f"""units metal
        read_data {given}
        pair_style zero 4.0
        pair_coeff * *
        dump 1 all custom 1 {tmp_path}/a.dump id type x y z
        dump_modify 1 triclinic/general yes format float %.15g
        run 0
        write_data {tmp_path}/again.data triclinic/general"""
    )
    lmp.close()
    assert "abc origin" in (tmp_path / "a.dump").read_text()
    assert "avec" in (tmp_path / "again.data").read_text()
    for path in (given, tmp_path / "a.dump", tmp_path / "again.data"):
        (frame,) = read_frames(path, species=["W", "Mo"])
        assert (frame.atoms.numbers == atoms.numbers).all()
        np.testing.assert_allclose(frame.atoms.cell.array, atoms.cell.array, atol=1e-10)
        same_modulo_box(frame.atoms, atoms.positions + origin, frame.atoms.cell.array, atol=1e-9)


def test_columns_of_a_dump_are_arrays_of_atoms_one_per_component(tmp_path: Path):
    atoms = cells()["crystal"]
    atoms.arrays["gamma"] = np.linspace(0, 1e7, len(atoms))
    atoms.arrays["gamma_cluster"] = np.arange(len(atoms)) % 3
    atoms.arrays["forces_uncertainty"] = np.arange(3.0 * len(atoms)).reshape(-1, 3)
    atoms.set_array("id", 10 * np.arange(1, len(atoms) + 1))
    with frames_out(tmp_path / "a.dump") as write:
        write(atoms)
    head, *rows = (tmp_path / "a.dump").read_text().splitlines()[8:]
    names = head.split()[2:]
    assert names == [
        "id",
        "type",
        "element",
        "x",
        "y",
        "z",
        "gamma",
        "gamma_cluster",
        "forces_uncertainty_x",
        "forces_uncertainty_y",
        "forces_uncertainty_z",
    ]
    table = np.array([[row.split()[k] for k in (0, 6, 7, 9)] for row in rows], dtype=float)
    assert (table[:, 0] == atoms.arrays["id"]).all()
    np.testing.assert_allclose(table[:, 1], atoms.arrays["gamma"], rtol=1e-8)
    assert (table[:, 2] == atoms.arrays["gamma_cluster"]).all()
    assert (table[:, 3] == atoms.arrays["forces_uncertainty"][:, 1]).all()
    assert [row.split()[2] for row in rows[:3]] == ["Mo", "W", "W"]


DUMP = """ITEM: UNITS
metal
ITEM: TIME
0.5
ITEM: TIMESTEP
7
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp ss
0 4
0 4
1 5
ITEM: ATOMS id type x y z
2 1 0 0 2
1 2 2 2 3.5
"""
DATA = """title

2 atoms
2 atom types
0 4 xlo xhi
0 4 ylo yhi
0 5 zlo zhi

Masses

1 183.84 # W
2 95.95

Atoms

2 1 0 0 2
1 2 2 2 3.5
"""


@pytest.mark.parametrize(("name", "text"), [("a.dump", DUMP), ("a.data", DATA)])
def test_named_species_are_those_of_the_types(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    (frame,) = read_frames(tmp_path / name, species=["Si", "Ge"])
    assert frame.atoms.get_chemical_symbols() == ["Ge", "Si"]
    assert frame.atoms.positions[0].tolist() == [2, 2, 3.5]


@pytest.mark.parametrize(
    ("name", "text", "old", "new", "species", "message"),
    [
        ("a.dump", DUMP, "", "", None, "no column element or mass .* --species W,Mo"),
        ("a.dump", DUMP, "", "", ["W"], "no species for atom type 2"),
        ("a.dump", DUMP, "1 2 2 2 3.5\n", "", ["W", "Mo"], "truncated: 1 of 2 atoms"),
        ("a.dump", DUMP, "2 1 0 0 2\n1 2 2 2 3.5\n", "", ["W", "Mo"], "truncated: 0 of 2 atoms"),
        ("a.dump", DUMP, " x y z", " a b c", ["W", "Mo"], "no positions: needed columns x y z"),
        ("a.dump", DUMP, "metal", "lj", ["W", "Mo"], "units lj; needed metal or real"),
        ("a.dump", DUMP, "id type", "id element", None, "'1', '2': not a chemical symbol"),
        ("a.dump", DUMP, "id type", "id mass", None, "no element has the mass 2 g/mol"),
        ("a.dump", DUMP, "2 2 3.5", "2 nan 3.5", ["W", "Mo"], "atom 0: position is not finite"),
        ("a.data", DATA, "183.84", "18.384", None, "no element has the mass 18.384 g/mol"),
        ("a.data", DATA, "1 2 2 2 3.5\n", "", None, "truncated: 1 of 2 atoms"),
        ("a.data", DATA, "Masses\n\n1 183.84 # W\n2 95.95\n", "", None, "no section Masses"),
        ("a.data", DATA, "0 4 xlo xhi\n", "", None, "no box: needed a line with xlo xhi"),
        ("a.data", DATA, "Atoms\n", "Atoms # sphere\n", None, "atom style 'sphere'"),
        ("a.data", DATA, "2 1 0 0 2", "2 1 0 0 0 2", None, "atom style 'of 6 columns'"),
        ("a.data", DATA, "Atoms", "Velocities", None, "not a LAMMPS data file with atoms"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, name: str, text: str, old: str, new: str, species, message: str):
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(FrameError, match=message):
        list(read_frames(tmp_path / name, species=species))


def test_the_snapshots_before_a_bad_one_are_kept(tmp_path: Path):
    (tmp_path / "a.dump").write_text(DUMP + DUMP[:-12])
    skipped: list[tuple[str, str]] = []
    frames = list(read_frames(tmp_path / "a.dump", species=["W", "Mo"], skipped=skipped))
    assert len(frames) == 1
    assert "truncated: 1 of 2 atoms" in skipped[0][1]
