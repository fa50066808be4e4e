"""`assay evaluate`: a gauge held against labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.evaluation.evaluate import evaluate_gauge
from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.gauge.gauge import Gauge
from assay.report.provenance import provenance
from assay.sources.frame_files import Given, Paths, frames_of
from assay.storage.files import require_folders, write_json
from assay.verbs.loading import loaded


def evaluate(
    gauge: Gauge | str | Path,
    frames: Given,
    *,
    members: Paths | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    keys: LabelKeys | None = None,
    run: Run = Run(),
    command: str | None = None,
) -> dict[str, Any]:
    """Errors, rank correlations, coverage and proper scores on labelled frames: see `assay.evaluation.summary`.

    `frames` are `ase.Atoms`, several of them, or files. Those that were fitted or calibrated on are counted under
    `training_overlap` and `calibration_overlap`: what is measured on them says nothing about new ones. `global_bars`
    counts the values of each quantity that have the error bar of all because their group was not calibrated. Frames
    that can't be read raise `FrameError`, or with `run.skip_bad` are counted under `skipped`; frames that can't be
    evaluated are always counted. Raises `ValueError` for a gauge with features and no predictions.
    """
    require_folders(report, json_file)
    gauge = loaded(gauge, run.allow_import)
    labelled = frames_of(frames, members=members, keys=keys, skip_bad=run.skip_bad, memory=0)
    found = evaluate_gauge(gauge, labelled, run)
    if json_file is not None:
        write_json(json_file, found.summary)
    if report is not None:
        from assay.report import write_report

        write_report(
            report,
            found.assessment,
            title="Evaluation",
            provenance=provenance(gauge, labelled.files, command),
            labels=found.assessment.batch.labels,
            evaluation=found.summary,
            training=gauge.training,
            worst=found.worst,
        )
    return found.summary
