"""`assay evaluate`: a gauge held against labelled frames."""

from __future__ import annotations

from pathlib import Path

from assay.evaluation.evaluate import evaluate_gauge, evaluated
from assay.evaluation.figures import BarFigures, Stratum
from assay.evaluation.result import EvaluationResult
from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.gauge.gauge import Gauge
from assay.report.provenance import provenance
from assay.results.warning import heard, listens, remark, with_warnings
from assay.sources.frame_files import Given, Paths, frames_of
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs

__all__ = ["BarFigures", "EvaluationResult", "Stratum", "evaluate", "evaluated"]


@settled
@listens
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
) -> EvaluationResult:
    """Errors, rank correlations, coverage and proper scores on labelled frames.

    `frames` are `ase.Atoms`, several of them, or files. Those that were fitted or calibrated on are counted under
    `training_overlap` and `calibration_overlap`: what is measured on them says nothing about new ones. `global_bars`
    counts the values of each quantity that have the error bar of all because their group was not calibrated. Frames
    that can't be read raise `FrameError`, or with `run.skip_bad` are listed under `failed`; frames that can't be
    evaluated are always listed. Raises `ValueError` for a gauge with features and no predictions.
    """
    require_outputs(gauge, frames, members, report=report, json=json_file)
    gauge = loaded(gauge, run.allow_import)
    labelled = frames_of(frames, members=members, keys=keys, skip_bad=run.skip_bad, memory=0)
    found = evaluate_gauge(gauge, labelled, run)
    for count, what in ((found.training_overlap, "trained"), (found.calibration_overlap, "calibrated")):
        if count:
            remark(f"{count} of these frames were {what} on; they say nothing about new ones")
    if json_file is not None:
        write_json(json_file, with_warnings(found.summary()))
    if report is not None:
        from assay.report import write_report

        write_report(
            report,
            found.assessment,
            title="Evaluation",
            provenance=provenance(gauge, labelled.files, command),
            evaluation=found,
            training=gauge.training,
            worst=found.worst,
            warnings=heard(),
        )
    return found
