"""What the members of an ensemble span: their standard deviation, and the smallest and largest prediction.

Axis letters: M members, A atoms, `...` any shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.results.arrays import Array
from assay.results.prediction import Prediction

Predicted = Literal["energy", "forces", "stress"]
PREDICTED: tuple[Predicted, ...] = ("energy", "forces", "stress")


@dataclass(frozen=True)
class Envelope:
    """`[min_k y_k, max_k y_k]` over the best fit (k = 0) and M members, and the spread of the members.

    Neither is calibrated. With a posterior that knows misspecification, the envelope should hold the truth:
    `assay.metrics.envelope_violation`. Reference: Perez et al., Fig. 3, doi:10.48550/arXiv.2502.07104.

    | field | meaning | shape, unit |
    |---|---|---|
    | std | standard deviation over members, `√(Σ_k (y_k - ⟨y⟩)² / (M - 1))` | `(...)`, as predicted |
    | low, high | smallest and largest prediction of best fit and members | `(...)`, as predicted |
    """

    std: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, members: Array, best: Array) -> Envelope:
        """Of members `(M, ...)`, at least two, and the best fit `(...)`."""
        return cls(
            std=np.asarray(members.std(axis=0, ddof=1)),
            low=np.asarray(np.minimum(members.min(axis=0), best)),
            high=np.asarray(np.maximum(members.max(axis=0), best)),
        )

    def columns(self, name: Predicted) -> dict[str, Array]:
        """The three by the names that files and calculators give them, such as `forces_std`, `forces_min`."""
        return {f"{name}_std": self.std, f"{name}_min": self.low, f"{name}_max": self.high}


Envelopes = Mapping[Predicted, Envelope]
"""Of the energy `(F,)` eV, forces `(A, 3)` eV/Å and stress `(F, 6)` eV/Å³; those that have at least two members."""


def envelopes(evaluation: Prediction) -> dict[Predicted, Envelope]:
    """The envelopes of one frame: `(1,)`, `(A, 3)` and `(1, 6)`."""
    found: dict[Predicted, Envelope] = {}
    for name in PREDICTED:
        members, best = getattr(evaluation, f"{name}_members"), getattr(evaluation, name)
        if members is not None and best is not None and len(members) > 1:
            rows = (members, best) if name == "forces" else (members[:, None], np.asarray(best)[None])
            found[name] = Envelope.of(*rows)
    return found


def joined(frames: Sequence[tuple[int, Envelopes]]) -> dict[Predicted, Envelope]:
    """Columns over frames, given as (number of atoms, envelopes); NaN for a frame that lacks what others have."""

    def part(name: Predicted, of: str, natoms: int, found: Envelopes) -> Array:
        if name in found:
            values: Array = getattr(found[name], of)
            return values
        return np.full({"energy": (1,), "forces": (natoms, 3), "stress": (1, 6)}[name], np.nan)

    def column(name: Predicted, of: str) -> Any:
        return np.concatenate([part(name, of, *frame) for frame in frames])

    return {
        name: Envelope(*(column(name, of) for of in ("std", "low", "high")))
        for name in PREDICTED
        if any(name in found for _, found in frames)
    }
