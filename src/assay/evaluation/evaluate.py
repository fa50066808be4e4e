"""A gauge held against labelled frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.evaluation.summary import evaluation
from assay.execution.run import Run
from assay.frames.frame import Frame, Frames, content_hash
from assay.gauge.assess import assess
from assay.gauge.batch import Scored
from assay.gauge.gauge import Gauge
from assay.regions.neighbourhoods import coordination
from assay.results.assessment import Assessment
from assay.results.batch import NO_PREDICTIONS


@dataclass(frozen=True)
class Evaluated:
    """A gauge on labelled frames.

    | field | meaning |
    |---|---|
    | summary | `assay.evaluation.summary`, with overlaps, values with the bar of all, and frames that failed |
    | assessment | predictions and error bars of all frames |
    | worst | the frame with the riskiest atom, for a picture; `None` without scores of atoms |
    """

    summary: dict[str, Any]
    assessment: Assessment
    worst: Atoms | None


@dataclass
class _Seen:
    """What is noted of every frame before its positions are let go: hashes, and neighbours of each atom."""

    r_cut: float
    hashes: list[str]
    neighbours: list[NDArray[np.int64]]

    def __call__(self, frame: Frame, scored: Scored) -> None:
        self.hashes.append(content_hash(frame.atoms))
        self.neighbours.append(coordination(frame.atoms, self.r_cut))


def evaluate_gauge(gauge: Gauge, frames: Frames, run: Run) -> Evaluated:
    """Errors, rank correlations, coverage and proper scores of a gauge on labelled frames.

    Raises `ValueError` for a gauge without predictions, and `FrameError` where no frame can be evaluated.
    """
    if not gauge.bar:
        raise ValueError(NO_PREDICTIONS)
    seen = _Seen(gauge.r_cut, [], [])
    assessment, worst = assess(gauge, frames, run, on_frame=seen)
    summary = evaluation(assessment, gauge.constant_bar, np.concatenate(seen.neighbours))
    for part, hashes in (("training", "training_hashes"), ("calibration", "held_out_hashes")):
        used = set(gauge.provenance.get(hashes, ()))
        summary[f"{part}_overlap"] = sum(digest in used for digest in seen.hashes)
    summary["global_bars"] = dict(assessment.global_bars.items())
    summary["failed"] = [{"frame": origin, "reason": reason} for origin, reason in assessment.failed]
    return Evaluated(summary, assessment, worst)
