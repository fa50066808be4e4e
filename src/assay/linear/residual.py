"""What a correction learns before its fit, and what the potential that it corrects leaves of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.execution.progress import Stage
from assay.execution.workers import Failure, Workers, map_frames, processes_of
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError
from assay.results.prediction import Prediction
from assay.sources.capabilities import Corrects, LinearSource


@dataclass(frozen=True)
class _Told:
    source: Corrects

    def __call__(self, frame: Frame) -> Prediction:
        return self.source.told(frame.atoms)


def residual_of(
    rows: LinearSource,
    frames: Callable[[], Iterable[Frame]],
    survey: Survey,
    *,
    chosen: NDArray[np.bool_],
    workers: Workers = 1,
    stage: Stage | None = None,
) -> tuple[LinearSource, Survey | None]:
    """A correction with its design rows, and the survey of `E − E_potential`, `F − F_potential`, which it is fitted to.

    Other sources come back as they are, with no residual. Parameters as in `assay.linear.fit.fit_linear`, but for
    `frames`, which gives them anew: the potential evaluates all of them in batches before they are read one by one.
    Frames that it fails on are passed over here, and found by the fit.

    Raises
    ------
    FrameError
        no chosen frame can be evaluated
    """
    if not isinstance(rows, Corrects):
        return rows, None
    rows.prepare(frames, workers=processes_of(workers), total=len(survey), stage=stage)
    fold, seen = rows.learns(), 0
    energy, force_square = np.full((2, len(survey)), np.nan)
    selected = (frame for frame, use in zip(frames(), chosen, strict=True) if use)
    progress = stage("axes of features", int(chosen.sum())) if stage else None
    reason = "no training frame is chosen"
    for i, (frame, said) in zip(
        np.flatnonzero(chosen),
        map_frames(_Told(rows), selected, workers=workers, progress=progress),
        strict=True,
    ):
        if isinstance(said, Failure):
            reason = f"{said.origin}: {said.reason}"
            continue
        assert said.energy is not None
        assert said.forces is not None
        if frame.energy is not None:
            energy[i] = frame.energy - said.energy
        if frame.forces is not None:
            force_square[i] = np.mean((frame.forces - said.forces) ** 2)
        fold.update(frame, said)
        seen += 1
    if not seen:
        raise FrameError(f"no training frame could be evaluated; the last: {reason}")
    return fold.result(), replace(survey, energy=energy, force_square=force_square)
