"""The diagrams, one function each: Axes in, Axes out. N is the number of errors or scores."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from assay.evaluation.barred import Barred, width
from assay.evaluation.diagrams import CoverageCurve, Reliability, Sparsification, SpreadRatios
from assay.report.evaluation.quantities import DISPLAYED, width_name
from assay.report.kit.theme import ALERT, INK, MUTED, PAGE, SERIES, colour_scale, density_map
from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.results.per_quantity import PerQuantity, Quantity
from assay.results.residuals import Enveloped
from assay.results.score import Score
from assay.results.wording import many

FEW = 600
"""Up to this many points are drawn one by one, more as a density."""
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def error_against_bar(ax: Axes, quantity: Barred) -> Axes:
    """|error| against the size of its bar, log-log, with the lines that a stated share of errors stays under."""
    bar, error = width(quantity.bar), np.abs(quantity.error)
    shown = drawable(quantity)
    x, y = bar[shown], error[shown]
    left, right = span(x)
    bottom, top = span(np.append(np.quantile(y, [0.005, 1.0]), [left, right]))
    if len(x) <= FEW:
        ax.plot(x, y, "o", ms=5 if len(x) < 60 else 3, mew=0, alpha=0.65, color=SERIES[0])
    else:
        cells = int(np.clip(np.sqrt(len(x)) / 2, 25, 60)) + 1
        _density(ax, x, y, np.geomspace(left, right, cells), np.geomspace(bottom, top, cells))
    ends, halo = np.array([left, right]), [withStroke(linewidth=3.5, foreground=PAGE)]
    for (name, factor), style in zip(_guides(quantity).items(), _STYLES, strict=False):
        ax.plot(ends, factor * ends, linestyle=style, lw=1.4, color=INK, label=name, path_effects=halo)
    ax.set(xscale="log", yscale="log", xlim=(left, right), ylim=(bottom, top))
    ax.set_xlabel(f"error bar, {width_name(quantity.bar)} ({quantity.bar.unit})")
    ax.set_ylabel(f"|error| ({quantity.bar.unit})")
    plain_decades(ax.xaxis)
    plain_decades(ax.yaxis)
    return legend_above(ax)


def drawable(quantity: Barred) -> NDArray[np.bool_]:
    """Which errors have a place on logarithmic axes: nonzero, with a finite bar above zero; `(N,)`."""
    bar = width(quantity.bar)
    return np.asarray(np.isfinite(bar) & (bar > 0) & (quantity.error != 0))


def coverage(ax: Axes, curves: PerQuantity[CoverageCurve]) -> Axes:
    """Share of errors inside the bars against the share promised, one line a quantity, with the diagonal."""
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1.2, label="as promised")
    for i, (name, curve) in enumerate(curves.forces_first()):
        ax.plot(curve.promised, curve.inside, marker="osD"[i], ms=3.5, ls=_STYLES[i], color=SERIES[i], label=name)
    ax.text(0.04, 0.94, "bars too wide", color=MUTED, va="top")
    ax.text(0.96, 0.06, "bars too narrow", color=MUTED, ha="right")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="share promised", ylabel="share of errors inside")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    return legend_above(ax)


def rmse_against_rmv(ax: Axes, name: Quantity, bins: Reliability) -> Axes:
    """RMSE against the root mean variance of bins of equal count, log-log, with the diagonal."""
    unit, factor = DISPLAYED[name]
    rmv, rmse = factor * bins.rmv, factor * bins.rmse
    shown = (rmv > 0) & (rmse > 0)
    limits = span(np.append(rmv[shown], rmse[shown]))
    ax.plot(limits, limits, color=MUTED, lw=1.2, label="as promised")
    ax.plot(
        rmv[shown],
        rmse[shown],
        "o-",
        ms=4,
        lw=1,
        color=SERIES[0],
        label=f"{many(shown.sum(), 'bin')} of {name}",
    )
    ax.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    ax.set_xlabel(f"error predicted: root mean variance ({unit})")
    ax.set_ylabel(f"error found: RMSE ({unit})")
    plain_decades(ax.xaxis)
    plain_decades(ax.yaxis)
    return legend_above(ax)


def sparsification(ax: Axes, curves: Sparsification, unit: str) -> Axes:
    """Mean |error| of what is left as the riskiest are taken out: by each ranking, by the error, at random."""
    for i, (name, left) in enumerate(curves.left.items()):
        ax.plot(curves.removed, left, ls=_STYLES[i], lw=1.6, color=SERIES[i], label=name)
    ax.plot(curves.removed, curves.oracle, color=INK, lw=1.2, label="oracle")
    ax.axhline(curves.oracle[0], color=MUTED, lw=1.2, label="random")
    ax.set(xlim=(0, 1), xlabel="share taken out, riskiest first", ylabel=f"mean error of the rest ({unit})")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    return legend_above(ax)


def envelope(ax: Axes, values: Enveloped, unit: str, factor: float) -> Axes:
    """A parity plot with its diagonal laid flat: reference and members' range, less the prediction, against it."""
    shown = drawn(values)
    x = values.predicted[shown]
    y, low, high = (factor * (each[shown] - x) for each in (values.label, values.envelope.low, values.envelope.high))
    gap = np.full(x.size, np.nan)
    ranges = np.stack([low, high, gap], axis=1).ravel()
    ax.plot(np.repeat(x, 3), ranges, lw=1.6, color=SERIES[0], alpha=0.35, label="members")
    outside = values.outside[shown]
    for which, colour, name in ((~outside, INK, "reference inside"), (outside, ALERT, "outside")):
        ax.plot(x[which], y[which], "o", ms=2.5, mew=0, color=colour, label=name)
    ax.axhline(0, color=MUTED, lw=1.0)
    end = 1.1 * max(np.abs(y).max(), np.quantile(np.abs([low, high]), 0.95))
    ax.set_ylim((-end, end) if end else None)
    ax.set(xlabel=f"prediction ({unit.removeprefix('m')})", ylabel=f"reference - prediction ({unit})")
    return legend_above(ax)


