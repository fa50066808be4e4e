"""The file format of a gauge: whole, or a clear error."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.storage import archive as gauge_file
from assay.storage.archive import GaugeFileError, load_state, save_state
from assay.storage.files import write_atomically

STATE: dict[str, Any] = {
    "name": "Å and 「quotes」",
    "nothing": None,
    "flag": True,
    "count": 3,
    "small": 0.1 + 0.2,
    "infinite": float("inf"),
    "nested": {"list": [1, [2.5, "x"], {"deep": np.arange(6.0).reshape(2, 3)}], "empty": {}},
    "arrays": [np.array([], dtype=np.float64), np.array(["a", "bcd"]), np.array([[True], [False]]), np.array(7)],
    "extremes": np.array([np.nan, np.inf, -0.0, 5e-324, np.pi]),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    else:
        assert a == b


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_state(tmp_path / "x.gauge", STATE)
    return tmp_path / "x.gauge"


def rewritten(path: Path, **members: bytes) -> Path:
    """The file as a sound archive with members (`manifest`, `state`) replaced."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {f"{name}.json": data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def test_what_is_saved_is_loaded_to_the_bit(path: Path):
    assert_same(load_state(path), STATE)


def test_tuples_and_numpy_scalars_become_json(tmp_path: Path):
    save_state(tmp_path / "x", {"t": (1, np.float64(0.1)), "b": np.bool_(True), "i": np.int64(2), 3: "key"})
    assert_same(load_state(tmp_path / "x"), {"t": [1, 0.1], "b": True, "i": 2, "3": "key"})


def test_equal_states_make_equal_files(tmp_path: Path):
    """No date and no name of a file gets in."""
    for name in ("x.gauge", "y.gauge"):
        save_state(tmp_path / name, STATE)
    assert (tmp_path / "x.gauge").read_bytes() == (tmp_path / "y.gauge").read_bytes()


@pytest.mark.parametrize("bits", [(0x01, 0x80), (0x08, 0xFF)])
def test_a_damaged_byte_anywhere_is_noticed_or_harmless(path: Path, bits: tuple[int, int]):
    """Every byte of the file in turn. The few that hold dates or attributes change nothing; all others are reported."""
    state = {"name": "Å", "list": [0.1, {"deep": np.arange(3.0)}], "text": np.array(["a"])}
    save_state(path, state)
    whole = path.read_bytes()
    noticed = []
    with path.open("r+b", buffering=0) as file:
        for i in range(len(whole)):
            file.seek(i)
            file.write(bytes([whole[i] ^ bits[i % 2]]))
            try:
                loaded = load_state(path)
            except GaugeFileError as error:
                noticed.append(str(error))
            else:
                assert_same(loaded, state)
            file.seek(i)
            file.write(whole[i : i + 1])
    assert len(noticed) > 0.75 * len(whole)
    assert all(str(path) in message for message in noticed)


def test_every_damaged_byte_of_content_is_noticed(path: Path):
    """The bytes of arrays, of `state.json` and of the manifest have no harmless ones."""
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    for content in contents:
        start = whole.index(content)
        for i in range(start, start + len(content), 13):
            damaged = bytearray(whole)
            damaged[i] ^= 0x10
            path.write_bytes(damaged)
            with pytest.raises(GaugeFileError):
                load_state(path)


def test_a_checksum_is_looked_at_where_the_zip_is_sound(path: Path):
    with zipfile.ZipFile(path) as archive:
        tree = archive.read("state.json")
    rewritten(path, state=tree.replace(b'"count": 3', b'"count": 4'))
    with pytest.raises(GaugeFileError, match=r"damaged, the checksum of state\.json does not match; build .* again"):
        load_state(path)


