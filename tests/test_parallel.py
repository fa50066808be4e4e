"""Frames over worker processes: order, failures, and workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ase import Atoms

from assay.execution.workers import Failure, map_frames
from assay.frames.frame import Frame, FrameError


@dataclass(frozen=True)
class Moody:
    """The number of atoms; raises for 3 atoms, and ends its process for 5."""

    def __call__(self, frame: Frame) -> int:
        if len(frame.atoms) == 3:
            raise FrameError("three is too many")
        if len(frame.atoms) == 5:
            os._exit(11)
        return len(frame.atoms)


def frames(sizes: list[int]) -> list[Frame]:
    return [Frame(Atoms(f"H{n}"), f"f:{i}") for i, n in enumerate(sizes)]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_a_frame_that_raises_costs_only_itself(workers: int) -> None:
    sizes = [200, 1, 3, 150, 2, 250, 4]
    told: list[tuple[int, int]] = []
    results = [
        result for _, result in map_frames(Moody(), frames(sizes), workers=workers, progress=lambda *n: told.append(n))
    ]
    assert results == [200, 1, Failure("f:2", "three is too many"), 150, 2, 250, 4]
    assert told[-1] == (len(sizes), sum(sizes))


def test_a_frame_that_ends_its_worker_costs_only_itself() -> None:
    sizes = [200, 100, 5, 1, 5, 300, 2]
    results = [result for _, result in map_frames(Moody(), frames(sizes), workers=2)]
    assert [r for r in results if not isinstance(r, Failure)] == [200, 100, 1, 300, 2]
    assert [r.origin for r in results if isinstance(r, Failure)] == ["f:2", "f:4"]
    assert all("worker process died" in r.reason for r in results if isinstance(r, Failure))


def test_workers_that_can_not_start_are_an_error_that_says_so(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from ase import Atoms\n"
        "from assay.frames.reading import Frame\n"
        "from assay.execution.workers import map_frames\n"
        "def natoms(frame): return len(frame.atoms)\n"
        "print(list(map_frames(natoms, [Frame(Atoms('H'), 'f:0')], workers=2)))\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode != 0
    assert "if __name__ == '__main__':" in run.stderr.splitlines()[-1]


ENDS = """
import os, signal, sys, time
from dataclasses import dataclass
from ase import Atoms
from assay.execution import workers
from assay.frames.frame import Frame
from assay.propagation.methods.workers import as_completed

@dataclass(frozen=True)
class Fatal:
    log: str
    how: str

    def __call__(self, frame):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {getattr(workers, '_folder', '')}\\n")
        if os.getppid() == int(os.environ["PARENT"]):
            os.kill(os.getppid(), getattr(signal, self.how))
        time.sleep(10**6)

if __name__ == "__main__":
    from assay.cli.signals import end_as_interrupted
    end_as_interrupted()
    os.environ["PARENT"] = str(os.getpid())
    frames = [Frame(Atoms("H200"), f"f:{i}") for i in range(4)]
    for each in {"map_frames": workers.map_frames, "as_completed": as_completed}[sys.argv[1]](
        Fatal(sys.argv[2], sys.argv[3]), frames, workers=2
    ):
        print(each)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("what", ["map_frames", "as_completed"])
def test_workers_end_with_their_parent_and_leave_nothing(tmp_path: Path, what: str, how: str) -> None:
    """In the middle of what they do, which would take for ever."""
    log, script = tmp_path / "log", tmp_path / "ends.py"
    script.write_text(ENDS)
    command = [sys.executable, str(script), what, str(log), how]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )  # fmt: skip
    assert run.returncode != 0
    assert "f:" not in run.stdout
    told = [line.split() for line in log.read_text().splitlines()]
    until = time.monotonic() + 60
    while left := [what for pid, *folder in told for what in (f"/proc/{pid}", *folder) if there(Path(what))]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert any(len(words) == 2 for words in told) == (what == "map_frames")


def there(path: Path) -> bool:
    """A file or folder, or the entry of a process that runs."""
    try:
        stat = path / "stat"
        return path.exists() and not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
    except OSError:
        return False
