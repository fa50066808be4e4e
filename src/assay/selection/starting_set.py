"""The training set that a selection starts from: its features, its scores and its structures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.execution.progress import Stage
from assay.execution.workers import Failure, PerFrame, T, Workers, map_frames
from assay.frames.frame import Frame, FrameError, content_hash
from assay.gauge.gauge import Gauge
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import lead
from assay.scores.d_optimality.maxvol import active_set
from assay.scores.features.emptiness import Emptiness
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FittedScore, OfActiveSets
from assay.scores.registry import SCORES, fit_scores
from assay.selection.by_volume import Inverses, extended
from assay.selection.candidates import Candidates, Extends
from assay.sources.capabilities import AnySource, LinearSource, OnlyFeatures, Source
from assay.sources.features.atom_features import atom_features


@dataclass(frozen=True)
class LinearFeatures:
    """The features of a linear source as a source: no fit is needed."""

    kind: ClassVar[str] = "linear features"

    rows: LinearSource

    @property
    def label(self) -> str:
        return self.rows.label

    def predict(self, frame: Atoms) -> Prediction:
        return Prediction(features=self.rows.features(frame))

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        return self.rows.features(frame, first)

    @property
    def cutoff(self) -> float | None:
        return self.rows.cutoff

    def state(self) -> dict[str, Any]:
        return self.rows.state()


def source_of_features(source: AnySource, species: Sequence[str]) -> Source:
    """The features of a source that needs no fit for them; raises `ValueError` where it has none."""
    if isinstance(source, LinearSource):
        return LinearFeatures(source.for_species(species))
    if not isinstance(source, OnlyFeatures):
        raise ValueError(f"the source {source.kind!r} has no features; build a gauge, and select by score from it")
    return source.for_species(species)


@dataclass(frozen=True)
class _Features:
    source: Source

    def __call__(self, frame: Frame) -> tuple[Array, NDArray[np.int64]]:
        return atom_features(self.source, frame.atoms), frame.atoms.numbers


@dataclass(frozen=True)
class TrainingSet:
    """What was trained on.

    | field | meaning |
    |---|---|
    | source | of features, and of predictions where there is a gauge |
    | scores | of the gauge; none without |
    | species | chemical symbols |
    | hashes | content hash → the frame that has it |
    | frames | reads the frames of training files; `None` without: those of a gauge are not at hand |
    | workers | processes |
    | stage | told of each reading |
    | emptiness | of the gauge: raises its scores where surroundings are emptier than in training |
    """

    source: Source
    scores: tuple[FittedScore, ...]
    species: tuple[str, ...]
    hashes: Mapping[str, str]
    frames: Callable[[], Iterator[Frame]] | None
    workers: Workers
    stage: Stage
    emptiness: Emptiness | None = None

    @classmethod
    def of_gauge(
        cls, gauge: Gauge, frames: Callable[[], Iterator[Frame]] | None, workers: Workers, stage: Stage
    ) -> TrainingSet:
        """The frames that a gauge was fitted to, and those of training files."""
        hashes = dict.fromkeys(gauge.provenance.get("training_hashes", ()), "a training frame of the gauge")
        hashes |= {content_hash(frame.atoms): frame.origin for frame in frames()} if frames else {}
        return cls(gauge.source, gauge.scores, gauge.species, hashes, frames, workers, stage, gauge.emptiness)

    @classmethod
    def of_files(
        cls,
        source: Callable[[Sequence[str]], Source],
        frames: Callable[[], Iterator[Frame]] | None,
        pool: Callable[[], Iterator[Frame]],
        workers: Workers,
        stage: Stage,
    ) -> TrainingSet:
        """Training files alone, or none; `source(species)` is made for the species of these, or of the pool."""
        hashes: dict[str, str] = {}
        species: set[str] = set()
        for frame in (frames or pool)():
            species.update(frame.atoms.get_chemical_symbols())
            if frames:
                hashes.setdefault(content_hash(frame.atoms), frame.origin)
        ordered = tuple(sorted(species))
        return cls(source(ordered), (), ordered, hashes, frames, workers, stage)

    def map(self, function: PerFrame[T]) -> Iterator[tuple[Frame, T]]:
        """Results for the frames of training files; raises `FrameError` for the first that fails."""
        frames = self.frames() if self.frames else iter(())
        progress = self.stage("training frames", None)
        for frame, result in map_frames(function, frames, workers=self.workers, progress=progress):
            if isinstance(result, Failure):
                raise FrameError(f"training frame {result.origin}: {result.reason}")
            yield frame, result

    def inverses(self) -> Inverses:
        """The active sets: of the gauge, extended by training files; or of these alone. None without either.

        Raises `ValueError` for a gauge without extrapolation grade where there are no files.
        """
        gamma = next((score for score in self.scores if isinstance(score, OfActiveSets)), None)
        if gamma is None:
            if self.frames is None and self.scores:
                raise ValueError(
                    "this gauge has no active set (score gamma). Where its source has features, give the training "
                    "frames with --train; otherwise select by score, or at random"
                )
            if self.frames is None:
                return {}
            training = self._features()
            return {z: active_set(training.rows(z)).inverse for z in training.species}
        found = Candidates(gamma.active_sets)
        for _, each in self.map(Extends(self.source, gamma.active_sets)):
            found.update(np.zeros(len(each.grades), dtype=np.int64), each)
        return extended(found.inverses, found.pool())[0]

    def score(self, name: str | None = None) -> FittedScore:
        """A score of the gauge, or one fitted to the features of training files.

        By default the one that leads; where none says so, that of a posterior's error bars, else the first.

        Raises `ValueError` where there is none of that name.
        """
        if not self.scores:
            known = {score.name: score.facts for score in SCORES if score.facts.features_alone}
            name = name or lead(known)
            if name not in known:
                raise ValueError(f"score {name!r} needs a gauge; from features alone there are {', '.join(known)}")
            if self.frames is None:
                raise ValueError("a score needs a gauge, or training frames (--train)")
            return fit_scores([name], self._features())[0]
        of_gauge = {score.name: score for score in self.scores}
        if name and name not in of_gauge:
            raise ValueError(f"no score {name!r} in this gauge; it has {', '.join(of_gauge)}")
        ordered = sorted(self.scores, key=lambda score: score.facts.default_bar_of != "draws")
        return of_gauge[name or lead({score.name: score.facts for score in ordered})]

    def _features(self) -> TrainingFeatures:
        training = TrainingFeatures()
        for frame, (features, numbers) in self.map(_Features(self.source)):
            training.append(features, numbers, frame.config_type)
        return training
