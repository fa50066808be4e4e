"""Files without a name for what is too much for memory: nothing is left of them when the process ends."""

from __future__ import annotations

import weakref
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO


def scratch_file(owner: object, prefix: str) -> IO[bytes]:
    """A file that is closed with its owner."""
    file = TemporaryFile(prefix=prefix)  # noqa: SIM115 (closed with the owner)
    weakref.finalize(owner, _close, file)
    return file


def _close(file: IO[bytes]) -> None:
    """Nobody needs the content any more, nor to hear that the disk is full for its last bytes."""
    with suppress(OSError):
        file.close()
