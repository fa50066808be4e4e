"""What the page draws and ranks by: errors beside their bars, and the risk of atoms and frames.

Axis letters: F frames, A atoms of all frames, N values of one quantity.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.barred import Barred, barred, width
from assay.evaluation.result import EvaluationResult
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import ErrorBar, Gaussian
from assay.results.per_quantity import Quantity

DISPLAYED: Mapping[Quantity, tuple[str, float]] = {
    "force": ("eV/Å", 1.0),
    "energy": ("meV/atom", 1e3),
    "stress": ("meV/Å³", 1e3),
}
"""The unit that the page shows, and how many of it one of `assay.results.per_quantity.UNITS` is."""
FORCE_BAR = "force_error_bar"
"""The array of a frame with the error bars of its atoms' forces, eV/Å."""


def width_name(bar: ErrorBar) -> str:
    """What `width` means, for labels."""
    return "1σ" if isinstance(bar, Gaussian) else "68 % interval"


def shown(assessment: Assessment, labels: Labels) -> tuple[Barred, ...]:
    """Errors beside their bars in eV/Å (forces, without still ones), meV/atom and meV/Å³: those that have both."""
    found = barred(assessment, labels).forces_first()
    return tuple(values.times(DISPLAYED[name][1], DISPLAYED[name][0]) for name, values in found)


def energy_error(assessment: Assessment, labels: Labels) -> Array:
    """Errors of the energies, meV/atom, `(F,)`."""
    return 1e3 * assessment.batch.energy_error(labels)


def labels_of(evaluation: EvaluationResult | None) -> Labels | None:
    """The references that errors are against; `None` without an evaluation."""
    return None if evaluation is None else evaluation.assessment.batch.labels


def atom_force_bar(assessment: Assessment) -> Array | None:
    """Error bar of each atom's force vector, eV/Å, `(A,)`: the norm of its components' bars; `None` without bars."""
    if assessment.bars.force is None:
        return None
    return np.asarray(np.linalg.norm(width(assessment.bars.force), axis=-1))


def atom_key(assessment: Assessment) -> str:
    """The array of `worst` that the picture shows: force bars, or the first atom score without predictions."""
    scores = (name for name, level in assessment.scores if level == "atom")
    return next(scores, FORCE_BAR) if assessment.batch.forces is None else FORCE_BAR


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
    return np.asarray(np.maximum.reduceat(values, assessment.batch.offsets[:-1])) if len(values) else np.empty(0)


def descending(values: Array, count: int | None = None) -> NDArray[np.intp]:
    """Places of the `count` largest values, largest first, ties in order, NaN last."""
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[:count]
