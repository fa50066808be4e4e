"""What the members of an ensemble span: their standard deviation, and the smallest and largest prediction.

Axis letters: M members, A atoms, `...` any shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, ReadOnly
from assay.results.per_quantity import QUANTITIES, PerQuantity, Quantity
from assay.results.prediction import Prediction

PREDICTED = PerQuantity("energy", "forces", "stress")
"""What files and calculators call the predictions of each quantity."""


@dataclass(frozen=True)
class Envelope(ReadOnly):
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

    def at(self, index: Any) -> Envelope:
        """That of some of the values: `index` as of an array `(...)`."""
        return Envelope(self.std[index], self.low[index], self.high[index])

    def over(self, number: NDArray[np.int64]) -> Envelope:
        """Of each value divided by a positive number, such as energies per atom."""
        return Envelope(self.std / number, self.low / number, self.high / number)

    def columns(self, quantity: Quantity) -> dict[str, Array]:
        """The three by the names that files and calculators give them, such as `forces_std`, `forces_min`."""
        name = PREDICTED[quantity]
        return {f"{name}_std": self.std, f"{name}_min": self.low, f"{name}_max": self.high}


Envelopes = PerQuantity[Envelope]
"""Of the energy `(F,)` eV (of frames, not per atom), forces `(A, 3)` eV/Å and stress `(F, 6)` eV/Å³; those that have at
least two members."""


def envelopes(prediction: Prediction) -> Envelopes:
    """The envelopes of one frame: `(1,)`, `(A, 3)` and `(1, 6)`."""
    found: dict[str, Envelope] = {}
    for quantity, name in PREDICTED.items():
        members, best = getattr(prediction, f"{name}_members"), getattr(prediction, name)
        if members is not None and best is not None and len(members) > 1:
            rows = (members, best) if quantity == "force" else (members[:, None], np.asarray(best)[None])
            found[quantity] = Envelope.of(*rows)
    return PerQuantity.of(found)


def joined(frames: Sequence[tuple[int, Envelopes]]) -> Envelopes:
    """Columns over frames, given as (number of atoms, envelopes); NaN for a frame that lacks what others have."""

    def part(quantity: Quantity, of: str, natoms: int, found: Envelopes) -> Array:
        if (one := found[quantity]) is not None:
            values: Array = getattr(one, of)
            return values
        return np.full({"energy": (1,), "force": (natoms, 3), "stress": (1, 6)}[quantity], np.nan)

    def column(quantity: Quantity, of: str) -> Any:
        return np.concatenate([part(quantity, of, *frame) for frame in frames])

    return PerQuantity.of(
        {
            quantity: Envelope(*(column(quantity, of) for of in ("std", "low", "high")))
            for quantity in QUANTITIES
            if any(found[quantity] is not None for _, found in frames)
        }
    )
