"""`assay compare`: every way to an uncertainty, on one potential and the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from assay.calibration.bar_name import BarName
from assay.comparison.fitting import fit_committee_methods, fit_linear_methods
from assay.comparison.methods import CONSTANT, RANDOM, FitScore, Method, timed
from assay.comparison.reasons import many
from assay.comparison.recommendation import recommendation
from assay.comparison.result import compared
from assay.comparison.sets import CALIBRATION, TRAINING, FrameSets, by_name
from assay.comparison.split import Split
from assay.ensembles.fit import MemberChoice
from assay.execution.progress import Stage
from assay.frames.frame import FrameError, LabelKeys, file_hash
from assay.gauge.batch import Batch
from assay.gauge.gauge import Gauge
from assay.linear.posteriors.registry import posterior_from_spec
from assay.linear.weights import Weights
from assay.metrics import rmse
from assay.report.kit.plotting import require_plotting
from assay.scores.protocol import FittedScore
from assay.sources.capabilities import HasMembers, LinearSource, prepare
from assay.sources.frame_files import Paths, listed
from assay.sources.registry import GivenSource, given_source, with_members_of_frames
from assay.storage.files import require_folders, write_json
from assay.storage.provenance import versions

POSTERIORS = ("pops", "bayesian", "bootstrap")
CALIBRATED_BY = ("scale", "isotonic", "conformal", "frame_conformal")
FEWEST_RESAMPLES = 20
NO_ERRORS = "the source gives no energies or no forces: there are no errors to judge by; give one that predicts both"
FEW_FRAMES = 10
"""Frames of a set below which intervals by resampling them are too narrow."""


def compare(
    train: Paths,
    tests: Mapping[str, Paths] | Sequence[str | Path] | str | Path,
    *,
    source: GivenSource,
    calibration: Paths | None = None,
    train_members: Paths | None = None,
    calibration_members: Paths | None = None,
    tests_members: Mapping[str, Paths] | Sequence[str | Path] | str | Path | None = None,
    scores: Sequence[str] | None = None,
    posteriors: Sequence[str] = POSTERIORS,
    calibrators: Sequence[str] = CALIBRATED_BY,
    extra: Mapping[str, FitScore] | None = None,
    clusters: str | None = None,
    r_cut: float = 5.0,
    weights: Weights | None = None,
    ensemble_size: int | None = None,
    resamples: int = 200,
    seed: int = 0,
    workers: int = 1,
    allow_overlap: bool = False,
    skip_bad: bool = False,
    keys: LabelKeys | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Which uncertainty to use for a potential and its data: rankings, detection, error bars and cost of every method.

    The potential is fitted once, its features are computed once, and all methods are judged on the same frames. Every
    figure has a 95 % interval by resampling whole frames; methods that can't be told from the best are named.

    Parameters
    ----------
    train, calibration
        files of labelled frames. Without `calibration`, a fifth of the training frames is kept out of the fit, in
        contiguous blocks of file order within each config_type
    tests
        sets of labelled frames to judge on: files by the name of the set, or files that give their names
    source
        as in `assay.build`: a linear potential (all methods), or a committee or recorded members (the spread of those)
    train_members, calibration_members, tests_members
        members files of the `recorded` source, one for each frames file; those of tests in the form of `tests`
    scores
        names of scores; all that the source supports by default
    posteriors, ensemble_size
        of the members of a linear potential, and how many members each has: see `assay.build`
    calibrators
        names, from scores to error bars: see `assay.calibration`; those of groups with their grouping, as in
        `mondrian:species`
    extra
        more scores by name: functions that fit one to `assay.scores.features.training.TrainingFeatures`
    resamples
        of the frames, for intervals
    allow_overlap
        judge on frames that are also trained or calibrated on: errors there are too small

    Returns
    -------
    what `docs/compare.md` describes, JSON-ready

    Raises
    ------
    FrameError
        frames that can't be used; sets that share frames
    ValueError
        unknown names or settings; a source without predictions
    """
    require_folders(report, json_file)
    if report is not None:
        with require_plotting():
            import_module("assay.report.comparison.page")
    for each in calibrators:
        BarName.parse(f"SCORE:{each}")
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"{resamples} resamples give no intervals of 95 %: at least {FEWEST_RESAMPLES} are needed")
    if not r_cut > 0:
        raise ValueError(f"the radius of a neighbourhood must be positive, got {r_cut}")
    given, settings = given_source(source, allow_import)
    if not isinstance(given, LinearSource | HasMembers):
        raise ValueError(NO_ERRORS)
    drawn_from = [posterior_from_spec(each, ensemble_size) for each in posteriors]
    test_sets = by_name(tests)
    if not test_sets:
        raise ValueError("nothing to judge on: give at least one set of test frames")
    members = {TRAINING: train_members, CALIBRATION: calibration_members}
    sets = FrameSets(
        _given({TRAINING: train, CALIBRATION: calibration} | test_sets),
        _given(members | _members(tests_members, test_sets)),
        keys or LabelKeys(),
        skip_bad,
    )
    stage = stage or (lambda name, total: None)
    stage("reading labels", None)
    if not allow_overlap:
        sets.require_apart()
    if not skip_bad:
        sets.require_species()
    if len(sets.hashes[CALIBRATION]) < 2:
        raise FrameError("one calibration frame: bars are fitted to one half of the frames and judged on the other")

    left_out = sets.skipped.get(TRAINING)
    if isinstance(given, LinearSource):
        fitted = fit_linear_methods(
            sets.training(), sets.survey, given.for_species(sets.survey.species),
            scores=scores, extra=extra or {}, clusters=clusters, posteriors=drawn_from, chosen=sets.fitted,
            weights=weights or Weights(), seed=seed, workers=workers, stage=stage, failed=left_out,
        )  # fmt: skip
    else:
        given = with_members_of_frames(given, settings, sets.training, sets.keys)
        fitted = fit_committee_methods(
            given, sets.training, MemberChoice(), scores=scores, extra=extra or {},
            clusters=clusters, chosen=sets.fitted, workers=workers, stage=stage, failed=left_out,
        )  # fmt: skip

    stage("timing", None)
    methods, source_seconds = timed(fitted.methods, fitted.source, sets.frames(CALIBRATION))
    judges = tuple(each.score for each in methods if each.score is not None)
    gauge = Gauge(fitted.source, judges, r_cut, "", sets.survey.species)
    batches: dict[str, Batch] = {}
    for name in sets.judged:
        prepare(fitted.source, partial(sets.frames, name), workers=workers, total=len(sets.hashes[name]), stage=stage)
        progress = stage(f"evaluating {name}", len(sets.hashes[name]))
        scored, failed = Gauge.split(gauge.stream(sets.frames(name), workers=workers, progress=progress))
        if failed and not skip_bad:
            origin, reason = failed[0]
            raise FrameError(f"{origin}: {reason} ({len(failed)} frames failed; --skip-bad leaves them out)")
        sets.skipped.setdefault(name, []).extend(failed)
        batches[name] = Batch.collect(scored)
    splits = {name: _split(batch, resamples, seed, judges) for name, batch in batches.items()}
    methods = [_without_nan(method, batches) for method in methods]

    progress = stage("comparing", len(splits))
    home = splits[CALIBRATION]
    result = {
        "assay": versions(),
        "command": command or "assay.compare(...)",
        "source": fitted.source.label,
        "settings": settings,
        "seed": seed,
        "resamples": resamples,
        "r_cut": r_cut,
        "remarks": [*(sentence for *_, sentence in sets.shared()), *sets.outliers(), *_few(sets)],
        "splits": [_training(sets), *(_described(name, split, sets) for name, split in splits.items())],
        "source_cost": {
            "fit_seconds": None if source_seconds is None else fitted.seconds,
            "evaluation_microseconds_per_atom": None if source_seconds is None else 1e6 * source_seconds,
            "posteriors": dict(fitted.posteriors),
        },
        "methods": {each.name: _told(each) for each in (*methods, RANDOM, CONSTANT)},
        **compared(home, {name: splits[name] for name in test_sets}, methods, calibrators, progress),
    }
    result["recommendation"] = recommendation(result)
    if json_file is not None:
        write_json(json_file, result)
    if report is not None:
        from assay.report.comparison.page import write_comparison_report

        write_comparison_report(report, result)
    return result


