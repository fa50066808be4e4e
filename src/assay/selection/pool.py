"""The frames to select from: read again and again, each structure once, those of the training set never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from assay.execution.workers import Failure, PerFrame, Progress, T, map_frames
from assay.frames.frame import Frame, Skipped, content_hash
from assay.scores.d_optimality.exchange import Indices


class Pool:
    """Frames that equal none before them, nor any of `known` (content hash → the frame that has it).

    `read(failed)` reads them anew, and lists those that can't be read. The first reading fills `origins`,
    `config_types` and `starts` (where the atoms of each begin, `(F+1,)`) of these frames, `repeated` (origin, what it
    equals) and `failed` (origin, reason).
    """

    def __init__(self, read: Callable[[Skipped], Iterator[Frame]], known: Mapping[str, str]) -> None:
        self._read, self._known = read, known
        self._bad: set[int] = set()
        self._first = True
        self.origins: list[str] = []
        self.config_types: list[str] = []
        self.starts: list[int] = [0]
        self.repeated: list[tuple[str, str]] = []
        self.failed: Skipped = []

    @property
    def usable(self) -> Indices:
        """Numbers of the frames that did not fail."""
        return np.setdiff1d(np.arange(len(self.origins)), list(self._bad))

    def frames(self) -> Iterator[Frame]:
        """Every structure once, in the order of the files."""
        seen = dict(self._known)
        for frame in self._read(self.failed if self._first else []):
            digest = content_hash(frame.atoms)
            if digest in seen:
                if self._first:
                    self.repeated.append((frame.origin, seen[digest]))
                continue
            seen[digest] = frame.origin
            if self._first:
                self.origins.append(frame.origin)
                self.config_types.append(frame.config_type)
                self.starts.append(self.starts[-1] + len(frame.atoms))
            yield frame
        self._first = False

    def map(
        self, function: PerFrame[T], *, workers: int = 1, progress: Progress | None = None
    ) -> Iterator[tuple[int, T]]:
        """Number and result of every frame that can be evaluated."""
        results = map_frames(function, self.frames(), workers=workers, progress=progress)
        for number, (_, result) in enumerate(results):
            if not isinstance(result, Failure):
                yield number, result
            elif number not in self._bad:
                self._bad.add(number)
                self.failed.append((result.origin, result.reason))
