"""Last-layer prediction rigidity: how far the energies of the training frames pin down the weights of the last layer.

A potential whose energy is linear in the features of its last layer, the same weights for all species, predicts for a
frame the energy per atom `x_Fᵀ w`, with `x_F` the mean of the features of its atoms. Of a prediction `gᵀ w`

    σ²(g) = α² gᵀ H⁻¹ g,      H = Σ_F x_F x_Fᵀ + ς²

is the variance that training leaves open (Bigi et al. 2024, doi:10.1088/2632-2153/ad805f; Grasselli et al., Eq. 14).
For the energy per atom `g = x_F`, for a component of a force `g = −∂(Σ_i f_i)/∂r`. Scores are `σ² / α²`; α is the
calibrator's.

`assay.scores.rigidity.prediction_rigidity` asks for one atom, or for the share of one species, and gives each species
weights of its own; here all species share them, so that one pins down what another predicts. With one species
`component_prediction_rigidity` is this score, but for ς.

ς² is relative to the largest eigenvalue of Σ x xᵀ: more frames never raise a score at the same ratio. The ratio is that
with the largest leave-one-out likelihood of the errors that the potential makes on frames which it was not fitted to,
if they are known:

    L(ς) = max_α Σ_F log N(e_F; 0, α² v_F),      v_F = h_F / (1 − h_F),      h_F = x_Fᵀ H⁻¹ x_F

with `v_F` what `x_Fᵀ H⁻¹ x_F` is without frame F. Otherwise it is the least one that keeps the rounding errors of
single precision out, `RIDGE`: it decides how large a score is where training leaves the weights open.

Axis letters: F frames, A atoms, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.of_prediction import features_of
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions
from assay.scores.rigidity.leverage import RIDGE
from assay.scores.rigidity.prediction_rigidity import Information

RATIOS = np.geomspace(RIDGE, 1.0, 41)
"""ς² over the largest eigenvalue of Σ x xᵀ, among which errors choose."""


def chosen_ratio(rows: Array, errors: Array | None = None) -> float:
    """The ratio of `RATIOS` with the largest leave-one-out likelihood; the least one without errors.

    | symbol | argument | meaning | shape |
    |---|---|---|---|
    | x_F | rows | means of the features of frames | `(F, D)` |
    | e_F | errors | of the energies per atom, by a potential not fitted to these frames; NaN: not known | `(F,)` |

    Rasmussen and Williams 2006, 5.4.2, for the likelihood.
    """
    if errors is None:
        return RIDGE
    told = np.isfinite(errors) & rows.any(axis=1)
    if not np.any(errors[told]):
        return RIDGE
    u, s, _ = svd(rows, full_matrices=False)
    likelihood = [_likelihood(np.square(u) @ (s**2 / (s**2 + ratio * s[0] ** 2)), errors, told) for ratio in RATIOS]
    return float(RATIOS[np.argmax(likelihood)])


def _likelihood(h: Array, errors: Array, told: NDArray[np.bool_]) -> float:
    v = h[told] / (1.0 - h[told])
    return -0.5 * float(np.log(v).sum() + told.sum() * np.log(np.mean(errors[told] ** 2 / v)))


def frame_rows(training: TrainingFeatures) -> Array:
    """x_F of the training frames, all atoms included, `(F, D)`."""
    species = np.array(training.species_of_frames)
    share = np.array([np.mean(numbers[:, None] == species, axis=0) for numbers in training.numbers])
    return np.asarray(np.einsum("fs,fsd->fd", share, training.means().reshape(*share.shape, -1)))


def inverse_root(rows: Array, ratio: float) -> Array:
    """R with `RᵀR = H⁻¹`, `H = XᵀX + ratio · λ_max(XᵀX)`, of rows `(F, D)`: `(D, D)`."""
    _, spread, vectors = svd(rows, full_matrices=False)
    columns = rows.shape[1]
    information = Information(np.ones(columns), spread, vectors, ratio * (spread[0] ** 2 or 1.0))
    return information.block(slice(0, columns))


@dataclass(frozen=True)
class LastLayerRigidity:
    """`x_Fᵀ H⁻¹ x_F` of a frame: the variance of its energy per atom; infinite with a species that training lacks.

    | field | symbol | shape |
    |---|---|---|
    | root | R with `RᵀR = H⁻¹` | `(D, D)` |
    | species | atomic numbers of training | `(S,)` |
    | ratio | ς² / λ_max | |
    """

    root: Array
    species: tuple[int, ...]
    ratio: float

    name: ClassVar[str] = "last_layer_prediction_rigidity"
    home: ClassVar[Literal["atom", "frame"]] = "frame"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features",), kind="variance", stands_for="energy", default_for="last-layer features", zero_is_home=True
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        rows = frame_rows(training)
        ratio = chosen_ratio(rows, training.energy_errors)
        return cls(inverse_root(rows, ratio), training.species_of_frames, ratio)

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(1,)`; raises `ValueError` where the source has no features."""
        features = features_of(prediction, self.name)
        if not np.isin(numbers, self.species).all():
            return np.array([np.inf])
        return np.asarray(np.square(self.root @ features.mean(axis=0)).sum(keepdims=True))

    def of_forces(self, feature_forces: Array) -> Array:
        """`g_icᵀ H⁻¹ g_ic` of the components of forces, `(A, 3)`, from `g = −∂(Σ_j f_j)/∂r`, `(D, A, 3)`.

        0 where symmetry makes all derivatives vanish, as it does the force.
        """
        return np.asarray(np.square(np.tensordot(self.root, feature_forces, 1)).sum(axis=0))

    def state(self) -> dict[str, Any]:
        return {"root": self.root, "species": list(self.species), "ratio": self.ratio}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(state["root"], tuple(state["species"]), state["ratio"])


@dataclass(frozen=True)
class LastLayerForce:
    """`Σ_c g_icᵀ H⁻¹ g_ic` of each atom, `g_ic = −∂(Σ_j f_j)/∂r_ic`: the variance of its force, x, y and z together.

    H is that of `energy`, so training frames need no derivatives. 0 where symmetry makes all of them vanish, as it does
    the force; infinite in a frame with a species that training lacks.
    """

    energy: LastLayerRigidity

    name: ClassVar[str] = "last_layer_force"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(
        reads=("features", "derivatives"), kind="variance", stands_for="force", zero_is_home=True
    )

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        return cls(LastLayerRigidity.fit(training))

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`; raises `ValueError` where the source has no derivatives of features."""
        if prediction.feature_forces is None:
            raise ValueError(f"{self.name} needs derivatives of features, which this source does not have")
        if not np.isin(numbers, self.energy.species).all():
            return np.full(len(numbers), np.inf)
        return np.asarray(self.energy.of_forces(prediction.feature_forces).sum(axis=1))

    def state(self) -> dict[str, Any]:
        return {"energy": self.energy.state()}

    def of_energy(self) -> LastLayerRigidity:
        """The variance of the energy by the same H."""
        return self.energy

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(LastLayerRigidity.from_state(state["energy"]))
