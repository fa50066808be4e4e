"""How much a compressed file may unpack to: what its size bears out, so that a few bytes never fill a memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

RATIO = 500
"""Times its own size that a file may unpack to. Numbers pack 2 to 10 times, repeated frames 150 times, zeros 1000."""
FREE = 1 << 26
"""Bytes that any file may unpack to."""
STEP = 1 << 16


class Packed(Protocol):
    """A decompressor."""

    def read1(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def require_ratio(unpacked: int, packed: int) -> None:
    """Raise `ValueError` where `packed` bytes claim, or turn out, to be too many `unpacked` ones."""
    if unpacked > max(FREE, RATIO * packed):
        raise ValueError(
            f"{packed} bytes unpack to {unpacked} or more, {RATIO} times as many: no file of data does. If you know "
            "where it is from, unpack it first"
        )


class _Bounded(io.RawIOBase):
    """What a decompressor gives, as long as it is not too much for what it has taken."""

    def __init__(self, file: IO[bytes], unpack: Callable[[IO[bytes]], Packed]) -> None:
        self._file, self._unpacked, self._count = file, unpack(file), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._unpacked.read1(min(len(buffer), STEP))  # nothing that comes before a cut is lost
        self._count += len(found)
        if self._count > FREE:
            require_ratio(self._count, self._file.tell())
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._unpacked.close()
            self._file.close()
        super().close()


def _opened(unpack: Callable[[IO[bytes]], Packed], path: str | Path, mode: str = "rb", **text: Any) -> Any:
    """A file for reading, as bytes or (`rt`) as text with `encoding` and `errors`."""
    unpacked = io.BufferedReader(_Bounded(Path(path).open("rb"), unpack), STEP)  # noqa: SIM115 (closed by `_Bounded`)
    return io.TextIOWrapper(unpacked, **text) if mode == "rt" else unpacked


OPENERS: Mapping[str, Any] = {
    ".gz": partial(_opened, lambda file: gzip.GzipFile(fileobj=file)),
    ".bz2": partial(_opened, bz2.BZ2File),
    ".xz": partial(_opened, lzma.LZMAFile),
}
"""How compressed files are opened, by the ending of their names. Reading raises `ValueError` for what unpacks to far
too much, and what decompression raises."""


def require_bounded(path: str | Path) -> None:
    """Raise `ValueError` for a compressed file that unpacks to far too much: for readers that open it themselves."""
    if (opener := OPENERS.get(Path(path).suffix.lower())) is not None:
        with opener(path) as file:
            while file.read(STEP):
                pass
