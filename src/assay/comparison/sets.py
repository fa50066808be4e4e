"""The sets of frames of a comparison: iterated anew whenever they are needed, kept apart by content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.comparison.result import CALIBRATION, TRAINING
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Frames, content_hash
from assay.linear.weights import Weights
from assay.results.partly import partly_labelled
from assay.results.wording import many

KEPT_OUT = 0.2
"""Share of the training frames to calibrate on where no others are given."""

LeftOut = tuple[tuple[str, str], ...]
"""Frames that could not be read: (origin, reason)."""


@dataclass(frozen=True)
class FrameSets:
    """Training, calibration and test frames.

    Without `calibration`, a fifth of each config_type of the training frames, in contiguous blocks of file order, is
    kept out of the fit; those that equal a fitted frame are left out altogether.

    | field | meaning |
    |---|---|
    | given | labelled frames by the name of the set |
    | b | of the weights of the fit, eV/Å: see `Survey.fit` |
    """

    given: Mapping[str, Frames]
    b: float = Weights.b

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return tuple(name for name in self.given if name not in (TRAINING, CALIBRATION))

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the sets that methods are judged on: calibration first, then the tests."""
        return (CALIBRATION, *self.tests)

    @property
    def survey(self) -> Survey:
        """Of all training frames, kept out or not."""
        return self._training[0]

    @cached_property
    def fitted(self) -> NDArray[np.bool_]:
        """Which of the training frames are fitted, `(F,)`."""
        if CALIBRATION in self.given:
            return np.ones(len(self.survey), dtype=bool)
        if len(self.survey) < 2:
            raise FrameError(f"{len(self.survey)} training frame is too few to keep one out; give others with -c")
        return ~self.survey.held_out(KEPT_OUT)

    @property
    def surveys(self) -> dict[str, Survey]:
        """Of calibration and test frames; raises `FrameError` for a set without any."""
        return {name: survey for name, (survey, _) in self._judged.items()}

    def left_out(self, name: str) -> LeftOut:
        """The frames of a set that could not be read."""
        return self._training[1] if name == TRAINING else self._judged[name][1]

    def files(self, name: str) -> dict[str, str]:
        """SHA-256 of each file of a set; none for frames that are kept out of the training frames."""
        return self.given[name].files if name in self.given else {}

    @cached_property
    def hashes(self) -> dict[str, set[str]]:
        """Contents of the frames of each set."""
        return {TRAINING: self._fitted_hashes} | {name: set(each.hashes) for name, each in self.surveys.items()}

    def training(self) -> Iterator[Frame]:
        """All training frames, kept out or not."""
        yield from self.given[TRAINING]

    def frames(self, name: str) -> Iterator[Frame]:
        """Calibration or test frames."""
        if name in self.given:
            yield from self.given[name]
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

    def partly_labelled(self) -> Iterator[str]:
        """A sentence for each quantity of a set that some of its frames have no label of."""
        for name, survey in {TRAINING: self.survey, **self.surveys}.items():
            yield from (f"{name}: {sentence}" for sentence in partly_labelled(survey.origins, survey.labelled))

    @cached_property
    def _fitted_hashes(self) -> set[str]:
        return {digest for digest, fitted in zip(self.survey.hashes, self.fitted, strict=True) if fitted}

    @cached_property
    def _training(self) -> tuple[Survey, LeftOut]:
        return Survey.fit(self.training(), self.b), self._skipped(TRAINING)

    @cached_property
    def _judged(self) -> dict[str, tuple[Survey, LeftOut]]:
        found = {}
        for name in self.judged:
            try:
                found[name] = Survey.fit(self.frames(name)), self._skipped(name)
            except FrameError as error:
                skipped = self._skipped(name)
                reason = f"; the first: {': '.join(skipped[0])}" if skipped else ""
                raise FrameError(f"{name}: {error}{reason}") from error
        return found

    def _skipped(self, name: str) -> LeftOut:
        return tuple(self.given[name].skipped) if name in self.given else ()
