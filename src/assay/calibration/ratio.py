"""Error-to-uncertainty ratio (Heid et al., Eq. 3 and Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.results.residuals import Residuals


@dataclass(frozen=True)
class Ratio:
    """`α = ⟨|e|⟩ / ⟨s⟩`: mean absolute error per unit of spread; under normal errors `σ = √(π/2) α s`.

    Less sensitive to a few large e/s than `Scale`, whose ratio is squared and taken value by value.

    | | |
    |---|---|
    | guarantee | none for finite n |
    | assumes | normal errors with a deviation proportional to s, the same for held-out and new values |
    | when that fails | bars are right on average over s only; with heavier tails than normal ones too many errors are \
far outside |

    A constant score gives the constant bar `√(π/2) ⟨|e|⟩`. Ties count as they come.
    """

    alpha: float
    name: ClassVar[str] = "ratio"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Ratio:
        """Fit to values with positive spreads. Frames, groups and members change nothing."""
        return cls(float(np.mean(np.abs(held_out.error)) / np.mean(held_out.spread)))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Gaussian:
        """`mean ± √(π/2) α s`."""
        return Gaussian(mean, np.sqrt(np.pi / 2) * self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ratio:
        return cls(state["alpha"])
