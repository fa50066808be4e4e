"""One factor for all spreads, by maximum likelihood (Grasselli et al., doi:10.1039/d5dd00102a, Eqs. 26-27)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.results.residuals import Residuals
from assay.results.warning import warn


@dataclass(frozen=True)
class Scale:
    """`σ = α s` with `α² = ⟨e² / s²⟩` over held-out values (Eq. 26).

    For an ensemble of M ≥ 4 members the estimate is corrected for the noise of s: with `ν = c (M - 1)` degrees of
    freedom, `α² = -1/M + (ν - 2)/ν ⟨e² / s²⟩`. A spread of one number has c = 1, which is Eq. 27,
    `(M - 3)/(M - 1)`; the spread of a force is pooled over c = 3 components,
    that of a stress over 6. Below four members Eq. 26 is used with a
    warning; where the correction leaves nothing positive (errors smaller than the sampling noise of the mean),
    without one.

    | | |
    |---|---|
    | guarantee | none for finite n: the most likely α, known to 1/√(2n) from n independent values |
    | assumes | normal errors with a deviation proportional to s, the same for held-out and new values |
    | when that fails | bars are right on average over s only; a few large e/s sway α (`assay.calibration.remarks` \
says so; `Ratio` and conformal intervals are swayed less) |

    A constant score gives the constant bar `√⟨e²⟩`. Ties count as they come.
    """

    alpha: float
    name: ClassVar[str] = "scale"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Scale:
        """Fit to values with positive spreads. Frames and groups change nothing."""
        members, components = held_out.members, held_out.components
        plain = float(np.mean(np.square(held_out.ratios)))
        alpha_square = plain
        if members is not None and members < 4:
            warn(
                f"α from {members} members is biased: the correction for small ensembles needs at least 4",
                stacklevel=2,
            )
        elif members is not None:
            freedom = components * (members - 1)
            corrected = -1.0 / members + (freedom - 2) / freedom * plain
            alpha_square = corrected if corrected > 0 else plain
        return cls(float(np.sqrt(alpha_square)))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Gaussian:
        """`mean ± α s`."""
        return Gaussian(mean, self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scale:
        return cls(state["alpha"])
