"""Errors, scores and error bars held against labels: the numbers of `assay evaluate`, as a JSON-ready dictionary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.evaluation.strata import by_strata, of_atoms, of_frames
from assay.metrics import (
    areas_over_and_under,
    ause,
    coverage,
    ence,
    ence_by_chance,
    ence_interval,
    envelope_violation,
    envelope_violation_interval,
    error_ratio_histogram,
    error_ratio_quantiles,
    flagged_fraction,
    gaussian_crps,
    gaussian_nll,
    interval_score,
    mae,
    miscalibration_area,
    rmse,
    roc_auc,
    signed_miscalibration_area,
    spearman,
    vector_coverage,
    worst_decile,
)
from assay.regions.neighbourhoods import frame_max, frame_mean
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import ErrorBar, Gaussian
from assay.results.per_quantity import PerQuantity, Quantity, together
from assay.results.residuals import Enveloped, Residuals, enveloped

LEVELS = (0.5, 0.68, 0.9, 0.95)
RATIO_LEVELS = (*LEVELS, 0.99)
"""Quantiles of |error| over its spread: 0.674, 0.994, 1.645, 1.960 and 2.576 for normal errors."""
RATIO_EDGES = np.linspace(-6.0, 6.0, 49)
"""Bins of the histogram of error over spread."""
PROMISED = np.linspace(0.0, 1.0, 51)
"""Levels at which intervals are held against errors for their miscalibration area."""
Mask = NDArray[np.bool_]
ConstantBar = Callable[[Quantity, Array], ErrorBar | None]


def evaluation(
    assessment: Assessment, constant_bar: ConstantBar, neighbours: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """All of `assay evaluate` for labelled frames, in total, per config_type and per element, and by strata.

    `constant_bar(quantity, mean)` gives the bar that is the same everywhere; `neighbours` `(A,)` divides atoms by their
    coordination. Numbers that are not defined (a rank correlation of constants, a likelihood of intervals) are `None`.
    Raises `ValueError` without labels or predictions.
    """
    batch, labels = assessment.batch, assessment.batch.labels
    if labels is None:
        raise ValueError("evaluation needs labelled frames")
    every_frame = np.ones(len(batch.names), dtype=np.bool_)
    every_atom = np.ones(len(batch.numbers), dtype=np.bool_)
    kinds = np.array(batch.config_types)
    by_kind = {}
    for kind in np.unique(kinds):
        frames = kinds == kind
        by_kind[str(kind)] = _part(assessment, labels, constant_bar, frames, frames[batch.frame_of_atom])
    by_element = {}
    for z in np.unique(batch.numbers):
        atoms = batch.numbers == z
        by_element[chemical_symbols[z]] = _part(assessment, labels, constant_bar, np.zeros_like(every_frame), atoms)
    whole = _part(assessment, labels, constant_bar, every_frame, every_atom)
    for quantity, values in enveloped(batch, labels).items():
        shares = error_ratio_histogram(values.residuals.error, values.residuals.spread, RATIO_EDGES)
        columns = dict(zip(("edges", "share", "normal"), (RATIO_EDGES, *shares), strict=True))
        whole["envelope"][quantity]["histogram"] = {name: column.tolist() for name, column in columns.items()}
    whole["strata"] = _strata(assessment, labels, neighbours)
    return {
        "frames": len(batch.names),
        "atoms": len(batch.numbers),
        "skipped": len(assessment.failed),
        "symmetry_zero_components": int(batch.still.sum()),
        "members": batch.members,
        **whole,
        "by_config_type": by_kind,
        "by_element": by_element,
    }


def _part(
    assessment: Assessment, labels: Labels, constant_bar: ConstantBar, frames: Mask, atoms: Mask
) -> dict[str, Any]:
    """Errors, scores and error bars of some frames and atoms; no frames: figures of atoms only."""
    batch = assessment.batch
    force_error, energy_error = batch.force_error(labels), batch.energy_error(labels)
    stress_error = batch.errors(labels).stress
    per_atom = np.linalg.norm(force_error, axis=1)
    errors: dict[Level, Array] = {"atom": per_atom, "frame": frame_max(per_atom, batch.offsets)}
    if batch.neighbourhood_error is not None:
        errors["neighbourhood"] = batch.neighbourhood_error

    result: dict[str, Any] = {
        "frames": int(frames.sum()),
        "atoms": int(atoms.sum()),
        "errors": {
            "energy_rmse_meV_per_atom": _number(rmse, 1000 * energy_error[frames]),
            "energy_mae_meV_per_atom": _number(mae, 1000 * energy_error[frames]),
            "force_rmse_eV_per_A": _number(rmse, force_error[atoms]),
            "force_mae_eV_per_A": _number(mae, force_error[atoms]),
            "force_vector_rmse_eV_per_A": _number(rmse, per_atom[atoms]),
            "force_vector_mae_eV_per_A": _number(mae, per_atom[atoms]),
            "largest_force_error_of_frame_rmse_eV_per_A": _number(rmse, errors["frame"][frames]),
            "largest_force_error_of_frame_mae_eV_per_A": _number(mae, errors["frame"][frames]),
            "largest_force_error_eV_per_A": _number(np.max, per_atom[atoms]),
        },
        "scores": {},
    }
    moving_atoms: Mask = np.asarray(~batch.still.all(axis=1))
    moving_frames = frame_max(moving_atoms.astype(float), batch.offsets) > 0
    for (name, level), score in assessment.scores.items():
        here, moving = (frames, moving_frames) if level == "frame" else (atoms, moving_atoms)
        error = np.abs(energy_error) if score.facts.stands_for == "energy" else errors.get(level)
        if error is not None and here.any():
            numbers = _ranking(score.values, error, score.threshold, here, moving)
            result["scores"].setdefault(name, {})[level] = numbers
            if level == "atom" and frames.any():  # means over frames: Heid et al., Eqs. 7-8
                mean, mean_error = (frame_mean(values, batch.offsets) for values in (score.values, error))
                result["scores"][name]["frame_mean"] = _ranking(mean, mean_error, None, frames, moving_frames)

    if stress_error is not None:
        result["errors"]["stress_rmse_meV_per_A3"] = _number(rmse, 1000 * stress_error[frames])
        result["errors"]["stress_mae_meV_per_A3"] = _number(mae, 1000 * stress_error[frames])
    moving = atoms[:, None] & ~batch.still
    result["error_bars"] = {
        "force": _bar(assessment, "force", force_error, moving, constant_bar),
        "energy": _bar(assessment, "energy", energy_error, frames, constant_bar),
        "stress": None if stress_error is None else _bar(assessment, "stress", stress_error, frames, constant_bar),
    }
    result["envelope"] = {"force": None, "energy": None, "stress": None} | {
        quantity: _envelope(values) for quantity, values in enveloped(batch, labels, frames, atoms).items()
    }
    return result


def _ranking(score: Array, error: Array, threshold: float | None, here: Mask, moving: Mask) -> dict[str, Any]:
    """Rank correlation and detection, with and without what vanishes by symmetry."""
    without = here & moving
    return {
        "spearman": _number(spearman, score[here], error[here]),
        "spearman_without_symmetry_zeros": _number(spearman, score[without], error[without]),
        "auroc": _number(roc_auc, score[here], worst_decile(error[here])),
        "flagged": None if threshold is None else _number(flagged_fraction, score[here], threshold),
        "threshold": None if threshold is None else _finite(threshold),
    }


def _bar(
    assessment: Assessment, quantity: Quantity, error: Array, here: Mask, constant_bar: ConstantBar
) -> dict[str, Any] | None:
    """The figures of an error bar on the values `here`, a mask of the rows or the values of `error`."""
    bar, frame = assessment.bars[quantity], assessment.batch.frames_of[quantity]
    if bar is None or frame is None or not here.any():
        return None
    constant = constant_bar(quantity, bar.mean)
    width = bar.half_width(0.68)
    values = Residuals(error[here].ravel(), width[here].ravel(), frame[here].ravel(), quantity=quantity)
    figures = {
        "bar": assessment.bar,
        "unit": bar.unit,
        **_bar_figures(bar.at(here), values),
        "constant_bar": None if constant is None else _bar_figures(constant.at(here), values),
    }
    figures["ause"] = _number(ause, values.spread, values.error)
    if quantity == "force":
        figures["vector_coverage"] = _vectors(bar, error, here)
    return figures


def _vectors(bar: ErrorBar, error: Array, here: Mask) -> dict[str, float] | None:
    """Coverage of whole force vectors, of atoms whose components all move; `None` for intervals and bars of zero."""
    whole = here.all(axis=1)
    if not isinstance(bar, Gaussian) or not whole.any():
        return None
    e, std = error[whole], bar.std[whole]
    if not np.all(np.isfinite(std) & (std > 0)):
        return None
    return {str(level): vector_coverage(e, std, level) for level in LEVELS}


def _strata(assessment: Assessment, labels: Labels, neighbours: NDArray[np.int64] | None) -> dict[str, Any]:
    """Error bars of forces and energies by parts of the data: see `assay.evaluation.strata.by_strata`; `None` without a
    bar."""
    batch = assessment.batch
    divisions = PerQuantity(energy=of_frames(batch), force=of_atoms(batch, neighbours))
    columns = (assessment.bars, batch.errors(labels), batch.counted, batch.frames_of, divisions)
    found = {quantity: by_strata(*values) for quantity, *values in together(*columns) if values[2].any()}
    return {quantity: found.get(quantity) for quantity in ("force", "energy")}


def _envelope(values: Enveloped) -> dict[str, Any]:
    """Share of labels outside the members' envelope with its 95 % interval, and |error| over the members' spread.

    `mean_range` is the mean distance of the envelope's ends, in the unit of the quantity (energies per atom).
    """
    y, low, high = values.label, values.envelope.low, values.envelope.high
    ends = envelope_violation_interval(y, low, high, values.residuals.frame)
    ratios = error_ratio_quantiles(values.residuals.error, values.residuals.spread, RATIO_LEVELS)
    return {
        "values": y.size,
        "violation": envelope_violation(y, low, high),
        "violation_95": None if np.isnan(ends).any() else list(ends),
        "mean_range": float(np.mean(high - low)),
        "mean_std": float(np.mean(values.residuals.spread)),
        "error_over_std": {str(level): _finite(ratio) for level, ratio in ratios.items()},
    }


def _bar_figures(bar: ErrorBar, values: Residuals) -> dict[str, Any]:
    """Coverage with width, and ratios of error and bar and proper scores where the bar is a distribution.

    `mean_width` is the mean full width of the 68 % intervals; `without_bar` counts errors with a zero or infinite bar.
    `signed_area` is above 0 for bars that are too small. `ence_95` is the interval of ENCE by resampling frames, and
    `ence_by_chance` the mean and the 95 % quantile of what right bars have.
    """
    e = values.error
    half = {level: bar.half_width(level).ravel() for level in LEVELS}
    figures: dict[str, Any] = {
        "values": e.size,
        "mean_width": _finite(2 * float(np.mean(half[0.68]))),
        "coverage": {str(level): _number(coverage, e, width) for level, width in half.items()},
        "width": {str(level): _finite(2 * float(np.mean(width))) for level, width in half.items()},
    }
    figures["interval_score"] = {str(level): _number(interval_score, e, width, level) for level, width in half.items()}
    names = ("ence", "nll", "crps", "miscalibration_area", "signed_area", "ence_95", "ence_by_chance")
    if not isinstance(bar, Gaussian):
        held = [np.mean(np.abs(e) <= bar.half_width(level).ravel()) for level in PROMISED]
        over, under = areas_over_and_under(PROMISED, held)
        return figures | dict.fromkeys(names) | {"miscalibration_area": over + under, "signed_area": over - under}
    std = bar.std.ravel()
    ratios = error_ratio_quantiles(e, std, RATIO_LEVELS)
    figures["error_over_bar"] = {str(level): _finite(ratio) for level, ratio in ratios.items()}
    usable = (std > 0) & np.isfinite(std)
    figures["without_bar"] = int((~usable & (e != 0)).sum())
    if figures["without_bar"]:  # an error with a bar of zero has no likelihood, and leaving it out would flatter
        return figures | dict.fromkeys(names)
    functions = (ence, gaussian_nll, gaussian_crps, miscalibration_area, signed_miscalibration_area)
    figures |= {name: _number(f, e[usable], std[usable]) for name, f in zip(names, functions, strict=False)}
    for name, interval in (("ence_95", ence_interval), ("ence_by_chance", ence_by_chance)):
        ends = interval(e[usable], std[usable], values.frame[usable]) if usable.any() else (np.nan, np.nan)
        figures[name] = list(ends) if np.isfinite(ends).all() else None
    return figures


def _number(function: Callable[..., Any], *arguments: Any) -> float | None:
    """The value, or `None` where it is not defined (nothing there, or not a number)."""
    if np.size(arguments[0]) == 0:
        return None
    return _finite(float(function(*arguments)))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
