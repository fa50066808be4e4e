"""Files are written whole or not at all, through links, devices and pipes, and a full disk is told with the file."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from assay import read_frames
from assay.frames.writing import append_frame, frames_out
from assay.results.prediction import Prediction
from assay.sources.recorded.members_file import MembersFile, write_members
from assay.storage.archive import load_state, save_state
from assay.storage.files import append, named, unfinished, write_atomically, write_json

COPPER = bulk("Cu", cubic=True)


def write_frames(path: Path) -> None:
    with frames_out(path) as add:
        add(COPPER)


def write_npz(path: Path) -> None:
    said = Prediction(energy_members=np.zeros(2), forces_members=np.zeros((2, 4, 3)))
    write_members(path, ["a", "b"], [COPPER], [said])


WRITERS = {
    "frames.extxyz": write_frames,
    "frames.extxyz.gz": write_frames,
    "frames.dump": write_frames,
    "x.json": lambda path: write_json(path, {"a": 1}),
    "x.gauge": lambda path: save_state(path, {"a": np.arange(3.0)}),
    "x.npz": write_npz,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_stays_and_what_it_points_to_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / name, tmp_path / name
    link.symlink_to(target)
    for _ in range(2):  # one that points to nothing yet, and to a file
        WRITERS[name](link)
        assert link.is_symlink()
        assert target.stat().st_size > 0
    WRITERS[name](plain := tmp_path / f"plain-{name}")
    assert target.stat().st_size == plain.stat().st_size
    assert [path.name for path in (tmp_path / "there").iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_pipe_stays_and_gets_the_bytes_of_a_file(name: str, tmp_path: Path) -> None:
    pipe = tmp_path / f"pipe-{name}"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    WRITERS[name](pipe)
    reader.join(timeout=20)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (copy := tmp_path / name).write_bytes(got[0])
    match copy.suffix:
        case ".json":
            assert copy.read_text() == '{\n "a": 1\n}\n'
        case ".gauge":
            np.testing.assert_array_equal(load_state(copy)["a"], np.arange(3.0))
        case ".npz":
            assert MembersFile.read(copy).models == ("a", "b")
        case _:
            assert len(list(read_frames(copy))) == 1


@pytest.mark.parametrize("name", WRITERS)
def test_a_device_stays(name: str) -> None:
    if name != "x.npz":  # the name decides the format of frames, and a device has none
        WRITERS[name](Path(os.devnull))
    else:
        write_npz(Path(os.devnull))
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_with_the_name_of_the_file(name: str) -> None:
    with pytest.raises(OSError, match=r"No space left on device.*/dev/full") as told:
        WRITERS[name](Path("/dev/full"))
    assert told.value.errno == errno.ENOSPC
    assert told.value.filename == "/dev/full"


def test_a_full_disk_while_a_file_is_written_leaves_the_old_one(tmp_path: Path) -> None:
    (path := tmp_path / "x").write_text("old")

    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=str(path)):
        write_atomically(path, full)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_full_disk_for_what_is_unfinished_names_its_folder_and_the_way_out() -> None:
    with pytest.raises(OSError, match=r"TMPDIR names another folder\): '/") as told, unfinished():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert told.value.errno == errno.ENOSPC


def test_an_error_that_has_its_file_keeps_it() -> None:
    with pytest.raises(PermissionError) as told, named("other"):
        raise PermissionError(errno.EACCES, "no", "mine")
    assert told.value.filename == "mine"


@pytest.mark.parametrize("name", ["c.extxyz", "c.xyz", "c.extxyz.gz", "c.extxyz.bz2", "c.extxyz.xz", "c.dump.gz", "c"])
def test_frames_that_are_added_one_by_one_are_read_again(name: str, tmp_path: Path) -> None:
    for i in range(3):
        atoms = COPPER.copy()
        atoms.positions += i
        append_frame(tmp_path / name, atoms)
        if "." in name:
            found = [frame.atoms.positions[0, 0] for frame in read_frames(tmp_path / name)]
            np.testing.assert_allclose(found, np.arange(i + 1.0))


@pytest.mark.parametrize("name", ["o.extxyz.gz", "o.extxyz.bz2", "o.xyz.xz", "o.dump.xz", "o.lammpstrj.bz2"])
def test_frames_are_compressed_as_the_name_says(name: str, tmp_path: Path) -> None:
    write_frames(tmp_path / name)
    assert [frame.atoms.get_chemical_formula() for frame in read_frames(tmp_path / name)] == ["Cu4"]


@pytest.mark.parametrize("name", ["x.traj", "x.csv", "x.npz", "x.json", "x.extxyz.zip", "x.gz", "x.cif.gz"])
def test_a_name_of_another_format_gets_no_frames(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"frames are written as extended XYZ \(.extxyz, .xyz\) or LAMMPS dump"):
        write_frames(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_added_whole_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path := tmp_path / "x", b"first\n")
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:-3])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match=str(path)):
        append(path, b"second\n")
    assert path.read_bytes() == b"first\n"


def test_half_characters_of_file_names_are_json(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"name": "a\udcff"})
    assert (tmp_path / "x.json").read_bytes() == b'{\n "name": "a\\udcff"\n}\n'
