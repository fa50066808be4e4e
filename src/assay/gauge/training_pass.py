"""Fit a source and its scores to training frames: one pass over them, a second one where outliers are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.fit import FittedMembers, MemberChoice, fit_members
from assay.ensembles.references import LABELS
from assay.execution.progress import Stage
from assay.execution.workers import Failure, Progress, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Skipped
from assay.gauge.score_choice import CLUSTERED, Readable, ScoreChoice
from assay.gauge.thresholds import cluster_fences, cluster_levels, tukey_fence
from assay.linear.fit import fit_linear
from assay.linear.posteriors.protocol import Posterior
from assay.linear.residual import residual_of
from assay.linear.weights import Weights
from assay.results.arrays import Array
from assay.results.batch import NO_PREDICTIONS, Batch
from assay.results.prediction import Prediction
from assay.scores.d_optimality.cluster_wise import ClusterWiseForce, ClusterWiseGrade
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FitOptions, FittedScore, ScoreClass, clustered
from assay.scores.registry import fit_scores
from assay.sources.capabilities import HasDerivatives, HasMembers, LinearSource, OnlyFeatures, Source
from assay.sources.features.atom_features import atom_features


@dataclass
class _Collected:
    """Features of the frames as they come, for the scores of `choice` that need them."""

    choice: ScoreChoice
    wanted: tuple[ScoreClass, ...]
    training: TrainingFeatures = field(default_factory=TrainingFeatures)
    core: list[NDArray[np.bool_]] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        return any(score.facts.of_features for score in self.wanted)

    def __post_init__(self) -> None:
        self.choice.check(self.wanted)

    def append(self, frame: Frame, features: Array) -> None:
        """Raises `FrameError` for a frame without the array that names the core, or with one that is no mask."""
        if not self.needed:
            return
        key, atoms = self.choice.core, frame.atoms
        if key is not None and key not in atoms.arrays:
            raise FrameError(
                f"{frame.origin}: no array {key!r}, which says what the core is; it has {list(atoms.arrays)}"
            )
        core = np.ones(len(atoms), bool) if key is None else atoms.arrays[key]
        if core.ndim != 1:
            raise FrameError(f"{frame.origin}: array {key!r} of shape {core.shape}, needed one value for each atom")
        self.core.append(core.astype(bool))
        self.training.append(features, atoms.numbers, frame.config_type)

    def scores(self, errors: Array | None = None, weights: tuple[float, ...] = ()) -> tuple[FittedScore, ...]:
        """Fit them; `errors`: norms of the force errors of all atoms, `(A,)`, eV/Å, where outliers are left out;
        `weights` of the members."""
        if self.needed:
            keep = np.concatenate(self.core)
            if errors is not None:
                keep &= errors <= tukey_fence(errors[keep])
            if not keep.any():
                raise FrameError(f"no atom to fit scores to: the array {self.choice.core!r} is false for all atoms")
            if not keep.all():
                self.training.keep_only(keep)
        return fit_scores(self.wanted, self.training, FitOptions(self.choice.clusters, weights))


@dataclass(frozen=True)
class _ForceErrors:
    source: Source

    def __call__(self, frame: Frame) -> Array:
        forces = self.source.predict(frame.atoms).forces
        assert forces is not None
        assert frame.forces is not None
        return np.asarray(np.linalg.norm(forces - frame.forces, axis=1))


def fit_potential(
    frames: Callable[[], Iterator[Frame]],
    survey: Survey,
    rows: LinearSource,
    choice: ScoreChoice,
    *,
    bar_score: str,
    chosen: NDArray[np.bool_],
    weights: Weights,
    posterior: Posterior,
    seed: int,
    workers: int,
    stage: Stage,
    failed: Skipped | None,
) -> tuple[Source, tuple[FittedScore, ...]]:
    """A linear potential and the scores of its features; a second pass finds the outliers, if they are to be left out.

    Parameters as in `assay.linear.fit.fit_linear`; `bar_score`: the score of the error bar. What a corrector learns
    before its fit takes a pass of its own.
    """
    wanted = Readable.of_linear(rows).choose(choice.scores, bar_score)
    collected = _Collected(choice, wanted)
    rows, residual = residual_of(rows, frames, survey, chosen=chosen, workers=workers, stage=stage)
    potential = fit_linear(
        frames(),
        survey,
        rows,
        chosen=chosen,
        weights=weights,
        posterior=posterior,
        residual=residual,
        seed=seed,
        workers=workers,
        progress=stage("design rows and fit", int(chosen.sum())),
        on_design=lambda frame, design: collected.append(frame, design.features),
        failed=failed,
    )
    if not choice.without_outliers:
        return potential, collected.scores()
    selected = (frame for frame, use in zip(frames(), chosen, strict=True) if use)
    progress = stage("force errors", int(chosen.sum()))
    found = map_frames(_ForceErrors(potential), selected, workers=workers, progress=progress)
    return potential, collected.scores(np.concatenate([e for _, e in found if not isinstance(e, Failure)]))


def fit_committee(
    source: HasMembers,
    frames: Callable[[], Iterator[Frame]],
    choice: ScoreChoice,
    members: MemberChoice,
    *,
    bar_score: str,
    chosen: NDArray[np.bool_],
    workers: int,
    stage: Stage,
    failed: Skipped | None,
) -> tuple[FittedMembers, tuple[FittedScore, ...]]:
    """A source that has members, with energies of one scale, and its scores with their weights.

    Parameters as in `assay.ensembles.fit.fit_members`; `bar_score`: the score of the error bar. Where one of the
    members gives its last-layer features, their scores are fitted in the same pass. Raises `ValueError` for a score
    that needs features where there are none.
    """
    wanted = Readable.of_members(source).choose(choice.scores, bar_score)
    collected = _Collected(choice, wanted)
    seen = FeaturesSeen(collected.append, choice.without_outliers)
    fitted = fit_members(
        source, frames, members, chosen=chosen, workers=workers, stage=stage, failed=failed,
        on_frame=seen if collected.needed else None,
    )  # fmt: skip
    if any("derivatives" in score.facts.reads for score in wanted):
        fitted = with_derivatives(fitted)
    if collected.needed:
        collected.training.energy_errors = seen.energy_errors(fitted, source.member_names)
    return fitted, collected.scores(seen.force_errors(), fitted.weights)


def with_derivatives(fitted: FittedMembers) -> FittedMembers:
    """The members, whose predictions now have derivatives of features."""
    assert isinstance(fitted.source, HasDerivatives), "a score that reads derivatives was chosen where there are none"
    return replace(fitted, source=fitted.source.with_derivatives())


def by_cluster(scores: Sequence[FittedScore], training: Batch, held_out: Batch | None) -> tuple[FittedScore, ...]:
    """Scores with a threshold for each cluster, from training errors (committee) and held-out frames (γ_local).

    Raises `ValueError` without `gamma_local`, or with neither members nor held-out frames.
    """
    local = clustered(scores)
    of_forces = training.envelopes.force is not None  # those of a corrector of energies don't differ
    if local is None or not (of_forces or held_out):
        raise ValueError(f"thresholds by cluster need the score {CLUSTERED}, and members or held-out frames")
    found: list[FittedScore] = []
    if of_forces:
        found.append(ClusterWiseForce(local, cluster_fences(training, local)))
    if held_out:
        found.append(ClusterWiseGrade(local, cluster_levels(held_out, local)))
    return tuple(found)


@dataclass(frozen=True)
class _Features:
    source: Source

    def __call__(self, frame: Frame) -> Array:
        return atom_features(self.source, frame.atoms)


def fit_features(
    frames: Iterable[Frame],
    source: OnlyFeatures,
    choice: ScoreChoice,
    *,
    chosen: NDArray[np.bool_],
    species: Sequence[str],
    workers: int = 1,
    progress: Progress | None = None,
    failed: Skipped | None = None,
) -> tuple[OnlyFeatures, tuple[FittedScore, ...]]:
    """A source of features alone with what it learnt (species, number of features), and its scores.

    Parameters
    ----------
    chosen
        which of the frames to fit, `(F,)`; the others are passed over
    species
        chemical symbols of all training frames
    failed
        receives `(origin, reason)` of frames that could not be evaluated; without it they raise `FrameError`

    Raises
    ------
    ValueError
        a score that needs members
    FrameError
        frames whose numbers of features differ, or none that can be evaluated
    """
    wanted = Readable.of_features(source).choose(choice.scores)
    if choice.without_outliers:
        raise ValueError(f"no force errors to tell outliers by: {NO_PREDICTIONS}")
    source = source.for_species(species)
    collected = _Collected(choice, wanted)
    columns: int | None = None
    selected = (frame for frame, use in zip(frames, chosen, strict=True) if use)
    for frame, features in map_frames(_Features(source), selected, workers=workers, progress=progress):
        if isinstance(features, Failure):
            if failed is None:
                raise FrameError(f"{features.origin}: {features.reason}")
            failed.append((features.origin, features.reason))
            continue
        columns = columns or features.shape[1]
        if features.shape[1] != columns:
            raise FrameError(
                f"{frame.origin}: {features.shape[1]} features per atom, but {columns} in frames before it"
            )
        collected.append(frame, features)
    if columns is None:
        raise FrameError("no training frame could be evaluated")
    return source.with_columns(columns), collected.scores()


@dataclass
class FeaturesSeen:
    """Passes features on, and keeps what the errors of the mean of the members follow from.

    | field | meaning |
    |---|---|
    | append | gets each frame with its features `(A, D)` |
    | forces_too | keep errors of forces as well |
    """

    append: Callable[[Frame, Array], None]
    forces_too: bool = False
    frames: list[tuple[NDArray[Any], float | None, Array]] = field(default_factory=list)
    errors: list[Array] = field(default_factory=list)

    def __call__(self, frame: Frame, said: Prediction) -> None:
        """One frame, and what all members say; raises `ValueError` where there are no features."""
        if said.features is None:
            raise ValueError("the member that is to give last-layer features gives none")
        assert said.energy_members is not None
        assert said.forces_members is not None
        self.append(frame, said.features)
        self.frames.append((frame.atoms.numbers, frame.energy, said.energy_members))
        if self.forces_too:
            if frame.forces is None:
                raise FrameError(f"{frame.origin}: no forces to tell outliers by")
            self.errors.append(np.linalg.norm(said.forces_members.mean(axis=0) - frame.forces, axis=1))

    def energy_errors(self, fitted: FittedMembers, names: Sequence[str]) -> Array | None:
        """Of the energies per atom, `(F,)` eV; NaN for frames without a label, `None` with zeros other than theirs.

        `names`: of all M members that were seen, of which `fitted` may have kept some.
        """
        if fitted.references is None or fitted.references.onto != LABELS:
            return None
        kept = [names.index(name) for name in fitted.references.members]
        errors = []
        for numbers, label, energies in self.frames:
            mean = energies[kept].mean() + fitted.references.of(numbers).mean()
            errors.append(np.nan if label is None else (mean - label) / len(numbers))
        return np.array(errors)

    def force_errors(self) -> Array | None:
        """Norms of the errors of all atoms, `(A,)` eV/Å, where they were asked for."""
        return np.concatenate(self.errors) if self.errors else None
