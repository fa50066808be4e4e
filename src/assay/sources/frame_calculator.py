"""Whatever evaluates a frame, as an ASE calculator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from assay.sources import Evaluation


class FrameCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and, where the evaluation has one, stress (eV/Å³) of `evaluate(frame)`.

    It can be sent to other processes if `evaluate` can.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (ASE's own declaration)

    def __init__(self, evaluate: Callable[[Atoms], Evaluation]) -> None:
        super().__init__()
        self.evaluate = evaluate

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        told = self.evaluate(self.atoms)
        results = {"energy": told.energy, "free_energy": told.energy, "forces": told.forces, "stress": told.stress}
        self.results: dict[str, Any] = {name: value for name, value in results.items() if value is not None}
