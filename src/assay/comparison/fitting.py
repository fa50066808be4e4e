"""A potential and every method that it supports, from one pass over its training frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from assay.comparison.methods import Method, fitted_methods, of_posteriors
from assay.ensembles.fit import MemberChoice, fit_members
from assay.execution.run import Run
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Skipped
from assay.gauge.members_seen import FeaturesSeen, with_derivatives
from assay.gauge.score_choice import Readable
from assay.linear.fit import fit_linear
from assay.linear.label_check import LabelFold
from assay.linear.posteriors.protocol import Posterior
from assay.linear.posteriors.several import Several
from assay.linear.weights import Weights
from assay.results.design import Design
from assay.results.label_finding import Findings
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FitOptions, ScoreClass
from assay.scores.registry import Asked
from assay.sources.capabilities import HasMembers, LinearSource, Source


@dataclass(frozen=True)
class Fitted:
    """A source that predicts, the methods to compare, and the seconds that the potential and each posterior took,
    and labels and members that contradict each other."""

    source: Source
    methods: list[Method]
    seconds: float = 0.0
    posteriors: Mapping[str, float] = field(default_factory=dict)
    findings: Findings = ()


def fit_linear_methods(
    frames: Iterator[Frame],
    survey: Survey,
    rows: LinearSource,
    *,
    scores: Sequence[Asked] | None,
    clusters: str | None,
    posteriors: Sequence[Posterior],
    chosen: NDArray[np.bool_],
    weights: Weights,
    seed: int,
    run: Run,
    failed: Skipped | None,
) -> Fitted:
    """A linear potential with the members of several posteriors, and scores of its features.

    Parameters as in `assay.linear.fit.fit_linear`; `scores`, `clusters` as in `assay.compare`. Raises as
    `assay.gauge.score_choice.Readable.choose`.
    """
    wanted = Readable.of_linear(rows).choose(scores, every=True)
    training, several = TrainingFeatures(), Several(tuple(posteriors))
    labels = LabelFold(int(chosen.sum()), rows.coefficients)

    def collect(frame: Frame, design: Design) -> None:
        training.append(design.features, frame.atoms.numbers, frame.config_type)
        labels.update(frame, design)

    started = time.perf_counter()
    potential = fit_linear(
        frames, survey, rows, chosen=chosen, weights=weights, posterior=several, seed=seed, workers=run.workers,
        progress=run.stage("design rows and fit", int(chosen.sum())), on_design=collect, failed=failed,
    )  # fmt: skip
    seconds = time.perf_counter() - started - sum(several.seconds.values())
    of_members, others = _fitted(wanted, training, FitOptions(clusters), run)
    committees = of_posteriors(of_members, several.slices, several.seconds, len(potential.theta))
    potential = replace(potential, posterior=", ".join(each.name for each in posteriors))
    return Fitted(potential, [*committees, *others], seconds, several.seconds, labels.findings())


def fit_committee_methods(
    source: HasMembers,
    frames: Callable[[], Iterator[Frame]],
    members: MemberChoice,
    *,
    scores: Sequence[Asked] | None,
    clusters: str | None,
    chosen: NDArray[np.bool_],
    run: Run,
    failed: Skipped | None,
) -> Fitted:
    """The scores of members that a source brings along, with the energy references and weights that `build` gives them,
    and of features where one of the members gives its last layer's.

    Parameters as in `assay.ensembles.fit.fit_members`; `scores`, `clusters` as in `assay.compare`. Raises as
    `assay.gauge.score_choice.Readable.choose`.
    """
    wanted = Readable.of_members(source).choose(scores, every=True)
    from_features = any(score.facts.of_features for score in wanted)
    training = TrainingFeatures()
    seen = FeaturesSeen(lambda frame, features: training.append(features, frame.atoms.numbers, frame.config_type))
    started = time.perf_counter()
    fitted = fit_members(
        source, frames, members, chosen=chosen, workers=run.workers, stage=run.stage, failed=failed,
        on_frame=seen if from_features else None,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if from_features:
        training.energy_errors = seen.energy_errors(fitted, source.member_names)
    if any("derivatives" in score.facts.reads for score in wanted):
        fitted = with_derivatives(fitted)
    of_members, others = _fitted(wanted, training, FitOptions(clusters, fitted.weights), run)
    methods = of_posteriors(of_members, {"": slice(0, fitted.count)}, {})
    return Fitted(fitted.source, [*methods, *others], seconds, findings=fitted.findings)


def _fitted(
    wanted: Sequence[ScoreClass], training: TrainingFeatures, options: FitOptions, run: Run
) -> tuple[list[Method], list[Method]]:
    """Scores of members, and the others."""
    of_members = [score for score in wanted if "members" in score.facts.reads]
    others = [score for score in wanted if score not in of_members]
    progress = run.stage("fitting scores", len(others)) if others else None
    return (
        fitted_methods(of_members, training, options),
        fitted_methods(others, training, options, (lambda done: progress(done, 0)) if progress else None),
    )
