"""A potential and every method that it supports, from one pass over its training frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from assay.comparison.methods import FitScore, Method, committee_methods, fitted_methods
from assay.ensembles.fit import MemberChoice, fit_members
from assay.execution.progress import Stage
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Skipped
from assay.gauge.training_pass import FeaturesSeen
from assay.linear.fit import fit_linear
from assay.linear.posteriors.protocol import Posterior
from assay.linear.posteriors.several import Several
from assay.linear.weights import Weights
from assay.results.design import Design
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.heterogeneous import with_weights
from assay.scores.protocol import FittedScore
from assay.scores.registry import COMMITTEE, FROM_FEATURES, OF_LIKE_MEMBERS, checked_names
from assay.sources.capabilities import HasMembers, LinearSource, Source


@dataclass(frozen=True)
class Fitted:
    """A source that predicts, the methods to compare, and the seconds that the potential and each posterior took."""

    source: Source
    methods: list[Method]
    seconds: float = 0.0
    posteriors: Mapping[str, float] = field(default_factory=dict)


def fit_linear_methods(
    frames: Iterator[Frame],
    survey: Survey,
    rows: LinearSource,
    *,
    scores: Sequence[str] | None,
    extra: Mapping[str, FitScore],
    clusters: str | None,
    posteriors: Sequence[Posterior],
    chosen: NDArray[np.bool_],
    weights: Weights,
    seed: int,
    workers: int,
    stage: Stage,
    failed: Skipped | None,
) -> Fitted:
    """A linear potential with the members of several posteriors, and scores of its features.

    Parameters as in `assay.linear.fit.fit_linear`; `scores`, `extra`, `clusters` as in `assay.compare`.
    """
    names = checked_names(scores or (*OF_LIKE_MEMBERS, *FROM_FEATURES))
    training, several = TrainingFeatures(), Several(tuple(posteriors))

    def collect(frame: Frame, design: Design) -> None:
        training.append(design.features, frame.atoms.numbers, frame.config_type)

    started = time.perf_counter()
    potential = fit_linear(
        frames, survey, rows, chosen=chosen, weights=weights, posterior=several, seed=seed, workers=workers,
        progress=stage("design rows and fit", int(chosen.sum())), on_design=collect, failed=failed,
    )  # fmt: skip
    seconds = time.perf_counter() - started - sum(several.seconds.values())
    found = _fitted(_fits(names, clusters, extra), training, stage)
    committees = committee_methods(several.slices, several.seconds, names, len(potential.theta))
    potential = replace(potential, posterior=", ".join(each.name for each in posteriors))
    return Fitted(potential, [*committees, *found], seconds, several.seconds)


def fit_committee_methods(
    source: HasMembers,
    frames: Callable[[], Iterator[Frame]],
    members: MemberChoice,
    *,
    scores: Sequence[str] | None,
    extra: Mapping[str, FitScore],
    clusters: str | None,
    chosen: NDArray[np.bool_],
    workers: int,
    stage: Stage,
    failed: Skipped | None,
) -> Fitted:
    """The scores of members that a source brings along, with the energy references and weights that `build` gives them,
    and of features where one of the members gives its last layer's.

    Parameters as in `assay.ensembles.fit.fit_members`; `scores`, `extra`, `clusters` as in `assay.compare`. Raises
    `ValueError` for a score that needs features where there are none.
    """
    featured, several = bool(source.featured), len(source.member_names) > 1
    names = checked_names(scores or (*(COMMITTEE if several else ()), *(FROM_FEATURES if featured else ())))
    fits = _fits(names, clusters, extra)
    if fits and not featured:
        raise ValueError(f"{', '.join(fits)} needs features, which the source {source.kind!r} does not have")
    training = TrainingFeatures()
    seen = FeaturesSeen(lambda frame, features: training.append(features, frame.atoms.numbers, frame.config_type))
    started = time.perf_counter()
    fitted = fit_members(
        source, frames, members, chosen=chosen, workers=workers, stage=stage, failed=failed,
        on_frame=seen if fits else None,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if fits:
        training.energy_errors = seen.energy_errors(fitted, source.member_names)
    methods = committee_methods({"": slice(0, fitted.count)}, {}, names)
    scored = with_weights([each.score for each in methods if each.score is not None], fitted.weights)
    methods = [replace(m, score=s) for m, s in zip(methods, scored, strict=True)]
    return Fitted(fitted.source, [*methods, *_fitted(fits, training, stage)], seconds)


def _fits(names: Sequence[str], clusters: str | None, extra: Mapping[str, FitScore]) -> dict[str, FitScore]:
    own = {name: partial(_from_registry, name, clusters) for name in names if name in FROM_FEATURES}
    return {**own, **extra}


def _fitted(fits: Mapping[str, FitScore], training: TrainingFeatures, stage: Stage) -> list[Method]:
    if not fits:
        return []
    progress = stage("fitting scores", len(fits))
    return fitted_methods(fits, training, (lambda done: progress(done, 0)) if progress else None)


def _from_registry(name: str, clusters: str | None, training: TrainingFeatures) -> FittedScore:
    return FROM_FEATURES[name](training, clusters)
