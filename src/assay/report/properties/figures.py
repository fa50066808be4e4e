"""The diagrams of properties, Axes in, Axes out: members in grey, the best fit in colour. M members, N numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from assay.propagation.ranking import Ranking
from assay.propagation.result import Propagated
from assay.report.kit.theme import ALERT, INK, MUTED, SERIES
from assay.results.arrays import Array

GREY = "#8c8c8c"
"""Of members: drawn as pixels, which can't follow the page's colours; readable on light and dark."""


def strip(ax: Axes, names: Sequence[str], numbers: Sequence[Propagated], references: Sequence[Array | None]) -> Axes:
    """Like numbers side by side, each with all its members."""
    places = np.arange(len(numbers))
    for place, each in zip(places, numbers, strict=True):
        at = np.full(each.count, place) + _spread(each.count)
        ax.plot(at, each.finite, "o", ms=2.5, mew=0, alpha=_faint(each.count), color=GREY, rasterized=True)
    values, bars = (np.array([getattr(each, part) for each in numbers]) for part in ("value", "std"))
    bars = np.nan_to_num(bars)
    ax.errorbar(places, values, bars, fmt="o", ms=5, lw=1.8, capsize=4, color=SERIES[0], label="best fit ± std")
    known = [place for place, reference in zip(places, references, strict=True) if reference is not None]
    if known:
        true = [float(reference) for reference in references if reference is not None]
        ax.plot(known, true, "D", ms=5, color=ALERT, label="reference")
    ax.plot([], [], "o", ms=4, mew=0, color=GREY, label="members")
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right"} if sum(map(len, names)) > 30 else {}
    ax.set_xticks(places, names, **slanted)
    ax.set_xlim(-0.6, len(numbers) - 0.4)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel(numbers[0].unit)
    return _legend(ax)


def histogram(ax: Axes, number: Propagated, reference: Array | None) -> Axes:
    """One number: how its members are distributed."""
    _bars(ax, number.finite, None)
    ax.axvspan(*_around(float(number.value), float(number.std)), color=SERIES[0], alpha=0.15, lw=0)
    ax.axvline(float(number.value), color=SERIES[0], lw=1.8, label="best fit ± std")
    if reference is not None:
        ax.axvline(float(reference), color=ALERT, lw=1.6, ls="--", label="reference")
    ax.set(xlabel=f"{number.name} ({number.unit})" if number.unit else number.name, ylabel="members")
    return _legend(ax)


def curves(ax: Axes, found: Sequence[Propagated], references: Sequence[Array | None]) -> Axes:
    """Curves over one abscissa, each with all its members."""
    for each, reference in zip(found, references, strict=True):
        x = np.arange(each.value.size) if each.x is None else each.x
        lines = [np.column_stack([x, member]) for member in each.finite]
        ax.add_collection(LineCollection(lines, colors=GREY, alpha=_faint(each.count), lw=0.8, rasterized=True))
        for end in (each.low, each.high):
            ax.plot(x, end, color=MUTED, lw=0.9, ls=":")
        ax.plot(x, each.value, color=SERIES[0], lw=1.8)
        if reference is not None:
            ax.plot(x, reference, color=ALERT, lw=1.6, ls="--")
    styles: dict[str, dict[str, Any]] = {
        "members": {"color": GREY, "lw": 1.2},
        "low and high": {"color": MUTED, "lw": 1.0, "ls": ":"},
        "best fit": {"color": SERIES[0], "lw": 1.8},
    }
    if any(reference is not None for reference in references):
        styles["reference"] = {"color": ALERT, "lw": 1.6, "ls": "--"}
    for label, style in styles.items():
        ax.plot([], [], label=label, **style)
    first = found[0]
    if first.ticks:
        ax.set_xticks([at for at, _ in first.ticks], [label for _, label in first.ticks])
    ax.autoscale_view()
    ax.margins(x=0)
    ax.set(xlabel=first.x_label, ylabel=first.unit)
    return _legend(ax)


def spearman(ax: Axes, ranking: Ranking) -> Axes:
    """How the rank correlations of members with the best fit are distributed."""
    _bars(ax, ranking.spearman[np.isfinite(ranking.spearman)], (-1.0, 1.0))
    ax.axvspan(*_around(ranking.mean, ranking.std), color=SERIES[0], alpha=0.15, lw=0)
    ax.axvline(ranking.mean, color=SERIES[0], lw=1.8, label="mean ± std")
    ax.set(xlabel="Spearman, members against best fit", xlim=(-1.05, 1.05), ylabel="members")
    return _legend(ax)


def _bars(ax: Axes, values: Array, span: tuple[float, float] | None) -> None:
    bins = int(np.clip(np.sqrt(values.size), 5, 30)) if span is None else 40
    counts, edges = np.histogram(values, bins, span)
    ax.stairs(counts, edges, fill=True, color=GREY, alpha=0.5)
    ax.stairs(counts, edges, color=INK, lw=0.8)


def _around(middle: float, width: float) -> tuple[float, float]:
    width = width if np.isfinite(width) else 0.0
    return middle - width, middle + width


def _spread(count: int) -> Array:
    """Sideways places of points, the same every time."""
    return np.asarray(0.25 * (np.arange(count) * 0.618034 % 1 - 0.5))


def _faint(count: int) -> float:
    return float(np.clip(12 / max(count, 1), 0.08, 0.6))


def _legend(ax: Axes) -> Axes:
    ax.figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2)
    return ax
