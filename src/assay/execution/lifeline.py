"""Worker processes that end with the process that started them, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path
from threading import Thread, main_thread

PATIENCE = 5.0
"""Seconds that a process gets to take away its temporary folders, if it answers SIGTERM."""
TRIES = 1000


class Lifeline:
    """A pipe on which nothing is ever sent: who holds `end` ends when it is cut, or when this process ends.

    The kernel closes this process's side even after SIGKILL.
    """

    def __init__(self) -> None:
        self.end, self._held = get_context("spawn").Pipe(duplex=False)

    def cut(self) -> None:
        """End those that hold the other end, in the middle of what they do."""
        self._held.close()

    def close(self) -> None:
        """Once they have ended."""
        self._held.close()
        self.end.close()


def hold(end: Connection, folder: str | None = None) -> None:
    """End this process when the line is cut, and take away `folder`, which the other side may no longer do."""
    Thread(target=_wait, args=(end, folder), name="lifeline", daemon=True).start()
    Finalize(None, _tidy, args=(end, folder), exitpriority=0)


def _wait(end: Connection, folder: str | None) -> None:
    with suppress(EOFError, OSError):
        end.recv_bytes()
    _remove(folder)
    os.kill(os.getpid(), signal.SIGTERM)
    main_thread().join(PATIENCE)
    os._exit(1)


def _tidy(end: Connection, folder: str | None) -> None:
    """Where this process ends by itself, as nobody takes its results any more."""
    with suppress(OSError):
        if end.poll():
            _remove(folder)


def _remove(folder: str | None) -> None:
    """Also what this process and others write into it meanwhile; once it is gone they can't."""
    for _ in range(TRIES):
        if folder is None or not Path(folder).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
