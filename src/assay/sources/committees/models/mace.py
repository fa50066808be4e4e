"""MACE (Batatia et al. 2022, arXiv:2206.07697): the path of a model file, which is a pickle and so runs code.

Features: the scalars of the atoms after each interaction, one after the other (256 in MACE-MPA-0: Perez et al., III.G).
The energy of an atom is linear in those of all interactions but the last, whose readout is a network.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from ase import Atoms


class Potential:
    """Energies, forces and stress of a MACE model."""

    def __init__(self, what: str, device: str | None = None, dtype: str = "float64") -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            from mace.calculators import MACECalculator

            device = device or ("cuda" if torch.cuda.is_available() else "cpu")
            self.calculator = MACECalculator(model_paths=what, device=device, default_dtype=dtype)

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`."""
        return [self._predict(frame, features or feature_forces, feature_forces) for frame in frames]

    def _predict(self, frame: Atoms, features: bool, feature_forces: bool) -> dict[str, Any]:
        model = self.calculator.models[0]
        positions: list[Any] = []
        scalars: list[Any] = []
        derivatives: list[np.ndarray[Any, Any]] = []

        def start(module: Any, inputs: tuple[dict[str, Any]]) -> None:
            positions.append(inputs[0]["positions"])

        def look(module: Any, inputs: Any, found: Any) -> None:  # while the graph of derivatives is still there
            scalars.append(found[:, _scalars(module.linear.irreps_out)])
            if feature_forces:
                derivatives.append(_derivatives(scalars[-1], positions[0]))

        watches = []
        if features:
            watches = [model.register_forward_pre_hook(start), *(p.register_forward_hook(look) for p in model.products)]
        try:
            self.calculator.calculate(frame)
        finally:
            for watch in watches:
                watch.remove()
        found = self.calculator.results
        result = {"energy": float(found["energy"]), "forces": np.asarray(found["forces"], dtype=np.float64)}
        if frame.pbc.all():
            result["stress"] = np.asarray(found["stress"], dtype=np.float64)
        if features:
            result["features"] = np.hstack([np.asarray(f.detach().cpu(), dtype=np.float64) for f in scalars])
        if feature_forces:
            result["feature_forces"] = np.concatenate(derivatives)
        return result


def _scalars(irreps: Any) -> list[int]:
    """Columns of the invariants of `irreps`."""
    return [
        i
        for (_, irrep), part in zip(irreps, irreps.slices(), strict=True)
        if irrep.is_scalar()
        for i in range(part.start, part.stop)
    ]


def _derivatives(features: Any, positions: Any) -> np.ndarray[Any, Any]:
    """`-∂(Σ_i f_id)/∂r`, `(D, A, 3)`: one backward pass for each feature."""
    import torch

    rows = [torch.autograd.grad(column, positions, retain_graph=True)[0] for column in features.sum(dim=0)]
    return -np.asarray(torch.stack(rows).cpu(), dtype=np.float64)
