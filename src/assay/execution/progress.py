"""Who hears of the progress of long work."""

from __future__ import annotations

from collections.abc import Callable

from assay.execution.workers import Progress

Stage = Callable[[str, int | None], Progress | None]
"""Called when a stage begins, with its name and number of frames; returns a progress callback or `None`."""
