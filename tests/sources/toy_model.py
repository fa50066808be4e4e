"""A potential as in `sources/committees/models`, small enough to differentiate by hand: a test names it as a family.

`f_ik = c_{s_i} k-th Gaussian of the distances to the neighbours`, `E = Σ_ik w_k f_ik`; the last feature is constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

PACKAGE = "numpy"
CUTOFF = 5.0
WIDTHS = np.array([1.5, 2.0, 2.5, 3.0, 3.5])
READOUT = np.array([0.3, -0.2, 0.15, 0.1, -0.05, -1.0])


class Potential:
    def __init__(self, what: str, **arguments: Any) -> None:
        self.broken = int(what)  # frames of so many atoms fail

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        results = []
        for frame in frames:
            if len(frame) == self.broken:
                raise ValueError("the graph has no edges")
            own, derivatives = evaluated(frame)
            result: dict[str, Any] = {"energy": float(own.sum(axis=0) @ READOUT)}
            result["forces"] = np.einsum("d,dai->ai", READOUT, derivatives)
            if frame.pbc.all():
                result["stress"] = np.zeros(6)
            if features:
                result["features"] = own
            if feature_forces:
                result["feature_forces"] = derivatives
            results.append(result)
        return results


def evaluated(frame: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Features `(A, 6)` and `-∂(Σ_i f_id)/∂r`, `(6, A, 3)`."""
    i, j, distance, vector = neighbor_list("ijdD", frame, CUTOFF)
    r, z = distance[:, None], frame.numbers[i][:, None] / 10.0
    fade, gauss = (1 - r / CUTOFF) ** 2, np.exp(-((r / WIDTHS) ** 2))
    slope = z * gauss * (-2 * r / WIDTHS**2 * fade - 2 / CUTOFF * (1 - r / CUTOFF))
    features = np.ones((len(frame), 6))
    features[:, :5] = 0.0
    np.add.at(features[:, :5], i, z * gauss * fade)
    derivatives = np.zeros((6, len(frame), 3))
    along = slope[:, :, None] * (vector / r)[:, None]
    for d in range(5):
        np.add.at(derivatives[d], i, along[:, d])
        np.add.at(derivatives[d], j, -along[:, d])
    return features, derivatives
