"""Which frames this process evaluates with a model, where others are at the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from assay.execution.workers import Progress
from assay.frames.frame import Frame
from assay.sources.committees.cache import EvaluationCache, frame_key


@dataclass
class Count:
    progress: Progress | None
    frames: int = 0
    atoms: int = 0

    def __call__(self, frame: Frame) -> None:
        self.frames += 1
        self.atoms += len(frame.atoms)
        if self.progress:
            self.progress(self.frames, self.atoms)


@dataclass
class Share:
    """The frames that this process evaluates with one model, in passes over all of them.

    A pass leaves out what other processes are at; before the next one, which begins with nothing claimed, the first of
    these is waited for.
    """

    cache: EvaluationCache
    model: str
    features: bool
    counted: Count
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
