"""One factor for all spreads, by maximum likelihood (Grasselli et al., doi:10.1039/d5dd00102a, Eqs. 26-27)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from assay.prediction import Array, Gaussian


@dataclass(frozen=True)
class Scale:
    """`σ = α s` with `α² = ⟨e² / s²⟩` over held-out values (Eq. 26).

    For an ensemble of M ≥ 4 members the estimate is corrected for the noise of s (Eq. 27):
    `α² = -1/M + (M - 3)/(M - 1) ⟨e² / s²⟩`. Below that the correction does not exist; Eq. 26 is used with a warning.
    Where Eq. 27 is not positive (errors smaller than the sampling noise of the mean), Eq. 26 is used as well.
    """

    alpha: float
    name: ClassVar[str] = "scale"

    @classmethod
    def fit(cls, error: Array, spread: Array, *, members: int | None = None) -> Scale:
        """Fit to |errors| and positive spreads of the same shape; `members` is M where s is a spread of members."""
        plain = float(np.mean(np.square(error / spread)))
        alpha_square = plain
        if members is not None and members < 4:
            warnings.warn(
                f"α from {members} members is biased: the correction for small ensembles needs at least 4",
                stacklevel=2,
            )
        elif members is not None:
            corrected = -1.0 / members + (members - 3) / (members - 1) * plain
            alpha_square = corrected if corrected > 0 else plain
        return cls(float(np.sqrt(alpha_square)))

    def bar(self, mean: Array, spread: Array, unit: str) -> Gaussian:
        """`mean ± α s`."""
        return Gaussian(mean, self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scale:
        return cls(state["alpha"])
