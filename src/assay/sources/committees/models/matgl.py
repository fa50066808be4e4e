"""MatGL (Ko et al. 2025, doi:10.1038/s41524-025-01742-y): the folder of a potential, such as M3GNet or TensorNet.

Features: those of the atoms that enter the readout, 64 in M3GNet and as many as its units in TensorNet (128 in those of
MatPES). The energy of an atom is not linear in them: the readout is a network with a gate.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

FILES = ("model.json", "model.pt", "state.pt")


class Potential:
    """Energies, forces and stress of a potential that `matgl.load_model` reads.

    Weights that this version of the package calls incompatible are refused: it runs them all the same, and some then
    have compounds wrong by electronvolts per atom and elements nearly right. `incompatible=True` takes them.
    """

    def __init__(self, what: str, incompatible: bool = False) -> None:
        if lacking := [name for name in FILES if not (Path(what) / name).is_file()]:  # it would ask the network
            raise ValueError(f"{what} is not the folder of a matgl potential: no {', '.join(lacking)} in it")
        import matgl
        from matgl.ext.ase import PESCalculator

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            potential = matgl.load_model(what)
        if not incompatible and any("ncompatible model version" in str(each.message) for each in told):
            raise ValueError(
                f"{what} was made for another version of matgl than {matgl.__version__}, which runs it and may get "
                "it wrong. Give weights of this version, or, to see for yourself, (incompatible=true)"
            )
        self.calculator = PESCalculator(potential, stress_unit="eV/A3", use_voigt=True)

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`."""
        return [self._predict(frame, features or feature_forces, feature_forces) for frame in frames]

    def _predict(self, frame: Atoms, features: bool, feature_forces: bool) -> dict[str, Any]:
        model, seen = self.calculator.potential.model, {}

        def start(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            seen["graph"] = named["g"]

        def look(module: Any, inputs: tuple[Any, ...]) -> None:  # while the graph of derivatives is still there
            seen["features"] = np.asarray(inputs[0].detach().cpu(), dtype=np.float64)
            if feature_forces:
                seen["feature_forces"] = _derivatives(inputs[0], seen["graph"].pos)

        watches = []
        if features:
            watches = [
                model.register_forward_pre_hook(start, with_kwargs=True),
                model.final_layer.register_forward_pre_hook(look),
            ]
        try:
            self.calculator.calculate(frame)
        finally:
            for watch in watches:
                watch.remove()
        found = self.calculator.results
        result = {"energy": float(found["energy"]), "forces": np.asarray(found["forces"], dtype=np.float64)}
        if frame.pbc.all():
            result["stress"] = np.asarray(found["stress"], dtype=np.float64)
        return {**result, **{key: seen[key] for key in ("features", "feature_forces") if key in seen}}


def _derivatives(features: Any, positions: Any) -> np.ndarray[Any, Any]:
    """`-∂(Σ_i f_id)/∂r`, `(D, A, 3)`: one backward pass for each feature."""
    import torch

    rows = [torch.autograd.grad(column, positions, retain_graph=True)[0] for column in features.sum(dim=0)]
    return -np.asarray(torch.stack(rows).cpu(), dtype=np.float64)
