"""When a score flags: thresholds from training errors and held-out scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.aggregate import frame_max
from assay.prediction import Array
from assay.scores import FittedScore
from assay.scoring import Batch, Key

HELD_OUT_QUANTILE = 0.95


def tukey_fence(errors: Array) -> float:
    """`Q3 + 1.5 (Q3 - Q1)` of training errors (Shuang et al., Eq. 7; Lysogorskiy et al.)."""
    q1, q3 = np.quantile(errors, [0.25, 0.75])
    return float(q3 + 1.5 * (q3 - q1))


def thresholds(scores: Sequence[FittedScore], training: Batch, held_out: Batch) -> dict[Key, float]:
    """A threshold for each score and level.

    Scores in error units: `tukey_fence` of the training errors of that level (norm of the force error of an atom, its
    mean over the neighbourhood, its maximum over the frame; |energy error| per atom). A method's own threshold where
    it has one (γ: 1 for atoms and frames). Otherwise the 95 % quantile on held-out frames.
    """
    assert training.labels is not None
    assert training.neighbourhood_error is not None
    force_error = np.linalg.norm(training.forces - training.labels.forces, axis=1)
    fences = {
        ("force", "atom"): tukey_fence(force_error),
        ("force", "neighbourhood"): tukey_fence(training.neighbourhood_error),
        ("force", "frame"): tukey_fence(frame_max(force_error, training.offsets)),
        ("energy", "frame"): tukey_fence(np.abs(training.energy - training.labels.energy) / training.natoms),
    }
    by_name = {score.name: score for score in scores}
    found: dict[Key, float] = {}
    for key, values in held_out.scores.items():
        name, level = key
        score = by_name[name]
        if score.in_error_units is not None:
            found[key] = fences[score.in_error_units, level]
        elif score.fixed_threshold is not None and level != "neighbourhood":
            found[key] = score.fixed_threshold
        else:
            finite = values[np.isfinite(values)]
            found[key] = float(np.quantile(finite, HELD_OUT_QUANTILE)) if len(finite) else np.inf
    return found
