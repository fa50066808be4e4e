"""How work is done: one argument, and executors of others."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from ase import Atoms

from assay import Run
from assay.execution.workers import IN_FLIGHT, Failure, map_frames
from assay.frames.frame import Frame
from test_parallel import Moody, frames


def test_local_processes_are_counted() -> None:
    assert (Run().workers, Run().processes) == (1, 1)
    assert (Run("local:3").workers, Run("local:3").processes) == (3, 3)


@pytest.mark.parametrize("executor", ["local:0", "local:", "local:x", "local:-1", "dask", "", 2, None])
def test_an_executor_is_local_processes_or_an_object(executor: Any) -> None:
    with pytest.raises(ValueError, match="executor"):
        Run(executor)


def test_a_device_that_nothing_would_use_is_refused() -> None:
    assert [Run(device=device).device for device in ("auto", "cpu")] == ["auto", "cpu"]
    with pytest.raises(ValueError, match="device 'cuda': needed auto or cpu, as no kernel of Assay runs elsewhere yet"):
        Run(device="cuda")


def test_progress_is_asked_for_each_stage_or_not_at_all() -> None:
    stages: list[tuple[str, int | None]] = []
    assert Run().stage("reading", 3) is None
    Run(progress=lambda name, total: stages.append((name, total))).stage("reading", 3)
    assert stages == [("reading", 3)]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_gives_results_in_order_and_failures_per_frame(kind: str) -> None:
    sizes = [200, 1, 3, 150, 2, 250, 4]
    told: list[tuple[int, int]] = []
    pool: Executor = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, get_context("spawn"))
    with pool:
        run = Run(pool)
        assert (run.workers, run.processes) == (pool, 1)
        pairs = list(map_frames(Moody(), frames(sizes), workers=run.workers, progress=lambda *n: told.append(n)))
        assert pool.submit(len, "it is still there").result() == 17
    assert [result for _, result in pairs] == [200, 1, Failure("f:2", "three is too many"), 150, 2, 250, 4]
    assert [frame.origin for frame, _ in pairs] == [f"f:{i}" for i in range(7)]
    assert told[-1] == (len(sizes), sum(sizes))


class Later(Executor):
    """Does what was submitted when its result is asked for, and counts what waits."""

    def __init__(self) -> None:
        self.waiting = self.most = self.cancelled = 0

    def submit(self, function: Any, /, *args: Any, **more: Any) -> Future[Any]:
        later = self
        later.waiting += 1
        later.most = max(later.most, later.waiting)

        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                later.waiting -= 1
                return function(*args, **more)

            def cancel(self) -> bool:
                later.cancelled += 1
                return True

        return Lazy()


def test_few_chunks_are_in_flight_and_the_rest_is_cancelled_with_the_reading() -> None:
    executor, read = Later(), 0

    def many() -> Any:
        nonlocal read
        for i in range(200):
            read += 1
            yield Frame(Atoms("H300"), f"f:{i}")

    results = map_frames(Moody(), many(), workers=executor)
    assert next(results)[1] == 300
    assert read <= IN_FLIGHT + 1
    results.close()  # type: ignore[attr-defined]
    assert executor.cancelled == IN_FLIGHT - 1
    assert len(list(map_frames(Moody(), many(), workers=Later()))) == 200
    assert executor.most == IN_FLIGHT


def test_an_executor_whose_worker_dies_says_what_to_do() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool, pytest.raises(RuntimeError, match="executor local:N"):
        list(map_frames(Moody(), frames([2, 5]), workers=pool))


def test_threads_run_in_this_process() -> None:
    def where(frame: Frame) -> tuple[int, str]:
        return os.getpid(), threading.current_thread().name

    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        ((_, found),) = map_frames(where, frames([1]), workers=pool)
    assert found == (os.getpid(), "mine_0")
