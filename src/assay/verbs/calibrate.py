"""`assay calibrate`: new error bars for a gauge, from labelled frames that it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.gauge.bar_choice import AskedBar
from assay.gauge.gauge import Gauge
from assay.gauge.recalibrate import recalibrated
from assay.results.warning import heard, listens
from assay.sources.frame_files import Given, Paths, frames_of
from assay.verbs.arguments import settled
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs


@settled
@listens
def calibrate(
    gauge: Gauge | str | Path,
    frames: Given,
    *,
    members: Paths | None = None,
    error_bar: AskedBar | None = None,
    out: str | Path | None = None,
    keys: LabelKeys | None = None,
    run: Run = Run(),
    command: str | None = None,
) -> Gauge:
    """A gauge with error bars fitted to `frames`; potential, scores and thresholds stay.

    `frames` are labelled `ase.Atoms`, several of them, or files. `error_bar`, `SCORE:CALIBRATOR[:GROUPING]`
    (docs/calibration.md) or `(SCORE, MyCalibrator)`, changes what makes the bar.

    Raises `FrameError` where a frame was trained on: errors of
    training frames are too small to calibrate with. Raises `ValueError` for a gauge with features and no predictions.
    Warns of what makes the bars doubtful: see `assay.calibration.remarks`.
    """
    require_outputs(gauge, frames, members, gauge=out)
    gauge = loaded(gauge, run.allow_import)
    labelled = frames_of(frames, members=members, keys=keys, skip_bad=run.skip_bad, memory=0)
    new = recalibrated(gauge, labelled, run, error_bar=error_bar or "", command=command or "")
    if heard():
        new = replace(new, provenance={**new.provenance, "calibration_warnings": [*heard()]})
    if out is not None:
        new.save(out)
    return new
