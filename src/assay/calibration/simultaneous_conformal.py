"""Conformal intervals that hold all values of a frame at once (Diquigiovanni, Fontana and Vantini 2022,
doi:10.1016/j.jmva.2021.104879: the supremum as the score)."""

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
class SimultaneousConformal:
    """`mean ± q_p s`, q_p the ⌈(F + 1) p⌉-th smallest of `r_f = max_{i in f} |e_i| / s_i` over F held-out frames.

    | | |
    |---|---|
    | guarantee | **all** values of a new frame are covered at once with probability at least p (at most \
p + 1/(F + 1) without ties), for any distribution and any dependence within a frame |
    | assumes | held-out and new frames exchangeable, numbers of atoms included: larger frames have larger maxima |
    | when that fails | frames larger than the held-out ones are covered less often |

    Intervals are far wider than those of single values, as they must be. `p` above F/(F + 1) has infinite ones. A
    constant score gives intervals of one width, with the same guarantee; ties only raise the coverage.

    | field | meaning | shape |
    |---|---|---|
    | ratios | sorted r_f | `(F,)` |
    """

    ratios: Array
    name: ClassVar[str] = "simultaneous_conformal"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    of_whole_frames: ClassVar[bool] = True
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> SimultaneousConformal:
        """Fit to values with positive spreads, and their frames. Groups and members change nothing."""
        frames, frame = np.unique(held_out.frame, return_inverse=True)
        largest = np.zeros(len(frames))
        np.maximum.at(largest, frame, held_out.ratios)
        return cls(np.sort(largest))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Interval:
        """Intervals at any level; infinite where F held-out frames can't promise it."""
        return Interval(mean, spread, self.ratios, unit)

    def state(self) -> dict[str, Any]:
        return {"ratios": self.ratios}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SimultaneousConformal:
        return cls(state["ratios"])
