"""Reading: what is accepted, what is refused with which words, what `skipped` collects, and how little is read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import threading
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from assay.frames.checks import check_structure
from assay.frames.formats.extxyz import frame_texts
from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped, chunks, content_hash
from assay.frames.reading import read_frames
from assay.sources.frame_files import FrameFiles, frames_of

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
LINES = 10  # of a frame of 8 atoms


def silicon(seed: int = 0) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", cubic=True)
    atoms.positions += rng.normal(0, 0.05, (8, 3))
    atoms.info.update(REF_energy=-40.0 - seed, REF_stress=rng.normal(0, 0.01, 6), config_type="bulk")
    atoms.arrays["REF_forces"] = rng.normal(size=(8, 3))
    return atoms


def written(path: Path, *frames: Atoms) -> Path:
    ase.io.write(path, list(frames), format="extxyz")
    return path


def lines(folder: Path, frames: int = 4) -> list[str]:
    return written(folder / "whole.extxyz", *map(silicon, range(frames))).read_text().splitlines(keepends=True)


def indices(frames: list[Frame]) -> list[int]:
    return [int(frame.origin.rpartition(":")[2]) for frame in frames]


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("suffix", COMPRESS)
def test_labels_and_origin(tmp_path, suffix):
    plain = written(tmp_path / "a.extxyz", *map(silicon, range(3)))
    path = tmp_path / f"b.extxyz{suffix}"
    path.write_bytes(COMPRESS[suffix](plain.read_bytes()))
    frames = list(read_frames(path, labels="needed"))
    assert [frame.origin for frame in frames] == [f"{path}:{i}" for i in range(3)]
    for seed, frame in enumerate(frames):
        expected = silicon(seed)
        assert frame.config_type == "bulk"
        assert frame.energy == expected.info["REF_energy"]
        np.testing.assert_allclose(frame.forces, expected.arrays["REF_forces"], atol=1e-8)
        np.testing.assert_allclose(frame.stress, expected.info["REF_stress"], atol=1e-12)
        np.testing.assert_allclose(frame.atoms.positions, expected.positions, atol=1e-8)
        assert frame.atoms.calc is None


@pytest.mark.parametrize(
    ("suffix", "format"), [(".cif", "cif"), (".traj", "traj"), (".vasp", "vasp"), (".json", "json")]
)
def test_other_formats_that_ase_reads(tmp_path, suffix, format):
    path = tmp_path / f"a{suffix}"
    ase.io.write(path, bulk("Si", cubic=True), format=format)
    (frame,) = read_frames(path)
    assert len(frame.atoms) == 8
    assert frame.energy is None


def test_vasp_output_compressed(tmp_path):
    path = tmp_path / "POSCAR.gz"
    ase.io.write(tmp_path / "POSCAR", bulk("Si", cubic=True), format="vasp")
    path.write_bytes(gzip.compress((tmp_path / "POSCAR").read_bytes()))
    (frame,) = read_frames(path)
    assert len(frame.atoms) == 8


def test_several_files_in_order(tmp_path):
    first, second = written(tmp_path / "a.xyz", silicon(1)), written(tmp_path / "b.xyz", silicon(2), silicon(3))
    assert [f.energy for f in read_frames([first, str(second)])] == [-41.0, -42.0, -43.0]


def test_label_keys_are_overridden(tmp_path):
    atoms = silicon()
    atoms.info["dft_energy"], atoms.arrays["dft_forces"] = -1.0, np.ones((8, 3))
    path = written(tmp_path / "a.extxyz", atoms)
    (frame,) = read_frames(path, keys=LabelKeys("dft_energy", "dft_forces", "none"), labels="needed")
    assert frame.energy == -1.0
    assert np.all(frame.forces == 1.0)
    assert frame.stress is None


def test_results_of_a_calculator_by_their_ase_names(tmp_path):
    atoms = bulk("Si", cubic=True)
    stress = np.arange(6) * 1e-3
    atoms.calc = SinglePointCalculator(atoms, energy=-7.0, forces=np.full((8, 3), 0.5), stress=stress)
    path = written(tmp_path / "a.extxyz", atoms)
    (unasked,) = read_frames(path)
    assert unasked.energy is None
    (frame,) = read_frames(path, keys=LabelKeys("energy", "forces", "stress"), labels="needed")
    assert frame.energy == -7.0
    assert np.all(frame.forces == 0.5)
    np.testing.assert_allclose(frame.stress, stress)


def test_nine_components_of_stress_become_voigt(tmp_path):
    atoms = silicon()
    atoms.info["REF_stress"] = [1.0, 6.0, 5.0, 6.0, 2.0, 4.0, 5.0, 4.0, 3.0]
    (frame,) = read_frames(written(tmp_path / "a.extxyz", atoms))
    assert frame.stress.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_one_atom_molecule_without_cell_and_partly_periodic(tmp_path):
    slab = bulk("Si", cubic=True)
    slab.pbc, slab.cell[2] = (True, True, False), 0.0
    path = written(tmp_path / "a.xyz", Atoms("W"), molecule("CH3CH2OH"), slab)
    frames = list(read_frames(path))
    assert [len(f.atoms) for f in frames] == [1, 9, 8]
    assert [f.atoms.pbc.tolist() for f in frames] == [[False] * 3, [False] * 3, [True, True, False]]


def test_empty_lines_between_frames_lose_nothing(tmp_path):
    text = lines(tmp_path)
    path = tmp_path / "a.extxyz"
    path.write_text("\n" + "".join(text[: 2 * LINES]) + "\n\n" + "".join(text[2 * LINES :]) + " \n")
    assert [f.energy for f in read_frames(path)] == [-40.0, -41.0, -42.0, -43.0]


def test_no_newline_at_the_end(tmp_path):
    path = tmp_path / "a.extxyz"
    path.write_text("".join(lines(tmp_path)).rstrip("\n"))
    np.testing.assert_allclose(list(read_frames(path))[3].forces, silicon(3).arrays["REF_forces"], atol=1e-8)


# ---------------------------------------------------------------- what is refused


def _positions(atoms, value):
    atoms.positions[3, 1] = value


def _cell(atoms, value):
    atoms.cell[1, 1] = value


def _forces(atoms, value):
    atoms.arrays["REF_forces"][5, 2] = value


def _set(key, value):
    return lambda atoms: atoms.info.__setitem__(key, value)


def _closer(atoms):
    atoms.positions[6] = atoms.positions[2] + [0.03, 0.04, 0.0]


def _across_the_boundary(atoms):
    atoms.positions[0] = atoms.positions[7] + atoms.cell[0] + [0.0, 0.05, 0.0]


def _free(atoms):
    atoms.pbc = False
    atoms.positions[4] += [1e7, 0, 0]


BAD = {
    "energy nan": (_set("REF_energy", np.nan), "label 'REF_energy' is not finite: nan"),
    "energy inf": (_set("REF_energy", np.inf), "label 'REF_energy' is not finite: inf"),
    "energy text": (_set("REF_energy", "failed"), "label 'REF_energy' is not a number: 'failed'"),
    "energy vector": (_set("REF_energy", np.ones(4)), "label 'REF_energy' has shape (4,), needed ()"),
    "stress shape": (_set("REF_stress", np.ones(5)), "label 'REF_stress' has shape (5,), needed (6,)"),
    "stress nan": (_set("REF_stress", np.full(6, np.nan)), "label 'REF_stress' is not finite: nan"),
    "forces nan": (lambda a: _forces(a, np.nan), ", atom 5: label 'REF_forces' is not finite: nan"),
    "forces inf": (lambda a: _forces(a, -np.inf), ", atom 5: label 'REF_forces' is not finite: -inf"),
    "forces shape": (
        lambda a: a.arrays.__setitem__("REF_forces", np.ones((8, 2))),
        "label 'REF_forces' has shape (8, 2), needed (8, 3)",
    ),
    "position nan": (lambda a: _positions(a, np.nan), ", atom 3: position is not finite: nan"),
    "position inf": (lambda a: _positions(a, np.inf), ", atom 3: position is not finite: inf"),
    "cell nan": (lambda a: _cell(a, np.nan), ": cell is not finite: nan"),
    "cell inf": (lambda a: _cell(a, np.inf), ": cell is not finite: inf"),
    "no cell": (
        lambda a: a.set_cell(np.zeros((3, 3))),
        ": periodic along x y z, but those cell vectors span no volume",
    ),
    "flat cell": (lambda a: a.set_cell([[5, 0, 0], [0, 5, 0], [5, 5, 0]]), "span no volume"),
    "on top": (_closer, ", atoms 2 and 6: 0.05 Å apart (less than 0.1 Å)"),
    "on an image": (_across_the_boundary, "0.05 Å apart (less than 0.1 Å)"),
    "exploded": (_free, "the frame extends over 1e+07 Å (more than 10000 Å)"),
    "no labels": (
        lambda a: (a.info.pop("REF_energy"), a.arrays.pop("REF_forces"), a.info.pop("REF_stress")),
        "no label 'REF_energy', 'REF_forces', 'REF_stress'. The frame has config_type, numbers, positions. Name the "
        "right one with --energy-key, --forces-key, --stress-key",
    ),
    "energy true": (_set("REF_energy", True), "label 'REF_energy' is not a number: 'True'"),
    "energy too large": (_set("REF_energy", 1e300), "label 'REF_energy' is 1e+300 in size"),
    "stress not symmetric": (
        _set("REF_stress", [1.0, 6.0, 5.0, -6.0, 2.0, 4.0, 5.0, 4.0, 3.0]),
        "label 'REF_stress' is not symmetric",
    ),
    "singular cell": (lambda a: a.set_cell([a.cell[0], a.cell[1], a.cell[0] + a.cell[1]]), "span no volume"),
    "leaning cell": (
        lambda a: a.set_cell([a.cell[0] + 0.3, a.cell[1] + 0.1, 0.7 * a.cell[0] - 1.3 * a.cell[1] + 0.08]),
        "span no volume",
    ),
    "species X": (lambda a: a.numbers.__setitem__(7, 0), "atom 7 is X"),
}


@pytest.fixture(params=BAD)
def one_bad(request, tmp_path) -> tuple[Path, str]:
    """A file whose frame 2 of 0 to 3 is bad, and what is said of it."""
    spoil, words = BAD[request.param]
    frames = [silicon(i) for i in range(4)]
    spoil(frames[2])
    return written(tmp_path / "some.extxyz", *frames), words


def test_bad_frame_is_refused_with_file_frame_and_reason(one_bad):
    path, words = one_bad
    reader = read_frames(path, labels="needed")
    assert indices([next(reader), next(reader)]) == [0, 1]
    with pytest.raises(FrameError, match=re.escape(f"{path}, frame 2")) as error:
        next(reader)
    assert words in str(error.value)


def test_bad_frame_is_left_out_and_listed(one_bad):
    path, words = one_bad
    skipped: Skipped = []
    assert indices(list(read_frames(path, labels="needed", skipped=skipped))) == [0, 1, 3]
    ((origin, reason),) = skipped
    assert origin == f"{path}:2"
    assert words in reason


def test_each_label_that_is_there_is_taken(tmp_path):
    frames = [silicon(i) for i in range(4)]
    del frames[0].info["REF_stress"], frames[0].arrays["REF_forces"], frames[2].info["REF_energy"]
    path = written(tmp_path / "a.extxyz", *frames)
    found = list(read_frames(path, labels="needed"))
    there = [(f.energy is not None, f.forces is not None, f.stress is not None) for f in found]
    assert there == [(True, False, False), (True, True, True), (False, True, True), (True, True, True)]
    with pytest.raises(FrameError, match=r"frame 0: no label 'REF_forces'\. .* with --forces-key"):
        list(read_frames(path, labels="both"))


def test_a_key_that_no_frame_has_is_refused(tmp_path):
    path = written(tmp_path / "a.extxyz", *map(silicon, range(3)))
    files = FrameFiles(path, keys=LabelKeys(forces="dft_forces"))
    with pytest.raises(FrameError, match=r"a\.extxyz, frame 0: no label 'dft_forces', nor in any other frame.*none"):
        list(files)
    with pytest.raises(FrameError, match="no label 'dft_energy', nor in any other frame"):
        frames_of([silicon(), silicon(1)], keys=LabelKeys(energy="dft_energy"))
    assert [f.forces for f in FrameFiles(path, keys=LabelKeys(forces="none"))] == [None] * 3


@pytest.mark.parametrize(
    ("pbc", "cell", "positions", "words"),
    [
        ((1, 0, 0), [[3, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [2.95, 0, 0]], "atoms 0 and 1: 0.05 Å"),
        ((0, 1, 0), [[0, 0, 0], [0, 0, 3], [0, 0, 0]], [[0, 0, 0], [0, 0, 2.95]], "atoms 0 and 1: 0.05 Å"),
        ((1, 0, 1), [[3, 0, 0], [9, 9, 9], [0, 0, 3]], [[0, 0, 0], [2.95, 0, 3.0]], "atoms 0 and 1: 0.05 Å"),
        ((0, 0, 0), np.zeros((3, 3)), [[0, 0, 0], [0, 0, 0]], "atoms 0 and 1: 0 Å"),
        ((1, 1, 1), np.diag([0.05, 9, 9]), [[0, 0, 0]], "atoms 0 and 0: 0.05 Å"),
        ((1, 1, 1), np.eye(3) * 1e-3, [[0, 0, 0]], "so small that every atom is less than 0.1 Å from an image"),
        ((1, 1, 0), np.eye(3) * 1e-3, [[0, 0, 0]], "so small that every atom is less than 0.1 Å from an image"),
        (
            (1, 1, 0),
            [[3, 0, 0], [6, 0, 0], [0, 0, 9]],
            [[0, 0, 0]],
            "periodic along x y, but those cell vectors span no",
        ),
        ((1, 0, 0), np.diag([0, 9, 9]), [[0, 0, 0]], "periodic along x, but those cell vectors span no volume"),
        ((1, 1, 0), np.diag([3, 3, 0]), [[0, 0, 0], [0, 0, 2e4]], "extends over 2e+04 Å"),
        ((1, 1, 1), np.diag([3, 10, 1e6]), [[0, 0, 0]], "extends over 1e+06 Å"),
    ],
)
def test_impossible_structures_of_any_periodicity(pbc, cell, positions, words):
    atoms = Atoms(f"H{len(positions)}", positions, cell=cell, pbc=np.array(pbc, dtype=bool))
    with pytest.raises(FrameError, match=r"^frame 7") as error:
        check_structure(atoms, "7")
    assert words in str(error.value)


@pytest.mark.parametrize("free", [0, 1, 2])
def test_atoms_do_not_meet_across_a_free_direction(free):
    atoms = Atoms("H2", [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]], cell=np.eye(3) * 4, pbc=True)
    atoms.positions[1, free] = 4.05  # 0.05 Å from the image of atom 0
    with pytest.raises(FrameError, match="atoms 0 and 1"):
        check_structure(atoms, "0")
    atoms.pbc[free] = False
    check_structure(atoms, "0")


# ---------------------------------------------------------------- files that are not whole


def test_missing_file(tmp_path):
    with pytest.raises(FrameError, match=r"gone\.extxyz: no such file"):
        next(read_frames(tmp_path / "gone.extxyz"))
    with pytest.raises(FrameError, match="no such file"):
        next(read_frames(tmp_path))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("text", ["", "\n \n"])
def test_no_frames(tmp_path, suffix, text):
    path = tmp_path / f"a.extxyz{suffix}"
    path.write_bytes(COMPRESS[suffix](text.encode()))
    with pytest.raises(FrameError, match=r"a\.extxyz.*: no frames in this file"):
        next(read_frames(path, skipped=[]))


def test_no_atoms(tmp_path):
    path = written(tmp_path / "a.extxyz", Atoms())
    with pytest.raises(FrameError, match=r"a\.extxyz, frame 0: no atoms"):
        next(read_frames(path, labels="needed"))


def test_unknown_kind_of_file(tmp_path):
    path = tmp_path / "notes.abc"
    path.write_text("nothing\n")
    with pytest.raises(FrameError, match=r"notes\.abc: ASE does not know this file type; extended XYZ"):
        next(read_frames(path))


CUTS = {
    "within the atoms": (lambda t: "".join(t[:25]), "truncated: 3 of 8 atoms"),
    "within a line": (lambda t: "".join(t[:25]) + t[25][:20], "truncated: 4 of 8 atoms"),
    "after the comment": (lambda t: "".join(t[:22]), "truncated: 0 of 8 atoms"),
    "within the comment": (lambda t: "".join(t[:21]) + t[21][:30], "truncated: 0 of 8 atoms"),
    "after the number of atoms": (lambda t: "".join(t[:21]), "truncated: 0 of 8 atoms"),
    "within the last number": (
        lambda t: "".join(t[:30])[:-6],
        "truncated: the line of atom 7 may lack its end",
    ),
}


@pytest.mark.parametrize("cut", CUTS)
def test_truncated(tmp_path, cut):
    shorten, words = CUTS[cut]
    path = tmp_path / "cut.extxyz"
    path.write_text(shorten(lines(tmp_path)))
    reader = read_frames(path)
    assert indices([next(reader), next(reader)]) == [0, 1]
    with pytest.raises(FrameError, match=rf"cut\.extxyz, frame 2: cannot be read .*{words}"):
        next(reader)
    skipped: Skipped = []
    assert indices(list(read_frames(path, skipped=skipped))) == [0, 1]
    assert [origin for origin, _ in skipped] == [f"{path}:2"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_gz(tmp_path, share):
    data = gzip.compress("".join(lines(tmp_path, 60)).encode())
    path = tmp_path / "cut.extxyz.gz"
    path.write_bytes(data[: int(share * len(data))])
    skipped: Skipped = []
    frames = list(read_frames(path, skipped=skipped))
    assert len(frames) == pytest.approx(60 * share, abs=5)
    for seed, frame in enumerate(frames):  # none is half read
        np.testing.assert_allclose(frame.forces, silicon(seed).arrays["REF_forces"], atol=1e-8)
    assert [origin for origin, _ in skipped] == [f"{path}:{len(frames)}"]
    assert "The file may be truncated" in skipped[0][1]
    with pytest.raises(FrameError, match=rf"cut\.extxyz\.gz, frame {len(frames)}: cannot be read"):
        list(read_frames(path))


def test_what_is_not_gz(tmp_path):
    path = tmp_path / "a.extxyz.gz"
    path.write_text("".join(lines(tmp_path)))
    with pytest.raises(FrameError, match=r"a\.extxyz\.gz, frame 0: cannot be read \(BadGzipFile"):
        list(read_frames(path, skipped=[]))


DAMAGE = {
    "stars for a number": (lambda t: t.__setitem__(14, "Si ******** 0.0 0.0 0.0 0.0 0.0\n"), [0, 2, 3], [1]),
    "a line too many": (lambda t: t.insert(20, t[19]), [0, 2, 3], [1]),
    "a line too few": (lambda t: t.pop(15), [0, 2, 3], [1]),
    "no number of atoms": (lambda t: t.__setitem__(10, "eight\n"), [0, 2, 3], [1]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_one_frame_does_not_cost_the_others(tmp_path, damage):
    spoil, whole, lost = DAMAGE[damage]
    text = lines(tmp_path)
    spoil(text)
    path = tmp_path / "a.extxyz"
    path.write_text("".join(text))
    skipped: Skipped = []
    frames = list(read_frames(path, skipped=skipped))
    assert indices(frames) == whole
    assert [origin for origin, _ in skipped] == [f"{path}:{i}" for i in lost]
    assert frames[-1].energy == -43.0
    with pytest.raises(FrameError, match=f"frame {lost[0]}: cannot be read"):
        list(read_frames(path))


# ---------------------------------------------------------------- streaming


def test_no_more_is_read_than_asked_for(tmp_path):
    """Frames come out of a pipe that is never closed: a reader that wants the whole file would wait for ever."""
    text = "".join(lines(tmp_path, 2))
    read_end, write_end = os.pipe()
    os.write(write_end, text.encode() + b"8\n")
    got: list[str] = []
    texts = frame_texts(Path(f"/dev/fd/{read_end}"))
    thread = threading.Thread(target=lambda: got.append(next(texts)), daemon=True)
    thread.start()
    thread.join(5)
    os.close(write_end)
    os.close(read_end)
    assert got == ["".join(text.splitlines(keepends=True)[:LINES])]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_memory_is_that_of_one_frame(tmp_path, suffix):
    text = written(tmp_path / "one.extxyz", silicon() * (3, 3, 3)).read_text()
    peak = {}
    for frames in (4, 4, 40):  # the first fills caches
        path = tmp_path / f"{frames}.extxyz{suffix}"
        path.write_bytes(COMPRESS[suffix]((text * frames).encode()))
        tracemalloc.start()
        assert sum(1 for _ in read_frames(path)) == frames
        peak[frames] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[40] < peak[4] + 3 * len(text)


@pytest.mark.parametrize("limit", [1, 7, 8, 16, 20, 1000])
def test_chunks_are_bounded_whole_and_in_order(limit):
    frames = [Frame(Atoms(f"H{n}"), f"f:{i}") for i, n in enumerate([3, 5, 8, 1, 1, 21, 2])]
    lists = list(chunks(frames, limit))
    assert [frame for part in lists for frame in part] == frames
    assert all(len(part) == 1 or sum(len(f.atoms) for f in part) <= limit for part in lists)
    joined = [sum(len(f.atoms) for f in first) + len(second[0].atoms) for first, second in pairwise(lists)]
    assert all(size > limit for size in joined)  # no smaller than they have to be


# ---------------------------------------------------------------- content


def test_content_hash_tells_structures_apart():
    def changed(**attributes):
        atoms = silicon()
        for name, value in attributes.items():
            setattr(atoms, name, value)
        return atoms

    atoms = silicon()
    moved, species = atoms.positions.copy(), atoms.numbers.copy()
    moved[4, 2] += 2e-6
    species[1] = 6
    others = [
        changed(positions=moved),
        changed(numbers=species),
        changed(pbc=[True, True, False]),
        changed(cell=atoms.cell.array * 1.0001),
    ]
    assert len({content_hash(a) for a in (atoms, *others)}) == 5


def test_content_hash_ignores_labels_rounding_and_the_sign_of_zero(tmp_path):
    atoms = silicon()
    atoms.positions[0] = 0.0
    same = atoms.copy()
    same.positions[0] = -0.0
    same.positions[1:] += 1e-9
    same.info["REF_energy"] = 0.0
    assert content_hash(same) == content_hash(atoms)
    (read,) = read_frames(written(tmp_path / "a.extxyz", atoms))
    assert content_hash(read.atoms) == content_hash(atoms)


# ---------------------------------------------------------------- real data


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "frames", "atoms"),
    [
        ("tungsten/A-elastic", 121, 242),
        ("tungsten/D-spheres", 31, 3503),
        ("silicon/training", 214, 13233),
        ("silicon/test", 25, 1525),
        ("molybdenum-tungsten/molybdenum-tungsten", 493, 11476),
        ("materials-project/mptrj-random-400", 400, 13012),
        ("molecules/ethanol-100", 100, 900),
    ],
)
def test_real_files_are_read_whole(real_data, name, frames, atoms):
    read = list(read_frames(real_data / f"{name}.extxyz.gz", labels="needed", keys=LabelKeys(stress="none")))
    assert (len(read), sum(len(f.atoms) for f in read)) == (frames, atoms)
