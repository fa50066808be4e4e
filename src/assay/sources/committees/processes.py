"""One potential in several processes."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from ase import Atoms

from assay.frames.frame import FrameError
from assay.sources.committees.calculators import Member, filled
from assay.sources.committees.checks import Refused, Results, checked
from assay.sources.committees.worker_process import WorkerProcess


class Processes:
    """Several worker processes with the same potential, each made when it is needed."""

    def __init__(self, member: Member, workers: int) -> None:
        self._member = member
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
            process = self._new()
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

    def _new(self) -> WorkerProcess:
        member = self._member
        python, arguments = member.python or sys.executable, filled(dict(member.arguments))
        return WorkerProcess(python, member.calculator, arguments, 1, member=member.label, time_limit=member.time_limit)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:  # an interrupt does not wait for what nobody will read
            self._ended = True
            for process in self._all:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()
