"""Minus the logarithm of the likelihood under a mixture of Gaussians (Zhu et al. 2023, doi:10.1063/5.0136574).

`−log p(x) = −log Σ_k w_k N(z; μ_k, Σ_k) + ½ Σ_j>d (z_j² + log 2π)`, with z along the principal components, in units of
their spread: a mixture in the first d of those that the training set spans, d at most 32, and one Gaussian along the
others, which makes it far to leave the span. The number of Gaussians is doubled, up to 16, while the BIC falls and each
has at least 2 (d + 1) atoms.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.standardised import of_each_species
from assay.scores.features.training import TrainingFeatures
from assay.scores.features.whitening import Whitening
from assay.scores.protocol import DEFAULTS, FitOptions

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST_DIMENSIONS = 32
NUMBERS_OF_GAUSSIANS = (1, 2, 4, 8, 16)
REGULARISATION = 1e-4
"""Added to the variances, in units of the spread: a Gaussian on copies of one environment has no width of its own."""
TOLERANCE = 1e-2
"""Expectation and maximisation stop when the mean logarithm of the likelihood rises by less than this."""
MOST_ATOMS = 20_000
"""Training atoms of one species that the mixture is fitted to; more are thinned out at random."""


@dataclass(frozen=True)
class Mixture:
    """K Gaussians in d of D principal components.

    | field | meaning | shape |
    |---|---|---|
    | weights, means | w, μ | `(K,)`, `(K, d)` |
    | factors | R with R Rᵀ = Σ⁻¹, upper triangles | `(K, d, d)` |
    """

    whitening: Whitening
    weights: Array
    means: Array
    factors: Array

    @classmethod
    def fit(cls, rows: Array) -> Self:
        whitening = Whitening.fit(rows)
        d = min(MOST_DIMENSIONS, whitening.spanned)
        if len(rows) > MOST_ATOMS:
            rows = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:MOST_ATOMS])]
        z = whitening(rows)[:, :d]
        if d == 0 or len(z) < 2:
            return cls(whitening, np.ones(1), np.zeros((1, d)), np.eye(d)[None])
        with threadpool_limits(1, user_api="blas"):  # products of matrices this small are slower on several threads
            best = _least_bic(z)
        return cls(whitening, best.weights_, best.means_, best.precisions_cholesky_)

    def minus_log(self, features: Array) -> Array:
        """−log p of features `(m, D)`, `(m,)`."""
        z = self.whitening(features)
        d = self.means.shape[1]
        inside, rest = z[:, :d], z[:, d:]
        terms = np.empty((len(z), len(self.weights)))
        for k, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            terms[:, k] = np.log(np.diag(factor)).sum() - 0.5 * np.square((inside - mean) @ factor).sum(axis=1)
        constant = 0.5 * z.shape[1] * np.log(2 * np.pi)
        most = terms.max(axis=1)
        log_sum = np.log(np.exp(terms - most[:, None]) @ self.weights) + most
        return np.asarray(constant + 0.5 * np.square(rest).sum(axis=1) - log_sum)


def _least_bic(z: Array) -> GaussianMixture:
    from sklearn.exceptions import ConvergenceWarning  # slow to import
    from sklearn.mixture import GaussianMixture

    best, least = None, np.inf
    for count in NUMBERS_OF_GAUSSIANS:
        if count > 1 and len(z) < 2 * count * (z.shape[1] + 1):  # with fewer, likelihoods grow without bound
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a likelihood that still rises a little will do
            found = GaussianMixture(count, tol=TOLERANCE, reg_covar=REGULARISATION, random_state=0).fit(z)
        bic = found.bic(z)
        if bic >= least:
            break
        best, least = found, bic
    return best


@dataclass(frozen=True)
class MixtureLikelihood:
    """−log p of atoms; infinite for a species without training atoms. `mixtures`: atomic number → mixture."""

    mixtures: Mapping[int, Mixture]

    name: ClassVar[str] = "gaussian_mixture"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="order")

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls({z: Mixture.fit(training.rows(z)) for z in training.species})

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        models = {z: mixture.minus_log for z, mixture in self.mixtures.items()}
        return of_each_species(prediction, self.name, numbers, models)

    def state(self) -> dict[str, Any]:
        each = self.mixtures.items()
        return {"mixtures": {str(z): {**vars(of), "whitening": vars(of.whitening)} for z, of in each}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        each = state["mixtures"].items()
        return cls({int(z): Mixture(**{**of, "whitening": Whitening(**of["whitening"])}) for z, of in each})
