"""Worker processes that end with the process that started them, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread, main_thread

PATIENCE = 5.0
"""Seconds that a process gets to take away its temporary folders, if it answers SIGTERM."""


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


def _wait(end: Connection, folder: str | None) -> None:
    with suppress(EOFError, OSError):
        end.recv_bytes()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    main_thread().join(PATIENCE)
    os._exit(1)
