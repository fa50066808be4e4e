"""The way of the training frames: a source and its scores are fitted in one pass over them, or what else it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.fit import MemberChoice, fit_members
from assay.execution.run import Run
from assay.execution.workers import Failure, PerFrame, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Frames, Skipped
from assay.gauge.members_seen import FeaturesSeen, with_derivatives
from assay.gauge.score_choice import Readable
from assay.gauge.score_fit import ScoreFit, ScoreFold, UnfittedScores
from assay.linear.fit import fit_linear
from assay.linear.label_check import LabelFold
from assay.linear.linear_fit import LinearFit
from assay.linear.posteriors.protocol import Posterior
from assay.linear.residual import residual_of
from assay.results.arrays import Array
from assay.results.batch import NO_PREDICTIONS
from assay.results.design import Design
from assay.results.label_finding import Findings
from assay.scores.features.emptiness import Emptiness
from assay.scores.protocol import FittedScore, ScoreClass
from assay.scores.registry import Asked
from assay.sources.capabilities import HasMembers, LinearSource, OnlyFeatures, Source
from assay.sources.features.atom_features import atom_features

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingPass:
    """Training frames that can be gone through again, and how that is done.

    | field | meaning | shape |
    |---|---|---|
    | frames | all of them | F frames |
    | survey | of these | |
    | fitted | which of them are fitted; the others are passed over | `(F,)` |
    | run | how work is done | |
    | failed | receives `(origin, reason)` of frames that can't be evaluated, if `run.skip_bad`; else they raise | |
    """

    frames: Frames
    survey: Survey
    fitted: NDArray[np.bool_]
    run: Run
    failed: Skipped = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many frames are fitted."""
        return int(self.fitted.sum())

    @property
    def left_out(self) -> Skipped | None:
        """The list for frames that can't be evaluated; `None` where they raise."""
        return self.failed if self.run.skip_bad else None

    def all(self) -> Iterator[Frame]:
        """Every frame anew, fitted or not."""
        return iter(self.frames)

    def map(self, function: PerFrame[T], stage: str) -> Iterator[tuple[Frame, T | Failure]]:
        """The fitted frames, each with what a picklable function says of it."""
        chosen = (frame for frame, use in zip(self.frames, self.fitted, strict=True) if use)
        return map_frames(function, chosen, workers=self.run.workers, progress=self.run.stage(stage, self.count))


@dataclass(frozen=True)
class FittedSource:
    """A source that predicts, or has features; its fitted scores; how empty surroundings were, where it has features;
    what was measured of its members, if of any; and labels and members that contradict each other."""

    source: Source
    scores: tuple[FittedScore, ...]
    emptiness: Emptiness | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    findings: Findings = ()


@dataclass(frozen=True)
class Passed:
    """What a pass leaves: a source that predicts, or has features; its scores, not fitted yet; and the seconds that the
    source took. `told` and `findings` as in `FittedSource`."""

    source: Source
    scores: UnfittedScores
    told: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    findings: Findings = ()

    def fitted(self) -> FittedSource:
        """Raises as `assay.scores.protocol.ScoreClass.fit`."""
        return FittedSource(self.source, self.scores.fitted(), self.scores.emptiness(), self.told, self.findings)


@dataclass(frozen=True)
class Wanted:
    """Which scores are to be fitted, and to which atoms.

    | field | meaning |
    |---|---|
    | scores | names or classes; `None` for all that the source supports, but for those on request |
    | of_bar | the score of the error bar; none without one |
    | options | to which atoms, and by which clusters |
    | every | without `scores`, those of features on request too |
    """

    scores: tuple[Asked, ...] | None = None
    of_bar: tuple[ScoreClass, ...] = ()
    options: ScoreFit = ScoreFit()
    every: bool = False

    def fold(self, readable: Readable) -> ScoreFold:
        """Raises `ValueError` for scores that read what there is not, or options that none could follow."""
        return ScoreFold(self.options, readable.choose(self.scores, self.of_bar, every=self.every))


