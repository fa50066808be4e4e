"""Relax a structure with any ASE calculator, or say that it did not converge."""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, LBFGS

from assay.frames.frame import FrameError
from assay.propagation.properties.prototypes import shortest_distance
from assay.propagation.property import Free, NotConverged, State
from assay.regions.neighbours import close_pairs

FMAX = 1e-3
"""eV/Å: largest force (and, of a cell of N atoms, virial over √N in eV) that counts as relaxed."""
STEPS = 500
LARGE = 64
"""Atoms beyond which limited memory serves instead of a dense Hessian."""
PATIENCE = 40
"""Steps in which the largest force must reach a new minimum, once it had as many to begin with."""
LONGEST = 0.2
"""Å, of any atom in a step."""
STRAIN = 0.03
"""Largest strain of the cell in a step: quasi-Newton steps that are larger leave the basin of a soft crystal."""
SWELLING = 3.0
"""A volume per atom that changes by more than this factor has collapsed or exploded."""
CLOSEST = 0.5
"""Atoms closer than this share of the shortest distance of the start have collapsed onto each other."""


def relaxed(
    atoms: Atoms,
    calculator: Calculator,
    free: Free = "cell",
    *,
    fmax: float = FMAX,
    steps: int = STEPS,
    keep_volume: bool = False,
    label: str = "",
) -> State:
    """The nearest stationary point of the energy in what is free, from a copy of `atoms`.

    Positions move by quasi-Newton steps, and where these run in circles (with limited memory they do, where curvatures
    are negative) by FIRE's (Bitzek et al. 2006, doi:10.1103/PhysRevLett.97.170201). The cell moves by the logarithm of
    its deformation, times √N for N atoms, which gives it about the curvature of a bond. Steps are combinations of
    forces and stress, so what the forces leave symmetric stays symmetric: a crystal keeps its space group, and a saddle
    point set by symmetry stays one.

    | argument | meaning |
    |---|---|
    | atoms | start; left as it is |
    | calculator | of one potential |
    | free | what moves |
    | fmax | eV/Å, largest force; of a cell also the largest row of the virial over √N, in eV |
    | steps | at most |
    | keep_volume | with `free="cell"`: only the shape of the cell is free |
    | label | what messages call the structure; by default its formula |

    Raises `NotConverged` after `steps` steps, where FIRE does not get on either, where the volume changes by more than
    a factor of `SWELLING`, where two atoms come closer than `CLOSEST` times the shortest distance of the start, and
    where the calculator fails or gives numbers that are not finite.
    """
    moving = atoms.copy()
    moving.calc = calculator
    label = label or moving.get_chemical_formula()
    try:
        if free != "nothing":
            with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
                # of a curvature that is exactly 0: see LinAlgError; and 10⁻¹³ off in the cell of ASE's filter
                warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
                _minimise(moving, free, keep_volume, fmax, steps)
        energy = float(moving.get_potential_energy())
    except FrameError as error:
        raise NotConverged(f"{label}: the potential failed: {error}") from error
    except np.linalg.LinAlgError as error:
        raise NotConverged(f"{label}: the energy has no curvature: {error}") from error
    except NotConverged as error:
        raise NotConverged(f"{label}: {error}") from None
    if not np.isfinite(energy):
        raise NotConverged(f"{label}: the energy is {energy}")
    moving.calc = None
    return State(moving, energy)


def _minimise(moving: Atoms, free: Free, keep_volume: bool, fmax: float, steps: int) -> None:
    if free == "positions":
        target = moving
    else:
        target = FrechetCellFilter(
            moving,
            exp_cell_factor=np.sqrt(len(moving)),
            hydrostatic_strain=free == "volume",
            constant_volume=keep_volume,
        )
    longest = LONGEST if free == "positions" else min(LONGEST, STRAIN * np.sqrt(len(moving)))
    volume, closest = moving.cell.volume, CLOSEST * shortest_distance(moving)
    taken = 0
    for optimizer in (BFGS if len(moving) <= LARGE else LBFGS, FIRE):
        smallest, since = np.inf, 0
        for step, converged in enumerate(
            optimizer(target, logfile=None, maxstep=longest).irun(fmax=fmax, steps=steps - taken)
        ):
            if not np.isfinite(moving.get_forces()).all():
                raise NotConverged("forces are not finite")
            swelling = moving.cell.volume / volume if volume else 1.0
            if not 1 / SWELLING < swelling < SWELLING:
                raise NotConverged(f"the volume changed by a factor of {swelling:.2f}")
            if closest and len(close_pairs(moving, closest)[1]):
                raise NotConverged(f"atoms came closer than {closest:.2f} Å")
            if converged:
                return
            if step >= PATIENCE:
                largest = float(np.abs(target.get_forces()).max())
                smallest, since = (largest, 0) if largest < smallest else (smallest, since + 1)
            if since > PATIENCE:
                break
        taken += step
        if taken >= steps:
            break
    raise NotConverged(f"not relaxed to {fmax:g} eV/Å after {taken} steps")
