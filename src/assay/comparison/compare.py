"""The comparison itself: fit a potential and all methods once, judge them on the same frames, say which to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from assay.calibration.bar_name import AskedCalibrator, CalibratorName
from assay.comparison.fitting import Fitted, fit_committee_methods, fit_linear_methods
from assay.comparison.judge import judge
from assay.comparison.methods import CONSTANT, RANDOM, Method, timed
from assay.comparison.recommendation import recommendation
from assay.comparison.result import (
    CALIBRATION,
    TRAINING,
    ComparisonResult,
    MethodDescription,
    SetDescription,
    SetErrors,
    SourceCost,
)
from assay.comparison.sets import FrameSets
from assay.comparison.split import Split
from assay.execution.run import Run
from assay.execution.workers import map_frames
from assay.frames.frame import FrameError, LabelKeys, Skipped
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.gauge.label_check import check_batch, check_survey
from assay.gauge.sample import beyond_training, training_sample
from assay.gauge.score_fit import ScoreFit
from assay.gauge.training_pass import TrainingPass, Wanted
from assay.gauge.usable import usable
from assay.linear.linear_fit import LinearFit
from assay.linear.posteriors.protocol import Posterior
from assay.linear.posteriors.registry import posterior_from_spec
from assay.metrics import rmse
from assay.results.batch import Batch
from assay.results.label_finding import distinct
from assay.results.wording import many
from assay.scores.protocol import FittedScore
from assay.scores.registry import Asked
from assay.sources.capabilities import AnySource, LinearSource, OnlyFeatures, prepare, with_members_of_frames
from assay.storage.provenance import versions

POSTERIORS = ("pops", "bayesian", "bootstrap")
CALIBRATED_BY = ("scale", "isotonic", "conformal", "frame_conformal")
FEWEST_RESAMPLES = 20
BY_CALIBRATION_FRAMES = (
    "scores in units of a threshold of their cluster have those of the calibration frames, which others are judged by: "
    "build a gauge with them, and evaluate it"
)
NO_ERRORS = "the source gives no energies or no forces: there are no errors to judge by; give one that predicts both"
FEW_FRAMES = 10
"""Frames of a set below which intervals by resampling them are too narrow."""


@dataclass(frozen=True)
class MethodChoice:
    """Which methods to compare: arguments of `assay.compare` of these names."""

    scores: Sequence[Asked] | None = None
    posteriors: Sequence[str] = POSTERIORS
    calibrators: Sequence[AskedCalibrator] = CALIBRATED_BY

    def members_from(self, linear: LinearFit) -> list[Posterior]:
        """The posteriors that members of a linear potential are drawn from.

        Raises `ValueError` for unknown names, and a posterior of the fit, which would be none of them.
        """
        if linear.posterior != LinearFit.posterior:
            raise ValueError(
                f"posterior {linear.posterior!r} of one fit: members of each of several posteriors are compared; give "
                f"posteriors=[{linear.posterior!r}, …]"
            )
        return [posterior_from_spec(each, linear.ensemble_size) for each in self.posteriors]

    def calibrated_by(self) -> tuple[CalibratorName, ...]:
        """The calibrators, once each; raises `ValueError` for what is none, and two of one name."""
        found: dict[str, CalibratorName] = {}
        for named in map(CalibratorName.of, self.calibrators):
            if found.setdefault(str(named), named) != named:
                raise ValueError(f"two calibrators are called {named}: give {named.kind!r} a name of its own")
        return tuple(found.values())


def compare(
    sets: FrameSets,
    source: AnySource,
    settings: Mapping[str, Any],
    choice: MethodChoice,
    *,
    linear_fit: LinearFit = LinearFit(),
    score_fit: ScoreFit = ScoreFit(),
    r_cut: float = 5.0,
    resamples: int = 200,
    keys: LabelKeys = LabelKeys(),
    allow_overlap: bool = False,
    run: Run = Run(),
) -> ComparisonResult:
    """Which uncertainty to use, of frames that can be gone through again and again; arguments as in `assay.compare`.

    `settings` tell of the source in the result, `keys` where training frames have their labels. Raises `FrameError` and
    `ValueError` as `assay.compare` does.
    """
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"{resamples} resamples give no intervals of 95 %: at least {FEWEST_RESAMPLES} are needed")
    if score_fit.cluster_thresholds:
        raise ValueError(BY_CALIBRATION_FRAMES)
    source = usable(source, r_cut)
    if isinstance(source, OnlyFeatures):
        raise ValueError(NO_ERRORS)
    settings, seed = dict(settings), linear_fit.seed
    posteriors, calibrators = choice.members_from(linear_fit), choice.calibrated_by()
    if not sets.tests:
        raise ValueError("nothing to judge on: give at least one set of test frames")
    run.stage("reading labels")
    if not allow_overlap:
        sets.require_apart()
    if not run.skip_bad:
        sets.require_species()
    if len(sets.hashes[CALIBRATION]) < 2:
        raise FrameError("one calibration frame: bars are fitted to one half of the frames and judged on the other")

    left_out: dict[str, Skipped] = {name: [*sets.left_out(name)] for name in (TRAINING, *sets.judged)}
    training = TrainingPass(sets.given[TRAINING], sets.survey, sets.fitted, run, left_out[TRAINING])
    wanted = Wanted(None if choice.scores is None else tuple(choice.scores), options=score_fit, every=True)
    if isinstance(source, LinearSource):
        fitted = fit_linear_methods(training, source, wanted, linear_fit, posteriors)
    else:
        source = with_members_of_frames(source, settings, training.all, keys)
        fitted = fit_committee_methods(training, source, wanted)
    run.stage("timing")
    methods, source_seconds = timed(fitted.methods, fitted.source, sets.frames(CALIBRATION))
    judges = tuple(each.score for each in methods if each.score is not None)
    gauge = Gauge(fitted.source, judges, r_cut, "", sets.survey.species, emptiness=fitted.emptiness)
    if fitted.emptiness is not None:
        gauge = beyond_training(gauge, training_sample(gauge, training, "training errors"))
    batches = {}
    for name in sets.judged:
        batches[name], failed = _evaluated(gauge, sets, name, run)
        if failed and not run.skip_bad:
            origin, reason = failed[0]
            raise FrameError(f"{origin}: {reason} ({len(failed)} frames failed; --skip-bad leaves them out)")
        left_out[name] += failed
    checks = (check_batch(batch, f"frames of {name}") for name, batch in batches.items())
    checked = distinct(
        (*check_survey(sets.survey, "training frames"), *fitted.findings, *(each for found in checks for each in found))
    )
    splits = {name: _split(batch, resamples, seed, judges) for name, batch in batches.items()}
    methods = [_without_nan(method, batches) for method in methods]

    progress = run.stage("comparing", len(splits))
    figures = {}
    for done, (name, split) in enumerate(splits.items(), 1):
        figures[name] = judge(split, splits[CALIBRATION], methods, calibrators)
        if progress:
            progress(done, len(split.batch.numbers))
    found = ComparisonResult(
        versions=versions(),
        source=fitted.source.label,
        settings=settings,
        seed=seed,
        resamples=resamples,
        r_cut=r_cut,
        label_check=checked,
        remarks=(
            *map(str, checked),
            *(sentence for *_, sentence in sets.shared()),
            *sets.outliers(),
            *sets.partly_labelled(),
            *_few(sets),
        ),
        splits=(
            _training(sets, left_out[TRAINING]),
            *(_set(name, of, left_out[name], sets.files(name)) for name, of in splits.items()),
        ),
        source_cost=_source_cost(fitted, source_seconds),
        methods={each.name: _description(each) for each in (*methods, RANDOM, CONSTANT)},
        ranking={name: each.ranking for name, each in figures.items()},
        bad={name: each.bad for name, each in figures.items()},
        bars={name: each.bars for name, each in figures.items()},
        best={name: each.best for name, each in figures.items()},
    )
    return replace(found, recommendation=recommendation(found, calibrators))


def _evaluated(gauge: Gauge, sets: FrameSets, name: str, run: Run) -> tuple[Batch, Skipped]:
    """What potential and scores say of a set, and the frames that can't be evaluated."""
    frames, total = partial(sets.frames, name), len(sets.hashes[name])
    prepare(gauge.source, frames, workers=run.processes, total=total, stage=run.progress)
    progress = run.stage(f"evaluating {name}", total)
    scorer = replace(gauge.scorer, bars=tuple(score.name for score in gauge.scores))
    scored, failed = Gauge.split(map_frames(scorer, frames(), workers=run.workers, progress=progress))
    return collect(scored), [*failed]


