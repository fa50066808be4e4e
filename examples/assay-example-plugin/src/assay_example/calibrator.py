"""A calibrator: the scale at which half of the errors are inside the bars that hold half of normal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from assay.results.error_bars import Gaussian
from assay.results.residuals import Residuals

HALF = 0.6744897501960817
"""Half of normal errors are within so many standard deviations."""


@dataclass(frozen=True)
class MedianRatio:
    """`σ = α s` with `α = median |e| / s / 0.674` over held-out values."""

    alpha: float

    name: ClassVar[str] = "example"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> MedianRatio:
        return cls(float(np.median(held_out.ratios)) / HALF)

    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: np.ndarray | None = None) -> Gaussian:
        return Gaussian(mean, self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> MedianRatio:
        return cls(state["alpha"])
