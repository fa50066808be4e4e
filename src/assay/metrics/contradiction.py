"""Whether values agree better under another reading (sign, unit, order) than as they are, by more than an accident."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from assay.results.arrays import Array

RATE = 1e-6
"""Chance that a reading is nearer on so many of F independent frames, where it is nearer on each with 1/2 at most."""
LARGE, NEARER, NEAR = 0.25, 0.7, 0.75
"""Median loss from which on values disagree as they are; times which, and up to which, that of a reading must be."""
FEWEST, MUCH_NEARER = 5, 0.3
"""Frames below which nothing is said; times the loss that make a reading of fewer frames than `RATE` asks for."""

ITERATIONS = 30
WILD = 50.0
"""Median sizes from which on a value is not like the others, and counts as much as one of that size."""


@dataclass(frozen=True)
class Contradiction:
    """How much nearer a reading is: median losses, and the share of the frames on which it is."""

    as_is: float
    other: float
    share: float
    frames: int

    def figures(self) -> dict[str, float]:
        return {
            "disagreement": round(self.as_is, 4),
            "disagreement_under_reading": round(self.other, 4),
            "share_of_frames_nearer": round(self.share, 4),
            "frames": self.frames,
        }


def contradiction(as_is: Array, other: Array, nearer: float = NEARER) -> Contradiction | None:
    """Whether losses of F frames under another reading are so much smaller that values have it; `None` if not.

    A loss is the size of a difference between values and what predicts them, over their own: 1 is no better than
    nothing. Two things are asked for: a sign test over frames, which right labels with errors in no
    favour of the reading fail at the rate 1 - `RATE`, and a size of the effect that no shrunken, shifted or poor
    prediction has. Where frames are too few for the test all must be nearer, and by far.

    | argument | shape, meaning |
    |---|---|
    | as_is, other | `(F,)`, no unit |
    | nearer | times the median loss of values as they are, which that of a reading must not be above |
    """
    here = np.isfinite(as_is) & np.isfinite(other)
    frames = int(here.sum())
    if frames < FEWEST:
        return None
    votes = int((other[here] < as_is[here]).sum())
    found = Contradiction(float(np.median(as_is[here])), float(np.median(other[here])), votes / frames, frames)
    if found.as_is < LARGE or found.other > min(NEAR, nearer * found.as_is):
        return None
    if bdtrc(votes - 1, frames, 0.5) < RATE:
        return found
    return found if votes == frames and found.other <= MUCH_NEARER * found.as_is else None


def losses(values: Array, predicted: Array) -> Array:
    """`‖y - ŷ‖ / (‖y‖ + ‖ŷ‖)` of each row, between 0 and 1, by which a small row counts as much as a large one.

    Values and predictions `(F, …)`; the result `(F,)`, NaN where a value is or all are zero.
    """
    norms = [np.linalg.norm(each.reshape(len(values), -1), axis=1) for each in (values - predicted, values, predicted)]
    total = norms[1] + norms[2]
    return np.asarray(np.where(total > 0, norms[0] / np.where(total > 0, total, 1.0), np.nan))


def scaled_losses(yy: Array, yp: Array, pp: Array, factor: float) -> Array:
    """`losses` of rows `factor · y`, from `Σ y²`, `Σ yŷ` and `Σ ŷ²` of each, `(F,)`."""
    square = np.maximum(factor**2 * yy - 2 * factor * yp + pp, 0.0)
    total = abs(factor) * np.sqrt(yy) + np.sqrt(pp)
    return np.asarray(np.where(total > 0, np.sqrt(square) / np.where(total > 0, total, 1.0), np.nan))


def scale_of(values: Array) -> float:
    """Root mean square, of values clipped at `WILD` times their median size: a few wild ones change little."""
    sizes = np.abs(values[np.isfinite(values)])
    if not len(sizes):
        return 0.0
    positive = sizes[sizes > 0]
    most = WILD * float(np.median(positive)) if len(positive) else 0.0
    return float(np.sqrt(np.mean(np.minimum(sizes, most) ** 2)))


def without_compositions(values: Array, fractions: Array) -> Array:
    """Energies per atom less what compositions say of them, `(F,)`: least squares without wild values.

    Wild ones are off by more than energies are themselves.
    Fractions of species: `(F, S)`. Values that are NaN stay so.
    """
    here = np.isfinite(values)
    x, y = fractions[here], values[here]
    if not len(y):
        return values
    middle = float(np.median(y))
    spread = WILD * float(np.median(np.abs(y - middle))) or np.inf
    shifts = np.asarray(np.linalg.lstsq(x, np.clip(y, middle - spread, middle + spread))[0])
    before: Array = np.zeros(len(y))
    for _ in range(ITERATIONS):  # nearly least absolute values, which wild ones don't pull
        left = np.abs(y - x @ shifts)
        limit = max(float(np.median(left)), 1e-9)
        weights = np.asarray(limit / np.maximum(left, limit))
        if np.allclose(weights, before, rtol=0.01):
            break
        before, root = weights, np.sqrt(weights)
        shifts = np.asarray(np.linalg.lstsq(x * root[:, None], y * root)[0])
    left = np.abs(y - x @ shifts)
    kept = left <= max(WILD * float(np.median(left)), float(np.median(np.abs(y))))
    shifts = np.asarray(np.linalg.lstsq(x[kept], y[kept])[0])
    return np.asarray(values - fractions @ shifts)
