"""Frames with known errors and scores, as the comparison sees them after evaluation."""

from __future__ import annotations

import numpy as np

from assay.comparison.methods import Method
from assay.comparison.split import Split
from assay.gauge.spreads import force_spread
from assay.results.arrays import Array
from assay.results.batch import Batch, Labels
from assay.results.per_quantity import PerQuantity
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.members.committee import CommitteeForce

FEATURES = Method("gamma", "features", ExtrapolationGrade({}))
MEMBERS = Method("committee_force", "ensemble", CommitteeForce(), members=1000)


def batch(force_error: Array, scores: Array, natoms: int, kinds: int = 2, still: Array | None = None) -> Batch:
    """Frames of `natoms` atoms with force errors `(A, 3)` and the same scores `(A,)` of atoms for every method."""
    frames = len(force_error) // natoms
    by_frame = scores.reshape(frames, natoms)
    values = {}
    for method in (FEATURES, MEMBERS):
        values[method.name, "atom"] = scores
        values[method.name, "neighbourhood"] = np.repeat(by_frame.mean(axis=1), natoms)
        values[method.name, "frame"] = by_frame.max(axis=1)
    return Batch(
        names=tuple(f"invented:{f}" for f in range(frames)),
        config_types=tuple(f"kind {f % kinds}" for f in range(frames)),
        offsets=np.arange(0, len(force_error) + 1, natoms),
        numbers=np.full(len(force_error), 29),
        energy=force_error.reshape(frames, natoms, 3).mean(axis=2).sum(axis=1),
        forces=force_error,
        stress=None,
        scores=values,
        spreads={
            method.name: PerQuantity(by_frame.mean(axis=1), force_spread(scores)) for method in (FEATURES, MEMBERS)
        },
        still=np.zeros(force_error.shape, dtype=bool) if still is None else still,
        neighbourhood_error=np.repeat(np.linalg.norm(force_error, axis=1).reshape(frames, natoms).mean(axis=1), natoms),
    )


def split(frames: int, natoms: int = 10, seed: int = 0, *, times: float = 1.0, resamples: int = 100) -> Split:
    """Normal errors of standard deviation `times` · score / √3 in every component, of scores between 0.2 and 2."""
    rng = np.random.default_rng(seed)
    score = np.exp(rng.uniform(np.log(0.2), np.log(2.0), frames * natoms))
    error = times * score[:, None] / np.sqrt(3) * rng.standard_normal((frames * natoms, 3))
    return as_split(batch(error, score, natoms), resamples)


def as_split(made: Batch, resamples: int = 100) -> Split:
    assert made.energy is not None
    assert made.forces is not None
    labels = Labels(np.zeros_like(made.energy), np.zeros_like(made.forces))
    return Split(made, labels, resamples, 0)
