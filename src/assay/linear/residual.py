"""What a corrector learns before its fit: the axes of its features, and what its potential leaves of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.execution.progress import Stage
from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError
from assay.frames.species import species_index
from assay.results.prediction import Prediction
from assay.sources.capabilities import LinearSource
from assay.sources.committees.recording import record
from assay.sources.corrector import Corrector
from assay.sources.features.axes import FeatureMoments


@dataclass(frozen=True)
class _Told:
    source: Corrector

    def __call__(self, frame: Frame) -> Prediction:
        return self.source.told(frame.atoms)


def residual_of(
    rows: LinearSource,
    frames: Callable[[], Iterable[Frame]],
    survey: Survey,
    *,
    chosen: NDArray[np.bool_],
    workers: int = 1,
    stage: Stage | None = None,
) -> tuple[LinearSource, Survey | None]:
    """A corrector with its axes, and the survey of `E − E_universal`, `F − F_universal`, which it is fitted to.

    Other sources come back as they are, with no residual. Parameters as in `assay.linear.fit.fit_linear`, but for
    `frames`, which gives them anew: the universal potential evaluates all of them in batches, and what it says is kept
    (`assay.sources.committees.recording`). Frames that it fails on are passed over here, and found by the fit.

    Raises
    ------
    FrameError
        no chosen frame can be evaluated
    """
    if not isinstance(rows, Corrector):
        return rows, None
    record(rows.potential, frames, workers=workers, total=len(survey), stage=stage)
    moments: FeatureMoments | None = None
    energy, force_square = np.zeros(len(survey)), np.zeros(len(survey))
    selected = (frame for frame, use in zip(frames(), chosen, strict=True) if use)
    progress = stage("axes of features", int(chosen.sum())) if stage else None
    reason = "no training frame is chosen"
    for i, (frame, told) in zip(
        np.flatnonzero(chosen),
        map_frames(_Told(rows), selected, workers=workers, progress=progress),
        strict=True,
    ):
        if isinstance(told, Failure):
            reason = f"{told.origin}: {told.reason}"
            continue
        assert frame.energy is not None
        assert frame.forces is not None
        assert told.energy is not None
        assert told.forces is not None
        assert told.features is not None
        energy[i] = frame.energy - told.energy
        force_square[i] = np.mean((frame.forces - told.forces) ** 2)
        if moments is None:
            moments = FeatureMoments(len(rows.species), told.features.shape[1], centred=rows.constants)
        index = species_index(frame.atoms, rows.species) if rows.constants else np.zeros(len(frame.atoms), np.int64)
        moments.update(np.asarray(told.features, dtype=np.float64), index)
    if moments is None:
        raise FrameError(f"no training frame could be evaluated; the last: {reason}")
    fitted = replace(rows, axes=moments.axes(rows.components))
    return fitted, replace(survey, energy=energy, force_square=force_square)
