"""One coefficient vector of any linear source, by its design rows, as an ASE calculator."""

from __future__ import annotations

from functools import partial

from ase import Atoms

from assay.prediction import Array
from assay.sources import Evaluation, LinearSource
from assay.sources.frame_calculator import FrameCalculator


def row_calculator(rows: LinearSource, coefficients: Array) -> FrameCalculator:
    """`E = x_E · Θ`, `F = X_F Θ`, `σ = X_σ Θ` for one Θ `(P,)`: for sources that have nothing faster."""
    return FrameCalculator(partial(_evaluation, rows, coefficients))


def _evaluation(rows: LinearSource, coefficients: Array, frame: Atoms) -> Evaluation:
    told = rows.predictions(frame, coefficients[None])
    return Evaluation(
        energy=float(told.energies[0]),
        forces=told.forces[0],
        stress=None if told.stresses is None else told.stresses[0],
    )
