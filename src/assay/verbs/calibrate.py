"""`assay calibrate`: new error bars for a gauge, from labelled frames that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from assay.execution.progress import Stage
from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped, content_hash, file_hash
from assay.gauge.batch import Batch
from assay.gauge.gauge import Gauge
from assay.results.assessment import NO_PREDICTIONS
from assay.sources.capabilities import prepare
from assay.sources.frame_files import Paths, labelled, listed
from assay.storage.files import require_folders


def calibrate(
    gauge: Gauge | str | Path,
    frames: Paths,
    *,
    members: Paths | None = None,
    error_bar: str | None = None,
    out: str | Path | None = None,
    keys: LabelKeys | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> Gauge:
    """A gauge with error bars fitted to `frames`; potential, scores and thresholds stay.

    `error_bar`, `SCORE:CALIBRATOR[:GROUPING]` (docs/calibration.md), changes what makes the bar. Raises `FrameError`
    where a frame was trained on: errors of training frames are too small to calibrate with. Raises `ValueError` for a
    gauge with features and no predictions. Warns of what makes the bars doubtful: see `assay.calibration.remarks`.
    """
    require_folders(out)
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
    if not gauge.bar:
        raise ValueError(NO_PREDICTIONS)
    gauge = replace(gauge, bar=error_bar or gauge.bar)
    trained = set(gauge.provenance.get("training_hashes", ()))
    skipped: Skipped | None = [] if skip_bad else None

    def read(failed: Skipped | None) -> Iterator[Frame]:
        return labelled(frames, members, keys or LabelKeys(), failed)

    prepare(gauge.source, lambda: read([]), workers=workers, total=None, stage=stage)
    stream = gauge.stream(
        read(skipped),
        workers=workers,
        progress=stage("held-out errors", None) if stage else None,
    )
    scored, failed = Gauge.split(stream)
    seen = [frame.origin for frame, _ in scored if content_hash(frame.atoms) in trained]
    if seen:
        raise FrameError(f"{len(seen)} of {len(scored)} frames were trained on, the first is {seen[0]}; leave them out")
    if failed and not skip_bad:
        raise FrameError(f"{failed[0][0]}: {failed[0][1]} ({len(failed)} frames failed; --skip-bad leaves them out)")
    batch = Batch.collect(scored)
    new = gauge.calibrated(batch)
    made = {
        **gauge.provenance,
        "calibrated_by": command or "assay.calibrate(...)",
        "files": {**gauge.provenance.get("files", {}), **{str(p): file_hash(p) for p in listed(frames)}},
        "held_out": {"frames": len(batch.names), "atoms": len(batch.numbers)},
        "held_out_hashes": [content_hash(frame.atoms) for frame, _ in scored],
        "calibration_skipped": [*(skipped or []), *failed],
    }
    new = replace(new, provenance=made)
    if out is not None:
        new.save(out)
    return new
