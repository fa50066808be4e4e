"""A score, and what names one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, Level, freeze


@dataclass(frozen=True)
class Score:
    """A distance from home: bigger is less trustworthy. It is *not* an error bar.

    | field | meaning | shape |
    |---|---|---|
    | name | as in the table of scores in the docs, e.g. `gamma` | |
    | level | what one value belongs to | |
    | values | the score | `(A,)` for atom and neighbourhood, `(F,)` for frame |
    | threshold | values above it are flagged; `None` where nothing sets one | |
    """

    name: str
    level: Level
    values: Array
    threshold: float | None = None

    def __post_init__(self) -> None:
        freeze(self)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which values are above the threshold, shape of `values`; without a threshold, none."""
        if self.threshold is None:
            return np.zeros(self.values.shape, dtype=bool)
        return np.asarray(self.values > self.threshold)


Key = tuple[str, Level]
