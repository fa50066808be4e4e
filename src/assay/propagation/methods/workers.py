"""Run tasks in worker processes, each result as soon as it is there; a task that ends its process costs only itself."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from assay.execution.lifeline import Lifeline, hold

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 5.0
"""Seconds that a worker gets to end by itself."""


@dataclass(frozen=True)
class Died:
    """The worker process ended while it had the task."""

    exitcode: int | None

    @property
    def reason(self) -> str:
        return (
            f"the worker process died (exit code {self.exitcode}): a crash in the potential's own code, or not enough "
            "memory"
        )


@dataclass
class _Worker:
    process: SpawnProcess
    task: int | None = None
    ready: bool = False


def as_completed(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Generator[tuple[int, R | Died]]:
    """`(index of the task, function(task))` as they come; what the function raises is raised here.

    One worker is this process. More are new processes of one thread each, that are ended when the iterator is closed,
    or this process ends in any way.
    What tasks print goes to stderr. Raises `RuntimeError` where worker processes don't even start.
    """
    if workers <= 1:
        for index, task in enumerate(tasks):
            with redirect_stdout(sys.stderr):
                done = function(task)
            yield index, done
        return
    crew: dict[Connection, _Worker] = {}
    lifeline = Lifeline()
    waiting = deque(range(len(tasks)))
    left = len(tasks)
    try:
        while left:
            while len(crew) < min(workers, left):
                crew.update([_hire(function, lifeline)])
            for connection in wait(list(crew)):
                assert isinstance(connection, Connection)
                worker = crew[connection]
                result: R | Died
                try:
                    error, result = connection.recv()
                except (EOFError, OSError):
                    error, result = None, _buried(crew.pop(connection))
                if error is not None:
                    raise error
                if worker.task is not None:
                    left -= 1
                    yield worker.task, result
                worker.task, worker.ready = None, True
                if connection in crew and waiting:
                    worker.task = waiting.popleft()
                    with suppress(OSError):  # it died in between: its end of the pipe is read next
                        connection.send(tasks[worker.task])
    finally:
        _dismiss(crew)
        lifeline.close()


def _hire(function: Callable[[T], Any], lifeline: Lifeline) -> tuple[Connection, _Worker]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(function, there, lifeline.end), daemon=True)
    process.start()
    there.close()
    return here, _Worker(process)


def _buried(worker: _Worker) -> Died:
    worker.process.join()
    if not worker.ready:
        raise RuntimeError(
            "worker processes end as soon as they start. A script that uses workers needs its calls under "
            "`if __name__ == '__main__':`; or use one worker"
        )
    return Died(worker.process.exitcode)


def _dismiss(crew: dict[Connection, _Worker]) -> None:
    """End all: those that wait for work by themselves, the others by force."""
    for connection, worker in crew.items():
        if worker.task is None:
            with suppress(OSError):
                connection.send(None)
        else:
            worker.process.terminate()
    for connection, worker in crew.items():
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        connection.close()


def _serve(function: Callable[[Any], Any], connection: Connection, lifeline: Connection) -> None:
    hold(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    signal.signal(signal.SIGTERM, _interrupt)
    threadpool_limits(1)
    connection.send((None, None))
    with suppress(EOFError, OSError, KeyboardInterrupt), redirect_stdout(sys.stderr):  # the main process has gone
        while (task := connection.recv()) is not None:
            try:
                connection.send((None, function(task)))
            except Exception as error:
                connection.send((error, None))


def _interrupt(*_: object) -> None:
    """So that temporary folders go; not `SystemExit`, which a potential may raise as well."""
    raise KeyboardInterrupt
