"""`assay build`: fit a gauge to training frames and calibrate it on held-out ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.calibration.bar_name import BarName
from assay.ensembles.fit import MemberChoice
from assay.execution.progress import Stage
from assay.execution.workers import Progress
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped, content_hash, file_hash
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge, require_multiples
from assay.gauge.score_choice import CLUSTERED, ScoreChoice, has_clusters
from assay.gauge.thresholds import thresholds
from assay.gauge.training_pass import (
    by_cluster,
    fit_committee,
    fit_features,
    fit_potential,
)
from assay.linear.posteriors.registry import posterior_from_spec
from assay.linear.weights import Weights
from assay.results.batch import NO_PREDICTIONS, Batch
from assay.scores.protocol import clustered
from assay.scores.registry import Asked, resolved
from assay.sources.capabilities import (
    ByOrder,
    HasCoefficients,
    HasMembers,
    LinearSource,
    OnlyFeatures,
    Source,
    keeps_forces,
    prepare,
    running,
    with_members_of_frames,
)
from assay.sources.frame_files import Paths, labelled, listed
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import require_folders
from assay.storage.provenance import versions

SAMPLE_ATOMS = 10_000
"""Training atoms that are evaluated again for training errors and distributions."""
QUANTILES = 512


@dataclass(frozen=True)
class Built:
    """What `build` made and noticed.

    | field | meaning |
    |---|---|
    | gauge | the fitted, calibrated gauge |
    | skipped | frames left out: (origin, reason) |
    | duplicates | pairs of equal frames within the training set |
    | overlap | pairs of equal frames in training and held-out frames: the latter are not calibrated on |
    | outliers | frames with labels far from the others': (origin, reason) |
    | training, held_out | scored training sample and held-out frames (`None` without any), for further study |
    """

    gauge: Gauge
    skipped: Skipped
    duplicates: list[tuple[str, str]]
    overlap: list[tuple[str, str]]
    outliers: list[tuple[str, str]]
    training: Batch
    held_out: Batch | None


def build(
    train: Paths,
    *,
    source: GivenSource,
    heldout: Paths | None = None,
    train_members: Paths | None = None,
    heldout_members: Paths | None = None,
    scores: Sequence[Asked] | None = None,
    clusters: str | None = None,
    cluster_thresholds: bool = False,
    without_outliers: bool = False,
    core: str | None = None,
    error_bar: str | None = None,
    out: str | Path | None = None,
    keys: LabelKeys | None = None,
    weights: Weights | None = None,
    posterior: str = "pops",
    ensemble_size: int | None = None,
    references: str = "",
    rmse: Sequence[float] | None = None,
    best_members: int | Literal["auto"] | None = None,
    r_cut: float = 5.0,
    seed: int = 0,
    workers: int = 1,
    skip_bad: bool = False,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> Built:
    """Fit a gauge: survey the labels, fit the potential and the scores in one pass, calibrate on held-out frames.

    From a source that has features and no predictions (`features`, `callable`, `soap`) comes a gauge with scores and
    thresholds alone: no frame needs labels, and held-out frames set the thresholds of scores that have none of their
    own.

    Parameters
    ----------
    train, heldout
        files of labelled frames. Without `heldout`, a tenth of the training frames is kept out of the fit, in
        contiguous blocks of file order within each config_type, and never fitted again
    source
        `name:key=value,…`, a TOML file, or the same as a dictionary with the key `source`; a function of `ase.Atoms`
        that returns features `(A, D)`; or an object that can do as `assay.sources.capabilities` says: design rows
        (`LinearSource`), members (`HasMembers`) or features alone (`OnlyFeatures`)
    train_members, heldout_members
        members files of the `recorded` source, or features files of `features`, one for each frames file
    scores
        names of scores, or classes with the contract of `assay.scores.protocol.ScoreClass`; by default all that the
        source supports, but for those on request (docs/scores.md)
    clusters
        of local scores: `config_type`, `kmeans` or `birch`, with `:K` clusters and `:atoms` to divide atoms instead of
        frames; by default config_type where frames name several, else k-means
    cluster_thresholds
        add `committee_force_clusterwise`, the spread in units of a threshold of the atom's cluster, and
        `gamma_local_clusterwise`, γ_local in units of a threshold of the frame's cluster
    without_outliers
        leave atoms out of the scores' fit whose force error is above `Q3 + 1.5 (Q3 - Q1)`; takes a second pass
    core
        array of the frames that is true for the atoms to fit scores to, such as the core of a cut-out cluster
    error_bar
        `SCORE:CALIBRATOR[:GROUPING]` (docs/calibration.md). By default `committee_force:scale` of a linear potential's
        posterior (`committee_energy:scale` of a corrector of energies), `heterogeneous_force:scale` of unlike members,
        `leverage:scale` of one potential with features, and none without predictions
    weights, posterior, ensemble_size, seed
        of the fit of a linear potential and its ensemble: `pops` or `bayesian` (100 members) or `bootstrap` (16), with
        settings as in `pops:leverage_percentile=50` (`assay.linear.posteriors.pops_posterior.Pops`)
    references, rmse, best_members
        of a committee or recorded members: onto what their energies are shifted, their force RMSEs, and how many are
        kept: see `assay.ensembles.fit.MemberChoice`
    r_cut
        radius of a neighbourhood, Å
    skip_bad
        leave out frames that can't be used, and list them, instead of stopping at the first
    stage
        told of each stage, for progress

    Raises
    ------
    FrameError
        frames that can't be used: see `assay.frames.reading.read_frames`
    ValueError
        unknown source, score, calibrator or setting
    """
    require_folders(out)
    started = time.perf_counter()
    if not r_cut > 0:
        raise ValueError(f"the radius of a neighbourhood must be positive, got {r_cut}")
    given, settings = given_source(source, allow_import)
    if not isinstance(given, LinearSource | HasMembers | OnlyFeatures):
        raise ValueError(
            f"the source {given.kind!r} has neither design rows, nor members, nor features alone: nothing of it could "
            "be fitted or gauged (assay.sources.capabilities says what there is)"
        )
    if out is not None and isinstance(given, OnlyFeatures):
        given.state()  # raises ValueError, before anything long is run, for a function that a file can't name
    members = MemberChoice(references, tuple(rmse or ()), best_members)
    if members != MemberChoice() and not isinstance(given, HasMembers):
        raise ValueError(
            f"references, rmse and best_members are for members that a source brings along, which {given.kind} does not"
        )
    predicts = not isinstance(given, OnlyFeatures)
    if error_bar and not predicts:
        raise ValueError(f"no error bar {error_bar!r}: {NO_PREDICTIONS}")
    bar = "" if isinstance(given, OnlyFeatures) else error_bar or _default_bar(given)
    named = BarName.parse(bar) if bar else None
    if named:
        asked = resolved([*(scores or ()), named.score])
        require_multiples(named, next(score for score in asked if score.name == named.score))
        if named.grouping == "cluster" and scores and not has_clusters(asked):
            raise ValueError(f"error bar {bar!r}: its clusters are those of {CLUSTERED}, which is not asked for")
    if isinstance(given, ByOrder):
        by_order, given = given.detached()
        train_members = train_members or by_order or None
    keys = keys or LabelKeys()
    weights = weights or Weights()
    drawn_from = posterior_from_spec(posterior, ensemble_size)
    stage = stage or (lambda name, total: None)
    skipped: Skipped = []

    def frames(paths: Paths, members: Paths | None, note: bool = False) -> Iterator[Frame]:
        left_out = (skipped if note else []) if skip_bad else None
        return labelled(paths, members, keys, left_out, "needed" if predicts else "if present")

    survey = Survey.fit(_told(frames(train, train_members, note=True), stage("reading labels", None)), b=weights.b)
    if heldout is None and len(survey) < 2 and predicts:
        raise FrameError(
            f"{len(survey)} training frame is too few to keep one out for calibration; give more, or -c HELDOUT"
        )
    keep_out = heldout is None and len(survey) > 1
    fitted_frames = ~survey.held_out() if keep_out else np.ones(len(survey), dtype=bool)

    potential: Source
    choice = ScoreChoice(tuple(scores) if scores else None, clusters, without_outliers, core)
    left_out, bar_score = skipped if skip_bad else None, named.score if named else ""
    told: dict[str, Any] = {}
    if isinstance(given, OnlyFeatures):
        potential, fitted_scores = fit_features(
            frames(train, train_members), given, choice, chosen=fitted_frames, species=survey.species,
            workers=workers, progress=stage("features", int(fitted_frames.sum())), failed=left_out,
        )  # fmt: skip
    elif isinstance(given, LinearSource):
        potential, fitted_scores = fit_potential(
            lambda: frames(train, train_members), survey, given.for_species(survey.species), choice,
            bar_score=bar_score, chosen=fitted_frames, weights=weights, posterior=drawn_from, seed=seed,
            workers=workers, stage=stage, failed=left_out,
        )  # fmt: skip
    else:
        given = with_members_of_frames(given, settings, lambda: frames(train, train_members), keys)
        fitted_members, fitted_scores = fit_committee(
            given, lambda: frames(train, train_members), choice, members,
            bar_score=bar_score, chosen=fitted_frames, workers=workers, stage=stage, failed=left_out,
        )  # fmt: skip
        potential, told = fitted_members.source, {"members": fitted_members.told}
    gauge = Gauge(potential, fitted_scores, r_cut, bar, survey.species)

    sample = fitted_frames & _sample(survey.natoms, fitted_frames)
    progress = stage("training errors", int(sample.sum()))

    def training_frames() -> Iterator[Frame]:
        return _chosen(frames(train, train_members), sample)

    training = _scored(gauge, training_frames(), workers, progress, skipped, skip_bad)
    duplicates = survey.duplicates()
    fitted_hashes = {digest for digest, fitted in zip(survey.hashes, fitted_frames, strict=True) if fitted}
    if heldout is None:
        kept_out = [i for i in np.flatnonzero(~fitted_frames) if survey.hashes[i] not in fitted_hashes]
        held_hashes, overlap = [survey.hashes[i] for i in kept_out], _overlap(survey, fitted_frames)
    else:
        held_survey = Survey.fit(frames(heldout, heldout_members, note=True))
        held_hashes = [digest for digest in held_survey.hashes if digest not in fitted_hashes]
        overlap = survey.duplicates(held_survey)

    def held_out_frames() -> Iterator[Frame]:
        if heldout is None:
            return _chosen(frames(train, train_members), np.isin(np.arange(len(survey)), kept_out))
        return (f for f in frames(heldout, heldout_members) if content_hash(f.atoms) not in fitted_hashes)

    if not held_hashes and predicts:
        raise FrameError(
            "every held-out frame is also a training frame, and errors of training frames are too small to calibrate "
            "with; give others with -c"
        )
    held_out = None
    if held_hashes:
        prepare(gauge.source, held_out_frames, workers=workers, total=len(held_hashes), stage=stage)
        progress = stage("held-out errors", len(held_hashes))
        held_out = _scored(gauge, held_out_frames(), workers, progress, skipped, skip_bad)
    if cluster_thresholds:
        fitted_scores += by_cluster(fitted_scores, training, held_out)
        gauge = replace(gauge, scores=fitted_scores)
        training = _scored(gauge, training_frames(), workers, None, skipped, skip_bad)
        if held_out:
            held_out = _scored(gauge, held_out_frames(), workers, None, skipped, skip_bad)

    local = clustered(fitted_scores)
    cluster_names = [] if local is None else list(local.names)
    gauge = replace(
        gauge.calibrated(held_out) if held_out and predicts else gauge,
        thresholds=thresholds(fitted_scores, training, held_out),
        training={key: _quantiles(values) for key, values in training.scores.items()},
        provenance={
            **versions(),
            "command": command or "assay.build(...)",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - started, 2),
            "source": settings,
            "seed": seed,
            "weights": weights.scheme,
            "posterior": posterior,
            **_labels(survey, fitted_frames, potential),
            **told,
            "fitted_to": {
                "clusters": cluster_names,
                "core": core or "",
                "without_outliers": without_outliers,
            },
            "files": {str(path): file_hash(path) for path in (*listed(train), *listed(heldout))},
            "training": {"frames": int(fitted_frames.sum()), "atoms": int(survey.natoms[fitted_frames].sum())},
            **({"held_out": {"frames": len(held_out.names), "atoms": len(held_out.numbers)}} if held_out else {}),
            "training_hashes": sorted(fitted_hashes),
            "held_out_hashes": held_hashes,
        },
    )
    if out is not None:
        gauge.save(out)
    return Built(
        gauge=gauge,
        skipped=skipped,
        duplicates=duplicates,
        overlap=overlap,
        outliers=survey.outliers(),
        training=training,
        held_out=held_out,
    )


def _default_bar(source: LinearSource | HasMembers) -> str:
    """Of a source that predicts. Unlike members are no draws of one distribution, which `committee_force` assumes."""
    if keeps_forces(source):
        return "committee_energy:scale"
    if isinstance(source, LinearSource):
        return "committee_force:scale"
    return "leverage:scale" if running(source) == 1 else "heterogeneous_force:scale"  # one potential has no spread


def _labels(survey: Survey, fitted: NDArray[np.bool_], potential: Source) -> dict[str, int]:
    """How many labels a linear potential was fitted to, and how many coefficients it has."""
    if not isinstance(potential, HasCoefficients):
        return {}
    labels = int(fitted.sum())
    if not keeps_forces(potential):
        stresses = int((survey.stress_square[fitted] > 0).sum())
        labels += 3 * int(survey.natoms[fitted].sum()) + 6 * stresses
    return {"labels": labels, "coefficients": len(potential.theta)}


def _told(frames: Iterator[Frame], progress: Progress | None) -> Iterator[Frame]:
    atoms = 0
    for count, frame in enumerate(frames, 1):
        atoms += len(frame.atoms)
        if progress:
            progress(count, atoms)
        yield frame


def _overlap(survey: Survey, fitted: NDArray[np.bool_]) -> list[tuple[str, str]]:
    """Kept-out frames that equal a fitted one: (fitted origin, kept-out origin)."""
    first: dict[str, str] = {}
    for origin, digest, used in zip(survey.origins, survey.hashes, fitted, strict=True):
        if used:
            first.setdefault(digest, origin)
    kept_out = ((o, h) for o, h, used in zip(survey.origins, survey.hashes, fitted, strict=True) if not used)
    return [(first[digest], origin) for origin, digest in kept_out if digest in first]


def _chosen(frames: Iterator[Frame], mask: NDArray[np.bool_]) -> Iterator[Frame]:
    return (frame for frame, use in zip(frames, mask, strict=True) if use)


def _sample(natoms: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Evenly spaced frames of those in `among`, with about `SAMPLE_ATOMS` atoms or fewer in all, `(F,)`."""
    where = np.flatnonzero(among)
    total = int(natoms[where].sum())
    count = len(where) if total <= SAMPLE_ATOMS else max(1, len(where) * SAMPLE_ATOMS // total)
    sample = np.zeros(len(natoms), dtype=bool)
    sample[where[np.linspace(0, len(where) - 1, count).round().astype(int)]] = True
    return sample


def _scored(
    gauge: Gauge, frames: Iterator[Frame], workers: int, progress: Progress | None, skipped: Skipped, skip_bad: bool
) -> Batch:
    pairs, failed = Gauge.split(gauge.stream(frames, workers=workers, progress=progress))
    if failed and not skip_bad:
        origin, reason = failed[0]
        raise FrameError(f"{origin}: {reason} ({len(failed)} frames failed; --skip-bad leaves them out)")
    skipped.extend(pair for pair in failed if pair not in skipped)
    return collect(pairs)


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = values[np.isfinite(values)]
    return np.quantile(finite, np.linspace(0, 1, QUANTILES)) if len(finite) else finite
