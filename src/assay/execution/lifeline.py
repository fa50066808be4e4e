"""Worker processes that end with the process that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread, main_thread

PATIENCE = 5.0
"""Seconds that a process gets to take away its temporary folders, if it answers SIGTERM."""
SWEEP = """
import os, shutil, sys
sys.stdin.read()
for _ in range(1000):  # others may still write into it; once it is gone they can't
    if os.path.exists(sys.argv[1]):
        shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
"""What takes a folder away when standard input ends."""


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


def hold(end: Connection) -> None:
    """End this process when the line is cut."""
    Thread(target=_wait, args=(end,), name="lifeline", daemon=True).start()


def _wait(end: Connection) -> None:
    with suppress(EOFError, OSError):
        end.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    main_thread().join(PATIENCE)
    os._exit(1)


@contextmanager
def swept_folder(parent: Path | None) -> Iterator[str]:
    """A temporary folder that goes even where this process is killed: a small process of its own waits for that."""
    with TemporaryDirectory(prefix="assay-", dir=parent, ignore_cleanup_errors=True) as folder:
        sweeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SWEEP, folder],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield folder
        finally:
            assert sweeper.stdin is not None
            sweeper.stdin.close()
            sweeper.wait()
