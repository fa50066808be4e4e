"""Error bars of energies that grow with the number of atoms as the held-out errors do, between √N and N.

Not yet the calibrator of a gauge, which knows no numbers of atoms: a public class for studies (`docs/extensivity.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics.errors import finite_errors, one_for_each
from assay.results.arrays import Array
from assay.results.error_bars import Gaussian


@dataclass(frozen=True)
class Extensive:
    """`σ² = α² s² + a/N + b` of the energy per atom, by maximum likelihood: of the energy `α² S² + a N + b N²`.

    | field | symbol | meaning | unit |
    |---|---|---|---|
    | alpha | α | factor of the spread, which carries what an ensemble knows | none |
    | independent | a | errors that atoms do not share: they add in quadrature | eV² |
    | common | b | errors that all atoms share: they add up | eV² |

    α², a and b ≥ 0 maximise `−½ Σ_f [ln σ_f² + e_f²/σ_f²]`. Guarantee: none in finite samples; for normal errors of
    this form the estimate is consistent, whichever parts are there. Where the held-out frames are all of one size, N
    tells a from b no more: all is taken as common, which is right for replicas and too wide for anything else. Where
    they are small and alike the division is uncertain, and so are bars of cells that are many times larger: hold them
    against a few large ones.

    Reference: Grasselli et al. 2025, section 2.7, doi:10.1039/d5dd00102a.
    """

    alpha: float
    independent: float
    common: float
    name: ClassVar[str] = "extensive"

    @classmethod
    def fit(cls, error: ArrayLike, natoms: ArrayLike, spread: ArrayLike | None = None) -> Self:
        """Fit to held-out frames, errors and spreads of the energy **per atom**.

        | symbol | argument | shape | unit |
        |---|---|---|---|
        | e | error, of any sign | `(F,)` | eV |
        | N | natoms | `(F,)` | |
        | s | spread: uncalibrated, e.g. of an ensemble; without it the bar depends on N alone | `(F,)` | any |

        Raises ValueError for fewer than 3 frames, errors that are not finite or all 0, negative or infinite spreads,
        frames without atoms, and shapes that differ.
        """
        e = finite_errors(error, least=3)
        N, s = _sizes(natoms, e.shape), _spreads(spread, e.shape)
        if not e.any():
            raise ValueError(f"all {e.size} held-out errors are 0: no bar can be made of them")
        x = np.stack([s**2, 1 / N, np.ones_like(N)])
        if len(np.unique(N)) == 1:
            x[1] = 0.0
        alpha_square, independent, common = _variance_components(x, e**2)
        return cls(float(np.sqrt(alpha_square)), independent, common)

    def bar(self, mean: Array, natoms: ArrayLike, spread: ArrayLike | None = None, unit: str = "eV") -> Gaussian:
        """`mean ± σ` of the energy per atom; raises ValueError as `fit` for sizes and spreads."""
        N, s = _sizes(natoms, mean.shape), _spreads(spread, mean.shape)
        return Gaussian(mean, np.sqrt(self.alpha**2 * s**2 + self.independent / N + self.common), unit)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(**state)


def _variance_components(x: Array, y: Array) -> tuple[float, ...]:
    """θ ≥ 0 that maximises `−½ Σ_f [ln v_f + y_f/v_f]`, `v = θ x`; of a column of zeros it is 0. `(K, F)`, `(F,)`."""
    from scipy.optimize import minimize  # slow to import

    scale = np.divide(y.mean(), x.mean(axis=1), out=np.zeros(len(x)), where=x.any(axis=1))
    z = x * (scale / y.mean())[:, None]
    least = 1e-9  # of the mean square error: a frame without error must not have a bar of zero

    def minus_log_likelihood(u: Array) -> tuple[float, Array]:
        v = u @ z + least
        ratio = y / y.mean() / v
        return 0.5 * float(np.sum(np.log(v) + ratio)), 0.5 * (z @ ((1 - ratio) / v))

    there = np.flatnonzero(scale)
    starts = [np.where(scale > 0, 1.0, 0.0) / len(there), *(np.eye(len(x))[there] * 0.8 + 0.1)]
    found = [
        minimize(minus_log_likelihood, u, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(x)) for u in starts
    ]
    best = min(found, key=lambda each: float(each.fun)).x
    return tuple(float(theta) for theta in best * scale)


def _sizes(natoms: ArrayLike, shape: tuple[int, ...]) -> Array:
    N = one_for_each(natoms, shape, "natoms")
    if not (N >= 1).all():
        raise ValueError(f"{np.count_nonzero(~(N >= 1))} of {N.size} frames have fewer than 1 atom")
    return N


def _spreads(spread: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    if spread is None:
        return np.zeros(shape)
    s = one_for_each(spread, shape, "spread")
    unusable = s.size - np.count_nonzero(np.isfinite(s) & (s >= 0))
    if unusable:
        raise ValueError(f"{unusable} of {s.size} spreads are negative, NaN or infinite; leave those frames out")
    return s
