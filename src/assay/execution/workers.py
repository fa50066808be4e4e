"""Map a function over chunks of frames, in worker processes or any executor: in order, a bounded number in flight."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from assay.execution.lifeline import Lifeline, hold, swept_folder
from assay.execution.shared_memory import Parcel, roomy_folder
from assay.frames.frame import Frame, FrameError, chunks

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Workers = int | Executor
"""So many processes on this machine (1: this process), or whatever else runs what is submitted to it."""
IN_FLIGHT = 32
"""Chunks that an executor has at a time; it does not say how many workers it has."""


def processes_of(workers: Workers) -> int:
    """Of this machine, for work that an executor's workers can't share; 1 beside an executor."""
    return 1 if isinstance(workers, Executor) else workers


class PerFrame(Protocol[T_co]):
    """A picklable function of a frame."""

    def __call__(self, frame: Frame) -> T_co: ...


@dataclass(frozen=True)
class Failure:
    """A frame on which the function raised, and why."""

    origin: str
    reason: str


Progress = Callable[[int, int], None]
"""Called with (frames done, atoms done)."""


def map_frames(
    function: PerFrame[T], frames: Iterable[Frame], *, workers: Workers = 1, progress: Progress | None = None
) -> Iterator[tuple[Frame, T | Failure]]:
    """Yield `(frame, function(frame))` in order; a frame that raises gives a `Failure` and the rest goes on.

    So does a frame that ends its worker process, if there are local ones: with more than one, at most `2 workers`
    chunks of about 256 atoms are in memory. An executor has at most `IN_FLIGHT` of them, is not shut down, and gets the
    function with every chunk; one of threads needs a function that threads can share. Raises `RuntimeError` where it
    breaks.
    """
    done_frames = done_atoms = 0
    for chunk, results in _mapped(_OverChunk(function), chunks(frames), workers):
        for frame, result in zip(chunk, results, strict=True):
            done_frames += 1
            done_atoms += len(frame.atoms)
            yield frame, result
            if progress:
                progress(done_frames, done_atoms)


@dataclass(frozen=True)
class _OverChunk(Generic[T]):
    function: PerFrame[T]

    def __call__(self, chunk: list[Frame]) -> list[T | Failure]:
        return [self._one(frame) for frame in chunk]

    def _one(self, frame: Frame) -> T | Failure:
        try:
            return self.function(frame)
        except (ModuleNotFoundError, PermissionError):  # the installation is at fault, not the frame
            raise
        except FrameError as error:
            return Failure(frame.origin, str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a foreign calculator may raise anything, or exit; the run goes on
            return Failure(frame.origin, f"{type(error).__name__}: {error}")


def _mapped(
    function: _OverChunk[T], chunked: Iterable[list[Frame]], workers: Workers
) -> Iterator[tuple[list[Frame], list[T | Failure]]]:
    if isinstance(workers, Executor):
        yield from _submitted(function, chunked, workers)
        return
    if workers <= 1:
        for chunk in chunked:
            yield chunk, function(chunk)
        return
    with swept_folder(roomy_folder()) as folder, _Workers(function, folder, workers) as pool:
        pending: deque[tuple[list[Frame], Future[Parcel] | None]] = deque()
        for chunk in chunked:
            pending.append((chunk, pool.submit(chunk)))
            if len(pending) >= 2 * workers:
                yield pool.result(*pending.popleft())
        while pending:
            yield pool.result(*pending.popleft())


def _submitted(
    function: _OverChunk[T], chunked: Iterable[list[Frame]], executor: Executor
) -> Iterator[tuple[list[Frame], list[T | Failure]]]:
    pending: deque[tuple[list[Frame], Future[list[T | Failure]]]] = deque()
    try:
        for chunk in chunked:
            pending.append((chunk, executor.submit(function, chunk)))
            if len(pending) >= IN_FLIGHT:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            f"the executor broke ({error}): a worker died, perhaps of a crash in the potential's own code. Local "
            "processes (executor local:N) go on without the frame that ends one"
        ) from error
    finally:
        for _, future in pending:
            future.cancel()


class _Workers(Generic[T]):
    """A pool that outlives its workers: a chunk whose worker died is done again, frame by frame, in a new one.

    Foreign code may end the process that runs it (LAMMPS's `pair_style mliap` does, on frames that grow). Workers end
    with this process, even after SIGKILL.
    """

    def __init__(self, function: _OverChunk[T], folder: str, workers: int) -> None:
        self._lifeline = Lifeline()
        self._start = (function, folder, self._lifeline.end)
        self._size = workers
        self._pool = self._new(workers)

    def _new(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=self._start)

    def submit(self, chunk: list[Frame]) -> Future[Parcel] | None:
        """The chunk's future, or `None` where the pool is broken: its result is then found frame by frame."""
        try:
            return self._pool.submit(_call, chunk)
        except BrokenProcessPool:
            self._pool = self._new(self._size)
            return None

    def result(self, chunk: list[Frame], future: Future[Parcel] | None) -> tuple[list[Frame], list[T | Failure]]:
        """Wait for a chunk; raises `RuntimeError` where worker processes don't even start."""
        if future is not None:
            try:
                return chunk, future.result().unpack()
            except BrokenProcessPool:
                pass
        return chunk, self._one_by_one(chunk)

    def _one_by_one(self, chunk: list[Frame]) -> list[T | Failure]:
        results: list[T | Failure] = []
        pool = self._new(1)
        try:
            for frame in chunk:
                try:
                    pool.submit(_ready).result()
                except BrokenProcessPool as error:
                    raise RuntimeError(
                        "worker processes end as soon as they start. A script that uses workers needs its calls under "
                        "`if __name__ == '__main__':`; or use one worker"
                    ) from error
                try:
                    results += pool.submit(_call, [frame]).result().unpack()
                except BrokenProcessPool:
                    reason = "the worker process died: a crash in the potential's own code, or not enough memory"
                    results.append(Failure(frame.origin, reason))
                    pool = self._new(1)
        finally:
            pool.shutdown(cancel_futures=True)
        return results

    def __enter__(self) -> _Workers[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:  # an interrupt does not wait for what nobody will read
            self._lifeline.cut()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()


_function: Callable[[list[Frame]], list[Any]]
_folder: str


def _start(function: Callable[[list[Frame]], list[Any]], folder: str, lifeline: Connection) -> None:
    global _function, _folder
    _function, _folder = function, folder
    hold(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    threadpool_limits(1)


def _ready() -> None:
    """Nothing: says that the worker is there."""


def _call(chunk: list[Frame]) -> Parcel:
    return Parcel.pack(_function(chunk), _folder)