def _split(batch: Batch, resamples: int, seed: int, scores: tuple[FittedScore, ...]) -> Split:
    if batch.energy is None or batch.forces is None:
        raise ValueError(NO_ERRORS)
    assert batch.labels is not None
    return Split(batch, batch.labels, resamples, seed, scores)


def _without_nan(method: Method, batches: Mapping[str, Batch]) -> Method:
    """The method, or one that failed where it has no value for some atom or frame."""
    for name, batch in batches.items():
        for (score, _), values in batch.scores.items():
            if score == method.name and np.isnan(values).any():
                return replace(method, score=None, failed=f"{np.isnan(values).sum()} values of {name} are NaN")
    return method


def _few(sets: FrameSets) -> Iterator[str]:
    for name in sets.judged:
        if (count := len(sets.hashes[name])) < FEW_FRAMES:
            yield f"{name} has {many(count, 'different frame')}: intervals by resampling so few are too narrow"


def _training(sets: FrameSets, failed: Skipped) -> SetDescription:
    frames, atoms = int(sets.fitted.sum()), int(sets.survey.natoms[sets.fitted].sum())
    return SetDescription(TRAINING, TRAINING, frames, atoms, failed=tuple(failed), files=sets.files(TRAINING))


def _set(name: str, split: Split, failed: Skipped, files: Mapping[str, str]) -> SetDescription:
    batch, force_error = split.batch, split.force_error[~np.isnan(split.force_error[:, 0])]
    energy_error = split.energy_error[~np.isnan(split.energy_error)]
    return SetDescription(
        name=name,
        role=CALIBRATION if name == CALIBRATION else "test",
        frames=len(batch.names),
        atoms=len(batch.numbers),
        errors=SetErrors(
            energy_rmse=1000 * rmse(energy_error) if len(energy_error) else None,
            force_rmse=rmse(force_error) if len(force_error) else None,
            largest_force_error=float(np.linalg.norm(force_error, axis=1).max()) if len(force_error) else None,
        ),
        symmetry_zero_components=int(batch.still.sum()),
        failed=tuple(failed),
        files=files,
    )


def _source_cost(fitted: Fitted, seconds_per_atom: float | None) -> SourceCost:
    if seconds_per_atom is None:
        return SourceCost(posteriors=dict(fitted.posteriors))
    return SourceCost(fitted.seconds, 1e6 * seconds_per_atom, dict(fitted.posteriors))


def _description(method: Method) -> MethodDescription:
    return MethodDescription(
        family=method.family,
        home=None if method.score is None else method.score.home,
        fit_seconds=method.fit_seconds,
        microseconds_per_atom=1e6 * method.seconds_per_atom if np.isfinite(method.seconds_per_atom) else None,
        bytes=method.size,
        failed=method.failed or None,
    )
