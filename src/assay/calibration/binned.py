"""Binwise variance scaling: a factor for each stratum of the spread (Pernot 2023, arXiv:2310.11978)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.results.residuals import Residuals

VALUES_OF_A_BIN = 50
"""Values that a bin has on average at least: its RMSE is then known to 10 %, 1/√(2n), under normal errors."""
MOST_BINS = 20


@dataclass(frozen=True)
class Binned:
    """`σ(s) = α_k s` for s in bin k of K bins of equal count, with `α_k² = Σ_k e² / Σ_k s²`.

    In each bin the root mean variance of the held-out bars is the RMSE of the errors, which is what a reliability
    diagram and the ENCE look at. Below the first and above the last bin their factors hold, so that the bar goes on
    growing with the score.

    | | |
    |---|---|
    | guarantee | none for finite n; RMSE = RMV in every bin of the held-out values |
    | assumes | exchangeable held-out and new values; bins narrow enough for one factor |
    | when that fails | bars jump where bins meet; a shift of E[e²\\|s] goes unseen |

    K is n / 50, from 1 to 20. Tied spreads are never divided, so that a constant score makes one bin and the constant
    bar `√⟨e²⟩`.

    | field | meaning | shape |
    |---|---|---|
    | edges | increasing s at which a bin ends; s on an edge is in the bin above | `(K-1,)` |
    | alphas | factors | `(K,)` |
    """

    edges: Array
    alphas: Array
    name: ClassVar[str] = "binned"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Binned:
        """Fit to values with positive spreads. Frames, groups and members change nothing."""
        spread = held_out.spread
        bins = int(np.clip(len(spread) // VALUES_OF_A_BIN, 1, MOST_BINS))
        edges = np.unique(np.quantile(spread, np.arange(1, bins) / bins, method="higher"))
        edges = edges[edges > spread.min()]
        bin_of = np.searchsorted(edges, spread, side="right")
        squares = [np.bincount(bin_of, np.square(x), len(edges) + 1) for x in (held_out.error, spread)]
        return cls(edges, np.sqrt(squares[0] / squares[1]))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Gaussian:
        """`mean ± α_k s`."""
        alpha = self.alphas[np.searchsorted(self.edges, spread, side="right")]
        return Gaussian(mean, np.where(np.isinf(spread), np.inf, alpha * np.where(np.isinf(spread), 0, spread)), unit)

    def state(self) -> dict[str, Any]:
        return {"edges": self.edges, "alphas": self.alphas}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Binned:
        return cls(state["edges"], state["alphas"])
