"""A sample of the training frames: scored again for training errors and distributions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.execution.run import Run
from assay.execution.workers import Progress
from assay.frames.frame import Frame, FrameError, Skipped
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.gauge.training_pass import TrainingPass
from assay.results.arrays import Array
from assay.results.batch import Batch

SAMPLE_ATOMS = 10_000
"""Training atoms that are evaluated again for training errors and distributions."""
QUANTILES = 512


def evenly_spaced(natoms: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Evenly spaced frames of those in `among`, with about `SAMPLE_ATOMS` atoms or fewer in all, `(F,)`."""
    where = np.flatnonzero(among)
    total = int(natoms[where].sum())
    count = len(where) if total <= SAMPLE_ATOMS else max(1, len(where) * SAMPLE_ATOMS // total)
    sample = np.zeros(len(natoms), dtype=bool)
    sample[where[np.linspace(0, len(where) - 1, count).round().astype(int)]] = True
    return sample


def scored(gauge: Gauge, frames: Iterable[Frame], run: Run, progress: Progress | None, failed: Skipped) -> Batch:
    """What a gauge says of frames; with `run.skip_bad`, those that can't be evaluated are added to `failed`, once.

    Raises `FrameError` for such a frame otherwise.
    """
    pairs, bad = Gauge.split(gauge.stream(frames, workers=run.workers, progress=progress))
    if bad and not run.skip_bad:
        origin, reason = bad[0]
        raise FrameError(f"{origin}: {reason} ({len(bad)} frames failed; --skip-bad leaves them out)")
    failed.extend(pair for pair in bad if pair not in failed)
    return collect(pairs)


def training_sample(gauge: Gauge, training: TrainingPass, stage: str = "") -> Batch:
    """What a gauge says of a sample of the frames that it was fitted to; with a `stage` its progress is told."""
    sample = training.fitted & evenly_spaced(training.survey.natoms, training.fitted)
    frames = (frame for frame, use in zip(training.all(), sample, strict=True) if use)
    progress = training.run.stage(stage, int(sample.sum())) if stage else None
    return scored(gauge, frames, training.run, progress, training.failed)


def beyond_training(gauge: Gauge, training: Batch) -> Gauge:
    """The gauge with the largest values of scores in training, beyond which emptier surroundings are."""
    if gauge.emptiness is None:
        return gauge
    home = [score for score in gauge.scores if score.facts.zero_is_home]
    values = {score.name: training.scores[score.name, score.home] for score in home}
    finite = {name: column[np.isfinite(column)] for name, column in values.items()}
    largest = {name: float(column.max(initial=0.0)) for name, column in finite.items()}
    return replace(gauge, emptiness=gauge.emptiness.seen(largest))


def quantiles(values: Array) -> Array:
    """512 of the finite values; none without any."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, np.linspace(0, 1, QUANTILES)) if len(finite) else finite
