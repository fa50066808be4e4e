"""Do a method's error bars hold, at home and away, and are they narrower than one that is the same everywhere?

On calibration frames they are cross-fitted: fitted to one half of the frames and judged on the other.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from assay.calibration import fit_calibrator
from assay.calibration.bar_name import CalibratorName
from assay.calibration.remarks import remarks
from assay.comparison.estimate import Resampled
from assay.comparison.figures import BarFigures
from assay.comparison.methods import CONSTANT, Method
from assay.comparison.split import Split
from assay.gauge.spreads import sampled
from assay.metrics import ence, ence_samples, gaussian_crps, gaussian_nll
from assay.metrics.bootstrap import FrameBootstrap
from assay.metrics.calibration import signed_miscalibration_area
from assay.results.arrays import Array
from assay.results.error_bars import ONE_SIGMA, ErrorBar, Gaussian
from assay.results.per_quantity import Quantity
from assay.results.score import NO_FACTS
from assay.results.warning import unheard

LEVELS = (0.5, 0.68, 0.9, 0.95)
SCORED = 0.9
"""The level of the intervals whose interval score is compared."""
BINS = 20
"""Of ENCE, at most: the same for all splits and methods that have as many values."""


class NotApplicable(ValueError):
    """These scores can't become error bars in this way; the message says why."""


@dataclass(frozen=True)
class Judged:
    """Errors, half widths at `LEVELS` and, of normal bars, standard deviations, each `(n,)`; remarks on calibration."""

    error: Array
    half: dict[float, Array]
    std: Array | None
    resamples: FrameBootstrap
    remarks: tuple[str, ...] = ()

    @cached_property
    def interval_score(self) -> Resampled:
        """`assay.metrics.interval_score` at `SCORED`, with resamples; NaN where an interval is infinite."""
        h = self.half[SCORED]
        of_each = 2 * h + 2 / (1 - SCORED) * np.maximum(np.abs(self.error) - h, 0)
        if not np.isfinite(of_each).all():
            return Resampled(float("nan"), np.full(len(self.resamples), np.nan))
        return Resampled(float(of_each.mean()), self.resamples.mean(of_each))

    def coverage(self, level: float) -> Resampled:
        inside = (np.abs(self.error) <= self.half[level]).astype(float)
        return Resampled(float(inside.mean()), self.resamples.mean(inside))

    def ence(self) -> Resampled | None:
        """In `BINS` bins of equal count, whose edges stay what they are when frames are resampled."""
        if self.std is None or not _proper(self.std):
            return None
        bins = min(BINS, len(self.error))
        samples = ence_samples(self.error, self.std, self.resamples, bins)
        return Resampled(ence(self.error, self.std, bins), samples)

    def figures(self, skill: Resampled) -> BarFigures:
        """All of them, with this skill against the constant bar."""
        mean_width = float(2 * self.half[0.68].mean())
        of_bins = self.ence()
        normal: dict[str, float] = {}
        if self.std is not None and _proper(self.std):
            functions = (gaussian_nll, gaussian_crps, signed_miscalibration_area)
            normal = {
                name: float(f(self.error, self.std)) for name, f in zip(("nll", "crps", "area"), functions, strict=True)
            }
        return BarFigures(
            coverage={level: self.coverage(level).estimate() for level in LEVELS},
            mean_width=mean_width if np.isfinite(mean_width) else None,
            interval_score=self.interval_score.estimate(),
            skill=skill.estimate(),
            ence=None if of_bins is None else of_bins.estimate(),
            remarks=self.remarks,
            **normal,
        )


def skill(judged: Judged, constant: Judged) -> Resampled:
    """`1 - ⟨S⟩ / ⟨S_constant⟩` of the interval scores: 0 as good as the constant bar, 1 perfect."""
    ours, theirs = judged.interval_score, constant.interval_score
    with np.errstate(invalid="ignore", divide="ignore"):
        return Resampled(1 - ours.value / theirs.value, 1 - ours.samples / theirs.samples)


def bars(
    split: Split,
    calibration: Split,
    method: Method,
    quantity: Quantity,
    calibrator: CalibratorName,
) -> Judged:
    """Error bars of a method on a split: fitted to the calibration frames, or cross-fitted where they are the split.

    Raises `NotApplicable`.
    """
    spread, at_home = (each.spread(method, quantity) for each in (split, calibration))
    if spread is None or at_home is None:
        raise NotApplicable(f"no spread of the {quantity}")
    facts, kind = NO_FACTS if method.score is None else method.score.facts, calibrator.kind
    if facts.kind == "order" and not kind.by_order:
        raise NotApplicable("no error is a multiple of a logarithm")
    error = split.quantities[quantity].error
    fitted_to = calibration.halves(quantity) if split is calibration else np.ones(len(at_home), dtype=bool)
    try:
        with unheard(), warnings.catch_warnings(action="ignore", category=UserWarning):
            members, components = sampled(facts, quantity, method.members)
            group = calibration.group(quantity, calibrator.grouping)
            held_out = replace(
                calibration.quantities[quantity],
                spread=at_home, group=group, members=members, components=components,
            )  # fmt: skip
            zero, group = np.zeros_like(error), split.group(quantity, calibrator.grouping)
            emptier = split.emptier(quantity)
            told = []
            for part in (fitted_to, ~fitted_to) if split is calibration else (fitted_to,):
                bar = fit_calibrator(kind, held_out.at(part)).bar(zero, spread, "", group)
                if emptier.any():  # as in `assay.Gauge.assessment`
                    constant = fit_calibrator(kind, held_out.without_score().at(part)).bar(zero, zero + 1.0, "")
                    bar = bar.no_narrower(np.where(emptier, constant.half_width(ONE_SIGMA), 0.0))
                told.append(_told(bar))
            noticed = tuple(remarks(kind, held_out)) if method is not CONSTANT else ()
    except ValueError as reason:
        raise NotApplicable(str(reason)) from reason
    if split is calibration:  # the bar that was fitted to the other half
        told[0] = tuple(np.where(fitted_to, there, here) for here, there in zip(*told, strict=True))
    *half, std = told[0]
    gaussian = not np.isnan(std).any()
    half_widths = dict(zip(LEVELS, half, strict=True))
    return Judged(error, half_widths, std if gaussian else None, split.resampled[quantity], noticed)


def _told(bar: ErrorBar) -> tuple[Array, ...]:
    """Half widths at `LEVELS`, and the standard deviation, NaN of what is no normal distribution."""
    std = bar.std if isinstance(bar, Gaussian) else np.full(np.shape(bar.mean), np.nan)
    return (*(bar.half_width(level) for level in LEVELS), std)


def _proper(std: Array) -> bool:
    return bool(np.isfinite(std).all() and (std > 0).all())
