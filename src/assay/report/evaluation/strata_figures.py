"""Error bars by strata, drawn: Axes in, Axes out. Rows are those of `assay.evaluation.strata.by_strata`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from assay.evaluation.figures import Ends, Stratum
from assay.evaluation.result import Strata
from assay.report.evaluation.figures import legend_above, plain_decades, span
from assay.report.kit.theme import MUTED, SERIES


def consistency(ax: Axes, series: Strata, unit: str, factor: float) -> Axes:
    """RMSE with its interval against the bar, log-log, by strata of the bar; on the diagonal bars are right."""
    rows = [row for found in series.values() for row in found]
    both = np.array([[row.bar or np.nan, row.rmse or np.nan] for row in rows]) * factor
    limits = span(both[np.isfinite(both)])
    ax.plot(limits, limits, color=MUTED, lw=1.2, label="as promised")
    for i, (name, found) in enumerate(series.items()):
        points = [(row.bar, row.rmse, row.rmse_95 or (row.rmse, row.rmse)) for row in found if row.bar]
        x, y = (factor * np.array(column) for column in list(zip(*points, strict=True))[:2])
        low, high = factor * np.array([ends for _, _, ends in points]).T
        ax.plot(x, y, "os"[i], ms=4, color=SERIES[i], label=name)
        ax.vlines(x, low, high, color=SERIES[i], lw=1.2)
    ax.set(xscale="log", yscale="log", xlim=limits, ylim=limits, xlabel=f"error bar ({unit})", ylabel=f"RMSE ({unit})")
    plain_decades(ax.xaxis)
    plain_decades(ax.yaxis)
    return legend_above(ax)


def adaptivity(ax: Axes, rows: Sequence[Stratum]) -> Axes:
    """A point and its interval for each stratum: ⟨z²⟩ on a logarithmic axis, or for intervals the share in 68 %."""
    names = [row.stratum or "no name" for row in rows]
    z = all(row.z_mean_square for row in rows)
    right = 1.0 if z else 0.68
    for y, row in enumerate(rows):
        value, ends = _point(row, z)
        ax.plot(value, y, "o", ms=5, color=SERIES[0])
        if ends is not None:
            ax.hlines(y, *ends, color=SERIES[0], lw=1.6)
    ax.axvline(right, color=MUTED, lw=1.2)
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    if z:
        values = [v for row in rows for v in (row.z_mean_square, *(row.z_mean_square_95 or ())) if v and v > 0]
        ax.set(xscale="log", xlim=span(np.array([*values, right])), xlabel="⟨(error / bar)²⟩: above 1 too small")
        plain_decades(ax.xaxis)
    else:
        ax.set(xlim=(0, 1), xlabel="share in the 68 % interval: below 68 % too small")
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    return ax


def _point(row: Stratum, of_z: bool) -> tuple[float, Ends | None]:
    """⟨z²⟩, or the share in 68 %, with its interval."""
    if of_z and row.z_mean_square is not None:
        return row.z_mean_square, row.z_mean_square_95
    return row.coverage[0.68], row.coverage_95[0.68]
