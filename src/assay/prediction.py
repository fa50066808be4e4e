"""What comes out of the stages: scores (no unit of error) and error bars (units and a meaning of coverage).

Axis letters: M members, F frames, A atoms of a batch, `...` any shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Level = Literal["atom", "neighbourhood", "frame"]

ONE_SIGMA = 0.6826894921370859
"""Share of normal errors within one standard deviation."""


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

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which values are above the threshold, shape of `values`; without a threshold, none."""
        if self.threshold is None:
            return np.zeros(self.values.shape, dtype=bool)
        return np.asarray(self.values > self.threshold)


@dataclass(frozen=True)
class Gaussian:
    """A normal error bar: `mean ± std`, both in `unit`, shape `(...)`.

    Coverage of the central interval at `level` is `level` where errors are normal with this standard deviation.
    """

    mean: Array
    std: Array
    unit: str

    def half_width(self, level: float) -> Array:
        """Half the width of the central interval that holds a share `level`: `z σ`, `z = Φ⁻¹((1 + level)/2)`."""
        from scipy.special import ndtri  # slow to import

        return np.asarray(ndtri(0.5 * (1.0 + level)) * self.std)


@dataclass(frozen=True)
class Ensemble:
    """Members of an ensemble, shape `(M, ...)`, in `unit`."""

    members: Array
    unit: str

    @property
    def mean(self) -> Array:
        """Mean over members, shape `(...)`."""
        return np.asarray(self.members.mean(axis=0))

    @property
    def std(self) -> Array:
        """Standard deviation over members with `ddof=1`, shape `(...)`; zero for a single member."""
        if len(self.members) < 2:
            return np.zeros(self.members.shape[1:])
        return np.asarray(self.members.std(axis=0, ddof=1))


@dataclass(frozen=True)
class Interval:
    """Symmetric intervals with a finite-sample guarantee: `mean ± half_width(level)`, in `unit`.

    | field | meaning | shape |
    |---|---|---|
    | mean | centre | `(...)` |
    | spread | what the interval is proportional to | `(...)` |
    | quantiles | sorted calibration ratios \\|error\\| / spread; level `p` uses the ⌈(n + 1) p⌉-th | `(n,)` |
    """

    mean: Array
    spread: Array
    quantiles: Array
    unit: str

    def half_width(self, level: float) -> Array:
        """Half the width at coverage `level`; infinite where n calibration errors can't promise it."""
        n = len(self.quantiles)
        k = int(np.ceil((n + 1) * level - 1e-9))
        if k > n:
            return np.full(np.shape(self.spread), np.inf)
        return np.asarray((self.quantiles[k - 1] if k > 0 else 0.0) * self.spread)


ErrorBar = Gaussian | Interval
