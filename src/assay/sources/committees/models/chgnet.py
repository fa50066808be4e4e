"""CHGNet (Deng et al. 2023, doi:10.1038/s42256-023-00716-3): `0.3.0`, `0.2.0`, `r2scan`, which its wheel carries.

Features: the 64 that enter the last layer of the readout. The energy of an atom is linear in them, with the same
weights for all species, beside a constant of the species. All but a few of them are zero for every atom;
`entering="readout"` gives the 64 that enter the readout itself, of which the energy is no linear function.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from ase import Atoms

VACUUM = 12.0
"""Å between images where a frame is not periodic: twice the cut-off."""
GPA = 0.006241509125883258
"""eV/Å³"""


class Potential:
    """Energies, forces and stress of one of CHGNet's models; batches of frames go through it together."""

    def __init__(self, what: str = "0.3.0", device: str | None = None, entering: str = "last layer") -> None:
        from chgnet.model import CHGNet

        self.model = CHGNet.load(model_name=what, use_device=device, verbose=False)
        self.entered = {"last layer": self.model.mlp.layers[-1], "readout": self.model.mlp}[entering]
        self.model.graph_converter.set_isolated_atom_response("ignore")
        self.batch_atoms = 64 if next(self.model.parameters()).device.type == "cpu" else 4096

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`."""
        from pymatgen.io.ase import AseAtomsAdaptor

        graphs = [self.model.graph_converter(AseAtomsAdaptor.get_structure(periodic(frame))) for frame in frames]
        entered: list[Any] = []
        watch = self.entered.register_forward_pre_hook(lambda layer, inputs: entered.append(inputs[0]))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Converting a tensor with requires_grad", UserWarning)
                found = self.model.predict_graph(graphs, task="efs", batch_size=len(graphs))
        finally:
            watch.remove()
        results = []
        for frame, one in zip(frames, found if len(graphs) > 1 else [found], strict=True):
            size = len(frame) if self.model.is_intensive else 1
            result = {"energy": float(one["e"]) * size, "forces": np.asarray(one["f"], dtype=np.float64)}
            if frame.pbc.all():
                result["stress"] = np.asarray(one["s"], dtype=np.float64)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] * GPA
            results.append(result)
        if features or feature_forces:
            of_frames = entered[0].split([len(frame) for frame in frames])
            for result, own in zip(results, of_frames, strict=True):
                result["features"] = np.asarray(own.detach().cpu(), dtype=np.float64)
        if feature_forces:
            for result, rows in zip(results, _derivatives(entered[0], graphs), strict=True):
                result["feature_forces"] = rows
        return results


def _derivatives(features: Any, graphs: list[Any]) -> list[np.ndarray[Any, Any]]:
    """`-∂(Σ_i f_id)/∂r`, `(D, A, 3)` for each graph: one backward pass for each feature, for all graphs together."""
    import torch

    fractional = [graph.atom_frac_coord for graph in graphs]
    columns = [
        torch.autograd.grad(column, fractional, retain_graph=True, materialize_grads=True)
        for column in features.sum(dim=0)
    ]
    of_graphs = [torch.stack(rows) for rows in zip(*columns, strict=True)]
    inverses = [torch.linalg.inv(graph.lattice.detach()).T for graph in graphs]
    return [-np.asarray((g @ inverse).cpu(), dtype=np.float64) for g, inverse in zip(of_graphs, inverses, strict=True)]


def periodic(frame: Atoms) -> Atoms:
    """The frame, with vacuum around it where it is not periodic: the model knows periodic crystals alone."""
    if frame.pbc.all():
        return frame
    atoms = frame.copy()
    cell = atoms.cell
    cell[~atoms.pbc] = 0.0
    atoms.set_cell(cell.complete())
    atoms.center(vacuum=VACUUM / 2, axis=np.flatnonzero(~frame.pbc))
    atoms.pbc = True
    return atoms
