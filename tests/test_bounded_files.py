"""Files that claim more than they hold are refused before it is read, and nothing foreign comes from damaged ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from assay import FrameError, GaugeFileError
from assay.results.prediction import Prediction
from assay.sources.ace.active_sets import read_asi, write_asi
from assay.sources.features import file as features_file
from assay.sources.recorded.members_file import MembersFile, write_members
from assay.storage.archive import load_state, save_state
from assay.storage.bounds import FREE, OPENERS, RATIO
from assay.storage.npz import array_of, opened_npz

COPPER = [bulk("Cu", cubic=True) * (1, 1, n) for n in (1, 2, 3)]


def header(shape: object, descr: object = "<f8", tail: bytes = b"") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + tail


HOSTILE = {
    "more than there is": header((10**12,)),
    "more than 2^63": header((2**63,)),
    "more than any memory": header((10**30,)),
    "negative": header((-5,)),
    "a fraction": header((2.5,)),
    "a word": header(("a",)),
    "no tuple": header(7),
    "objects": header((1,), "|O"),
    "fields": header((3,), [("a", "<f8"), ("b", "|O")]),
    "long texts": header((2,), "<U1000000000"),
    "nothing, often": header((10**9,), "|V0"),
    "nested": b"\x93NUMPY\x01\x00" + struct.pack("<H", 60000) + b"(" * 60000,
    "never closed": b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"{'descr': '<f8', ((\n\n",
    "a large header": b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f",
    "another version": b"\x93NUMPY\x09\x00",
    "empty": b"",
    "text": b"hello",
    "code": b"\x93NUMPY\x01\x00" + struct.pack("<H", 40) + b"__import__('os').abort()".ljust(40),
    "too short": header((8,), tail=bytes(63)),
    "too long": header((8,), tail=bytes(65)),
}


def members(path: Path) -> None:
    said = [Prediction(energy_members=np.ones(2), forces_members=np.ones((2, len(a), 3))) for a in COPPER]
    write_members(path, ["a", "b"], COPPER, said)


READERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object], str]] = {
    "members.npz": (members, MembersFile.read, "energy.npy"),
    "features.npz": (
        lambda path: features_file.write_features(path, COPPER, [np.ones((len(a), 4)) for a in COPPER]),
        lambda path: features_file._table(path).features.sum(),
        "features.npy",
    ),
    "natoms.npz": (
        lambda path: features_file.write_features(path, COPPER, [np.ones((len(a), 4)) for a in COPPER]),
        lambda path: features_file._table(path).features.sum(),
        "natoms.npy",
    ),
    "set.asi": (lambda path: write_asi(path, {"Cu": np.eye(3)}), read_asi, "Cu.npy"),
}


def rezipped(path: Path, compression: int = zipfile.ZIP_DEFLATED, **replaced: bytes) -> None:
    """The archive anew, with right checksums and other members."""
    with zipfile.ZipFile(path) as old:
        held = {name: old.read(name) for name in old.namelist()} | replaced
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in held.items():
            new.writestr(name, data)


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", READERS)
def test_an_array_that_its_bytes_don_t_bear_out_is_refused(name: str, what: str, tmp_path: Path) -> None:
    write, read, member = READERS[name]
    write(path := tmp_path / name)
    rezipped(path, **{member: HOSTILE[what]})
    with pytest.raises(ValueError, match=str(path)):
        read(path)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_archive_is_the_same_or_refused_with_its_name(name: str, tmp_path: Path) -> None:
    write, read, _ = READERS[name]
    write(path := tmp_path / name)
    whole, draw = path.read_bytes(), random.Random(7)
    for trial in range(120):
        damaged, at = bytearray(whole), draw.randrange(len(whole))
        match trial % 4:
            case 0:
                damaged[at] ^= 1 << draw.randrange(8)
            case 1:
                del damaged[at:]
            case 2:
                del damaged[at : at + draw.choice((1, 2, 16, 200))]
            case 3:
                damaged[at : at + 8] = draw.randbytes(8)
        path.write_bytes(damaged)
        features_file._read.cache_clear()
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 (it may be read)


def test_no_bit_of_a_features_file_changes_unnoticed(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    given = [draw.normal(size=(len(atoms), 20)) for atoms in COPPER]
    features_file.write_features(path := tmp_path / "f.npz", COPPER, given)
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[draw.integers(len(whole))] ^= 1 << draw.integers(8)
        path.write_bytes(damaged)
        features_file._read.cache_clear()
        try:
            table = features_file._table(path)
        except FrameError:
            refused += 1
            continue
        np.testing.assert_array_equal(table.features, np.concatenate(given))
        assert table.rows.by_hash is not None
        assert [*map(len, table.rows.by_hash)] == [16] * 3
    assert refused > 120


def test_arrays_come_as_they_were_written(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "c": np.arange(24.0).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "texts": np.array(["Si", "", "åß"]),
        "bytes": np.array([b"a", b"bc"]),
        "none": np.empty((0, 6)),
        "one": np.array(3.5),
        "flags": np.array([True, False]),
        "swapped": np.arange(3, dtype=">f4"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **given)
        with opened_npz(tmp_path / "x.npz") as file:
            assert file.files == [*given]
            for name, array in given.items():
                for found in (file[name], file.mapped(name) if array.size else array):
                    np.testing.assert_array_equal(found, array)
                    assert (found.dtype, found.shape) == (array.dtype, array.shape)
                assert file.header(name).shape == array.shape
    buffer = io.BytesIO()
    np.save(buffer, given["fortran"])
    np.testing.assert_array_equal(array_of(buffer.getvalue()), given["fortran"])


def bomb(path: Path, member: str, size: int) -> None:
    """Zeros in a compressed member, said to be an array."""
    with zipfile.ZipFile(path) as old:
        held = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in held.items():
            with new.open(name, "w", force_zip64=True) as file:
                if name != member:
                    file.write(data)
                    continue
                file.write(header((size // 8,)))
                for _ in range(size >> 24):
                    file.write(bytes(1 << 24))


BOMBED = """
import resource, sys
from pathlib import Path
import assay
from assay import read_frames
from assay.sources.ace.active_sets import read_asi
from assay.sources.features import file as features_file
from assay.sources.recorded.members_file import MembersFile
from assay.storage.archive import load_state
reads = {".gauge": load_state, ".asi": read_asi, ".gz": lambda path: list(read_frames(path))}
path = Path(sys.argv[1])
read = reads.get(path.suffix, MembersFile.read if path.stem == "members" else features_file._table)
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
try:
    read(path)
    print("read")
