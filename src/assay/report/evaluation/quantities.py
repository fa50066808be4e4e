"""What the page draws and ranks by: errors beside their bars, and the risk of atoms and frames.

Axis letters: F frames, A atoms of all frames, N values of one quantity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import ErrorBar, Gaussian
from assay.results.per_quantity import Quantity, together
from assay.results.residuals import Residuals

SHOWN: tuple[Quantity, ...] = ("force", "energy", "stress")
"""The order of diagrams and tables."""
DISPLAYED: Mapping[Quantity, tuple[str, float]] = {
    "force": ("eV/Å", 1.0),
    "energy": ("meV/atom", 1e3),
    "stress": ("meV/Å³", 1e3),
}
"""The unit that the page shows, and how many of it one of `assay.results.per_quantity.UNITS` is."""
FORCE_BAR = "force_error_bar"
"""The array of a frame with the error bars of its atoms' forces, eV/Å."""


def width(bar: ErrorBar) -> Array:
    """One number for the size of a bar: σ of a Gaussian, half the 68 % interval otherwise; shape of `bar.mean`."""
    return bar.std if isinstance(bar, Gaussian) else bar.half_width(0.68)


def width_name(bar: ErrorBar) -> str:
    """What `width` means, for labels."""
    return "1σ" if isinstance(bar, Gaussian) else "68 % interval"


@dataclass(frozen=True)
class Barred:
    """Errors of one quantity and their bars, `(n,)` each, in the unit that the page shows, `bar.unit`.

    The spread of the residuals is the `width` of the bar. `left_out` values had no finite error or no finite bar above
    zero.
    """

    residuals: Residuals
    bar: ErrorBar
    left_out: int = 0

    @property
    def name(self) -> str:
        """Energy, force or stress."""
        return str(self.residuals.quantity)

    @property
    def error(self) -> Array:
        """`(n,)`, in `bar.unit`."""
        return self.residuals.error


def barred(assessment: Assessment, labels: Labels) -> tuple[Barred, ...]:
    """Force components in eV/Å (without still ones), energies in meV/atom, stresses in meV/Å³: those with bars."""
    batch = assessment.batch
    if not assessment.bars:
        return ()
    columns = (batch.errors(labels), assessment.bars, batch.counted, batch.frames_of)
    found = {quantity: _shown(quantity, *values) for quantity, *values in together(*columns)}
    return tuple(found[quantity] for quantity in SHOWN if quantity in found and found[quantity].error.size)


def energy_error(assessment: Assessment, labels: Labels) -> Array:
    """Errors of the energies, meV/atom, `(F,)`."""
    return 1e3 * assessment.batch.energy_error(labels)


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


def _shown(
    quantity: Quantity, error: Array, bar: ErrorBar, here: NDArray[np.bool_], frame: NDArray[np.int64]
) -> Barred:
    """Some of the values as flat columns in the unit that is shown; without those whose error or bar is unusable."""
    unit, factor = DISPLAYED[quantity]
    kept = bar.at(here)
    spread = kept.std if isinstance(kept, Gaussian) else kept.spread
    usable = np.isfinite(error[here]) & np.isfinite(spread) & (spread > 0)
    shown = kept.at(usable).times(factor, unit)
    residuals = Residuals(factor * error[here][usable], width(shown), frame[here][usable], quantity=quantity)
    return Barred(residuals, shown, int(usable.size - usable.sum()))
