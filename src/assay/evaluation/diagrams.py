"""Curves that say how good error bars and rankings are: what a report draws.

Axis letters: n points of a curve, B bins, A atoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from assay.evaluation.barred import Barred, barred, width
from assay.evaluation.envelopes import RATIO_EDGES, ratio_histogram
from assay.evaluation.figures import RatioHistogram
from assay.metrics import coverage_curve, coverages, error_ratios, reliability, sparsification_curve
from assay.results.arrays import Array, ReadOnly
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import Gaussian
from assay.results.per_quantity import PerQuantity
from assay.results.residuals import enveloped

LEVELS = np.linspace(0.05, 0.95, 19)
"""Coverages at which intervals are held against errors; Gaussian bars have the same and 0 and 1."""
BINS = 15
"""Of a reliability diagram, at most; each has ten values or more."""
RANKINGS = 5
"""As many as a diagram can tell apart."""


@dataclass(frozen=True)
class CoverageCurve(ReadOnly):
    """The share of errors inside bars against the share promised, `(n,)` each."""

    promised: Array
    inside: Array


@dataclass(frozen=True)
class Reliability(ReadOnly):
    """RMSE against root mean variance, in the unit of the bar, by bins of equal count of rising bars; `(B,)` each."""

    rmv: Array
    rmse: Array


@dataclass(frozen=True)
class Ratios:
    """How error over spread is distributed.

    | field | meaning |
    |---|---|
    | histogram | of (reference - prediction) over spread |
    | values | how many there are |
    | beyond | the share whose size is beyond the last edge |
    """

    histogram: RatioHistogram
    values: int
    beyond: float


@dataclass(frozen=True)
class SpreadRatios:
    """Errors over the members' deviation as it is, and over the calibrated bar where that is a distribution."""

    members: Ratios
    bar: Ratios | None = None


@dataclass(frozen=True)
class Sparsification(ReadOnly):
    """The mean force error of the atoms that are left as the riskiest are taken out, eV/Å.

    | field | meaning | shape |
    |---|---|---|
    | removed | share taken out | `(n,)` |
    | left | by ranking: `error bar`, or the name of a score of atoms | `(n,)` |
    | oracle | ranked by the error itself | `(n,)` |
    """

    removed: Array
    left: Mapping[str, Array]
    oracle: Array


@dataclass(frozen=True)
class Diagrams:
    """The curves of an evaluation; `sparsification` is `None` where no atom has both an error and a ranking."""

    coverage: PerQuantity[CoverageCurve] = field(default_factory=PerQuantity)
    reliability: PerQuantity[Reliability] = field(default_factory=PerQuantity)
    ratios: PerQuantity[SpreadRatios] = field(default_factory=PerQuantity)
    sparsification: Sparsification | None = None


def diagrams(assessment: Assessment, labels: Labels) -> Diagrams:
    """The curves of error bars, members' envelopes and rankings."""
    bars = barred(assessment, labels)
    spans = enveloped(assessment.batch, labels)
    return Diagrams(
        coverage=bars.map(coverage),
        reliability=bars.map(reliability_of),
        ratios=PerQuantity.of(
            {
                quantity: SpreadRatios(ratios(values.residuals.error, values.residuals.spread), _of_bar(bars[quantity]))
                for quantity, values in spans.items()
            }
        ),
        sparsification=sparsification(assessment, labels),
    )


def coverage(values: Barred) -> CoverageCurve:
    """Promised and found coverage; levels that an interval can't promise are left out."""
    bar = values.bar
    if isinstance(bar, Gaussian):
        return CoverageCurve(*coverage_curve(values.error, bar.std, points=21))
    half = {float(level): bar.half_width(level) for level in LEVELS}
    held = coverages(values.error, {level: h for level, h in half.items() if np.isfinite(h).all()})
    return CoverageCurve(np.array([*held]), np.array([*held.values()]))


def reliability_of(values: Barred) -> Reliability | None:
    """Bins of at least ten values; `None` for intervals, which have no variance."""
    if not isinstance(values.bar, Gaussian):
        return None
    rmv, rmse, _ = reliability(values.error, values.bar.std, int(np.clip(len(values.error) // 10, 1, BINS)))
    return Reliability(rmv, rmse)


def ratios(error: Array, spread: Array) -> Ratios:
    """Of errors (prediction - reference) and spreads, `(N,)` each."""
    beyond = np.abs(error_ratios(error, spread)) > RATIO_EDGES[-1]
    return Ratios(ratio_histogram(-error, spread), error.size, float(np.mean(beyond)))


def _of_bar(values: Barred | None) -> Ratios | None:
    if values is None or not isinstance(values.bar, Gaussian):
        return None
    return ratios(values.error, values.bar.std)


def sparsification(assessment: Assessment, labels: Labels) -> Sparsification | None:
    """By the bar of the force and the first scores of atoms; atoms whose forces vanish by symmetry don't count."""
    error = np.linalg.norm(assessment.batch.force_error(labels), axis=1)
    rankings = dict(list(_rankings(assessment).items())[:RANKINGS])
    if not rankings:
        return None
    known = np.isfinite(error) & ~np.isnan([*rankings.values()]).any(axis=0)
    kept = known & ~assessment.batch.still.all(axis=1)
    if not kept.any():
        return None
    removed, oracle = sparsification_curve(error[kept], error[kept])
    left = {name: sparsification_curve(values[kept], error[kept])[1] for name, values in rankings.items()}
    return Sparsification(removed, left, oracle)


def _rankings(assessment: Assessment) -> dict[str, Array]:
    """What ranks atoms, `(A,)` each, by name: the length of the bar of the force, and scores."""
    bar = assessment.bars.force
    of_bar = {} if bar is None else {"error bar": np.asarray(np.linalg.norm(width(bar), axis=-1))}
    return of_bar | {score.name: score.values for (_, level), score in assessment.scores.items() if level == "atom"}
