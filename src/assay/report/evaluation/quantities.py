"""What the page draws and ranks by: errors beside their bars, and the risk of atoms and frames.

Axis letters: F frames, A atoms of all frames, N values of one quantity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import ErrorBar, Gaussian

FORCE_BAR = "force_error_bar"
"""The array of a frame with the error bars of its atoms' forces, eV/Å."""


def width(bar: ErrorBar) -> Array:
    """One number for the size of a bar: σ of a Gaussian, half the 68 % interval otherwise; shape of `bar.mean`."""
    return bar.std if isinstance(bar, Gaussian) else bar.half_width(0.68)


def width_name(bar: ErrorBar) -> str:
    """What `width` means, for labels."""
    return "1σ" if isinstance(bar, Gaussian) else "68 % interval"


@dataclass(frozen=True)
class Quantity:
    """Errors of one predicted quantity (prediction - reference, `(N,)`) and their bars `(N,)`, in `bar.unit`.

    `left_out` values had no finite error or no finite bar above zero.
    """

    name: str
    error: Array
    bar: ErrorBar
    left_out: int = 0


def quantities(assessment: Assessment, labels: Labels) -> tuple[Quantity, ...]:
    """Force components in eV/Å (without still ones), energies in meV/atom, stresses in meV/Å³: those with bars."""
    found = []
    if assessment.force_bar is not None:
        error = assessment.force_error(labels)
        found.append(_flat("force", error, assessment.force_bar, ~assessment.still, "eV/Å"))
    if assessment.energy_bar is not None:
        every = np.ones(len(assessment.names), dtype=bool)
        found.append(_flat("energy", energy_error(assessment, labels), assessment.energy_bar, every, "meV/atom"))
    if assessment.stress_bar is not None and assessment.stress is not None and labels.stress is not None:
        every = np.ones(len(assessment.names), dtype=bool)
        error = 1e3 * (assessment.stress - labels.stress)
        found.append(_flat("stress", error, assessment.stress_bar, every, "meV/Å³"))
    return tuple(quantity for quantity in found if quantity.error.size)


def energy_error(assessment: Assessment, labels: Labels) -> Array:
    """Errors of the energies, meV/atom, `(F,)`."""
    return 1e3 * assessment.energy_error(labels)


def atom_force_bar(assessment: Assessment) -> Array | None:
    """Error bar of each atom's force vector, eV/Å, `(A,)`: the norm of its components' bars; `None` without bars."""
    if assessment.force_bar is None:
        return None
    return np.asarray(np.linalg.norm(width(assessment.force_bar), axis=-1))


def atom_key(assessment: Assessment) -> str:
    """The array of `worst` that the picture shows: force bars, or the first atom score without predictions."""
    scores = (name for name, level in assessment.scores if level == "atom")
    return next(scores, FORCE_BAR) if assessment.forces is None else FORCE_BAR


def atom_risk(assessment: Assessment) -> tuple[str, Array] | None:
    """What ranks atoms `(A,)` and its name: the force bar, else the first atom score; `None` without either."""
    bar = atom_force_bar(assessment)
    if bar is not None:
        return "force error bar", bar
    scores = (score for (_, level), score in assessment.scores.items() if level == "atom")
    return next(((score.name, score.values) for score in scores), None)


def frame_risk(assessment: Assessment) -> tuple[str, Array] | None:
    """What ranks frames `(F,)` and its name: their riskiest atom, else the first frame score; `None` without."""
    atoms = atom_risk(assessment)
    if atoms is not None:
        return f"largest {atoms[0]} of an atom", frame_maximum(assessment, atoms[1])
    scores = (score for (_, level), score in assessment.scores.items() if level == "frame")
    return next(((score.name, score.values) for score in scores), None)


def riskiest_frame(assessment: Assessment) -> int | None:
    """Which frame heads the table of the riskiest frames; `None` where nothing ranks them."""
    risk = frame_risk(assessment)
    return None if risk is None or not len(risk[1]) else int(descending(risk[1])[0])


def frame_maximum(assessment: Assessment, values: Array) -> Array:
    """Largest of the atoms' `values (A,)` in each frame, `(F,)`."""
    return np.asarray(np.maximum.reduceat(values, assessment.offsets[:-1])) if len(values) else np.empty(0)


def descending(values: Array, count: int | None = None) -> NDArray[np.intp]:
    """Places of the `count` largest values, largest first, ties in order, NaN last."""
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[:count]


def _flat(name: str, error: Array, bar: ErrorBar, keep: NDArray[np.bool_], unit: str) -> Quantity:
    """The kept rows as flat columns with the bar in `unit` (milli where that says so); no errors or bars unusable."""
    kept = bar.at(keep)
    spread = kept.std if isinstance(kept, Gaussian) else kept.spread
    usable = np.isfinite(error[keep]) & np.isfinite(spread) & (spread > 0)
    flat = kept.at(usable).times(1e3 if unit.startswith("m") else 1.0, unit)
    return Quantity(name, error[keep][usable], flat, int(usable.size - usable.sum()))
