"""Split conformal intervals, normalised by the spread (Angelopoulos and Bates 2023, doi:10.1561/2200000101)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from assay.prediction import Array, Interval


@dataclass(frozen=True)
class Conformal:
    """`mean ± q_p s`, q_p the ⌈(n + 1) p⌉-th smallest of the n held-out ratios |e| / s.

    Covers a new value with probability at least p, and at most p + 1/(n + 1) without ties, whatever the
    distribution, if held-out and new values are exchangeable. They are not for new kinds of structures, and atoms of
    one frame are not independent: read the coverage on such frames in `assay evaluate`.
    """

    ratios: Array
    name: ClassVar[str] = "conformal"

    @classmethod
    def fit(cls, error: Array, spread: Array, *, members: int | None = None, components: int = 1) -> Conformal:
        """Fit to |errors| and positive spreads of the same shape. The other arguments change nothing."""
        return cls(np.sort(error / spread))

    def bar(self, mean: Array, spread: Array, unit: str) -> Interval:
        """Intervals at any level; infinite where n held-out values can't promise it."""
        return Interval(mean, spread, self.ratios, unit)

    def state(self) -> dict[str, Any]:
        return {"ratios": self.ratios}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Conformal:
        return cls(state["ratios"])
