"""A scale for each group of values: species, chemical system, config_type or cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.calibration.scale import Scale
from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.results.residuals import Residuals

FEWEST = 30
"""Values that a group needs for a scale of its own: from n independent normal errors α is known to 1/√(2n), 13 %."""


@dataclass(frozen=True)
class Grouped:
    """`σ = α_g s` with `α_g² = ⟨e² / s²⟩` over the held-out values of group g: `assay.calibration.scale.Scale` of each.

    | | |
    |---|---|
    | guarantee | none for finite n; the maximum-likelihood scale of each group under normal errors |
    | assumes | errors of a group normal with a deviation proportional to s; exchangeable held-out and new values |
    | when that fails | as a scale: a few large e/s sway α_g, the more the smaller the group |

    A group with fewer than 30 held-out values, one that was not among them, and values without a group have the α of
    all held-out values. A constant score gives each group the constant bar of its RMSE.

    | field | meaning |
    |---|---|
    | scales | of each group with a scale of its own |
    | of_all | of all held-out values |
    """

    scales: Mapping[str, Scale]
    of_all: Scale
    name: ClassVar[str] = "grouped"
    of_groups: ClassVar[bool] = True
    by_order: ClassVar[bool] = False

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self.scales)

    @classmethod
    def fit(cls, held_out: Residuals) -> Grouped:
        """Fit to values with positive spreads, and their groups. Frames change nothing."""
        assert held_out.group is not None
        names, count = np.unique(held_out.group, return_counts=True)
        enough = [str(name) for name, n in zip(names, count, strict=True) if name and n >= FEWEST]
        return cls({name: Scale.fit(held_out.at(held_out.group == name)) for name in enough}, Scale.fit(held_out))

    def bar(self, mean: Array, spread: Array, unit: str, group: NDArray[np.str_] | None = None) -> Gaussian:
        """`mean ± α_g s`."""
        alpha = np.full(np.shape(spread), self.of_all.alpha)
        if group is not None:
            for name, scale in self.scales.items():
                alpha[group == name] = scale.alpha
        return Gaussian(mean, alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"scales": {name: scale.state() for name, scale in self.scales.items()}, "of_all": self.of_all.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Grouped:
        scales = {name: Scale.from_state(each) for name, each in state["scales"].items()}
        return cls(scales, Scale.from_state(state["of_all"]))
