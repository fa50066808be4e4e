"""Error-to-uncertainty ratio (Heid et al., Eq. 3 and Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from assay.prediction import Array, Gaussian


@dataclass(frozen=True)
class Ratio:
    """`α = ⟨|e|⟩ / ⟨s⟩`: mean absolute error per unit of spread; under normal errors `σ = √(π/2) α s`.

    Less sensitive to a few large e/s than `Scale`, whose ratio is squared and taken value by value.
    """

    alpha: float
    name: ClassVar[str] = "ratio"

    @classmethod
    def fit(cls, error: Array, spread: Array, *, members: int | None = None, components: int = 1) -> Ratio:
        """Fit to |errors| and positive spreads of the same shape. The other arguments change nothing."""
        return cls(float(np.mean(error) / np.mean(spread)))

    def bar(self, mean: Array, spread: Array, unit: str) -> Gaussian:
        """`mean ± √(π/2) α s`."""
        return Gaussian(mean, np.sqrt(np.pi / 2) * self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ratio:
        return cls(state["alpha"])
