"""SevenNet (Park et al. 2024, doi:10.1021/acs.jctc.4c00190): `7net-0`, `7net-0_22May2024`, `7net-l3i5`, `7net-mf-0`
(`modal=PBE` or `R2SCAN`), which its wheel carries, or the path of a checkpoint.

Features: the 64 that enter the last layer of the readout. The energy of an atom is linear in them, with the same
weights for all species, but for a factor and a constant of the species (the factor is one for all in `7net-0`).
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from ase import Atoms


class Potential:
    """Energies, forces and stress of a SevenNet model; batches of frames go through it together."""

    def __init__(self, what: str = "7net-0", device: str = "auto", modal: str | None = None) -> None:
        logging.getLogger("sevenn").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of accelerators that are not installed
            from sevenn.calculator import SevenNetCalculator

            self.calculator = SevenNetCalculator(what, device=device, modal=modal)
        self.model = self.calculator.model
        self.model.set_is_batch_data(True)
        self.batch_atoms = 128 if self.calculator.device.type == "cpu" else 4096

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`."""
        seen: list[tuple[Any, Any]] = []
        last, forces_from = self.model._modules["reduce_hidden_to_energy"], self.model._modules["force_output"]

        def look(module: Any, inputs: tuple[Any]) -> None:  # while the graph of derivatives is still there
            entered = inputs[0][last.key_input]
            seen.append((entered, _derivatives(entered, inputs[0]) if feature_forces else None))

        watch = forces_from.register_forward_pre_hook(look)
        try:
            output = self._run(frames)
        finally:
            watch.remove()
        energies, forces = _array(output["inferred_total_energy"]), _array(output["inferred_force"])
        stresses = -_array(output["inferred_stress"])[:, [0, 1, 2, 4, 5, 3]]
        ends = np.cumsum([len(frame) for frame in frames])
        results = []
        for i, frame in enumerate(frames):
            own = slice(ends[i] - len(frame), ends[i])
            results.append({"energy": float(energies[i]), "forces": forces[own]})
            if frame.pbc.all():
                results[-1]["stress"] = stresses[i]
            if features or feature_forces:
                results[-1]["features"] = _array(seen[0][0])[own]
            if feature_forces:
                results[-1]["feature_forces"] = seen[0][1][:, own]
        return results

    def _run(self, frames: list[Atoms]) -> Any:
        import sevenn._keys as keys
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph
        from torch_geometric.data import Batch

        graphs = []
        for frame in frames:
            self.calculator.set_atoms(frame)  # raises for an element that the model does not know
            graph = AtomGraphData.from_numpy_dict(
                unlabeled_atoms_to_graph(frame, self.calculator.cutoff, with_shift=False)
            )
            if self.calculator.modal:
                graph[keys.DATA_MODALITY] = self.calculator.modal
            graphs.append(graph)
        return self.model(Batch.from_data_list(graphs).to(self.calculator.device))


def _derivatives(features: Any, data: Any) -> np.ndarray[Any, Any]:
    """`-∂(Σ_i f_id)/∂r`, `(D, A, 3)` for all frames together: one backward pass for each feature."""
    import torch

    edges, (source, target) = data["edge_vec"], data["edge_index"]
    rows = torch.zeros((features.shape[1], len(features), 3), dtype=edges.dtype, device=edges.device)
    for row, column in zip(rows, features.sum(dim=0), strict=True):
        (of_edges,) = torch.autograd.grad(column, edges, retain_graph=True)
        row.index_add_(0, source, of_edges).index_add_(0, target, -of_edges)
    return _array(rows)


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)
