"""What users give for frames, as frames that can be gone through again: files and objects alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from assay.frames.frame import Frame, FrameError, LabelKeys, file_hash
from assay.frames.reading import read_frames
from assay.results.prediction import Prediction
from assay.sources import frame_files
from assay.sources.frame_files import FrameFiles, FrameObjects, frames_of
from assay.sources.recorded.members_file import write_members


def copper(count: int = 4, seed: int = 0) -> list[Atoms]:
    """Labelled, each of another energy."""
    rng = np.random.default_rng(seed)
    structures = []
    for k in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.positions = np.round(atoms.positions + rng.normal(0, 0.1, (4, 3)), 8)
        atoms.info |= {"REF_energy": -float(k), "config_type": f"kind {k}"}
        atoms.arrays["REF_forces"] = rng.normal(0, 1, (4, 3)).round(8)
        structures.append(atoms)
    return structures


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "a.extxyz", copper())
    return tmp_path / "a.extxyz"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that were opened by the reader, one entry each time."""
    opened: list[Any] = []

    def counting(paths: Any, **options: Any) -> Iterator[Frame]:
        opened.append(paths)
        return read_frames(paths, **options)

    monkeypatch.setattr(frame_files, "read_frames", counting)
    return opened


def told(frames: Any) -> list[tuple[str, float | None, list[list[float]], list[list[float]]]]:
    return [
        (f.config_type, f.energy, f.atoms.positions.tolist(), [] if f.forces is None else f.forces.tolist())
        for f in frames
    ]


def test_files_that_fit_in_memory_are_parsed_once(path: Path, parsed: list[Any]) -> None:
    files = FrameFiles(path)
    first, second, third = told(files), told(files), told(files)
    assert first == second == third
    assert len(first) == 4
    assert len(parsed) == 1


def test_files_that_do_not_fit_are_parsed_anew(path: Path, parsed: list[Any]) -> None:
    files = FrameFiles(path, memory=3 * 4096)  # the fourth frame is too much
    assert told(files) == told(files) == told(FrameFiles(path))
    assert len(parsed) == 3
    once = FrameFiles(path, memory=0)
    assert told(once) == told(once)
    assert len(parsed) == 5


def test_a_reading_that_ends_early_is_not_taken_for_the_whole(path: Path, parsed: list[Any]) -> None:
    files = FrameFiles(path)
    assert next(iter(files)).energy == 0.0
    assert len(list(files)) == len(list(files)) == 4
    assert len(parsed) == 2


def test_whoever_changes_a_frame_changes_his_own(path: Path) -> None:
    for frames in (FrameFiles(path), frames_of(copper())):
        for _ in range(2):
            for frame in frames:
                assert abs(frame.atoms.positions).max() < 50
                frame.atoms.positions += 100.0


def test_what_is_skipped_is_told_once(tmp_path: Path) -> None:
    structures = copper(5)
    del structures[1].info["REF_energy"], structures[1].arrays["REF_forces"]
    structures[4].positions[:] = 0.0
    ase.io.write(tmp_path / "a.extxyz", structures)
    files = FrameFiles(tmp_path / "a.extxyz", skip_bad=True, memory=0)
    next(iter(files))
    assert files.skipped == []
    for _ in range(2):
        assert len(list(files)) == 3
        assert [origin for origin, _ in files.skipped] == [f"{tmp_path}/a.extxyz:{i}" for i in (1, 4)]
    with pytest.raises(FrameError, match=r"a\.extxyz, frame 1: no label 'REF_energy'"):
        list(FrameFiles(tmp_path / "a.extxyz"))


def test_files_have_hashes_and_objects_have_none(path: Path) -> None:
    assert FrameFiles([path]).files == {str(path): file_hash(path)}
    assert frames_of(copper()).files == {}


def test_forms_of_the_same_frames(path: Path) -> None:
    structures = copper()
    expected = told(read_frames(path))
    for given in (
        path,
        str(path),
        [path],
        iter([path]),
        structures,
        tuple(structures),
        (atoms for atoms in structures),
        list(read_frames(path)),
        read_frames(path),
    ):
        frames = frames_of(given)
        assert told(frames) == told(frames) == expected
        assert frames_of(frames) is frames
    assert told(frames_of(structures[0])) == told(frames_of(next(iter(read_frames(path))))) == expected[:1]


