"""Split conformal intervals, normalised by the spread (Angelopoulos and Bates 2023, doi:10.1561/2200000101)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.error_bars import Interval
from assay.results.residuals import Residuals


@dataclass(frozen=True)
class Conformal:
    """`mean ± q_p s`, q_p the ⌈(n + 1) p⌉-th smallest of the n held-out ratios |e| / s.

    | | |
    |---|---|
    | guarantee | a new value is covered with probability at least p, and at most p + 1/(n + 1) without ties, for any \
distribution; over calibration sets the coverage is Beta(k, n + 1 - k), k = ⌈(n + 1) p⌉ |
    | assumes | held-out and new **values** exchangeable |
    | when that fails | atoms of one frame are not independent, and coverage is that of as few values as there are \
frames (`assay.calibration.frame_conformal`); of new kinds of structures it is what \
the shift makes it: `assay evaluate` |

    `p` above n/(n + 1) has infinite intervals. A constant score gives intervals of one width, with the same guarantee;
    ties only raise the coverage.
    """

    ratios: Array
    name: ClassVar[str] = "conformal"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Conformal:
        """Fit to values with positive spreads. Frames, groups and members change nothing."""
        return cls(np.sort(held_out.ratios))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Interval:
        """Intervals at any level; infinite where n held-out values can't promise it."""
        return Interval(mean, spread, self.ratios, unit)

    def state(self) -> dict[str, Any]:
        return {"ratios": self.ratios}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Conformal:
        return cls(state["ratios"])
