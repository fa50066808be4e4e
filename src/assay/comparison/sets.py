"""The sets of frames of a comparison: read anew whenever they are needed, kept apart by content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.comparison.reasons import many
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped, content_hash
from assay.sources.frame_files import Paths, labelled, listed

TRAINING = "training"
CALIBRATION = "calibration"
KEPT_OUT = 0.2
"""Share of the training frames to calibrate on where no others are given."""


@dataclass(frozen=True)
class FrameSets:
    """Training, calibration and test frames with their members files.

    Without `calibration`, a fifth of each config_type of the training frames, in contiguous blocks of file order, is
    kept out of the fit; those that equal a fitted frame are left out altogether.

    | field | meaning |
    |---|---|
    | paths, members | files by name of the set |
    | skip_bad | leave out frames that can't be read, and list them in `skipped` |
    """

    paths: Mapping[str, Paths]
    members: Mapping[str, Paths]
    keys: LabelKeys
    skip_bad: bool
    skipped: dict[str, Skipped] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the sets that methods are judged on: calibration first, then the tests."""
        return (CALIBRATION, *(name for name in self.paths if name not in (TRAINING, CALIBRATION)))

    @cached_property
    def survey(self) -> Survey:
        """Of all training frames, kept out or not."""
        return Survey.fit(self._read(TRAINING, note=True))

    @cached_property
    def fitted(self) -> NDArray[np.bool_]:
        """Which of the training frames are fitted, `(F,)`."""
        if CALIBRATION in self.paths:
            return np.ones(len(self.survey), dtype=bool)
        if len(self.survey) < 2:
            raise FrameError(f"{len(self.survey)} training frame is too few to keep one out; give others with -c")
        return ~self.survey.held_out(KEPT_OUT)

    @cached_property
    def surveys(self) -> dict[str, Survey]:
        """Of calibration and test frames; raises `FrameError` for a set without any."""
        found = {}
        for name in self.judged:
            try:
                found[name] = Survey.fit(self.frames(name, note=True))
            except FrameError as error:
                reason = f"; the first: {': '.join(self.skipped[name][0])}" if self.skipped.get(name) else ""
                raise FrameError(f"{name}: {error}{reason}") from error
        return found

    @cached_property
    def hashes(self) -> dict[str, set[str]]:
        """Contents of the frames of each set."""
        return {TRAINING: self._fitted_hashes} | {name: set(each.hashes) for name, each in self.surveys.items()}

    def training(self) -> Iterator[Frame]:
        """All training frames, kept out or not."""
        return self._read(TRAINING)

    def frames(self, name: str, note: bool = False) -> Iterator[Frame]:
        """Calibration or test frames; `note` fills `skipped`."""
        if name != CALIBRATION or CALIBRATION in self.paths:
            yield from self._read(name, note)
            return
        for frame, fitted in zip(self.training(), self.fitted, strict=True):
            if not fitted and content_hash(frame.atoms) not in self._fitted_hashes:
                yield frame

    def shared(self) -> Iterator[tuple[str, str, str]]:
        """Two sets that share frames, and a sentence that says so; training and calibration frames come first."""
        names = (TRAINING, *self.judged)
        for i, used in enumerate(names):
            for name in names[i + 1 :]:
                if both := self.hashes[name] & self.hashes[used]:
                    yield used, name, f"{len(both)} of {len(self.hashes[name])} frames of {name} are also {used} frames"

    def require_apart(self) -> None:
        """Raise `FrameError` where a set shares frames with those of training or calibration; tests may share some."""
        for used, _, sentence in self.shared():
            if used in (TRAINING, CALIBRATION):
                raise FrameError(
                    f"{sentence}, where errors are too small to judge by; leave them out, or compare all the same with "
                    "allow_overlap (--allow-overlap)"
                )

    def require_species(self) -> None:
        """Raise `FrameError` for a set with a species that the training frames do not have."""
        for name, survey in self.surveys.items():
            if new := [symbol for symbol in survey.species if symbol not in self.survey.species]:
                raise FrameError(
                    f"{name} has {', '.join(new)}, and the training frames {', '.join(self.survey.species)} only; "
                    "leave those frames out (--skip-bad)"
                )

    def outliers(self) -> Iterator[str]:
        """A sentence for each set with labels that are far from the others of the set."""
        for name, survey in {TRAINING: self.survey, **self.surveys}.items():
            if found := survey.outliers():
                origin, reason = found[0]
                frames = many(len(found), "frame")
                yield f"{frames} of {name} with labels far from the others, such as {origin}: {reason}"

    @cached_property
    def _fitted_hashes(self) -> set[str]:
        return {digest for digest, fitted in zip(self.survey.hashes, self.fitted, strict=True) if fitted}

    def _read(self, name: str, note: bool = False) -> Iterator[Frame]:
        skipped: Skipped | None = None
        if self.skip_bad:
            skipped = []
            if note:
                self.skipped[name] = skipped
        return labelled(self.paths[name], self.members.get(name), self.keys, skipped)


def by_name(given: Mapping[str, Paths] | Sequence[str | Path] | str | Path) -> dict[str, Paths]:
    """Test sets by name; files name themselves, and those of equal names are counted."""
    if isinstance(given, Mapping):
        if reserved := {TRAINING, CALIBRATION} & given.keys():
            raise ValueError(f"a test set can't have the name {', '.join(sorted(reserved))}")
        return dict(given)
    found: dict[str, Paths] = {}
    for path in listed(given):
        stem = name = Path(path).name.partition(".")[0]
        count = 1
        while name in found or name in (TRAINING, CALIBRATION):
            count += 1
            name = f"{stem}-{count}"
        found[name] = path
    return found