def test_checksums_of_arrays_are_looked_at_too(tmp_path: Path):
    """Two archives, each sound: an array of the one in the other."""
    for name, value in (("x.gauge", 1.0), ("y.gauge", 2.0)):
        save_state(tmp_path / name, {"a": np.full(3, value)})
    with zipfile.ZipFile(tmp_path / "x.gauge") as one, zipfile.ZipFile(tmp_path / "y.gauge") as other:
        content = {name: one.read(name) for name in one.namelist()} | {"arrays/0.npy": other.read("arrays/0.npy")}
    with zipfile.ZipFile(tmp_path / "z.gauge", "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(GaugeFileError, match=r"damaged, the checksum of arrays/0\.npy does not match"):
        load_state(tmp_path / "z.gauge")


def test_a_truncated_file_at_any_length(path: Path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(GaugeFileError, match="not a gauge file, or damaged"):
            load_state(path)


def test_a_newer_version_says_how_to_upgrade(path: Path):
    manifest = {"format": "assay-gauge", "version": 2, "sha256": ""}
    rewritten(path, manifest=json.dumps(manifest).encode())
    with pytest.raises(GaugeFileError, match="format 2, this Assay reads up to 1; upgrade with pip install --upgrade"):
        load_state(path)


@pytest.mark.parametrize(
    "manifest", [b'{"format": "other"}', b"[]", b"3", b'{"format": "assay-gauge", "version": "new"}', b"\xff", b""]
)
def test_a_zip_with_another_manifest(path: Path, manifest: bytes):
    with pytest.raises(GaugeFileError, match=r"x\.gauge: not a gauge file"):
        load_state(rewritten(path, manifest=manifest))


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04N.", b"PK\x05\x06" + 18 * b"\0"])
def test_not_a_gauge(tmp_path: Path, content: bytes):
    """An empty file, JSON, a pickle, an empty zip."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(GaugeFileError, match="not a gauge file, or damaged"):
        load_state(tmp_path / "x")


def test_an_npz_is_not_a_gauge(tmp_path: Path):
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    with pytest.raises(GaugeFileError, match="not a gauge file, or damaged"):
        load_state(tmp_path / "x.npz")


def test_no_file_and_a_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.gauge: no such file"):
        load_state(tmp_path / "nowhere.gauge")
    with pytest.raises(GaugeFileError, match="not a gauge file"):
        load_state(tmp_path)


class Bomb:
    """Unpickling it would call `pytest.fail`."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was loaded",)


def test_pickled_arrays_are_neither_written_nor_read(tmp_path: Path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_state(tmp_path / "x", {"a": np.array([Bomb()])})
    assert list(tmp_path.iterdir()) == []

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb()]), allow_pickle=True)
    data = buffer.getvalue()
    tree = {"a": {"$array": "arrays/0.npy", "sha256": gauge_file.hashlib.sha256(data).hexdigest()}}
    text = json.dumps(tree).encode()
    manifest = {"format": "assay-gauge", "version": 1, "sha256": gauge_file.hashlib.sha256(text).hexdigest()}
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("state.json", text)
        archive.writestr("arrays/0.npy", data)
    with pytest.raises(GaugeFileError, match="Object arrays cannot be loaded"):
        load_state(tmp_path / "x")
    with pytest.raises(pytest.fail.Exception, match="a pickle was loaded"):  # the bomb is live
        pickle.loads(pickle.dumps(Bomb()))


class Crash(BaseException):
    """As Ctrl-C: not an `Exception`."""


def test_a_crash_in_the_middle_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, written = path.read_bytes(), []
    original = zipfile.ZipFile.writestr

    def crash(self: zipfile.ZipFile, *arguments: Any) -> None:
        written.append(arguments)
        if len(written) > 2:
            raise Crash
        original(self, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", crash)
    with pytest.raises(Crash):
        save_state(path, {"new": np.zeros(3)})
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_late_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    whole = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, {"new": 1})
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_a_state_that_can_not_be_written_leaves_the_old_file(path: Path):
    whole = path.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_state(path, {"new": object()})
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_the_folder_must_exist(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"x\.gauge: the folder .*nowhere does not exist"):
        save_state(tmp_path / "nowhere" / "x.gauge", {})


def test_the_new_file_has_the_usual_permissions(tmp_path: Path):
    (tmp_path / "usual").write_bytes(b"")
    write_atomically(tmp_path / "x", lambda file: file.write(b"content"))
    assert (tmp_path / "x").read_bytes() == b"content"
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "usual").stat().st_mode
