"""Conformal intervals for atoms that come in frames, where the frame is what is exchangeable.

Dunn, Wasserman and Ramdas 2023 (doi:10.1080/01621459.2022.2060112); Lee, Barber and Willett 2023 (arXiv:2306.06342).
"""

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
class FrameConformal:
    """`mean ± q_p s`, q_p the smallest r with `Σ_f (1/n_f) #{i in f: r_i ≤ r} ≥ p (F + 1)` over F held-out frames.

    `r_i = |e_i| / s_i`. Every held-out frame has the mass 1/(F + 1), shared by its n_f values; the new frame has as
    much, at infinity.

    | | |
    |---|---|
    | guarantee | a value drawn at random from a new frame is covered with probability at least p, for any \
distribution, any dependence within a frame, and any numbers of atoms |
    | assumes | held-out and new frames exchangeable |
    | when that fails | frames of one trajectory, or of a new kind: coverage is what the shift makes it, see \
`assay evaluate` |

    The promise is an average over calibration sets: with a given set the coverage varies as with F independent values,
    not as with all the atoms. `p` above F/(F + 1) has infinite intervals. A constant score gives intervals of one
    width, with the same guarantee; ties only raise the coverage.

    | field | meaning | shape |
    |---|---|---|
    | ratios | sorted r | `(n,)` |
    | masses | 1/n_f of each | `(n,)` |
    """

    ratios: Array
    masses: Array
    name: ClassVar[str] = "frame_conformal"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> FrameConformal:
        """Fit to values with positive spreads, and their frames. Groups and members change nothing."""
        order = np.argsort(held_out.ratios, kind="stable")
        return cls(held_out.ratios[order], held_out.frame_masses()[order])

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Interval:
        """Intervals at any level; infinite where F held-out frames can't promise it."""
        return Interval(mean, spread, self.ratios, unit, self.masses)

    def state(self) -> dict[str, Any]:
        return {"ratios": self.ratios, "masses": self.masses}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> FrameConformal:
        return cls(state["ratios"], state["masses"])
