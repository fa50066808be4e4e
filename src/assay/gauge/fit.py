"""The composition of a gauge: a source and its scores fitted to training frames, error bars to frames kept apart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.calibration.bar_name import AskedBar
from assay.ensembles.fit import MemberChoice
from assay.execution.run import Run
from assay.execution.workers import Progress
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Frames, LabelKeys, Skipped
from assay.gauge.bar_choice import chosen_bar
from assay.gauge.cluster_thresholds import by_cluster
from assay.gauge.division import Division
from assay.gauge.gauge import Gauge
from assay.gauge.label_check import check_batch, check_survey, warn_of
from assay.gauge.provenance import Request, provenance
from assay.gauge.sample import evenly_spaced, quantiles, scored
from assay.gauge.score_fit import ScoreFit
from assay.gauge.thresholds import thresholds
from assay.gauge.training_pass import (
    TrainingPass,
    Wanted,
    fit_committee,
    fit_features,
    fit_potential,
)
from assay.linear.linear_fit import LinearFit
from assay.results.batch import Batch
from assay.results.label_finding import Findings, distinct
from assay.scores.registry import Asked
from assay.sources.capabilities import (
    AnySource,
    HasMembers,
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
    source = _usable(source, members, r_cut)
    predicts = not isinstance(source, OnlyFeatures)
    bar = chosen_bar(source, error_bar, scores)
    told = dict(settings or {"source": source.kind})

    survey = Survey.fit(_counted(train, run.stage("reading labels")), b=linear_fit.weights.b)
    division = Division.of(train, survey, calibration, labelled=predicts)
    skipped = [*train.skipped, *(calibration.skipped if calibration is not None else ())]
    training_pass = TrainingPass(train, survey, division.fitted, run, skipped)

    wanted = Wanted(None if scores is None else tuple(scores), bar.score if bar else "", score_fit)
    if isinstance(source, OnlyFeatures):
        fitted = fit_features(training_pass, source, wanted)
    elif isinstance(source, LinearSource):
        fitted = fit_potential(training_pass, source.for_species(survey.species), wanted, linear_fit)
    else:
        source = with_members_of_frames(source, told, training_pass.all, keys)
        fitted = fit_committee(training_pass, source, wanted, members)

    gauge = Gauge(
        fitted.source, fitted.scores, r_cut, str(bar or ""), survey.species, calibrator=bar.own if bar else None,
        emptiness=fitted.emptiness,
    )  # fmt: skip
    seen = _Seen(training_pass, division, run)
    training = seen.training(gauge, "training errors")
    gauge = _with_largest(gauge, training)
    held_out = seen.held_out(gauge, "held-out errors")
    if score_fit.cluster_thresholds:
        fitted = replace(fitted, scores=fitted.scores + by_cluster(fitted.scores, training, held_out))
        training = seen.training(replace(gauge, scores=fitted.scores))
        gauge = _with_largest(replace(gauge, scores=fitted.scores), training)
        held_out = seen.held_out(gauge)
    found = (*check_survey(survey, "training frames"), *fitted.findings) if predicts else fitted.findings
    checked = warn_of(_checked(found, training, held_out))
    if held_out is not None and predicts:
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


def _with_largest(gauge: Gauge, training: Batch) -> Gauge:
    """The gauge with the largest values of scores in training, beyond which emptier surroundings are."""
    if gauge.emptiness is None:
        return gauge
    home = [score for score in gauge.scores if score.facts.zero_is_home]
    values = {score.name: training.scores[score.name, score.home] for score in home}
    finite = {name: column[np.isfinite(column)] for name, column in values.items()}
    largest = {name: float(column.max(initial=0.0)) for name, column in finite.items()}
    return replace(gauge, emptiness=gauge.emptiness.seen(largest))


def _usable(source: AnySource, members: MemberChoice, r_cut: float) -> LinearSource | HasMembers | OnlyFeatures:
    """The source; raises `ValueError` where nothing could be fitted, before anything long is run."""
    if not r_cut > 0:
        raise ValueError(f"the radius of a neighbourhood must be positive, got {r_cut}")
    if not isinstance(source, LinearSource | HasMembers | OnlyFeatures):
        raise ValueError(
            f"the source {source.kind!r} has neither design rows, nor members, nor features alone: nothing of it could "
            "be fitted or gauged (assay.sources.capabilities says what there is)"
        )
    if members != MemberChoice() and not isinstance(source, HasMembers):
        raise ValueError(
            "a choice of members (references, rmse, best) is for members that a source brings along, which "
            f"{source.kind} does not"
        )
    return source


@dataclass(frozen=True)
class _Seen:
    """The frames that a gauge is judged by, as it is fitted: a sample of those of training, and those held out."""

    training_pass: TrainingPass
    division: Division
    run: Run

    def training(self, gauge: Gauge, stage: str = "") -> Batch:
        fitted = self.division.fitted
        sample = fitted & evenly_spaced(self.training_pass.survey.natoms, fitted)
        frames = (frame for frame, use in zip(self.training_pass.all(), sample, strict=True) if use)
        return scored(gauge, frames, self.run, self._told(stage, int(sample.sum())), self.training_pass.failed)

    def held_out(self, gauge: Gauge, stage: str = "") -> Batch | None:
        """`None` where there are none; a source that works in batches evaluates them first."""
        count = int(self.division.held_out.sum())
        if not count:
            return None
        frames = self.division.frames_held_out
        if stage:
            prepare(gauge.source, frames, workers=self.run.processes, total=count, stage=self.run.stage)
        return scored(gauge, frames(), self.run, self._told(stage, count), self.training_pass.failed)

    def _told(self, stage: str, count: int) -> Progress | None:
        return self.run.stage(stage, count) if stage else None


def _counted(frames: Frames, progress: Progress | None) -> Iterator[Frame]:
    """The frames, whose number is told as they come."""
    atoms = 0
    for count, frame in enumerate(frames, 1):
        atoms += len(frame.atoms)
        if progress:
            progress(count, atoms)
        yield frame
