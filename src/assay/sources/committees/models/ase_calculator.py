"""Any ASE calculator, one frame at a time."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from ase import Atoms


class Potential:
    """A calculator by import path and arguments, or (`of`) one at hand."""

    def __init__(self, what: str, **arguments: Any) -> None:
        module, _, name = what.rpartition(".")
        self.calculator = getattr(import_module(module), name)(**arguments)

    @classmethod
    def of(cls, calculator: Any) -> Potential:
        self = object.__new__(cls)
        self.calculator = calculator
        return self

    def predict(self, frames: list[Atoms], features: bool = False) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`. Raises for values that are not finite or of the wrong shape."""
        if features:
            raise ValueError(f"{type(self.calculator).__name__} has no features of its last layer that are known here")
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Atoms) -> dict[str, Any]:
        reset = getattr(self.calculator, "reset", None)
        if callable(reset):
            reset()
        atoms = frame.copy()
        atoms.set_constraint()
        atoms.calc = self.calculator
        result = {
            "forces": checked("forces", atoms.get_forces(), (len(atoms), 3)),
            "energy": float(checked("energy", np.squeeze(atoms.get_potential_energy()), ())),
        }
        if atoms.pbc.all() and "stress" in getattr(self.calculator, "implemented_properties", ()):
            result["stress"] = checked("stress", atoms.get_stress(), (6,))
        return result


def checked(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A copy; raises `ValueError` for another shape or values that are not finite."""
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} of shape {array.shape}, needed {shape}")
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{name} with {bad} of {array.size} values not finite")
    return array
