"""What comes out of the stages: scores (no unit of error) and error bars (units and a meaning of coverage).

Axis letters: M members, F frames, A atoms of a batch, `...` any shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, ReadOnly

ONE_SIGMA = 0.6826894921370859
"""Share of normal errors within one standard deviation."""


@dataclass(frozen=True)
class Gaussian(ReadOnly):
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

    def at(self, index: Any) -> Gaussian:
        """The bars of some of the values: `index` as of an array `(...)`."""
        return replace(self, mean=self.mean[index], std=self.std[index])

    def no_narrower(self, half_width: Array) -> Gaussian:
        """With half a width of at least `half_width` `(...)` at the level `ONE_SIGMA`."""
        return replace(self, std=np.maximum(self.std, half_width))

    def times(self, factor: float, unit: str) -> Gaussian:
        """The same bars in another unit, `factor` to one of this."""
        return replace(self, mean=factor * self.mean, std=factor * self.std, unit=unit)


@dataclass(frozen=True)
class Ensemble(ReadOnly):
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
class Interval(ReadOnly):
    """Symmetric intervals with a finite-sample guarantee: `mean ± q_p s`, in `unit`.

    With calibration ratios r_i = |error| / spread of mass m_i, and the value itself of mass one, which counts as
    infinite, `q_p` is the smallest r with `Σ_{r_i ≤ r} m_i ≥ p (Σ_i m_i + 1)`, infinite where none is. With masses of
    one that is the ⌈(n + 1) p⌉-th smallest of n.

    | field | symbol | meaning | shape |
    |---|---|---|---|
    | mean | | centre | `(...)` |
    | spread | s | what the interval is proportional to | `(...)` |
    | quantiles | r | sorted calibration ratios | `(n,)` |
    | masses | m_i | in the order of `quantiles`; one each without | `(n,)` |
    | strata | | `(quantiles, masses)` of groups with a calibration of their own | |
    | stratum | | which of `strata` each value has; -1 is `quantiles` and `masses`, as all do without | `(...)` |
    """

    mean: Array
    spread: Array
    quantiles: Array
    unit: str
    masses: Array | None = None
    strata: tuple[tuple[Array, Array | None], ...] = ()
    stratum: NDArray[np.int64] | None = None

    def factor(self, level: float) -> Array:
        """`q_p`: half the width at coverage `level` per spread, `(...)`; infinite where n errors can't promise it."""
        q = np.full(np.shape(self.spread), _quantile(level, self.quantiles, self.masses))
        if self.stratum is not None:
            for k, (ratios, masses) in enumerate(self.strata):
                q[self.stratum == k] = _quantile(level, ratios, masses)
        return q

    def half_width(self, level: float) -> Array:
        """Half the width at coverage `level`, `(...)`: `q_p s`; infinite where q_p or s is."""
        q = self.factor(level)
        infinite = np.isinf(q) | np.isinf(self.spread)
        return np.where(infinite, np.inf, np.where(infinite, 0.0, q) * np.where(infinite, 0.0, self.spread))

    def at(self, index: Any) -> Interval:
        """The intervals of some of the values: `index` as of an array `(...)`."""
        stratum = None if self.stratum is None else self.stratum[index]
        return replace(self, mean=self.mean[index], spread=self.spread[index], stratum=stratum)

    def no_narrower(self, half_width: Array) -> Interval:
        """With half a width of at least `half_width` `(...)` at the level `ONE_SIGMA`."""
        factor = self.factor(ONE_SIGMA)
        finite = (factor > 0.0) & np.isfinite(factor)  # elsewhere the width is infinite, or nothing can be said of it
        least = np.divide(half_width, factor, out=np.zeros(np.shape(factor)), where=finite)
        return replace(self, spread=np.maximum(self.spread, least))

    def times(self, factor: float, unit: str) -> Interval:
        """The same intervals in another unit, `factor` to one of this."""
        return replace(self, mean=factor * self.mean, spread=factor * self.spread, unit=unit)


def _quantile(level: float, ratios: Array, masses: Array | None) -> float:
    """The smallest ratio that a share `level` of the mass, with the one of the value itself, is not above."""
    total = np.arange(1.0, len(ratios) + 1) if masses is None else np.cumsum(masses)
    needed = level * (total[-1] + 1.0)
    needed -= 1e-9 * max(1.0, needed)  # rounding must not ask for one more
    if needed <= 0:
        return 0.0
    k = int(np.searchsorted(total, needed))
    return float(ratios[k]) if k < len(ratios) else float("inf")


ErrorBar = Gaussian | Interval