def drawn(values: Enveloped) -> NDArray[np.intp]:
    """Which values an envelope shows: all, or `FEW` taken at random (always the same), which keeps their shares."""
    n = values.label.size
    return np.arange(n) if n <= FEW else np.sort(np.random.default_rng(0).choice(n, FEW, replace=False))


def error_over_spread(ax: Axes, found: SpreadRatios) -> Axes:
    """Histograms of error over spread, of members and of the bar, beside the normal distribution."""
    edges = found.members.histogram.edges
    least = 1.0
    for i, (name, ratios) in enumerate((("members' deviation", found.members), ("error bar", found.bar))):
        if ratios is None:
            continue
        ax.stairs(ratios.histogram.share, edges, lw=1.5, ls=_STYLES[i], color=SERIES[i], label=name)
        least = min(least, 0.5 / ratios.values)
        if not i:
            ax.plot(0.5 * (edges[1:] + edges[:-1]), ratios.histogram.normal, color=INK, lw=1.2, label="normal")
    ax.set(yscale="log", ylim=(least, 1.0), xlim=edges[[0, -1]], xlabel="error / spread", ylabel="share of values")
    plain_decades(ax.yaxis)
    return legend_above(ax)


def score_distribution(ax: Axes, score: Score, training: Array | None) -> Axes:
    """Histograms of a score for these and for training frames, with its threshold; log x where `positive`."""
    series = {"these frames": score.values} | ({} if training is None else {"training": training})
    values = np.concatenate(list(series.values()))
    values = values[np.isfinite(values)]
    bins = int(np.clip(np.sqrt(len(score.values)), 8, 40)) + 1
    if positive(score):
        values = values[values > 0]
        edges = np.geomspace(values.min() / 1.02, values.max() * 1.02, bins)
        marks = values if score.threshold is None else np.append(values, score.threshold)
        ax.set(xscale="log", xlim=span(marks[marks > 0]))
        plain_decades(ax.xaxis)
    else:
        edges = np.histogram_bin_edges(values, bins - 1)
    for i, (name, given) in enumerate(series.items()):
        share = np.histogram(given[np.isfinite(given)], edges)[0] / len(given)
        ax.stairs(share, edges, fill=True, alpha=0.25, color=SERIES[i])
        ax.stairs(share, edges, lw=1.4, ls=_STYLES[i], color=SERIES[i], label=name)
    if score.threshold is not None:
        ax.axvline(score.threshold, color=ALERT, lw=1.4, ls=_STYLES[3], label=f"threshold {score.threshold:.3g}")
    ax.set(xlabel=score.name, ylabel="share of values")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    return legend_above(ax)


def positive(score: Score) -> bool:
    """Whether a logarithmic axis suits the score: nine in ten values are above zero."""
    return bool(np.mean(score.values > 0) > 0.9)


def _density(ax: Axes, x: Array, y: Array, columns: Array, rows: Array) -> None:
    """How many points each cell of a grid holds, on a logarithmic colour scale; empty cells stay clear."""
    count = np.histogram2d(x, y, bins=(columns, rows))[0].T
    mesh = ax.pcolormesh(
        columns,
        rows,
        np.ma.masked_equal(count, 0),
        cmap=density_map(),
        norm=LogNorm(1, max(2.0, count.max())),
        rasterized=True,
    )
    plain_decades(colour_scale(ax, mesh, "errors per cell", pad=0.02, aspect=30).yaxis)


def _guides(quantity: Barred) -> dict[str, float]:
    """Lines of |error| / bar by name: 1σ and 2σ of Gaussian bars, the 68 and 95 % ends of intervals."""
    if isinstance(quantity.bar, Gaussian):
        return {"1σ: 68 % below": 1.0, "2σ: 95 % below": 2.0}
    below, above = quantity.bar.factor(0.68), quantity.bar.factor(0.95)
    one = np.isfinite(above) & (below > 0)
    ratio = np.unique(above[one] / below[one])
    return {"68 % below": 1.0} | ({"95 % below": float(ratio[0])} if one.all() and len(ratio) == 1 else {})


def span(values: Array) -> tuple[float, float]:
    """Limits of a logarithmic axis around positive values, at least a decade apart."""
    low, high = values.min() / 1.2, values.max() * 1.2
    grow = np.sqrt(max(10 * low / high, 1.0))
    return float(low / grow), float(high * grow)


def plain_decades(axis: Axis) -> None:
    """Ticks of a logarithmic axis as a person writes them: 0.01, 0.1, 1, 10⁻⁵; 1, 2, 5 on a short one."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 50 else (1.0, 2.0, 5.0), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    """0.02, 300, 10⁻⁵, 2×10⁻⁵."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    lead, exponent = f"{value:.0e}".split("e")
    return ("" if lead == "1" else f"{lead}×") + "10" + str(int(exponent)).translate(_SUPERSCRIPT)


def legend_above(ax: Axes) -> Axes:
    """Name the lines above the axes, where they can't cover data."""
    count = len(ax.get_legend_handles_labels()[0])
    ax.figure.legend(loc="outside upper left", ncols=2 if count in {2, 4} else 3, columnspacing=1.2)
    return ax
