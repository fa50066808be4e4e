"""Which frames are fitted and which are kept apart for calibration: none are both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Frames


@dataclass(frozen=True)
class Division:
    """Training frames, and frames apart from them.

    | field | meaning | shape |
    |---|---|---|
    | fitted | which of the training frames are fitted | `(F,)` |
    | fitted_hashes | their contents | |
    | apart | where the frames to calibrate on are: of their own, or among the training frames | F' frames |
    | held_out | which of these they are | `(F',)` |
    | held_out_hashes | their contents, in order | |
    | overlap | fitted frames and the equal ones that are therefore not calibrated on: pairs of origins | |
    """

    fitted: NDArray[np.bool_]
    fitted_hashes: frozenset[str]
    apart: Frames
    held_out: NDArray[np.bool_]
    held_out_hashes: tuple[str, ...]
    overlap: list[tuple[str, str]]

    @classmethod
    def of(cls, train: Frames, survey: Survey, calibration: Frames | None, *, labelled: bool = True) -> Division:
        """Frames that are given to calibrate on, or a tenth of the training frames: `Survey.held_out`.

        Raises `FrameError` where no frame is left to calibrate on, unless none need be as they are not `labelled`.
        """
        if calibration is None and len(survey) < 2 and labelled:
            raise FrameError(
                f"{len(survey)} training frame is too few to keep one out for calibration; give more, or -c CALIBRATION"
            )
        fitted = np.ones(len(survey), dtype=bool)
        if calibration is None:
            if len(survey) > 1:
                fitted = ~survey.held_out()
            division = cls._of(survey, fitted, train, survey, ~fitted)
        else:
            apart = Survey.fit(calibration)
            division = cls._of(survey, fitted, calibration, apart, np.ones(len(apart), dtype=bool))
        if labelled and not division.held_out.any():
            raise FrameError(
                "every held-out frame is also a training frame, and errors of training frames are too small to "
                "calibrate with; give others with -c"
            )
        return division

    @classmethod
    def _of(
        cls, survey: Survey, fitted: NDArray[np.bool_], apart: Frames, surveyed: Survey, free: NDArray[np.bool_]
    ) -> Division:
        """`free`: which of the frames in `apart` are not fitted, though their contents may be."""
        first: dict[str, str] = {}
        for origin, digest, used in zip(survey.origins, survey.hashes, fitted, strict=True):
            if used:
                first.setdefault(digest, origin)
        new = np.array([digest not in first for digest in surveyed.hashes], dtype=bool)
        held_out = free & new
        return cls(
            fitted=fitted,
            fitted_hashes=frozenset(first),
            apart=apart,
            held_out=held_out,
            held_out_hashes=tuple(surveyed.hashes[i] for i in np.flatnonzero(held_out)),
            overlap=[(first[surveyed.hashes[i]], surveyed.origins[i]) for i in np.flatnonzero(free & ~new)],
        )

    def frames_held_out(self) -> Iterator[Frame]:
        """Those to calibrate on, anew."""
        return (frame for frame, use in zip(self.apart, self.held_out, strict=True) if use)
