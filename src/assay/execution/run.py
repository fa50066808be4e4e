"""How work is done: where it runs, who hears of its progress, what is forgiven and what may be imported."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from assay.execution.progress import Stage
from assay.execution.workers import Progress, Workers

LOCAL = "local:"
"""What names an executor of local processes, before their number."""

DEVICES = ("auto", "cpu")
"""Where arrays can be."""


@dataclass(frozen=True)
class Run:
    """How work is done: one argument of every function that does any.

    | field | meaning |
    |---|---|
    | executor | `local:N`: N processes on this machine, of which one is this process. Or a \
`concurrent.futures.Executor`, which its owner starts and shuts down |
    | device | where arrays are: `auto` or `cpu`, as no kernel of Assay runs elsewhere yet; potentials take theirs \
from their own settings |
    | progress | called when a stage begins, with its name and number of frames; returns a callback or `None` |
    | skip_bad | leave out frames that can't be used, and list them, instead of stopping at the first |
    | allow_import | modules that scores, sources, calibrators, functions and calculators may be imported from |

    Raises `ValueError` for an executor that is neither, and another device.
    """

    executor: str | Executor = "local:1"
    device: str = "auto"
    progress: Stage | None = None
    skip_bad: bool = False
    allow_import: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.allow_import, str):
            object.__setattr__(self, "allow_import", (self.allow_import,))
        if self.device not in DEVICES:
            raise ValueError(
                f"device {self.device!r}: needed {' or '.join(DEVICES)}, as no kernel of Assay runs elsewhere yet. "
                "Potentials take theirs from their own settings, such as device=cuda of a member of a committee"
            )
        if isinstance(self.executor, str):
            local_processes(self.executor)
        elif not isinstance(self.executor, Executor):
            raise ValueError(
                f"executor {self.executor!r}: needed local:N, or an object of concurrent.futures such as "
                "ProcessPoolExecutor()"
            )

    @property
    def workers(self) -> Workers:
        """What `assay.execution.workers.map_frames` takes."""
        return local_processes(self.executor) if isinstance(self.executor, str) else self.executor

    @property
    def processes(self) -> int:
        """On this machine, for work that an executor's workers can't share, such as a potential that stays loaded."""
        return local_processes(self.executor) if isinstance(self.executor, str) else 1

    def stage(self, name: str, total: int | None = None) -> Progress | None:
        """Say that a stage begins; who hears of its progress."""
        return self.progress(name, total) if self.progress else None


def local_processes(executor: str) -> int:
    """The N of `local:N`; raises `ValueError` for anything else."""
    count = executor.removeprefix(LOCAL)
    if not executor.startswith(LOCAL) or not count.isdecimal() or int(count) < 1:
        raise ValueError(f"executor {executor!r}: needed local:N with N processes, 1 or more")
    return int(count)
