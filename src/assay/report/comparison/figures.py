"""The diagrams of a comparison: estimates with their intervals, home against away, cost against quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from assay.comparison.overview import Cell
from assay.report.evaluation.figures import plain_decades
from assay.report.kit.theme import INK, MUTED, SERIES

COLOURS = {"ensemble": SERIES[0], "features": SERIES[1], "control": MUTED}
MARKERS = {"ensemble": "o", "features": "s", "control": "D"}
FLOOR = 1e-2
"""µs per atom: what costs less is drawn here."""
NAMED = ("*", "P", "X", "^")
"""Markers of the methods that a legend names."""


@dataclass(frozen=True)
class Point:
    """A method in a diagram of two figures; `named`: one that the legend names."""

    name: str
    family: str
    x: float
    y: float
    named: bool = False


def forest(
    figure: Figure,
    family: Mapping[str, str],
    rows: Mapping[str, Mapping[str, Cell]],
    xlabel: str,
    nothing: float,
) -> None:
    """A row a method and a column a set of frames: estimate and 95 % interval.

    `rows`: by method from the top, a cell a set; `nothing`: what chance gives. Filled is what is best or not
    significantly worse.
    """
    splits = list(next(iter(rows.values())))
    panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
    for ax, split in zip(panels, splits, strict=True):
        ax.axvline(nothing, color=MUTED, lw=1.2)
        for row, (name, cells) in enumerate(rows.items()):
            found = cells[split].estimate
            if found.value is None:
                continue
            colour = COLOURS[family[name]]
            if found.low is not None and found.high is not None:
                ax.plot([found.low, found.high], [row, row], lw=1.6, color=colour)
            fill = colour if cells[split].mark else "none"
            ax.plot([found.value], [row], MARKERS[family[name]], ms=6, mew=1.3, color=colour, mfc=fill)
        ax.set_title(_short(split), fontsize=10.5, loc="left", color=INK)
        ax.xaxis.set_major_locator(MaxNLocator(4 if len(splits) > 3 else 6))
    panels[0].set_yticks(range(len(rows)), list(rows))
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel(xlabel, fontsize=10.5)


def against_constant(ax: Axes, points: Sequence[Point], xlabel: str, ylabel: str) -> Axes:
    """Interval scores in units of those of the constant bar, `1 - skill`, home against away, log-log."""
    ratios = [replace(point, x=1 - point.x, y=1 - point.y) for point in points]
    ax.axhline(1, color=MUTED, lw=1.0)
    ax.axvline(1, color=MUTED, lw=1.0)
    _points(ax, [point for point in ratios if point.x > 0 and point.y > 0])
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        plain_decades(axis)
        if high < 5 * low:  # too short for more than one of 1, 2, 5
            axis.set_major_locator(MaxNLocator(4))
    return ax


def coverage(ax: Axes, points: Sequence[Point], xlabel: str, ylabel: str) -> Axes:
    """Coverage of 95 % bars, home against away, with what they promise."""
    ax.axhline(0.95, color=MUTED, lw=1.0)
    ax.axvline(0.95, color=MUTED, lw=1.0)
    _points(ax, points)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axis.set_major_locator(MaxNLocator(4))
    return ax


def cost(ax: Axes, points: Sequence[Point], ylabel: str, source: float | None) -> Axes:
    """A figure against the cost per atom, with that of the potential itself."""
    points = [replace(point, x=max(point.x, FLOOR)) for point in points]
    if source:
        ax.axvline(source, color=MUTED, lw=1.2, ls="--", label="the potential itself")
    ax.set(xscale="log", xlabel="cost beside the potential (µs per atom)", ylabel=ylabel)
    _points(ax, points)
    plain_decades(ax.xaxis)
    return ax


def _points(ax: Axes, points: Sequence[Point]) -> None:
    """All points by family, then the named ones above them with markers of their own; a legend outside."""
    for family, colour in COLOURS.items():
        own = [point for point in points if point.family == family and not point.named]
        if own:
            x, y = [point.x for point in own], [point.y for point in own]
            ax.plot(x, y, MARKERS[family], ms=5, mew=1.2, mfc="none", color=colour, label=family)
    for marker, point in zip(NAMED, (p for p in points if p.named), strict=False):
        ax.plot([point.x], [point.y], marker, ms=9, mew=0, color=COLOURS[point.family], label=point.name)
    ax.figure.legend(loc="outside upper left", ncols=1 if any(p.named for p in points) else 3, columnspacing=1.2)


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
