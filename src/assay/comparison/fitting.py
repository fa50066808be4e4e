"""A potential and every method that it supports, from one pass over its training frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from assay.comparison.methods import FitScore, Method, committee_methods, fitted_methods
from assay.frames import Frame, Skipped
from assay.inputs import Stage
from assay.linear.fit import fit_linear
from assay.linear.posterior import Posterior
from assay.linear.several import Several
from assay.linear.weights import Weights
from assay.scores import FittedScore
from assay.scores.registry import COMMITTEE, FROM_FEATURES, checked_names
from assay.scores.training import TrainingFeatures
from assay.sources import Design, LinearSource, Source
from assay.survey import Survey


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
    names = checked_names(scores or (*COMMITTEE, *FROM_FEATURES))
    training, several = TrainingFeatures(), Several(tuple(posteriors))

    def collect(frame: Frame, design: Design) -> None:
        training.append(design.features, frame.atoms.numbers, frame.config_type)

    started = time.perf_counter()
    potential = fit_linear(
        frames, survey, rows, chosen=chosen, weights=weights, posterior=several, seed=seed, workers=workers,
        progress=stage("design rows and fit", int(chosen.sum())), on_design=collect, failed=failed,
    )  # fmt: skip
    seconds = time.perf_counter() - started - sum(several.seconds.values())
    fits: dict[str, FitScore] = {
        name: partial(_from_registry, name, clusters) for name in names if name in FROM_FEATURES
    } | dict(extra)
    progress = stage("fitting scores", len(fits))
    found = fitted_methods(fits, training, (lambda done: progress(done, 0)) if progress else None)
    committees = committee_methods(several.slices, several.seconds, names, len(potential.theta))
    potential = replace(potential, posterior=", ".join(each.name for each in posteriors))
    return Fitted(potential, [*committees, *found], seconds, several.seconds)


def fit_committee_methods(source: Source, scores: Sequence[str] | None, frame: Frame) -> Fitted:
    """The scores of members that a source brings along, as many as it has for `frame`.

    Raises `ValueError` for a score that needs features.
    """
    names = checked_names(scores or tuple(COMMITTEE))
    if without := [name for name in names if name in FROM_FEATURES]:
        raise ValueError(f"{', '.join(without)} needs features, which the source {source.kind!r} does not have")
    members = source.evaluate(frame.atoms).forces_members
    count = 0 if members is None else len(members)
    return Fitted(source, committee_methods({"": slice(0, count)}, {}, names))


def _from_registry(name: str, clusters: str | None, training: TrainingFeatures) -> FittedScore:
    return FROM_FEATURES[name](training, clusters)
