"""Locks of files between processes: they end with the process that holds them, however it ends."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # not everywhere: then nobody waits for anybody
    fcntl = None  # type: ignore[assignment]


class Held(OSError):
    """Another process has the lock."""


def lock(file: IO[Any], path: str | Path, doing: str) -> None:
    """Have an open file for oneself until it is closed.

    Raises `Held` where another process, or another part of this one, is `doing` something with it; file systems without
    locks have none.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Held(
            f"{path}: another process is {doing} it; wait until it has ended (the lock ends with it), or give another "
            "file"
        ) from error
    except OSError:
        return


class Claims:
    """Claims of numbered places, shared by all processes that open the same file.

    Those of one process don't hinder each other, and all end with any `Claims` of the same file in it.
    """

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        with suppress(OSError):  # where nothing can be written, nothing is computed for others
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            weakref.finalize(self, os.close, self._file)

    def take(self, place: int) -> bool:
        """Whether the place is ours now; it is where the file system has no locks."""
        return self._lock(place, wait=False)

    def wait(self, place: int) -> None:
        """Until nobody has the place."""
        self._lock(place, wait=True)
        self.give_back(place)

    def give_back(self, place: int) -> None:
        if fcntl is not None and self._file is not None:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _lock(self, place: int, *, wait: bool) -> bool:
        if fcntl is None or self._file is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, place)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True
        return True
