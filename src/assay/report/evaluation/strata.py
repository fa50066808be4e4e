"""The section about error bars by strata: are they right for every size, species, coordination and group?"""

from __future__ import annotations

from collections.abc import Sequence

from assay.evaluation.figures import Ends, Stratum
from assay.evaluation.result import STRATIFIED, EvaluationResult, Strata
from assay.report.evaluation import strata_figures
from assay.report.evaluation.quantities import DISPLAYED
from assay.report.kit import theme
from assay.report.kit.parts import NONE, Panel, Section, Table, counts, number, numbers, percent, shares, texts, written
from assay.results.per_quantity import Quantity

DIVISIONS = {
    "bar": "size of the bar, equal counts",
    "bar_log": "size of the bar, equal ranges",
    "species": "species",
    "coordination": "coordination",
    "config_type": "group",
    "frame_size": "atoms of the frame",
}
"""What divides values into strata: see `assay.evaluation.strata`."""
MOST = 20
"""Strata that a figure shows; a table has all."""


def strata(evaluation: EvaluationResult | None) -> list[Section]:
    """Bars by their size, and by species, coordination, group and size of the frame; no section without figures."""
    section = Section(
        "strata",
        "Do the error bars hold everywhere?",
        "Bars that are right on average can be too small for one kind of atom and too large for another.",
    )
    if evaluation is None:
        return []
    for quantity in STRATIFIED:
        found = _divided(evaluation.strata[quantity])
        for name, rows in found.items():
            if not name.startswith("bar"):
                section.panels.append(_adaptivity(quantity, name, rows))
        sizes = {label: found[name] for name, label in _BY_SIZE.items() if name in found}
        bar = evaluation.bars[quantity]
        if any(row.bar for rows in sizes.values() for row in rows) and bar is not None and bar.figures.nll is not None:
            section.panels.insert(0, _consistency(quantity, sizes))
        if found:
            section.tables.append(_table(quantity, found))
    return [section] if section.tables else []


def _divided(divisions: Strata | None) -> Strata:
    """What divides the values into more than one stratum."""
    return {name: rows for name, rows in (divisions or {}).items() if len(rows) > 1}


_BY_SIZE = {"bar": "equal counts", "bar_log": "equal ranges"}


def _consistency(quantity: Quantity, sizes: Strata) -> Panel:
    unit, factor = DISPLAYED[quantity]
    return Panel(
        f"consistency-{quantity}",
        f"{quantity.capitalize()} errors by the size of their bars",
        theme.svg(
            lambda ax: strata_figures.consistency(ax, sizes, unit, factor),
            id=f"consistency-{quantity}",
            label=f"Root mean square {quantity} error against the error bar, with intervals, on logarithmic axes",
        ),
        "Consistency: at every size of bar the errors should have that size. Vertical lines are 95 % intervals from "
        "resampling whole frames: where they cross the diagonal, the data say nothing against the bars.",
    )


def _adaptivity(quantity: Quantity, name: str, rows: Sequence[Stratum]) -> Panel:
    shown = sorted(rows, key=lambda row: -row.values)[:MOST]
    caption = (
        "Adaptivity: every row should be on the line. Horizontal lines are 95 % intervals from resampling frames; "
    )
    caption += "a row without one comes from a single frame."
    if len(shown) < len(rows):
        caption += f" Shown are the {MOST} largest of {len(rows)}."
    return Panel(
        f"adaptivity-{quantity}-{name}",
        f"{quantity.capitalize()} bars by {DIVISIONS[name]}",
        theme.svg(
            lambda ax: strata_figures.adaptivity(ax, [row for row in rows if row in shown]),
            id=f"adaptivity-{quantity}-{name}",
            label=f"Mean squared ratio of {quantity} error and bar by {DIVISIONS[name]}, with intervals",
            size=(4.2, 1.3 + 0.28 * len(shown)),
        ),
        caption,
    )


def _table(quantity: Quantity, found: Strata) -> Table:
    """The error bars of a quantity by strata."""
    rows = [(name, row) for name, strata in found.items() for row in strata]
    unit, factor = DISPLAYED[quantity]
    columns = (
        texts("By", (DIVISIONS[name] for name, _ in rows)),
        texts("Stratum", (row.stratum or NONE for _, row in rows)),
        counts("Values", (row.values for _, row in rows)),
        counts("Frames", (row.frames for _, row in rows)),
        numbers(f"Bar ({unit})", (None if row.bar is None else factor * row.bar for _, row in rows)),
        numbers(f"RMSE ({unit})", (factor * row.rmse for _, row in rows)),
        written("⟨z²⟩", (number(row.z_mean_square) for _, row in rows)),
        written("95 % interval", (_between(row.z_mean_square_95) for _, row in rows)),
        shares("In 68 %", (row.coverage[0.68] for _, row in rows)),
        shares("In 95 %", (row.coverage[0.95] for _, row in rows)),
        written("95 % interval of it", (_shares(row.coverage_95[0.95]) for _, row in rows)),
    )
    caption = (
        f"Bars of the {quantity} by strata. ⟨z²⟩, the mean of (error/σ)², is 1 where bars have the size of the "
        "errors; above 1 they are too small. Intervals come from resampling whole frames."
    )
    return Table(f"strata-{quantity}", caption, columns)


def _between(interval: Ends | None) -> str:
    return NONE if interval is None else " – ".join(number(end) for end in interval)


def _shares(interval: Ends | None) -> str:
    return NONE if interval is None else " – ".join(percent(end) for end in interval)
