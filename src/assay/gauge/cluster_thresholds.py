"""Scores with a threshold for each cluster, from training errors and held-out frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from assay.gauge.score_choice import CLUSTERED
from assay.gauge.thresholds import HELD_OUT_QUANTILE, tukey_fence
from assay.results.arrays import Array
from assay.results.batch import Batch
from assay.scores.protocol import Clustered, FittedScore, clustered, majority
from assay.scores.registry import cluster_wise

FEWEST = 20
FEWEST_FRAMES = 5
"""Atoms and frames of a cluster below which it has no threshold of its own."""


def by_cluster(scores: Sequence[FittedScore], training: Batch, held_out: Batch | None) -> tuple[FittedScore, ...]:
    """Scores with a threshold for each cluster, from training errors (committee) and held-out frames (γ_local).

    Raises `ValueError` without `gamma_local`, or with neither members nor held-out frames.
    """
    local = clustered(scores)
    of_forces = training.envelopes.force is not None  # those of a corrector of energies don't differ
    if local is None or not (of_forces or held_out):
        raise ValueError(f"thresholds by cluster need the score {CLUSTERED}, and members or held-out frames")
    return cluster_wise(
        local,
        fences=cluster_fences(training, local) if of_forces else None,
        levels=cluster_levels(held_out, local) if held_out else None,
    )


def cluster_fences(training: Batch, local: Clustered) -> Array:
    """`tukey_fence` of the force errors of training atoms by their cluster, `(K,)`, eV/Å.

    Clusters of fewer than `FEWEST` atoms in the sample take that of all atoms. Raises `ValueError` without labels.
    """
    if training.labels is None or training.forces is None:
        raise ValueError("thresholds by cluster need labelled training frames and predicted forces")
    errors = np.linalg.norm(training.force_error(training.labels), axis=1)
    known = ~np.isnan(errors)
    if not known.any():
        raise ValueError("thresholds by cluster need labels of the forces of training frames")
    errors, clusters = errors[known], training.companions[local.companion][known]
    of_cluster = [errors[clusters == k] for k in range(len(local.names))]
    return np.array([tukey_fence(each if len(each) >= FEWEST else errors) for each in of_cluster])


def cluster_levels(held_out: Batch, local: Clustered) -> Array:
    """The 95 % quantile of the largest γ_local of held-out frames by the cluster of the frame, `(K,)`.

    A frame's cluster is that of most of its atoms. Clusters of fewer than `FEWEST_FRAMES` take the quantile of all.
    """
    largest, atoms = held_out.scores[local.name, "frame"], held_out.companions[local.companion]
    of_frame = np.array([majority(atoms[a:b]) for a, b in pairwise(held_out.offsets)])

    def level(values: Array) -> float:
        return float(np.quantile(values, HELD_OUT_QUANTILE, method="higher")) if len(values) else 1.0

    known = np.isfinite(largest)  # frames with a species that no training atom has are infinitely far
    largest, of_frame = largest[known], of_frame[known]
    of_cluster = [largest[of_frame == k] for k in range(len(local.names))]
    return np.array([level(each if len(each) >= FEWEST_FRAMES else largest) for each in of_cluster])
