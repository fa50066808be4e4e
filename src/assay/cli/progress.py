"""Progress bars on stderr, for runs that take longer than a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from assay.results.visible import visible_name

DELAY = 1.0


class Stages:
    """A context in which stages show bars: `stage(name, total)` returns the callback of the next one.

    Nothing is drawn in the first second, nor where stderr is not a terminal. `units` are those of the two numbers that
    the callback gets.
    """

    def __init__(self, units: tuple[str, str] = ("frames", "atoms")) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn(f"{{task.completed}} {units[0]}, {{task.fields[second]}} {units[1]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._started = time.monotonic()
        self._shown = False
        self._task: TaskID | None = None

    def __call__(self, name: str, total: int | None) -> Callable[[int, int], None]:
        if self._task is not None:
            self._bars.update(self._task, visible=False)
        task = self._task = self._bars.add_task(visible_name(name), total=total, second=0)

        def advance(first: int, second: int) -> None:
            if not self._shown and self._console.is_terminal and time.monotonic() - self._started > DELAY:
                self._bars.start()
                self._shown = True
            self._bars.update(task, completed=first, second=second)

        return advance

    def __enter__(self) -> Stages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._bars.stop()
