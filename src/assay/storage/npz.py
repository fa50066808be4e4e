"""Arrays of `.npz` files, read within bounds: no pickles, and no array that its bytes don't bear out."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from assay.storage.bounds import STEP, require_ratio
from assay.storage.files import unfinished

KINDS = "biufcSU"
"""Of arrays: numbers and texts."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an array say: its shape, type and order, and how many bytes they are."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: str
    size: int

    @classmethod
    def read(cls, file: IO[bytes], size: int) -> Header:
        """Of an array of `size` bytes, header included; raises `ValueError` where it is not as large as it says."""
        try:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            found = cls(tuple(map(int, shape)), dtype, "F" if fortran else "C", file.tell())
        except Exception as error:  # NumPy evaluates the header and raises what that raises
            raise ValueError(f"no header of an array ({type(error).__name__}: {_short(error)})") from error
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded: they are pickles, which may run code")
        if dtype.kind not in KINDS or not dtype.itemsize:
            raise ValueError(f"of type {dtype}, needed numbers or texts")
        if min(found.shape, default=1) < 0 or math.prod(found.shape) * dtype.itemsize != size - found.size:
            raise ValueError(f"of shape {_short(shape)} and type {dtype}, but {size - found.size} bytes are there")
        return found


class Npz:
    """An open `.npz` file as `np.load` has it, within bounds: `files` are the names, `file[name]` is an array."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    @property
    def files(self) -> list[str]:
        return [*self._members]

    def header(self, name: str) -> Header:
        """Shape and type, without reading the array; raises `ValueError`."""
        with self._opened(name) as (file, size):
            return Header.read(file, size)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array, with its checksum; raises `ValueError`."""
        with self._opened(name) as (file, size):
            header = Header.read(file, size)
            data = np.empty(size - header.size, dtype=np.uint8)
            filled = 0
            while part := file.read(STEP):
                data[filled : filled + len(part)] = np.frombuffer(part, dtype=np.uint8)
                filled += len(part)
        if filled < len(data):
            raise ValueError(f"{name} is cut off")
        return np.ndarray(header.shape, header.dtype, data, order="F" if header.order == "F" else "C")

    def mapped(self, name: str) -> NDArray[Any]:
        """The array mapped from disk: in place, or from a temporary copy where it is compressed; raises `ValueError`.

        Its checksum is looked at once, here: all bytes are read.
        """
        header, info = self.header(name), self._members[name]
        with self._path.open("rb") as whole, TemporaryFile() as copy:
            start = header.size
            file: IO[bytes] = whole
            if info.compress_type == zipfile.ZIP_STORED:
                with self._opened(name) as (member, _):
                    while member.read(STEP):
                        pass
                whole.seek(info.header_offset + 26)  # lengths of the name and of the extra field of the local header
                start += info.header_offset + 30 + sum(struct.unpack("<HH", whole.read(4)))
            else:
                file = copy
                with self._opened(name) as (member, _), unfinished():
                    while part := member.read(STEP):
                        copy.write(part)
                    copy.flush()
            return np.memmap(file, header.dtype, "r", start, header.shape, "F" if header.order == "F" else "C")

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        info = self._members[name]
        try:
            with self._archive.open(info) as file:
                yield file, info.file_size
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        except Exception as error:  # zipfile, zlib and struct raise their own
            if isinstance(error, OSError) and error.filename is not None:
                raise
            raise ValueError(f"{name}: {type(error).__name__}: {error}") from error


@contextmanager
def opened_npz(path: str | Path) -> Iterator[Npz]:
    """The arrays of an `.npz` file; raises `ValueError` for what is not one, is damaged, or claims to be too large."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile raises its own, and others of damaged files
            raise ValueError(f"no zip archive, or cut off ({type(error).__name__}: {error})") from error
        with archive:
            require_archive(archive.infolist(), path.stat().st_size)
            found = Npz(path, archive)
            for name in found.files:
                found.header(name)  # a name that is not that of its array, for one, is told here
            yield found


def require_archive(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raise `ValueError` for members that claim more than an archive of `size` bytes can hold, or are packed in other
    ways than NumPy's."""
    for each in members:
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or each.flag_bits & 1:
            raise ValueError(f"{each.filename} is encrypted, or packed in another way than NumPy packs")
        if each.compress_type == zipfile.ZIP_STORED and each.file_size != each.compress_size:
            raise ValueError(f"{each.filename} is damaged: it has two sizes")
    require_ratio(sum(each.file_size for each in members), min(size, sum(each.compress_size for each in members)))


def array_of(data: bytes) -> NDArray[Any]:
    """An array of the bytes of an `.npy` file; raises `ValueError`."""
    file = io.BytesIO(data)
    header = Header.read(file, len(data))
    array = np.frombuffer(data, header.dtype, offset=header.size)
    return array.reshape(header.shape, order="F" if header.order == "F" else "C").copy(order="K")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]} …"
