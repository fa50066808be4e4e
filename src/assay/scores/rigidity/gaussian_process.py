"""Standard deviation of a Gaussian process that knows the training atoms of a species, as a share of its prior.

    σ²(x) = k(x, x) − k_xᵀ (K + σ_n² 1)⁻¹ k_x,      k(x, y) = 1 / (1 + d²(x, y) / 2ℓ²)

(Rasmussen and Williams 2006, Eq. 2.26, ISBN 026218253X; Grasselli et al. 2025, Eq. 8). Beyond `MOST` atoms, and in the
same code, the "fully independent training conditional" of M inducing atoms u (Quiñonero-Candela and Rasmussen 2005,
JMLR 6, 1939, Eq. 23):

    σ²(x) = k(x, x) − k_uᵀ [K_uu⁻¹ − (K_uu + K_uf Λ⁻¹ K_fu)⁻¹] k_u,      Λ = diag(K_ff − K_fu K_uu⁻¹ K_uf) + σ_n² 1.

The Nyström features `K_uu^(-1/2) k_u` alone would give atoms far from all u a variance of zero; here they get the
prior's, 1, the largest there is. With all training atoms in u both are the same.

Nothing is learnt from labels, since atoms have none:

- d is the Mahalanobis distance of `assay.scores.features.whitening`, so that directions that training does not span
count.
- ℓ² is the mean squared distance of two training atoms.
- The kernel is the rational quadratic one with α = 1, a mixture of Gaussians over all length scales: training sets have
  none in common, and far from home a single Gaussian could not tell far from farther.
- σ_n is `NOISE`: 1 % of what the features are there to explain.
- The inducing atoms are those with the largest variance given the ones before (pivoted Cholesky; Burt et al. 2020,
  JMLR 21, 131).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.features.whitening import Whitening
from assay.scores.protocol import DEFAULTS, FitOptions

NOISE = 1e-2
"""σ_n, in units of the standard deviation of the prior."""
MOST = 400
"""M, inducing atoms of one species."""
ENTRIES = 2_000_000
"""Σ M² over the species: 16 MB in a gauge."""
CANDIDATES = 8_000
"""Training atoms that inducing atoms are chosen from; of more, at random."""
DISTINCT = 1e-8
"""Variance below which an atom is a copy of inducing atoms."""
CHUNK = 1024


def kernel(x: Array, y: Array) -> Array:
    """k of points in units of ℓ, `(m, V)` and `(n, V)`, `(m, n)`."""
    square = x @ (-2.0 * y.T)
    square += np.square(x).sum(axis=1)[:, None]
    square += np.square(y).sum(axis=1)
    np.maximum(square, 0.0, out=square)
    square *= 0.5
    square += 1.0
    return np.asarray(np.reciprocal(square, out=square))


def inducing(points: Array, most: int) -> NDArray[np.int64]:
    """At most `most` of `(n, V)` points, each with the largest variance given those before it (without noise)."""
    rows = np.empty((min(most, len(points)), len(points)))
    variance = np.ones(len(points))
    chosen: list[int] = []
    for m, row in enumerate(rows):
        i = int(variance.argmax())
        if variance[i] < DISTINCT:
            break
        row[:] = (kernel(points[i : i + 1], points)[0] - rows[:m, i] @ rows[:m]) / np.sqrt(variance[i])
        variance -= np.square(row)
        variance[i] = 0.0
        chosen.append(i)
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True)
class Process:
    """The posterior of one species.

    | field | meaning | shape |
    |---|---|---|
    | mean, transform | t(x) = (x − mean) transform, in units of ℓ | `(D,)`, `(D, D)` |
    | points | t of the inducing atoms | `(M, D)` |
    | root | W, with `WᵀW = K_uu⁻¹ − (K_uu + K_uf Λ⁻¹ K_fu)⁻¹`: `σ² = 1 − ‖W k_u‖²` | `(M, M)` |
    """

    mean: Array
    transform: Array
    points: Array
    root: Array

    def std(self, features: Array) -> Array:
        """σ of atoms with features `(n, D)`, `(n,)`, from 0 to 1."""
        variance = np.empty(len(features))
        for start in range(0, len(features), CHUNK):
            k = kernel((features[start : start + CHUNK] - self.mean) @ self.transform, self.points)
            variance[start : start + CHUNK] = 1.0 - np.square(k @ self.root.T).sum(axis=1)
        return np.sqrt(np.maximum(variance, np.finfo(float).eps))


class ProcessFold:
    """What training atoms of one species say, given the inducing atoms: `update`, `merge`, `result`.

    With `L Lᵀ = K_uu` it adds up `G = L⁻¹ K_uf Λ⁻¹ K_fu L⁻ᵀ`, which only grows: more atoms never raise a σ.
    """

    def __init__(self, whitening: Whitening, inducing_atoms: Array) -> None:
        """`inducing_atoms`: features `(M, D)`, no two the same."""
        self._mean = whitening.mean
        self._transform = whitening.transform / _length(whitening)
        self._points = (inducing_atoms - self._mean) @ self._transform
        self._factor = cholesky(kernel(self._points, self._points), lower=True)
        self._information = np.zeros_like(self._factor)

    def update(self, features: Array) -> None:
        """Features of training atoms, `(n, D)`."""
        for start in range(0, len(features), CHUNK):
            k = kernel((features[start : start + CHUNK] - self._mean) @ self._transform, self._points)
            v = solve_triangular(self._factor, k.T, lower=True, check_finite=False)
            noise = np.maximum(1.0 - np.square(v).sum(axis=0), 0.0) + NOISE**2
            v /= np.sqrt(noise)
            self._information += v @ v.T

    def merge(self, other: ProcessFold) -> None:
        """Of the same inducing atoms."""
        self._information += other._information

    def result(self) -> Process:
        """`WᵀW = L⁻ᵀ [1 − (1 + G)⁻¹] L⁻¹`, by the eigenvalues g of G: `1 − 1 / (1 + g) = g / (1 + g)`."""
        g, vectors = np.linalg.eigh(self._information)
        g = np.maximum(g, 0.0)
        root = solve_triangular(self._factor, vectors * np.sqrt(g / (1.0 + g)), lower=True, trans="T").T
        return Process(self._mean, self._transform, self._points, np.ascontiguousarray(root))


def _length(whitening: Whitening) -> float:
    """ℓ."""
    return float(np.sqrt(2.0 * max(whitening.rank, 1.0)))


@dataclass(frozen=True)
class GaussianProcess:
    """σ per atom; infinite for a species without training atoms. `processes`: atomic number → posterior."""

    processes: Mapping[int, Process]

    name: ClassVar[str] = "gp_std"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        most = min(MOST, max(1, isqrt(ENTRIES // len(training.species))))
        return cls({z: fit_process(training.rows(z), most) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        features = features_of(prediction, self.name)
        sigma = np.full(len(features), np.inf)
        for z, process in self.processes.items():
            sigma[numbers == z] = process.std(features[numbers == z])
        return sigma

    def state(self) -> dict[str, Any]:
        return {"processes": {str(z): vars(process) for z, process in self.processes.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({int(z): Process(**each) for z, each in state["processes"].items()})


def fit_process(rows: Array, most: int = MOST) -> Process:
    """The posterior given the features `(n, D)` of one species, with at most `most` inducing atoms.

    Raises `ValueError` where there are none, or one is not finite.
    """
    whitening = Whitening.fit(rows)
    some = np.arange(len(rows))
    if len(rows) > CANDIDATES:
        some = np.sort(np.random.default_rng(0).permutation(len(rows))[:CANDIDATES])
    candidates = np.asarray(rows[some])
    chosen = inducing(whitening(candidates) / _length(whitening), most)
    fold = ProcessFold(whitening, candidates[chosen])
    fold.update(rows)
    return fold.result()
