"""The composition of a gauge: a source and its scores fitted to training frames, error bars to frames kept apart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assay.ensembles.fit import MemberChoice
from assay.execution.run import Run
from assay.execution.workers import Progress
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Frames, LabelKeys, Skipped
from assay.gauge.bar_choice import AskedBar, chosen_bar
from assay.gauge.cluster_thresholds import by_cluster
from assay.gauge.division import Division
from assay.gauge.gauge import Gauge
from assay.gauge.label_check import check_batch, check_survey, warn_of
from assay.gauge.provenance import Request, provenance
from assay.gauge.sample import beyond_training, quantiles, scored, training_sample
from assay.gauge.score_fit import ScoreFit
from assay.gauge.thresholds import thresholds
from assay.gauge.training_pass import (
    TrainingPass,
    Wanted,
    fit_committee,
    fit_features,
    fit_potential,
)
from assay.gauge.usable import usable
from assay.linear.linear_fit import LinearFit
from assay.results.batch import Batch
from assay.results.label_finding import Findings, distinct
from assay.results.partly import partly_labelled
from assay.scores.registry import Asked
from assay.sources.capabilities import (
    AnySource,
    LinearSource,
    OnlyFeatures,
    keeps_forces,
    prepare,
    with_members_of_frames,
)


@dataclass(frozen=True)
class Built:
    """What `build` made and noticed.

    | field | meaning |
    |---|---|
    | gauge | the fitted, calibrated gauge |
    | skipped | frames left out: (origin, reason) |
    | duplicates | pairs of equal frames within the training set |
    | overlap | pairs of equal frames in training and calibration frames: the latter are not calibrated on |
    | outliers | frames with labels far from the others': (origin, reason) |
    | partly | sentences on frames that lack a label which others have |
    | label_check | labels and members that contradict the fit |
    | training, held_out | scored training sample and calibration frames (`None` without any), for further study |
    """

    gauge: Gauge
    skipped: Skipped
    duplicates: list[tuple[str, str]]
    overlap: list[tuple[str, str]]
    outliers: list[tuple[str, str]]
    training: Batch
    held_out: Batch | None
    partly: tuple[str, ...] = ()
    label_check: Findings = ()

    @property
    def energies_alone(self) -> bool:
        """Whether energies alone were fitted, and forces are those of another potential."""
        return keeps_forces(self.gauge.source)


def fit_gauge(
    train: Frames,
    source: AnySource,
    *,
    calibration: Frames | None = None,
    scores: Sequence[Asked] | None = None,
    error_bar: AskedBar | None = None,
    linear_fit: LinearFit = LinearFit(),
    members: MemberChoice = MemberChoice(),
    score_fit: ScoreFit = ScoreFit(),
    r_cut: float = 5.0,
    keys: LabelKeys = LabelKeys(),
    settings: Mapping[str, Any] | None = None,
    run: Run = Run(),
    command: str = "",
) -> Built:
    """A gauge of frames that are labelled, if the source predicts: the survey of their labels, a pass that fits, and
    calibration on frames that are not fitted.

    | argument | meaning |
    |---|---|
    | source | what predicts or has features, or has the design rows of what will |
    | keys | where the frames have their labels, which are no members |
    | settings | what tells of the source in the provenance of the gauge |
    | command | by which the user asked for it |

    Others as in `assay.build`, which says what is raised too.
    """
    started = time.perf_counter()
    source = usable(source, r_cut, members)
    predicts = not isinstance(source, OnlyFeatures)
    bar = chosen_bar(source, error_bar, scores)
    told = dict(settings or {"source": source.kind})

    survey = Survey.fit(_counted(train, run.stage("reading labels")), b=linear_fit.weights.b)
    division = Division.of(train, survey, calibration, labelled=predicts)
    skipped = [*train.skipped, *(calibration.skipped if calibration is not None else ())]
    partly = [*partly_labelled(survey.origins, survey.labelled)] if predicts else []
    training_pass = TrainingPass(train, survey, division.fitted, run, skipped)

    wanted = Wanted(None if scores is None else tuple(scores), (bar.score,) if bar else (), score_fit)
    if isinstance(source, OnlyFeatures):
        passed = fit_features(training_pass, source, wanted)
    elif isinstance(source, LinearSource):
        passed = fit_potential(training_pass, source, wanted, linear_fit)
    else:
        source = with_members_of_frames(source, told, training_pass.all, keys)
        passed = fit_committee(training_pass, source, wanted, members)
    fitted = passed.fitted()

    name, own = (str(bar.name), bar.name.own) if bar else ("", None)
    gauge = Gauge(fitted.source, fitted.scores, r_cut, name, survey.species, calibrator=own, emptiness=fitted.emptiness)
    training = training_sample(gauge, training_pass, "training errors")
    gauge = beyond_training(gauge, training)
    held_out = _held_out(gauge, training_pass, division, "held-out errors")
    if score_fit.cluster_thresholds:
        fitted = replace(fitted, scores=fitted.scores + by_cluster(fitted.scores, training, held_out))
        gauge = replace(gauge, scores=fitted.scores)
        training = training_sample(gauge, training_pass)
        gauge = beyond_training(gauge, training)
        held_out = _held_out(gauge, training_pass, division)
    found = (*check_survey(survey, "training frames"), *fitted.findings) if predicts else fitted.findings
    checked = warn_of(_checked(found, training, held_out))
    if held_out is not None and predicts:
        if calibration is not None:
            partly += partly_labelled(held_out.names, held_out.labelled)
        gauge = gauge.calibrated(held_out)
    gauge = replace(
        gauge,
        thresholds=thresholds(fitted.scores, training, held_out),
        training={key: quantiles(values) for key, values in training.scores.items()},
        provenance=provenance(
            Request(told, linear_fit, score_fit, command),
            survey,
            division,
            fitted,
            held_out=held_out,
            files={**train.files, **({} if calibration is None else calibration.files)},
            seconds=time.perf_counter() - started,
            label_check=checked,
        ),
    )
    return Built(
        gauge=gauge,
        skipped=skipped,
        duplicates=survey.duplicates(),
        overlap=division.overlap,
        outliers=survey.outliers(),
        partly=tuple(partly),
        training=training,
        held_out=held_out,
        label_check=checked,
    )


def _checked(found: Findings, training: Batch, held_out: Batch | None) -> Findings:
    """Labels that contradict the fit, beside what was `found` as it was made: of other quantities than these, by which
    predictions are no measure."""
    wrong = {each.quantity for each in found}
    batches = [(training, "training frames"), *([(held_out, "calibration frames")] if held_out is not None else [])]
    more = (
        each
        for batch, whose in batches
        for each in check_batch(batch, whose, fitted=batch is training)
        if each.quantity not in wrong
    )
    return distinct((*found, *more))


def _held_out(gauge: Gauge, training: TrainingPass, division: Division, stage: str = "") -> Batch | None:
    """What a gauge says of the frames kept apart; `None` without any.

    With the name of a `stage` progress is told, and a source that works in batches evaluates them first.
    """
    count, run = int(division.held_out.sum()), training.run
    if not count:
        return None
    if stage:
        prepare(gauge.source, division.frames_held_out, workers=run.processes, total=count, stage=run.stage)
    progress = run.stage(stage, count) if stage else None
    return scored(gauge, division.frames_held_out(), run, progress, training.failed)


def _counted(frames: Frames, progress: Progress | None) -> Iterator[Frame]:
    """The frames, whose number is told as they come."""
    atoms = 0
    for count, frame in enumerate(frames, 1):
        atoms += len(frame.atoms)
        if progress:
            progress(count, atoms)
        yield frame
