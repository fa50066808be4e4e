"""Prediction rigidity: how firmly the energies of the training frames pin down what they are the sum of.

The energy per atom of a frame is `x_Fᵀ w`, with `x_F` the features of its atoms over their number, those of each
species in columns of their own. To change a part of a prediction, `gᵀ w`, by ε costs a fit `R ε² / 2` more loss:

    R(g) = 1 / (gᵀ H⁻¹ g),      H = Σ_F x_F x_Fᵀ + ridge

(Chong et al. 2023, doi:10.1021/acs.jctc.3c00704; Bigi et al. 2024, doi:10.1088/2632-2153/ad805f). For the energy of one
atom it is the local prediction rigidity, `g = f_i`; for a component, such as all atoms of a species in a frame, the
component-wise one, `g = x_F` in the columns of the component (Chong et al. 2025, doi:10.1039/D4FD00101J). Only the
energies of frames count, no forces: of environments that occur in one proportion in all frames, only the sum is pinned
down.

Scores are `1 / R = gᵀ H⁻¹ g`, so that bigger is less trustworthy. That of an atom alone in a training frame, or one of
many equal ones, is at most 1. The ridge is that of `assay.scores.rigidity.leverage`, relative to diag(Σ x xᵀ): the
units of the features don't count, and more frames never raise a score. With fewer frames than columns it decides how
large a score is where they leave g open, and not in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svd

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions
from assay.scores.rigidity.leverage import NOISE, RIDGE


def prediction_rigidity(rows: Array, components: Array, ridge: float = RIDGE) -> Array:
    """How firmly linear labels pin down linear combinations of the same coefficients: `R = 1 / (gᵀ H⁻¹ g)`.

    | symbol | argument | meaning | shape |
    |---|---|---|---|
    | x_F | rows | derivatives of the training labels by the coefficients, over the noise of each | `(F, P)` |
    | g | components | derivatives of what is asked for: an atom's energy, a species' share, a difference | `(N, P)` |
    | | ridge | added to H = Σ x xᵀ, relative to its diagonal | |

    Returns `(N,)`, infinite where g is 0.
    Reference: Chong et al. 2025, doi:10.1039/D4FD00101J.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / Information.fit(rows, ridge).inverse_rigidity(components))


@dataclass(frozen=True)
class Information:
    """H of F rows and P columns, by the singular values of `X S = U diag(s) V`: `H = S⁻¹ (Vᵀ diag(s²) V + ridge) S⁻¹`.

    | field | symbol | shape |
    |---|---|---|
    | scales | diagonal of S | `(P,)` |
    | spread | s | `(min(F, P),)` |
    | vectors | V | `(min(F, P), P)` |
    """

    scales: Array
    spread: Array
    vectors: Array
    ridge: float

    @classmethod
    def fit(cls, rows: Array, ridge: float = RIDGE) -> Self:
        """From rows `(F, P)`."""
        squares = np.square(rows).sum(axis=0)
        scales = 1.0 / np.sqrt(squares + NOISE**2 / ridge * (squares.max() or 1.0))
        scaled = rows * scales
        if len(rows) > rows.shape[1]:
            (scaled,) = qr(scaled, mode="r", overwrite_a=True)
            scaled = scaled[: rows.shape[1]]
        _, spread, vectors = svd(scaled, full_matrices=False, overwrite_a=True)
        return cls(scales, spread, vectors, ridge)

    def inverse_rigidity(self, g: Array) -> Array:
        """`gᵀ H⁻¹ g` of `(N, P)` vectors, `(N,)`."""
        return np.asarray(np.square(self._root(g * self.scales)).sum(axis=1))

    def block(self, columns: slice) -> Array:
        """R, with `RᵀR` the block of H⁻¹ of D neighbouring columns, `(D, D)`."""
        unit = np.zeros((columns.stop - columns.start, len(self.scales)))
        unit[:, columns] = np.diag(self.scales[columns])
        (upper,) = qr(self._root(unit).T, mode="r", overwrite_a=True)
        return np.asarray(upper[: len(unit)], dtype=np.float64)

    def _root(self, scaled: Array) -> Array:
        """Rows of length `√(gᵀ H⁻¹ g)`: along V, and what is outside of it, if anything can be."""
        along = scaled @ self.vectors.T
        known = along / np.sqrt(self.spread**2 + self.ridge)
        if len(self.vectors) == len(self.scales):
            return np.asarray(known)
        outside = scaled - along @ self.vectors
        return np.hstack([known, outside / np.sqrt(self.ridge)])


