"""When a score flags: thresholds from training errors and held-out scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.frames.compositions import foreign_zero
from assay.regions.neighbourhoods import frame_max
from assay.results.arrays import Array, Level
from assay.results.batch import Batch
from assay.results.score import Key
from assay.scores.protocol import FittedScore

HELD_OUT_QUANTILE = 0.95
EXACT = 1e-9
"""eV/atom: a fence of energy errors below this is of rounding errors, as an exact fit leaves them."""


def tukey_fence(errors: Array) -> float:
    """`Q3 + 1.5 (Q3 - Q1)` of training errors (Shuang et al., Eq. 7; Lysogorskiy et al.)."""
    q1, q3 = np.quantile(errors, [0.25, 0.75])
    return float(q3 + 1.5 * (q3 - q1))


def thresholds(scores: Sequence[FittedScore], training: Batch, held_out: Batch | None) -> dict[Key, float]:
    """A threshold for each score and level.

    Spreads: `tukey_fence` of the training errors of that level (norm of the force error of an atom, its mean over the
    neighbourhood, its maximum over the frame; |energy error| per atom). A method's own threshold where it has one
    (γ: 1 for atoms and frames). Otherwise the 95 % quantile on held-out frames; none without any. Energy errors that
    are those of another zero, or of an exact fit, say nothing of a spread, and make no threshold.
    """
    fences = _fences(training)
    by_name = {score.name: score for score in scores}
    found: dict[Key, float] = {}
    for key in training.scores:
        name, level = key
        score = by_name[name]
        if score.facts.kind == "spread":
            if (score.facts.stands_for, level) in fences:
                found[key] = fences[score.facts.stands_for, level]
        elif score.facts.fixed_threshold is not None and level != "neighbourhood":
            found[key] = score.facts.fixed_threshold
        elif held_out is not None:
            finite = held_out.scores[key][np.isfinite(held_out.scores[key])]
            found[key] = float(np.quantile(finite, HELD_OUT_QUANTILE)) if len(finite) else np.inf
    return found


def _fences(training: Batch) -> dict[tuple[str | None, Level], float]:
    """`tukey_fence` of each quantity and level; none of frames without labels, or of features without predictions."""
    labels, neighbourhood_error = training.labels, training.neighbourhood_error
    if labels is None or training.energy is None or training.forces is None or neighbourhood_error is None:
        return {}
    force_error = np.linalg.norm(training.force_error(labels), axis=1)
    of_forces: dict[tuple[str | None, Level], Array] = {
        ("force", "atom"): force_error,
        ("force", "neighbourhood"): neighbourhood_error,
        ("force", "frame"): frame_max(force_error, training.offsets),
    }
    found = {key: tukey_fence(errors[~np.isnan(errors)]) for key, errors in of_forces.items()}
    energy_error = training.energy_error(labels)
    known = ~np.isnan(energy_error)
    if known.any():
        fence = tukey_fence(np.abs(energy_error[known]))
        if fence > EXACT and not foreign_zero(training.fractions[known], energy_error[known]):
            found["energy", "frame"] = fence
    return found
