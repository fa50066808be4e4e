"""How do energy errors and their bars grow with the number of atoms? Between √N and N.

Errors are prediction − reference of the energy of a whole frame, signed, in eV. Replicas of a cell have the same error,
so theirs grows as N; errors of independent cells add in quadrature, as √N. Real cells are in between (Grasselli et al.
2025, section 2.7, doi:10.1039/d5dd00102a). Public functions for studies (`docs/extensivity.md`); no verb calls
them yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.metrics.errors import finite_errors, one_for_each
from assay.results.arrays import Array

EXPONENTS = (-1.0, 3.0)
"""Where growth exponents are looked for."""
ROUNDING = 1e-14
"""Of the mean square error: a residual below it is none."""


@dataclass(frozen=True)
class CellGrowth:
    """Variance of the energy of k cells, `σ²(k) = a k + b k²`.

    | field | symbol | meaning | unit |
    |---|---|---|---|
    | independent | a | of a cell, what others don't share; adds in quadrature | eV² |
    | common | b | covariance of two cells; adds up. Below 0 where cells compensate, by chance for few | eV² |
    """

    independent: float
    common: float

    def std(self, cells: float) -> float:
        """Standard deviation of the energy of k cells, eV; 0 where a k + b k² is negative."""
        return sqrt(max(0.0, self.independent * cells + self.common * cells**2))

    def replicated(self, cells: float) -> float:
        """Standard deviation of k copies of a cell, `k √(a + b)`, eV."""
        return cells * self.std(1)

    @property
    def correlation(self) -> float:
        """Of the energies of two cells, `b/(a + b)`; NaN where there is no variance."""
        total = self.independent + self.common
        return self.common / total if total > 0 else float("nan")


def error_growth(error: ArrayLike) -> CellGrowth:
    """How the error of k cells grows, from errors of F cells of a kind: bias and residual.

    `b = Σ_{f≠g} e_f e_g / (F(F − 1))`, the square of the bias without its noise; `a + b = ⟨e²⟩`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error: signed, of the energy of a cell | `(F,)` | eV |

    Raises ValueError for fewer than 2 errors and where one is NaN or infinite.

    Reference: Kellner & Ceriotti 2024, doi:10.48550/arXiv.2402.16621 (bias ∝ N, residual ∝ √N).
    """
    return _growth(finite_errors(error, least=2).reshape(1, -1), 1)


def ensemble_growth(members: ArrayLike) -> CellGrowth:
    """How the spread of an ensemble grows with k cells, from members' energies of F cells of a kind.

    `b = ⟨cov(E_f, E_g)⟩_{f≠g}`, `a + b = ⟨var E_f⟩`, over members with ddof = 1.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | E | members: energies of cells | `(M, F)` | eV |

    Raises ValueError for fewer than 2 members or cells and where an energy is NaN or infinite.

    Reference: Kellner & Ceriotti 2024, doi:10.48550/arXiv.2402.16621.
    """
    E = finite_errors(members, least=4)
    if E.ndim != 2 or min(E.shape) < 2:
        raise ValueError(f"members have shape {E.shape}; at least 2 members and 2 cells, (M, F), are needed")
    return _growth(E - E.mean(axis=0), len(E) - 1)


def _growth(deviations: Array, freedom: int) -> CellGrowth:
    F = deviations.shape[1]
    diagonal = float(np.sum(deviations**2)) / freedom
    together = float(np.sum(deviations.sum(axis=1) ** 2)) / freedom
    b = (together - diagonal) / (F * (F - 1))
    return CellGrowth(diagonal / F - b, b)


@dataclass(frozen=True)
class SizeGrowth:
    """Bias and residual of energies against the number of atoms, S sizes.

    | field | meaning | shape, unit |
    |---|---|---|
    | sizes, counts | numbers of atoms that occur, and frames of each | `(S,)` |
    | bias | mean error of the frames of a size | `(S,)` eV |
    | residual | their standard deviation (ddof = 1); NaN for a single frame | `(S,)` eV |
    | bias_exponent, residual_exponent | p and q of `bias ∝ N^p`, `residual ∝ N^q`; NaN for a single size | |
    | bias_interval, residual_interval | 95 % by frame bootstrap | |
    """

    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    bias: Array
    residual: Array
    bias_exponent: float
    residual_exponent: float
    bias_interval: tuple[float, float]
    residual_interval: tuple[float, float]


def size_growth(error: ArrayLike, natoms: ArrayLike, resamples: int = 200, seed: int = 0) -> SizeGrowth:
    """Exponents of bias and residual of the energy, by maximum likelihood over single frames of any size.

    `e_f ~ N(β N_f^p, γ² N_f^{2q})`; for each (p, q) β is the weighted mean and γ² the mean square residual, so that
    sizes with one frame count too. Exponents are looked for in `EXPONENTS`. Where the bias is small beside its noise, p
    is anything, and its interval says so. Frames of different kinds and sizes tell of kinds as much as of sizes.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error: signed, of the energy of a frame | `(F,)` | eV |
    | N | natoms | `(F,)` | |

    Raises ValueError for fewer than 3 errors, NaN or infinite ones, shapes that differ, and sizes below 1.

    Reference: Kellner & Ceriotti 2024, doi:10.48550/arXiv.2402.16621; Grasselli et al. 2025, section 2.7,
    doi:10.1039/d5dd00102a.
    """
    from assay.metrics.bootstrap import interval

    e = finite_errors(error, least=3)
    N = one_for_each(natoms, e.shape, "natoms")
    if (N < 1).any():
        raise ValueError(f"{np.count_nonzero(N < 1)} of {N.size} frames have fewer than 1 atom")
    sizes, place, counts = np.unique(N, return_inverse=True, return_counts=True)
    bias = np.bincount(place, e) / counts
    square = np.bincount(place, (e - bias[place]) ** 2)
    residual = np.sqrt(np.divide(square, counts - 1, out=np.full(len(sizes), np.nan), where=counts > 1))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(e), size=(resamples, len(e)))
    p, q = _exponents(e, N)
    intervals = [interval(each) for each in zip(*(_exponents(e[i], N[i]) for i in drawn), strict=True)]
    return SizeGrowth(sizes.astype(np.int64), counts, bias, residual, p, q, *intervals)


def _exponents(e: Array, N: Array) -> tuple[float, float]:
    """p and q; NaN where all sizes are the same or nothing is left to explain."""
    from scipy.optimize import minimize  # slow to import

    if len(np.unique(N)) < 2 or not e.any():
        return float("nan"), float("nan")
    n = np.log(N) - np.log(N).mean()
    e = e / np.sqrt(np.mean(e**2))

    def minus_log_likelihood(exponents: Array) -> float:
        p, q = exponents
        x, w = np.exp(p * n), np.exp(-2 * q * n)
        rest = e - (w @ (x * e)) / (w @ (x * x)) * x
        variance = (w @ rest**2) / len(e)
        return 0.5 * log(variance + ROUNDING)  # mean of n is 0, so that q adds nothing

    start = min(((1.0, 0.5), (1.0, 1.0)), key=lambda pq: minus_log_likelihood(np.array(pq)))
    found = minimize(minus_log_likelihood, start, method="L-BFGS-B", bounds=[EXPONENTS, EXPONENTS])
    return float(found.x[0]), float(found.x[1])