def _given(sets: Mapping[str, Paths | None]) -> dict[str, Paths]:
    return {name: paths for name, paths in sets.items() if paths is not None}


def _members(
    given: Mapping[str, Paths] | Sequence[str | Path] | str | Path | None, test_sets: Mapping[str, Paths]
) -> dict[str, Paths]:
    """Members files of test sets by name, or in their order."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        given = dict(zip(test_sets, listed(given), strict=True))
    if unknown := given.keys() - test_sets.keys():
        raise ValueError(f"members of {', '.join(sorted(unknown))}, but the test sets are {', '.join(test_sets)}")
    return dict(given)


def _few(sets: FrameSets) -> Iterator[str]:
    for name in sets.judged:
        if (count := len(sets.hashes[name])) < FEW_FRAMES:
            yield f"{name} has {many(count, 'different frame')}: intervals by resampling so few are too narrow"


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


def _training(sets: FrameSets) -> dict[str, Any]:
    return {
        "name": TRAINING,
        "role": TRAINING,
        "frames": int(sets.fitted.sum()),
        "atoms": int(sets.survey.natoms[sets.fitted].sum()),
        "errors": None,
        **_files(TRAINING, sets),
    }


def _described(name: str, split: Split, sets: FrameSets) -> dict[str, Any]:
    batch, force_error = split.batch, split.force_error
    return {
        "name": name,
        "role": CALIBRATION if name == CALIBRATION else "test",
        "frames": len(batch.names),
        "atoms": len(batch.numbers),
        "symmetry_zero_components": int(batch.still.sum()),
        "errors": {
            "energy_rmse_meV_per_atom": 1000 * rmse(split.energy_error),
            "force_rmse_eV_per_A": rmse(force_error),
            "largest_force_error_eV_per_A": float(np.linalg.norm(force_error, axis=1).max()),
        },
        **_files(name, sets),
    }


def _files(name: str, sets: FrameSets) -> dict[str, Any]:
    failed = sets.skipped.get(name, [])
    return {
        "files": {str(path): file_hash(path) for path in listed(sets.paths.get(name))},
        "skipped": len(failed),
        "failed": [{"frame": origin, "reason": reason} for origin, reason in failed],
    }


def _told(method: Method) -> dict[str, Any]:
    return {
        "family": method.family,
        "home": None if method.score is None else method.score.home,
        "fit_seconds": method.fit_seconds,
        "microseconds_per_atom": 1e6 * method.seconds_per_atom if np.isfinite(method.seconds_per_atom) else None,
        "bytes": method.size,
        "failed": method.failed or None,
    }
