"""Relax a structure with any ASE calculator, or say that it did not converge."""

from __future__ import annotations

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, LBFGS

from assay.propagation.quantities import Free, NotConverged, State

FMAX = 1e-3
"""eV/Å: largest force (and, of a cell, stress times volume over the number of atoms) that counts as relaxed."""
STEPS = 500
LARGE = 64
"""Atoms beyond which limited memory serves instead of a dense Hessian."""


def relaxed(
    atoms: Atoms, calculator: Calculator, free: Free = "cell", *, fmax: float = FMAX, steps: int = STEPS
) -> State:
    """The nearest minimum of the energy in what is free, from a copy of `atoms`.

    Raises `NotConverged` after `steps` steps, or where atoms or cell run away.
    """
    moving = atoms.copy()
    moving.calc = calculator
    if free != "nothing":
        if free == "positions":
            target = moving
        else:
            target = FrechetCellFilter(moving, hydrostatic_strain=free == "volume")
        optimizer = (BFGS if len(moving) <= LARGE else LBFGS)(target, logfile=None)
        if not optimizer.run(fmax=fmax, steps=steps):
            raise NotConverged(f"{moving.get_chemical_formula()}: not relaxed to {fmax:g} eV/Å after {steps} steps")
    energy = float(moving.get_potential_energy())
    moving.calc = None
    return State(moving, energy)