def test_files_take_what_they_leave_open(path: Path, tmp_path: Path) -> None:
    keys = LabelKeys(stress="none")
    files = FrameFiles(path)
    assert frames_of(files, labels="needed", keys=LabelKeys()) is files
    filled = frames_of(files, keys=keys, labels="if present", skip_bad=True, members="m.npz")
    assert isinstance(filled, FrameFiles)
    assert (filled.keys, filled.labels, filled.skip_bad, filled.members) == (keys, "if present", True, "m.npz")
    assert filled.paths == path
    own = FrameFiles(path, "own.npz", LabelKeys("E"), skip_bad=True)
    assert frames_of(own, keys=keys, members="m.npz") is own


def test_a_one_shot_iterator_is_gone_through_once() -> None:
    given = []

    def stream() -> Iterator[Atoms]:
        for atoms in copper():
            given.append(atoms)
            yield atoms

    frames = frames_of(stream())
    assert [frame.energy for _ in range(3) for frame in frames] == [0.0, -1.0, -2.0, -3.0] * 3
    assert len(given) == 4


def test_objects_are_named_by_their_index_and_frames_by_their_origin(path: Path) -> None:
    assert [frame.origin for frame in frames_of(copper(2))] == ["atoms:0", "atoms:1"]
    assert [frame.origin for frame in frames_of(read_frames(path))] == [f"{path}:{i}" for i in range(4)]


def test_labels_of_objects_are_those_of_the_keys() -> None:
    atoms = copper(1)[0]
    atoms.calc = SinglePointCalculator(atoms, energy=7.0, forces=np.ones((4, 3)))
    assert next(iter(frames_of(atoms))).energy == 0.0
    own = next(iter(frames_of(atoms, keys=LabelKeys("energy", "forces", "none"))))
    assert own.energy == 7.0
    assert own.forces is not None
    assert own.forces.tolist() == np.ones((4, 3)).tolist()
    assert own.atoms.calc is None
    assert atoms.calc is not None
    bare = bulk("Cu")
    assert next(iter(frames_of(bare, labels="if present"))).energy is None


def test_objects_that_can_not_be_used() -> None:
    structures = copper(3)
    structures[1].positions[2, 0] = np.nan
    with pytest.raises(FrameError, match="atoms, frame 1, atom 2: position is not finite"):
        frames_of(structures)
    found = frames_of(structures, skip_bad=True)
    assert [frame.origin for frame in found] == ["atoms:0", "atoms:2"]
    assert [origin for origin, _ in found.skipped] == ["atoms:1"]
    with pytest.raises(FrameError, match="atoms, frame 0: no label 'REF_energy'"):
        frames_of([bulk("Cu")])
    with pytest.raises(FrameError, match="f, frame 3: a Frame without energy or forces or stress"):
        frames_of(Frame(bulk("Cu"), "f:3"))
    with pytest.raises(FrameError, match="what was given is empty"):
        frames_of([])


@pytest.mark.parametrize(("given", "message"), [([bulk("Cu"), "a.xyz"], "a.xyz"), (3, "int"), ([3], "3")])
def test_what_is_no_frame_is_refused(given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        frames_of(given, labels="if present")


def test_members_belong_to_files_and_to_objects(path: Path, tmp_path: Path) -> None:
    structures = copper()
    predictions = [
        Prediction(energy_members=np.array([k, k + 1.0]), forces_members=np.full((2, 4, 3), float(k))) for k in range(4)
    ]
    write_members(tmp_path / "m.npz", ["a", "b"], structures, predictions)
    for given in (path, structures, frames_of(structures)):
        found = list(frames_of(given, members=tmp_path / "m.npz"))
        assert [frame.atoms.info["b_energy"] for frame in found] == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match="2 members files for 1 frames files"):
        frames_of(path, members=[tmp_path / "m.npz"] * 2)
    with pytest.raises(ValueError, match="2 members files for frames that are not from files"):
        frames_of(structures, members=[tmp_path / "m.npz"] * 2)


def test_originals_have_all_that_was_given(path: Path) -> None:
    structures = copper()
    structures[2].calc = SinglePointCalculator(structures[2], energy=7.0)
    objects, files = frames_of(structures), FrameFiles(path)
    assert isinstance(objects, FrameObjects)
    (found,) = objects.originals({"atoms:2"}).values()
    assert found.info == structures[2].info
    assert found is not structures[2]
    (read,) = files.originals({f"{path}:2"}).values()
    assert read.info["REF_energy"] == -2.0
    np.testing.assert_array_equal(read.arrays["REF_forces"], structures[2].arrays["REF_forces"])
