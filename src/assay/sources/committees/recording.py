"""Evaluate the members of a committee once: one member at a time, in batches, and keep what they say.

Only `record` keeps anything; evaluations of a run of molecular dynamics would fill the disk for nothing.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ase import Atoms

from assay.execution.workers import Progress
from assay.frames.frame import Frame, FrameError, chunks
from assay.sources.committees.cache import EvaluationCache, frame_key, opened_cache
from assay.sources.committees.calculators import LAMMPSLIB, Member, filled
from assay.sources.committees.checks import Refused, Results, checked
from assay.sources.committees.worker_process import WorkerProcess

BATCH_ATOMS = 128
"""Atoms that go through a potential together, where it does not say itself: more is slower on a CPU."""


@dataclass(frozen=True)
class Gap:
    """A member that failed on a frame."""

    member: str
    origin: str
    reason: str


class Computes(Protocol):
    """A committee, as it is used here; see `assay.sources.committees.committee.AseCommittee`."""

    @property
    def members(self) -> tuple[Member, ...]: ...

    @property
    def featured(self) -> str: ...

    def identity(self, index: int, anew: bool = False) -> str | None: ...

    def require_allowed(self, index: int) -> None: ...

    def batch_atoms(self, index: int) -> int | None: ...

    def compute(self, index: int, frames: list[Atoms]) -> Results: ...

    def release(self, index: int) -> None: ...


def record(
    committee: Computes,
    frames: Callable[[], Iterable[Frame]],
    *,
    cache: EvaluationCache | None = None,
    identities: tuple[str | None, ...] | None = None,
    workers: int = 1,
    total: int | None = None,
    stage: Callable[[str, int | None], Progress | None] | None = None,
) -> list[Gap]:
    """Keep what every member says of the frames; what is kept already is not computed again.

    Parameters
    ----------
    frames
        gives the frames anew for each member, so that one potential at a time is in memory
    cache, identities
        where, and under which name for each member (`None`: not at all); by default those of the user's cache
    workers
        processes that evaluate one member, where more than one
    total
        number of frames, for progress

    Returns
    -------
    list of Gap
        members and frames without an evaluation, each with its reason
    """
    cache = cache or opened_cache()
    identities = identities or tuple(committee.identity(i, anew=True) for i in range(len(committee.members)))
    gaps: list[Gap] = []
    if cache is None:
        return gaps
    for index, (member, model) in enumerate(zip(committee.members, identities, strict=True)):
        if model is None:
            continue
        progress, featured = stage(member.label, total) if stage else None, committee.featured == member.label
        share = _Share(cache, model, featured, _Count(progress))
        failed: list[tuple[int, Gap]] = []
        try:
            while share.begin():
                for chunk, results in _computed(committee, index, share.unknown(frames()), featured, workers):
                    for frame, result in zip(chunk, results, strict=True):
                        if isinstance(result, Refused):
                            failed.append((share.place(frame), Gap(member.label, frame.origin, result.reason)))
                        else:
                            cache.put(model, frame_key(frame.atoms), result)
                    cache.commit()
                    share.done(chunk)
        except sqlite3.Error as error:
            raise cache.trouble(error) from error
        finally:
            with suppress(sqlite3.Error):  # told already
                cache.commit()
            share.end()
        gaps += [gap for _, gap in sorted(failed, key=lambda each: each[0])]
    return gaps


@dataclass
class _Count:
    progress: Progress | None
    frames: int = 0
    atoms: int = 0

    def __call__(self, frame: Frame) -> None:
        self.frames += 1
        self.atoms += len(frame.atoms)
        if self.progress:
            self.progress(self.frames, self.atoms)


@dataclass
class _Share:
    """The frames that this process evaluates with one model, in passes over all of them.

    A pass leaves out what other processes are at; before the next one, which begins with nothing claimed, the first of
    these is waited for.
    """

    cache: EvaluationCache
    model: str
    features: bool
    counted: _Count
    passes: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _claimed: set[str] = field(default_factory=set)
    _elsewhere: str | None = None

    def begin(self) -> bool:
        """Whether there is another pass."""
        if self._elsewhere is not None:
            self.cache.wait_for(self.model, self._elsewhere)
        elif self.passes:
            return False
        self._elsewhere = None
        self.passes += 1
        return True

    def unknown(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Those that are not kept yet, each structure once; they are claimed."""
        left: set[str] = set()
        for frame in frames:
            key = frame_key(frame.atoms)
            if key in self._seen or key in left:
                if self.passes == 1:
                    self.counted(frame)
                continue
            if not self._kept(key) and not self.cache.claim(self.model, key):
                self._elsewhere = self._elsewhere or key
                left.add(key)
                continue
            self._seen[key] = len(self._seen)
            if self._kept(key):  # maybe since it was looked for first
                self.cache.release(self.model, key)
                self.counted(frame)
            else:
                self._claimed.add(key)
                yield frame

    def done(self, chunk: Iterable[Frame]) -> None:
        """Kept or failed, here."""
        for frame in chunk:
            key = frame_key(frame.atoms)
            self._claimed.discard(key)
            self.cache.release(self.model, key)
            self.counted(frame)

    def place(self, frame: Frame) -> int:
        """Which of the frames it is, in the order in which they were taken."""
        return self._seen[frame_key(frame.atoms)]

    def end(self) -> None:
        """Leave what is left to other processes."""
        for key in self._claimed:
            self.cache.release(self.model, key)

    def _kept(self, key: str) -> bool:
        return self.cache.has(self.model, key, self.features)