def energy_rows(training: TrainingFeatures) -> Array:
    """x_F of the training frames, all atoms included, `(F, S D)`; species in increasing order."""
    species = np.array(training.species_of_frames)
    share = np.array([np.mean(numbers[:, None] == species, axis=0) for numbers in training.numbers])
    means = training.means().reshape(*share.shape, -1)
    return np.asarray((means * share[:, :, None]).reshape(len(share), -1))


def _factors(training: TrainingFeatures) -> dict[int, Array]:
    """Atomic number → R with `RᵀR` the block of H⁻¹ of that species, `(D, D)`."""
    information = Information.fit(energy_rows(training))
    d = len(information.scales) // len(training.species_of_frames)
    return {z: information.block(slice(s * d, (s + 1) * d)) for s, z in enumerate(training.species_of_frames)}


def _inverse_rigidity(factor: Array, g: Array) -> Array:
    """`gᵀ H⁻¹ g` of `(N, D)` vectors in the columns of one species, `(N,)`."""
    return np.asarray(np.square(g @ factor.T).sum(axis=1))


@dataclass(frozen=True)
class LocalPredictionRigidity:
    """`f_iᵀ H⁻¹ f_i` per atom, the inverse of the rigidity; infinite for a species that no training frame has.

    `factors`: atomic number → R with `RᵀR` the block of H⁻¹ of that species, `(D, D)`.
    """

    factors: Mapping[int, Array]

    name: ClassVar[str] = "local_prediction_rigidity"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="variance", zero_is_home=True)

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls(_factors(training))

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no features."""
        features = features_of(prediction, self.name)
        inverse = np.full(len(features), np.inf)
        for z, factor in self.factors.items():
            inverse[numbers == z] = _inverse_rigidity(factor, features[numbers == z])
        return inverse

    def state(self) -> dict[str, Any]:
        return _state(self.factors)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(_from_state(state))


@dataclass(frozen=True)
class ComponentPredictionRigidity:
    """The largest over the species of a frame of `x_sᵀ H⁻¹ x_s`, `x_s = Σ_(i of s) f_i / A`; infinite as above.

    With one species it is that of the energy per atom; with several it says whether one of the shares of the energy is
    anyone's guess, which their sum need not show. `factors` as above.
    """

    factors: Mapping[int, Array]

    name: ClassVar[str] = "component_prediction_rigidity"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",), kind="variance", zero_is_home=True)

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls(_factors(training))

    def of_species(self, features: Array, numbers: NDArray[Any]) -> dict[int, float]:
        """`x_sᵀ H⁻¹ x_s` of each species of a frame with features `(A, D)` and atomic numbers `(A,)`."""
        found = {}
        for z in np.unique(numbers):
            x = features[numbers == z].sum(axis=0, keepdims=True) / len(numbers)
            found[int(z)] = float(_inverse_rigidity(self.factors[z], x)[0]) if z in self.factors else np.inf
        return found

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` where the source has no features."""
        return np.array([max(self.of_species(features_of(prediction, self.name), numbers).values())])

    def state(self) -> dict[str, Any]:
        return _state(self.factors)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(_from_state(state))


def _state(factors: Mapping[int, Array]) -> dict[str, Any]:
    return {"factors": {str(z): factor for z, factor in factors.items()}}


def _from_state(state: Mapping[str, Any]) -> dict[int, Array]:
    return {int(z): factor for z, factor in state["factors"].items()}
