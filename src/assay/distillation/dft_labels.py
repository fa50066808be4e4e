"""DFT labels of a pool's frames, and where they are: under keys that are asked for, or as results of a calculator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ase import Atoms

from assay.distillation.teachers import PoolLabels
from assay.frames.frame import Frame, Frames, LabelKeys, Skipped, content_hash
from assay.sources.frame_files import FrameFiles, Given, frames_of

RESULTS = LabelKeys("energy", "forces", "stress")
"""The names of a calculator's results, as ASE writes them."""


@dataclass(frozen=True)
class DftLabels:
    """Frames with DFT labels, found by structure.

    | field | meaning |
    |---|---|
    | given | labelled frames; none where there are no labels yet |
    | of_pool | the pool's own labels are DFT's |
    | under | keys of the labels in each file |
    """

    given: tuple[Frames, ...] = ()
    of_pool: bool = False
    under: Mapping[str, LabelKeys] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {path: digest for frames in self.given for path, digest in frames.files.items()}

    @property
    def skipped(self) -> Skipped:
        """Labelled frames that can't be used: (origin, reason)."""
        return [each for frames in self.given for each in frames.skipped]

    def of(self, frames: Sequence[Frame]) -> tuple[PoolLabels, int]:
        """Those of the pool's frames, and how many labelled frames are of none of them."""
        if self.of_pool:
            return PoolLabels.of(frames, lambda frame: frame), 0
        found = {content_hash(frame.atoms): frame for frame in self._all()}
        unmatched = found.keys() - {content_hash(frame.atoms) for frame in frames}
        return PoolLabels.of(frames, lambda frame: found.get(content_hash(frame.atoms))), len(unmatched)

    def _all(self) -> Iterator[Frame]:
        for frames in self.given:
            yield from frames


def dft_labels(labels: Given | None, keys: LabelKeys, *, skip_bad: bool = False) -> DftLabels:
    """What a user gives for labels: `pool`, or frames, of which each file may have its labels under keys of its own."""
    if labels is None:
        return DftLabels()
    if isinstance(labels, str) and labels == "pool":
        return DftLabels(of_pool=True)
    several = [labels] if isinstance(labels, str | Path | Atoms | Frame | FrameFiles) else list(labels)
    of_files = all(isinstance(each, str | Path) for each in several)
    parts: list[Given] = [*several] if of_files else [labels if isinstance(labels, FrameFiles) else several]
    under = [keys_of_labels(part, keys, skip_bad=skip_bad) for part in parts]
    given = tuple(
        frames_of(part, keys=used, labels="both", skip_bad=skip_bad) for part, used in zip(parts, under, strict=True)
    )
    named = {str(part): used for part, used in zip(parts, under, strict=True)} if of_files else {}
    return DftLabels(given, under=named)


def keys_of_labels(given: Given, keys: LabelKeys, *, skip_bad: bool = False) -> LabelKeys:
    """`keys`, or `RESULTS` where no frame has energy or forces under `keys` and some frame has both there.

    A stress that is ignored (`none`) stays so. With `skip_bad`, frames that can't be read don't raise `FrameError`.
    """

    def found(under: LabelKeys) -> Frames:
        return frames_of(given, keys=under, labels="if present", skip_bad=skip_bad, memory=0)

    results = replace(RESULTS, stress="none") if keys.stress == "none" else RESULTS
    if any(frame.energy is not None or frame.forces is not None for frame in found(keys)):
        return keys
    there = any(frame.energy is not None and frame.forces is not None for frame in found(results))
    return results if there else keys
