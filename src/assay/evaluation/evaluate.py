"""A gauge held against labelled frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.evaluation.bars import ConstantBar, Mask
from assay.evaluation.diagrams import diagrams
from assay.evaluation.envelopes import ratio_histogram
from assay.evaluation.figures import EnvelopeFigures
from assay.evaluation.parts import part
from assay.evaluation.result import STRATIFIED, EvaluationResult, Strata
from assay.evaluation.strata import by_strata, of_atoms, of_frames
from assay.execution.run import Run
from assay.frames.frame import Frame, Frames, content_hash
from assay.gauge.assess import assess
from assay.gauge.batch import Scored
from assay.gauge.gauge import Gauge
from assay.gauge.label_check import check_batch, warn_of
from assay.regions.neighbourhoods import coordination
from assay.results.assessment import Assessment
from assay.results.batch import NO_PREDICTIONS, Batch, Labels
from assay.results.per_quantity import PerQuantity, together
from assay.results.residuals import enveloped


@dataclass
class _Seen:
    """What is noted of every frame before its positions are let go: hashes, and neighbours of each atom."""

    r_cut: float
    hashes: list[str]
    neighbours: list[NDArray[np.int64]]

    def __call__(self, frame: Frame, scored: Scored) -> None:
        self.hashes.append(content_hash(frame.atoms))
        self.neighbours.append(coordination(frame.atoms, self.r_cut))


def evaluate_gauge(gauge: Gauge, frames: Frames, run: Run) -> EvaluationResult:
    """Errors, rank correlations, coverage and proper scores of a gauge on labelled frames.

    Raises `ValueError` for a gauge without predictions, and `FrameError` where no frame can be evaluated.
    """
    if not gauge.bar:
        raise ValueError(NO_PREDICTIONS)
    seen = _Seen(gauge.r_cut, [], [])
    assessment, worst = assess(gauge, frames, run, on_frame=seen)
    found = evaluated(assessment, gauge.constant_bar, np.concatenate(seen.neighbours))

    def overlap(hashes: str) -> int:
        used = set(gauge.provenance.get(hashes, ()))
        return sum(digest in used for digest in seen.hashes)

    return replace(
        found,
        training_overlap=overlap("training_hashes"),
        calibration_overlap=overlap("held_out_hashes"),
        label_check=warn_of(check_batch(assessment.batch, "labelled frames", known=_known(assessment))),
        worst=worst,
    )


def evaluated(
    assessment: Assessment, constant_bar: ConstantBar, neighbours: NDArray[np.int64] | None = None
) -> EvaluationResult:
    """An assessment held against its labels, in total, per config_type and per element, and by strata.

    `constant_bar(quantity, mean)` gives the bar that is the same everywhere; `neighbours` `(A,)` divides atoms by their
    coordination. Raises `ValueError` without labels or predictions.
    """
    batch, labels = assessment.batch, assessment.batch.labels
    if labels is None:
        raise ValueError("evaluation needs labelled frames")
    every_frame = np.ones(len(batch.names), dtype=np.bool_)
    whole = part(assessment, labels, constant_bar, every_frame, np.ones(len(batch.numbers), dtype=np.bool_))
    return EvaluationResult(
        assessment=assessment,
        errors=whole.errors,
        scores=whole.scores,
        bars=whole.bars,
        envelopes=_with_histograms(whole.envelopes, batch, labels),
        strata=_strata(assessment, labels, neighbours),
        by_config_type={
            name: part(assessment, labels, constant_bar, frames, frames[batch.frame_of_atom])
            for name, frames in _kinds(batch)
        },
        by_element={
            name: part(assessment, labels, constant_bar, np.zeros_like(every_frame), atoms)
            for name, atoms in _elements(batch)
        },
        diagrams=diagrams(assessment, labels),
    )


def _known(assessment: Assessment) -> Mask:
    """Frames with no score above its threshold on more than half of what it judges there, `(F,)`."""
    batch = assessment.batch
    known = np.ones(len(batch.names), dtype=np.bool_)
    for score in assessment.scores.values():
        if score.threshold is not None:
            of = np.arange(len(known)) if score.level == "frame" else batch.frame_of_atom
            known &= np.bincount(of, score.flagged, len(known)) <= np.bincount(of, minlength=len(known)) / 2
    return known


def _kinds(batch: Batch) -> Iterator[tuple[str, Mask]]:
    """Which frames are of each config_type."""
    kinds = np.array(batch.config_types)
    for kind in np.unique(kinds):
        yield str(kind), kinds == kind


def _elements(batch: Batch) -> Iterator[tuple[str, Mask]]:
    """Which atoms are of each element."""
    for z in np.unique(batch.numbers):
        yield chemical_symbols[z], batch.numbers == z


def _with_histograms(
    figures: PerQuantity[EnvelopeFigures], batch: Batch, labels: Labels
) -> PerQuantity[EnvelopeFigures]:
    found = together(figures, enveloped(batch, labels))
    return PerQuantity.of(
        {
            quantity: replace(one, histogram=ratio_histogram(values.residuals.error, values.residuals.spread))
            for quantity, one, values in found
        }
    )


def _strata(assessment: Assessment, labels: Labels, neighbours: NDArray[np.int64] | None) -> PerQuantity[Strata]:
    """Error bars of forces and energies by parts of the data; none without a bar."""
    batch = assessment.batch
    divisions = PerQuantity(energy=of_frames(batch), force=of_atoms(batch, neighbours))
    columns = (assessment.bars, batch.errors(labels), batch.counted, batch.frames_of, divisions)
    found = {quantity: by_strata(*values) for quantity, *values in together(*columns) if values[2].any()}
    return PerQuantity.of({quantity: found.get(quantity) for quantity in STRATIFIED})