Chunk = list[Frame]


def _computed(
    committee: Computes, index: int, frames: Iterator[Frame], features: bool, workers: int
) -> Iterator[tuple[Chunk, Results]]:
    member, first = committee.members[index], list(islice(frames, 1))
    if not first:  # without loading the potential
        return
    frames = chain(first, frames)
    if workers < 2 or member.calculator == LAMMPSLIB:
        for chunk in chunks(frames, together(member, committee.batch_atoms(index))):
            with redirect_stdout(sys.stderr):
                results = committee.compute(index, [frame.atoms for frame in chunk])
            yield chunk, results
        committee.release(index)
        return
    committee.require_allowed(index)
    python, arguments = member.python or sys.executable, filled(dict(member.arguments))
    with _Processes(python, member.calculator, arguments, workers) as processes:
        pending: dict[Future[Results], Chunk] = {}
        for chunk in chunks(frames, together(member)):
            pending[processes.submit([frame.atoms for frame in chunk], features)] = chunk
            if len(pending) > 2 * workers:
                yield from _finished(pending)
        while pending:
            yield from _finished(pending)


def _finished(pending: dict[Future[Results], Chunk]) -> Iterator[tuple[Chunk, Results]]:
    """Take out those that are there, in any order: what is finished is kept at once."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


def together(member: Member, said: int | None = None) -> int:
    """How many atoms go through a member together: with ASE calculators those of one frame, which is kept at once."""
    return 0 if "." in member.calculator else said or BATCH_ATOMS


class _Processes:
    """Several worker processes with the same potential, each made when it is needed."""

    def __init__(self, python: str, calculator: str, arguments: dict[str, Any], workers: int) -> None:
        self._potential = (python, calculator, arguments)
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        self._all: list[WorkerProcess] = []
        self._ended = False
        self._threads = ThreadPoolExecutor(workers)

    def submit(self, frames: list[Atoms], features: bool) -> Future[Results]:
        return self._threads.submit(self._run, frames, features)

    def _run(self, frames: list[Atoms], features: bool) -> Results:
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = WorkerProcess(*self._potential, threads=1)
            self._all.append(process)
        if self._ended:  # while it was made
            process.kill()
        try:
            results = checked(process.predict(frames, features), frames)
        except FrameError as error:  # the process ended: a crash in the potential's own code, or not enough memory
            if len(frames) == 1 or self._ended:
                return [Refused(str(error))] * len(frames)
            return [self._run([frame], features)[0] for frame in frames]
        self._idle.put(process)
        return results

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:  # an interrupt does not wait for what nobody will read
            self._ended = True
            for process in self._all:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()
