"""Whatever predicts a frame, as an ASE calculator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.capabilities import LinearSource


class FrameCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and, where the prediction has one, stress (eV/Å³) of `predict(frame)`.

    It can be sent to other processes if `predict` can.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (ASE's own declaration)

    def __init__(self, predict: Callable[[Atoms], Prediction]) -> None:
        super().__init__()
        self.predict = predict

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        said = self.predict(self.atoms)
        found = {"energy": said.energy, "free_energy": said.energy, "forces": said.forces, "stress": said.stress}
        self.results: dict[str, Any] = {  # of whoever asks, to write into
            name: np.array(value) if isinstance(value, np.ndarray) else value
            for name, value in found.items()
            if value is not None
        }


def row_calculator(rows: LinearSource, coefficients: Array) -> FrameCalculator:
    """`E = x_E · Θ`, `F = X_F Θ`, `σ = X_σ Θ` for one Θ `(P,)`: for sources that have nothing faster."""
    return FrameCalculator(partial(_evaluation, rows, coefficients))


def _evaluation(rows: LinearSource, coefficients: Array, frame: Atoms) -> Prediction:
    return rows.predictions(frame, coefficients[None]).member(0)
