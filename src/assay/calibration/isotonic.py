"""A monotone map from spread to error (Busk et al. 2022, doi:10.1088/2632-2153/ac3eb3)."""

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
class Isotonic:
    """`σ²(s) = g(s)`, with g the non-decreasing function that minimises `Σ (e_i² - g(s_i))²` over held-out values.

    Between the n held-out spreads g is linear; below the smallest and above the largest it is constant, so that far
    from home the bar does **not** grow with the score, and is too small there. An infinite spread has an infinite bar.

    | | |
    |---|---|
    | guarantee | none for finite n; g tends to E[e²\\|s] as n grows |
    | assumes | exchangeable held-out and new values, and errors that grow with s |
    | when that fails | a score that ranks backwards gives one constant bar; a shift of E[e²\\|s] goes unseen |

    The ends are the mean of few values, below the truth at the smallest s and above at the largest; where the errors
    of the smallest spreads are zero, so is the bar. A constant score gives the constant bar `√⟨e²⟩`. Spreads that are
    tied have the mean of their e². Members of an ensemble need no correction: g is of the spread as it is, with its
    noise.

    | field | meaning | shape |
    |---|---|---|
    | spreads | increasing s at which g bends | `(k,)` |
    | squares | g there | `(k,)` |
    """

    spreads: Array
    squares: Array
    name: ClassVar[str] = "isotonic"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = True
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Isotonic:
        """Fit to values with finite spreads of any sign. Frames, groups and members change nothing."""
        from sklearn.isotonic import IsotonicRegression  # slow to import

        fitted = IsotonicRegression().fit(held_out.spread, np.square(held_out.error))
        return cls(np.asarray(fitted.X_thresholds_), np.asarray(fitted.y_thresholds_))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Gaussian:
        """`mean ± √g(s)`."""
        std = np.sqrt(np.interp(spread, self.spreads, self.squares))
        return Gaussian(mean, np.where(np.isinf(spread), np.inf, std), unit)

    def state(self) -> dict[str, Any]:
        return {"spreads": self.spreads, "squares": self.squares}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Isotonic:
        return cls(state["spreads"], state["squares"])
