"""What comes out of the stages: scores (no unit of error) and error bars (units and a meaning of coverage).

Axis letters: M members, F frames, A atoms of a batch, `...` any shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, freeze

ONE_SIGMA = 0.6826894921370859
"""Share of normal errors within one standard deviation."""


@dataclass(frozen=True)
class Gaussian:
    """A normal error bar: `mean ± std`, both in `unit`, shape `(...)`.

    Coverage of the central interval at `level` is `level` where errors are normal with this standard deviation.
    """

    mean: Array
    std: Array
    unit: str

    def __post_init__(self) -> None:
        freeze(self)

    def half_width(self, level: float) -> Array:
        """Half the width of the central interval that holds a share `level`: `z σ`, `z = Φ⁻¹((1 + level)/2)`."""
        from scipy.special import ndtri  # slow to import

        return np.asarray(ndtri(0.5 * (1.0 + level)) * self.std)

    def at(self, index: Any) -> Gaussian:
        """The bars of some of the values: `index` as of an array `(...)`."""
        return replace(self, mean=self.mean[index], std=self.std[index])

    def times(self, factor: float, unit: str) -> Gaussian:
        """The same bars in another unit, `factor` to one of this."""
        return replace(self, mean=factor * self.mean, std=factor * self.std, unit=unit)


@dataclass(frozen=True)
class Ensemble:
    """Members of an ensemble, shape `(M, ...)`, in `unit`."""

    members: Array
    unit: str

    def __post_init__(self) -> None:
        freeze(self)

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
    """Symmetric intervals with a finite-sample guarantee: `mean ± q_p s`, in `unit`.

    With calibration ratios r_i = |error| / spread of mass m_i, and m the mass of the value itself, which counts as
    infinite, `q_p` is the smallest r with `Σ_{r_i ≤ r} m_i ≥ p (Σ_i m_i + m)`, infinite where none is. With masses of
    one that is the ⌈(n + 1) p⌉-th smallest of n.

    | field | symbol | meaning | shape |
    |---|---|---|---|
    | mean | | centre | `(...)` |
    | spread | s | what the interval is proportional to | `(...)` |
    | quantiles | r | sorted calibration ratios | `(n,)` |
    | masses | m_i | in the order of `quantiles`; one each without | `(n,)` |
    | own | m | the mass of each value itself | scalar or `(...)` |
    | strata | | `(quantiles, masses)` of groups with a calibration of their own | |
    | stratum | | which of `strata` each value has; -1 is `quantiles` and `masses`, as all do without | `(...)` |
    """

    mean: Array
    spread: Array
    quantiles: Array
    unit: str
    masses: Array | None = None
    own: Array | float = 1.0
    strata: tuple[tuple[Array, Array | None], ...] = ()
    stratum: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        freeze(self)

    def factor(self, level: float) -> Array:
        """`q_p`: half the width at coverage `level` per spread, `(...)`; infinite where n errors can't promise it."""
        q = np.broadcast_to(_quantile(level, self.quantiles, self.masses, self.own), np.shape(self.spread))
        if self.stratum is None:
            return q
        q, own = q.copy(), np.broadcast_to(self.own, q.shape)
        for k, (ratios, masses) in enumerate(self.strata):
            here = self.stratum == k
            q[here] = _quantile(level, ratios, masses, own[here])
        return q

    def half_width(self, level: float) -> Array:
        """Half the width at coverage `level`, `(...)`: `q_p s`; infinite where q_p or s is."""
        q = self.factor(level)
        infinite = np.isinf(q) | np.isinf(self.spread)
        return np.where(infinite, np.inf, np.where(infinite, 0.0, q) * np.where(infinite, 0.0, self.spread))

    def at(self, index: Any) -> Interval:
        """The intervals of some of the values: `index` as of an array `(...)`."""
        own = self.own if np.ndim(self.own) == 0 else np.asarray(self.own)[index]
        stratum = None if self.stratum is None else self.stratum[index]
        return replace(self, mean=self.mean[index], spread=self.spread[index], own=own, stratum=stratum)

    def times(self, factor: float, unit: str) -> Interval:
        """The same intervals in another unit, `factor` to one of this."""
        return replace(self, mean=factor * self.mean, spread=factor * self.spread, unit=unit)


def _quantile(level: float, ratios: Array, masses: Array | None, own: Array | float) -> Array:
    """The smallest ratio that a share `level` of the mass, with that of the value itself, is not above."""
    total = np.arange(1.0, len(ratios) + 1) if masses is None else np.cumsum(masses)
    needed = level * (total[-1] + np.asarray(own))
    needed -= 1e-9 * np.maximum(1.0, needed)  # rounding must not ask for one more
    k = np.searchsorted(total, needed)
    return np.where(needed <= 0, 0.0, np.append(ratios, np.inf)[k])


ErrorBar = Gaussian | Interval
