"""The frames to select from: gone through again and again, each structure once, those of the training set never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from assay.execution.workers import Failure, PerFrame, Progress, T, Workers, map_frames
from assay.frames.frame import Frame, Frames, Skipped, content_hash
from assay.scores.d_optimality.exchange import Indices


class Pool:
    """Frames that equal none before them, nor any of `known` (content hash → the frame that has it).

    The first time, `origins`, `config_types` and `starts` (where the atoms of each begin, `(F+1,)`) of these frames are
    filled, and `repeated` (origin, what it equals).
    """

    def __init__(self, frames: Frames, known: Mapping[str, str]) -> None:
        self._frames, self._known = frames, known
        self._bad: dict[int, tuple[str, str]] = {}
        self._first = True
        self.origins: list[str] = []
        self.config_types: list[str] = []
        self.starts: list[int] = [0]
        self.repeated: list[tuple[str, str]] = []

    @property
    def failed(self) -> Skipped:
        """`(origin, reason)` of frames that can't be read or evaluated."""
        return [*self._frames.skipped, *self._bad.values()]

    @property
    def usable(self) -> Indices:
        """Numbers of the frames that did not fail."""
        return np.setdiff1d(np.arange(len(self.origins)), list(self._bad))

    def frames(self) -> Iterator[Frame]:
        """Every structure once, in the order of the files."""
        seen = dict(self._known)
        for frame in self._frames:
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
        self, function: PerFrame[T], *, workers: Workers = 1, progress: Progress | None = None
    ) -> Iterator[tuple[int, T]]:
        """Number and result of every frame that can be evaluated."""
        results = map_frames(function, self.frames(), workers=workers, progress=progress)
        for number, (_, result) in enumerate(results):
            if not isinstance(result, Failure):
                yield number, result
            else:
                self._bad.setdefault(number, (result.origin, result.reason))
