"""Weights of energies, forces and stresses in the least squares, each kind normalised to the same total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, content_hash
from assay.results.arrays import Array


@dataclass(frozen=True)
class Weights:
    """How much each label counts: row i of its kind is multiplied by `√(w_i / Σw) / scale`.

    | scheme | w | scale |
    |---|---|---|
    | `uniform` | 1 | root mean square of the labels of that kind |
    | `config_type` | the factor of the frame's config_type (1 where none is given) | as above |
    | `frame` | the factor of the frame's content hash (1 where none is given) | as above |
    | `exponential` | `exp(-E_ref / a)` for energies, `exp(-\\|F\\| / b)` for forces, as the energies for stress | 1 |

    E_ref is the energy per atom above the lowest of that composition (eV), 0 without a label, F the labelled force of
    the atom (eV/Å); a = 2 eV and b = 50 eV/Å are the values of Perez et al., Eq. 9 (arXiv:2502.07104).
    """

    scheme: str = "uniform"
    factors: Mapping[str, float] = field(default_factory=dict)
    a: float = 2.0
    b: float = 50.0

    def __post_init__(self) -> None:
        if self.scheme not in ("uniform", "config_type", "frame", "exponential"):
            raise ValueError(f"weights {self.scheme!r} are unknown; use uniform, config_type, frame or exponential")
        if self.a <= 0 or self.b <= 0 or any(w < 0 for w in self.factors.values()):
            raise ValueError("weights: a and b must be positive, and factors of config types not negative")

    def frame(self, survey: Survey, chosen: NDArray[np.bool_]) -> Array:
        """Unnormalised weight of each frame's energy and stress, `(F,)`; zero unless chosen."""
        if self.scheme == "exponential":
            return np.where(chosen, np.exp(-np.nan_to_num(survey.energy_above_lowest(chosen)) / self.a), 0.0)
        if self.scheme == "frame":
            return np.where(chosen, [self.factors.get(digest, 1.0) for digest in survey.hashes], 0.0)
        missing = set(self.factors) - set(survey.config_types)
        if missing:
            raise ValueError(
                f"weights name config types that no training frame has: {', '.join(sorted(missing))} "
                f"(there are: {', '.join(sorted(set(survey.config_types)))})"
            )
        return np.where(chosen, [self.factors.get(kind, 1.0) for kind in survey.config_types], 0.0)

    def atoms(self, frame: Frame) -> Array:
        """Unnormalised weight of the force on each atom of a frame, `(A,)`; zero without labels."""
        if frame.forces is None:
            return np.zeros(len(frame.atoms))
        if self.scheme == "exponential":
            return np.asarray(np.exp(-np.linalg.norm(frame.forces, axis=1) / self.b))
        key = content_hash(frame.atoms) if self.scheme == "frame" else frame.config_type
        return np.full(len(frame.forces), self.factors.get(key, 1.0))
