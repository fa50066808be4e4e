"""Conformal intervals for each group by itself (Vovk, Gammerman and Shafer 2005, doi:10.1007/b106715, section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.calibration.frame_conformal import FrameConformal
from assay.results.arrays import Array
from assay.results.error_bars import Interval
from assay.results.residuals import Residuals

FEWEST = 19
"""Held-out frames with values of a group, for an interval of its own: the fewest that promise 95 %."""


@dataclass(frozen=True)
class Mondrian:
    """`mean ± q_{p,g} s`: `assay.calibration.frame_conformal.FrameConformal` of the held-out values of each group g.

    With one value per frame, as of energies, that is the ⌈(n_g + 1) p⌉-th smallest ratio of the group.

    | | |
    |---|---|
    | guarantee | a value of group g, drawn at random from those of a new frame that has some, is covered with \
probability at least p: for each g, not only on average |
    | assumes | frames that have values of g are exchangeable with the new one, for each g |
    | when that fails | as conformal intervals, in that group only |

    A group that fewer than 19 held-out frames have, one that none has, and values without a group have the interval of
    all held-out values: finite, where their own would be infinite at 95 %, but without the promise for that group. A
    constant score gives each group intervals of one width.

    | field | meaning |
    |---|---|
    | parts | of each group with intervals of its own |
    | of_all | of all held-out values |
    """

    parts: Mapping[str, FrameConformal]
    of_all: FrameConformal
    name: ClassVar[str] = "mondrian"
    of_groups: ClassVar[bool] = True
    by_order: ClassVar[bool] = False

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self.parts)

    @classmethod
    def fit(cls, held_out: Residuals) -> Mondrian:
        """Fit to values with positive spreads, their frames and groups. Members change nothing."""
        assert held_out.group is not None
        members = {str(name): held_out.at(held_out.group == name) for name in np.unique(held_out.group) if name}
        parts = {name: FrameConformal.fit(own) for name, own in members.items() if len({*own.frame}) >= FEWEST}
        return cls(parts, FrameConformal.fit(held_out))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Interval:
        """Intervals at any level."""
        stratum = np.full(np.shape(spread), -1)
        if group is not None:
            for k, name in enumerate(self.parts):
                stratum[group == name] = k
        strata = tuple((part.ratios, part.masses) for part in self.parts.values())
        return Interval(mean, spread, self.of_all.ratios, unit, self.of_all.masses, strata=strata, stratum=stratum)

    def state(self) -> dict[str, Any]:
        return {"parts": {name: part.state() for name, part in self.parts.items()}, "of_all": self.of_all.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Mondrian:
        parts = {name: FrameConformal.from_state(each) for name, each in state["parts"].items()}
        return cls(parts, FrameConformal.from_state(state["of_all"]))
