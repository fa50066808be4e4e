"""Principal axes of the features of atoms, from one pass over them.

Axis letters: A atoms, D features, S species, K components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from assay.results.arrays import Array

FAINTEST = 1e-12
"""Share of the largest variance below which an axis is the rounding of features in single precision."""


@dataclass(frozen=True)
class FeatureAxes:
    """`c_i = V (D_i − m_{s_i})`, the components of the features of atom i of species s_i.

    | field | symbol | shape |
    |---|---|---|
    | axes | V, orthonormal, by falling variance | `(K, D)` |
    | centres | m, one for each species; none where features are not centred | `(S, D)` or `(0, D)` |
    """

    axes: Array
    centres: Array

    def components(self, features: Array, species: NDArray[np.int64]) -> Array:
        """`(A, K)` of features `(A, D)` of atoms whose species are `species` `(A,)`, as indices."""
        centred = features - self.centres[species] if len(self.centres) else features
        return np.asarray(centred @ self.axes.T)


class FeatureMoments:
    """A fold over the features of atoms: counts, means and the scatter within species.

    `W = Σ_s Σ_{i∈s} (D_i − m_s)(D_i − m_s)ᵀ`; features that are not to be centred have `m = 0`. A constant for each
    species then adds what the means would have, so that centring changes no fit that has such constants.
    """

    def __init__(self, species: int, features: int, *, centred: bool = True) -> None:
        self.counts = np.zeros(species)
        self.means = np.zeros((species, features))
        self.scatter = np.zeros((features, features))
        self.centred = centred

    def update(self, features: Array, species: NDArray[np.int64]) -> None:
        """Features `(A, D)` of atoms whose species are `species` `(A,)`, as indices."""
        if not self.centred:
            self.scatter += features.T @ features
            return
        part = FeatureMoments(*self.means.shape)
        part.counts = np.bincount(species, minlength=len(self.counts)).astype(np.float64)
        np.add.at(part.means, species, features)
        part.means /= np.maximum(part.counts, 1.0)[:, None]
        centred = features - part.means[species]
        part.scatter = centred.T @ centred
        self.merge(part)

    def merge(self, other: FeatureMoments) -> None:
        """Add what another fold has seen: `W = W₁ + W₂ + Σ_s n₁n₂/(n₁ + n₂) δ_s δ_sᵀ`, `δ = m₂ − m₁` (Chan et al. 1983,
        doi:10.1080/00031305.1983.10483115)."""
        total = np.maximum(self.counts + other.counts, 1.0)
        apart = other.means - self.means
        self.scatter += other.scatter + (apart.T * (self.counts * other.counts / total)) @ apart
        self.means += apart * (other.counts / total)[:, None]
        self.counts += other.counts

    def axes(self, components: int) -> FeatureAxes:
        """At most so many axes: those of the largest scatter, without those of no more than rounding errors."""
        variances, vectors = eigh(self.scatter)
        kept = [k for k in np.argsort(variances)[::-1] if variances[k] > FAINTEST * variances[-1]][:components]
        axes = vectors[:, kept].T
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]  # the same on every machine
        return FeatureAxes(axes, self.means if self.centred else self.means[:0])
