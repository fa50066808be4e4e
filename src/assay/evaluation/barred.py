"""Errors beside their bars, value by value: what diagrams of error bars are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import ErrorBar, Gaussian
from assay.results.per_quantity import PerQuantity, Quantity, together
from assay.results.residuals import Residuals


@dataclass(frozen=True)
class Barred:
    """Errors of one quantity and their bars, `(n,)` each, in `bar.unit`.

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

    def times(self, factor: float, unit: str) -> Barred:
        """The same in another unit, `factor` to one of this."""
        bar, old = self.bar.times(factor, unit), self.residuals
        residuals = Residuals(factor * old.error, width(bar), old.frame, quantity=old.quantity)
        return Barred(residuals, bar, self.left_out)


def width(bar: ErrorBar) -> Array:
    """One number for the size of a bar: σ of a Gaussian, half the 68 % interval otherwise; shape of `bar.mean`."""
    return bar.std if isinstance(bar, Gaussian) else bar.half_width(0.68)


def barred(assessment: Assessment, labels: Labels) -> PerQuantity[Barred]:
    """Energies per atom, force components (without still ones) and stresses: those with bars and values."""
    batch = assessment.batch
    if not assessment.bars:
        return PerQuantity()
    columns = (batch.errors(labels), assessment.bars, batch.counted, batch.frames_of)
    found = {quantity: _usable(quantity, *values) for quantity, *values in together(*columns)}
    return PerQuantity.of({quantity: of for quantity, of in found.items() if of.error.size})


def _usable(
    quantity: Quantity, error: Array, bar: ErrorBar, here: NDArray[np.bool_], frame: NDArray[np.int64]
) -> Barred:
    """Flat columns, without values whose error or bar is unusable."""
    kept = bar.at(here)
    spread = kept.std if isinstance(kept, Gaussian) else kept.spread
    usable = np.isfinite(error[here]) & np.isfinite(spread) & (spread > 0)
    shown = kept.at(usable)
    residuals = Residuals(error[here][usable], width(shown), frame[here][usable], quantity=quantity)
    return Barred(residuals, shown, int(usable.size - usable.sum()))