def fit_potential(
    training: TrainingPass, rows: LinearSource, wanted: Wanted, linear: LinearFit, posterior: Posterior | None = None
) -> Passed:
    """A linear potential and the scores of its features; a second pass finds the outliers, if they are to be left out.

    What a corrector learns before its fit takes a pass of its own. `posterior`: what members are drawn from, if not
    from that of `linear`. Raises as `assay.linear.fit.fit_linear`.
    """
    rows = rows.for_species(training.survey.species)
    fold = wanted.fold(Readable.of_linear(rows))
    chosen, run = training.fitted, training.run
    started = time.perf_counter()
    rows, residual = residual_of(
        rows, training.all, training.survey, chosen=chosen, workers=run.workers, stage=run.stage
    )
    labels = LabelFold(training.count, rows.coefficients)

    def on_design(frame: Frame, design: Design) -> None:
        fold.append(frame, design.features)
        labels.update(frame, design)

    potential = fit_linear(
        training.all(),
        training.survey,
        rows,
        chosen=chosen,
        weights=linear.weights,
        posterior=posterior or linear.drawn_from,
        residual=residual,
        seed=linear.seed,
        workers=run.workers,
        progress=run.stage("design rows and fit", training.count),
        on_design=on_design,
        failed=training.left_out,
    )
    seconds = time.perf_counter() - started
    found = labels.findings()
    errors = None
    if wanted.options.without_outliers:
        of_frames = training.map(_ForceErrors(potential), "force errors")
        errors = np.concatenate([each for _, each in of_frames if not isinstance(each, Failure)])
    return Passed(potential, fold.result(errors), seconds=seconds, findings=found)


def fit_committee(training: TrainingPass, source: HasMembers, wanted: Wanted, members: MemberChoice) -> Passed:
    """A source that has members, with energies of one scale, and its scores with their weights.

    Where one of the members gives its last-layer features, their scores are fitted in the same pass. Raises as
    `assay.ensembles.fit.fit_members`.
    """
    fold = wanted.fold(Readable.of_members(source))
    seen = FeaturesSeen(fold.append, wanted.options.without_outliers)
    started = time.perf_counter()
    fitted = fit_members(
        source, training.all, members, chosen=training.fitted, workers=training.run.workers, stage=training.run.stage,
        failed=training.left_out, on_frame=seen if fold.needed else None,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if any("derivatives" in score.facts.reads for score in fold.wanted):
        fitted = with_derivatives(fitted)
    if fold.needed:
        fold.training.energy_errors = seen.energy_errors(fitted, source.member_names)
    scores = replace(fold.result(seen.force_errors(), fitted.weights), vanishing=False)
    return Passed(fitted.source, scores, fitted.told, seconds, fitted.findings)


def fit_features(training: TrainingPass, source: OnlyFeatures, wanted: Wanted) -> Passed:
    """A source of features alone with what it learnt (species, number of features), and its scores.

    Raises
    ------
    ValueError
        a score that needs members, or outliers, which only errors tell
    FrameError
        frames whose numbers of features differ, or none that can be evaluated
    """
    fold = wanted.fold(Readable.of_features(source))
    if wanted.options.without_outliers:
        raise ValueError(f"no force errors to tell outliers by: {NO_PREDICTIONS}")
    source = source.for_species(training.survey.species)
    columns: int | None = None
    for frame, features in training.map(_Features(source), "features"):
        if isinstance(features, Failure):
            if training.left_out is None:
                raise FrameError(f"{features.origin}: {features.reason}")
            training.left_out.append((features.origin, features.reason))
            continue
        columns = columns or features.shape[1]
        if features.shape[1] != columns:
            raise FrameError(
                f"{frame.origin}: {features.shape[1]} features per atom, but {columns} in frames before it"
            )
        fold.append(frame, features)
    if columns is None:
        raise FrameError("no training frame could be evaluated")
    return Passed(source.with_columns(columns), fold.result())


@dataclass(frozen=True)
class _ForceErrors:
    source: Source

    def __call__(self, frame: Frame) -> Array:
        forces = self.source.predict(frame.atoms).forces
        assert forces is not None
        labels = np.full(forces.shape, np.nan) if frame.forces is None else frame.forces
        return np.asarray(np.linalg.norm(forces - labels, axis=1))


@dataclass(frozen=True)
class _Features:
    source: Source

    def __call__(self, frame: Frame) -> Array:
        return atom_features(self.source, frame.atoms)
