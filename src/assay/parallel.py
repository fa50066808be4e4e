"""Map a function over chunks of frames in worker processes: in order, with a bounded number in flight."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from assay.frames import Frame, FrameError, chunks
from assay.parcel import Parcel, roomy_folder

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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
    function: PerFrame[T], frames: Iterable[Frame], *, workers: int = 1, progress: Progress | None = None
) -> Iterator[tuple[Frame, T | Failure]]:
    """Yield `(frame, function(frame))` in order; a frame that raises gives a `Failure` and the rest goes on.

    With more than one worker, at most `2 workers` chunks of about 256 atoms are in memory.
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
        except Exception as error:  # a foreign calculator may raise anything; the run goes on
            return Failure(frame.origin, f"{type(error).__name__}: {error}")


def _mapped(
    function: _OverChunk[T], chunked: Iterable[list[Frame]], workers: int
) -> Iterator[tuple[list[Frame], list[T | Failure]]]:
    if workers <= 1:
        for chunk in chunked:
            yield chunk, function(chunk)
        return
    with TemporaryDirectory(prefix="assay-", dir=roomy_folder()) as folder:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(function, folder))
        pending: deque[tuple[list[Frame], Future[Parcel]]] = deque()
        try:
            for chunk in chunked:
                pending.append((chunk, pool.submit(_call, chunk)))
                if len(pending) >= 2 * workers:
                    done, future = pending.popleft()
                    yield done, future.result().unpack()
            while pending:
                done, future = pending.popleft()
                yield done, future.result().unpack()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_function: Callable[[list[Frame]], list[Any]]
_folder: str


def _start(function: Callable[[list[Frame]], list[Any]], folder: str) -> None:
    global _function, _folder
    _function, _folder = function, folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    threadpool_limits(1)


def _call(chunk: list[Frame]) -> Parcel:
    return Parcel.pack(_function(chunk), _folder)
