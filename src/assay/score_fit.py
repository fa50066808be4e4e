"""Scores of a source that has features and no predictions, fitted in one pass over the training frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.frames import Frame, FrameError, Skipped
from assay.parallel import Failure, Progress, map_frames
from assay.prediction import Array
from assay.scores import FittedScore
from assay.scores.registry import FOLDS, ScoresFold
from assay.sources.registry import FeatureSource
from assay.sources.soap import Soap


@dataclass(frozen=True)
class _Features:
    source: FeatureSource

    def __call__(self, frame: Frame) -> Array:
        features = self.source.evaluate(frame.atoms).features
        assert features is not None
        if not np.isfinite(features).all():
            i, k = np.argwhere(~np.isfinite(features))[0]
            raise FrameError(f"atom {i}: feature {k} is not finite: {features[i, k]}")
        return features


def fit_features(
    frames: Iterable[Frame],
    source: FeatureSource,
    *,
    chosen: NDArray[np.bool_],
    species: Sequence[str],
    scores: Sequence[str] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    failed: Skipped | None = None,
) -> tuple[FeatureSource, tuple[FittedScore, ...]]:
    """The source with what it learnt (species, number of features), and the scores fitted to the chosen frames.

    Parameters
    ----------
    chosen
        which of the frames to fit, `(F,)`; the others are passed over
    species
        chemical symbols of all training frames
    scores
        names; all that need features and no members by default
    failed
        receives `(origin, reason)` of frames that could not be evaluated; without it they raise `FrameError`

    Raises
    ------
    ValueError
        a score that needs members
    FrameError
        frames whose numbers of features differ, or none that can be evaluated
    """
    names = tuple(scores or FOLDS)
    fold = ScoresFold(names)
    if members := [name for name in names if name not in FOLDS]:
        raise ValueError(f"{', '.join(members)} needs predictions of members; {source.kind} gives features alone")
    if isinstance(source, Soap):
        source = source.for_species(species)
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
        fold.update(features, frame.atoms.numbers)
    if columns is None:
        raise FrameError("no training frame could be evaluated")
    return source if isinstance(source, Soap) else replace(source, columns=columns), fold.result()
