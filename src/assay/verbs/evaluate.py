"""`assay evaluate`: a gauge held against labelled frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.summary import evaluation
from assay.execution.progress import Stage
from assay.frames.frame import Frame, LabelKeys, Skipped, content_hash
from assay.gauge.assess import assess_stream
from assay.gauge.gauge import Gauge
from assay.regions.neighbourhoods import coordination
from assay.report.provenance import provenance
from assay.results.assessment import NO_PREDICTIONS
from assay.sources.capabilities import prepare
from assay.sources.frame_files import Paths, labelled
from assay.storage.files import require_folders, write_json


def evaluate(
    gauge: Gauge | str | Path,
    frames: Paths,
    *,
    members: Paths | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    keys: LabelKeys | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Errors, rank correlations, coverage and proper scores on labelled frames: see `assay.evaluation.summary`.

    Frames that were fitted or calibrated on are counted under `training_overlap` and `calibration_overlap`: what is
    measured on them says nothing about new ones. `global_bars` counts the values of each quantity that have the error
    bar of all because their group was not calibrated. Frames that can't be read raise `FrameError`, or with `skip_bad`
    are counted under `skipped`; frames that can't be evaluated are always counted. Raises `ValueError` for a gauge with
    features and no predictions.
    """
    require_folders(report, json_file)
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
    if not gauge.bar:
        raise ValueError(NO_PREDICTIONS)
    skipped: Skipped = []
    trained, calibrated = (set(gauge.provenance.get(f"{part}_hashes", ())) for part in ("training", "held_out"))
    overlap = calibration_overlap = 0
    neighbours: dict[str, NDArray[np.int64]] = {}

    def read(failed: Skipped | None) -> Iterator[Frame]:
        return labelled(frames, members, keys or LabelKeys(), failed)

    def counted() -> Iterator[Frame]:
        nonlocal overlap, calibration_overlap
        for frame in read(skipped if skip_bad else None):
            digest = content_hash(frame.atoms)
            overlap += digest in trained
            calibration_overlap += digest in calibrated
            with suppress(ValueError):  # what has no neighbour list fails where it is scored, and is listed there
                neighbours[frame.origin] = coordination(frame.atoms, gauge.r_cut)
            yield frame

    prepare(gauge.source, lambda: read([]), workers=workers, total=None, stage=stage)
    assessment, worst = assess_stream(gauge, counted(), skipped, workers=workers, stage=stage)
    counted_neighbours = np.concatenate([neighbours[name] for name in assessment.names])
    result = evaluation(assessment, gauge.constant_bar, counted_neighbours)
    result["training_overlap"] = overlap
    result["calibration_overlap"] = calibration_overlap
    result["global_bars"] = dict(assessment.global_bars)
    result["failed"] = [{"frame": origin, "reason": reason} for origin, reason in assessment.failed]
    if json_file is not None:
        write_json(json_file, result)
    if report is not None:
        from assay.report import write_report

        write_report(
            report,
            assessment,
            title="Evaluation",
            provenance=provenance(gauge, frames, command),
            labels=assessment.labels,
            evaluation=result,
            training=gauge.training,
            worst=worst,
        )
    return result
