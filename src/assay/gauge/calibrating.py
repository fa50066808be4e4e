"""Error bars fitted to labelled frames that were not trained on, with remarks on what makes them doubtful."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.calibration import Calibrator, fit_calibrator
from assay.calibration.bar_name import BarName
from assay.calibration.remarks import ALONE, FEW, TOO_FEW, outlier_share, remarks, too_wide
from assay.frames.compositions import foreign_zero
from assay.gauge.groups import Groups
from assay.gauge.spreads import sampled
from assay.results.arrays import Array
from assay.results.batch import NO_PREDICTIONS, Batch, Labels
from assay.results.per_quantity import PerQuantity, Quantity, together
from assay.results.residuals import Residuals
from assay.results.score import ScoreFacts
from assay.results.warning import warn

Calibrators = PerQuantity[Calibrator]


def fitted(
    batch: Batch, spreads: PerQuantity[Array], bar: BarName, facts: ScoreFacts, group: PerQuantity[Groups]
) -> tuple[Calibrators, Calibrators]:
    """Calibrators of the error bar, and of the bar that is the same for everything, of each quantity.

    Force components that vanish by symmetry are left out of ratios. `spreads` and `facts` are those of the score of the
    bar; `group` has the group of each value where the bar has a grouping. Raises `ValueError` without labels or
    predictions.
    """
    if batch.energy is None or batch.forces is None or spreads.energy is None or spreads.force is None:
        raise ValueError(NO_PREDICTIONS)
    if batch.labels is None:
        raise ValueError("calibration needs labelled frames")
    given = residuals(batch, batch.labels, spreads, facts, group)
    usable = _usable(given, batch, bar)
    for quantity, values in usable.items():
        for remark in remarks(bar.kind, values):
            _warn(quantity, remark)
    for quantity, values in usable.items():
        if TOO_FEW <= len(values.error) < FEW and (share := outlier_share(values.usable(bar.kind.by_order))) > ALONE:
            worst = batch.names[values.frame[np.argmax(np.nan_to_num(values.ratios, posinf=0.0))]]
            _warn(
                quantity, f"one value carries {share:.0%} of α²: it alone sets the scale. Look at the label of {worst}"
            )
    if batch.members == 2:
        warn(
            "the ensemble has two members, whose spread is near zero wherever they happen to agree: bars are as often "
            "far too narrow as too wide. Take three or more",
            stacklevel=3,
        )
    if usable.energy is not None and foreign_zero(batch.fractions[usable.energy.frame], usable.energy.error):
        _warn(
            "energy",
            f"the energies have another zero than the labels ({np.mean(usable.energy.error):+.3g} eV/atom in the "
            "mean), and the bars contain that offset. Shift energies onto the labels (--references labels), or take "
            "bars of forces alone",
        )
    calibrators = usable.map(lambda values: fit_calibrator(bar.kind, values))
    constant = usable.map(lambda values: fit_calibrator(bar.kind, values.without_score()))
    for quantity, own, one, values in together(calibrators, constant, usable):
        for remark in too_wide(bar.score, own, one, values):
            _warn(quantity, remark)
    return calibrators, constant


def residuals(
    batch: Batch, labels: Labels, spreads: PerQuantity[Array], facts: ScoreFacts, group: PerQuantity[Groups]
) -> PerQuantity[Residuals]:
    """What calibrators are fitted to: the values that have an error and a spread."""
    columns = (batch.errors(labels), spreads, batch.counted, batch.frames_of)

    def of_values(quantity: Quantity, here: NDArray[np.bool_]) -> Groups | None:
        each = group[quantity]
        return None if each is None else each[here]

    return PerQuantity.of(
        {
            quantity: Residuals(
                error[here],
                spread[here],
                frame[here],
                of_values(quantity, here),
                *sampled(facts, quantity, batch.members),
                quantity,
            )
            for quantity, error, spread, here, frame in together(*columns)
        }
    )


def _usable(given: PerQuantity[Residuals], batch: Batch, bar: BarName) -> PerQuantity[Residuals]:
    """The quantities with something to calibrate on; warns of the others, and raises `ValueError` without any."""
    least = -np.inf if bar.kind.by_order else 0.0

    def if_usable(values: Residuals) -> Residuals | None:
        return values if np.any(np.isfinite(values.spread) & (values.spread > least)) else None

    usable = given.map(if_usable)
    if not usable:
        raise ValueError(
            f"nothing to calibrate on: none of {len(batch.names)} held-out frames has a value with a positive "
            f"spread ({int(batch.still.sum())} of {batch.still.size} force components vanish by symmetry). Members "
            "that agree exactly were fitted to too few frames: give more, and others to calibrate on with -c"
        )
    for quantity, _ in given.items():
        if usable[quantity] is None:
            labelled = batch.labelled[quantity]
            none = labelled is None or not labelled.any()
            reason = "frame has a label of it" if none else "value has a positive finite spread"
            warn(f"no error bar of the {quantity}: no held-out {reason}", stacklevel=4)
    return usable


def _warn(quantity: Quantity, remark: str) -> None:
    warn(f"error bar of the {quantity}: {remark}", stacklevel=4)
