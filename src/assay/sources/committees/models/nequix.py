"""Nequix (Koker et al. 2025, arXiv:2508.16067): the path of a `.nqx` file."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

GROWTH = 1.25
"""Numbers of atoms and edges are padded to powers of this: one compilation serves all frames between two of them."""


class Potential:
    """Energies, forces and stress of a Nequix model, compiled once for each class of sizes."""

    def __init__(self, what: str) -> None:
        import equinox
        from nequix.calculator import NequixCalculator

        self.calculator = NequixCalculator(model_path=what, use_kernel=False)
        self.compiled = equinox.filter_jit(self.calculator.model)

    def predict(self, frames: list[Atoms], features: bool = False) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`."""
        import jraph
        from nequix.data import dict_to_graphstuple, preprocess_graph

        results = []
        for frame in frames:
            graph = dict_to_graphstuple(
                preprocess_graph(frame, self.calculator.atom_indices, self.calculator.cutoff, False)
            )
            nodes, edges = padded(len(frame) + 1), padded(int(graph.n_edge[0]) + 1)
            energy, forces, stress = self.compiled(jraph.pad_with_graphs(graph, n_node=nodes, n_edge=edges, n_graph=2))
            result = {
                "energy": float(energy[0]),
                "forces": np.asarray(forces, dtype=np.float64)[: len(frame)],
            }
            if frame.pbc.all():
                result["stress"] = full_3x3_to_voigt_6_stress(np.asarray(stress[0], dtype=np.float64))
            results.append(result)
        return results


def padded(size: int) -> int:
    """The next number of 8, 10, 13, … , each `GROWTH` times the one before."""
    step = 8
    while step < size:
        step = ceil(step * GROWTH)
    return step
