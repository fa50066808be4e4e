"""New error bars for a gauge, from labelled frames that it was not trained on."""

from __future__ import annotations

from dataclasses import replace

from assay.calibration.bar_name import BarName
from assay.execution.run import Run
from assay.frames.frame import FrameError, Frames, content_hash
from assay.gauge.bar_choice import AskedBar
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.gauge.label_check import check_batch, warn_of
from assay.results.batch import NO_PREDICTIONS
from assay.results.partly import partly_labelled
from assay.sources.capabilities import prepare


def recalibrated(gauge: Gauge, frames: Frames, run: Run, *, error_bar: AskedBar = "", command: str = "") -> Gauge:
    """The gauge with error bars fitted to labelled frames, and what they were in its provenance.

    `error_bar` changes what makes the bar. Raises `ValueError` for a gauge without predictions, and `FrameError` where
    a frame was trained on, or can't be evaluated without `run.skip_bad`.
    """
    if not gauge.bar:
        raise ValueError(NO_PREDICTIONS)
    if error_bar:
        named = BarName.of(error_bar)
        gauge = replace(gauge, bar=str(named), calibrator=named.own)
    prepare(gauge.source, lambda: frames, workers=run.processes, total=None, stage=run.stage)
    stream = gauge.stream(frames, workers=run.workers, progress=run.stage("held-out errors"))
    scored, failed = Gauge.split(stream)
    hashes = [content_hash(frame.atoms) for frame, _ in scored]
    trained = set(gauge.provenance.get("training_hashes", ()))
    if seen := [frame.origin for (frame, _), digest in zip(scored, hashes, strict=True) if digest in trained]:
        raise FrameError(f"{len(seen)} of {len(scored)} frames were trained on, the first is {seen[0]}; leave them out")
    if failed and not run.skip_bad:
        raise FrameError(f"{failed[0][0]}: {failed[0][1]} ({len(failed)} frames failed; --skip-bad leaves them out)")
    batch = collect(scored)
    found = warn_of(check_batch(batch, "calibration frames"))
    made = {
        **gauge.provenance,
        "calibrated_by": command or "assay.calibrate(...)",
        "files": {**gauge.provenance.get("files", {}), **frames.files},
        "held_out": {"frames": len(batch.names), "atoms": len(batch.numbers)},
        "held_out_hashes": hashes,
        "label_check": [each.summary() for each in found],
        "calibration_skipped": [*frames.skipped, *failed],
        "calibration_partly": [*partly_labelled(batch.names, batch.labelled)],
    }
    return replace(gauge.calibrated(batch), provenance=made)