except ValueError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held, error)
"""


@pytest.mark.parametrize("name", ["members.npz", "features.npz", "set.asi", "x.gauge", "x.extxyz.gz", "x.cif.gz"])
def test_a_bomb_is_refused_after_bounded_memory(name: str, tmp_path: Path) -> None:
    path, size = tmp_path / name, 1 << 29
    if name in READERS:
        write, _, member = READERS[name]
        write(path)
        bomb(path, member, size)
    elif name == "x.gauge":
        save_state(path, {"a": np.ones(3)})
        bomb(path, "state.json", size)
    else:
        with gzip.open(path, "wb", compresslevel=6) as file:
            for _ in range(size >> 24):
                file.write(b" " * ((1 << 24) - 1) + b"\n")
    assert path.stat().st_size < size // RATIO
    done = subprocess.run([sys.executable, "-c", BOMBED, str(path)], capture_output=True, text=True, timeout=100)
    memory, _, message = done.stdout.partition(" ")
    assert int(memory) < 4 * FREE, done.stderr
    assert str(path) in message
    assert "if you know where it is from, unpack it first" in message.lower()


def test_what_people_have_is_no_bomb(tmp_path: Path) -> None:
    frames = [COPPER[0]] * 20000  # each as the one before it: what packs best of all that is data
    ase.io.write(plain := tmp_path / "x.extxyz", frames[:2000])
    data = plain.read_bytes() * (FREE // plain.stat().st_size + 2)
    assert len(data) > FREE
    (packed := tmp_path / "x.extxyz.gz").write_bytes(gzip.compress(data, 9))
    with OPENERS[".gz"](packed) as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(data).digest()
    np.savez_compressed(tmp_path / "nan.npz", a=np.full((FREE // 16,), np.nan))
    with opened_npz(tmp_path / "nan.npz") as file:
        assert np.isnan(file["a"]).all()


def test_a_gauge_whose_checksums_an_attacker_made_is_refused(tmp_path: Path) -> None:
    save_state(path := tmp_path / "x.gauge", {"a": np.ones(3)})
    for what, data in HOSTILE.items():
        tree = json.dumps({"a": {"$array": "arrays/0.npy", "sha256": hashlib.sha256(data).hexdigest()}})
        manifest = {"format": "assay-gauge", "version": 1, "sha256": hashlib.sha256(tree.encode()).hexdigest()}
        parts = {"manifest.json": json.dumps(manifest).encode(), "state.json": tree.encode(), "arrays/0.npy": data}
        rezipped(path, zipfile.ZIP_STORED, **parts)
        with pytest.raises(GaugeFileError, match=str(path)):
            load_state(path)
        assert what


def test_other_packings_and_passwords_are_refused(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        members(path := tmp_path / "members.npz")
        rezipped(path, compression)
        with pytest.raises(FrameError, match="packed in another way than NumPy packs"):
            MembersFile.read(path)
    members(path)
    locked = bytearray(path.read_bytes())
    at = -1
    while (at := locked.find(b"PK\x01\x02", at + 1)) >= 0:
        locked[at + 8] |= 1
    path.write_bytes(locked)
    with pytest.raises(FrameError, match="encrypted"):
        MembersFile.read(path)
