"""The tables of the numbers of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping

from scipy.special import ndtri

from assay.evaluation.figures import BarFigures, Ends, Part
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation.quantities import (
    DISPLAYED,
)
from assay.report.kit.parts import NONE, Table, counts, number, numbers, percent, shares, texts, written
from assay.results.per_quantity import Quantity
from assay.results.wording import many

MEASURES = {
    "nll": "NLL",
    "crps": "CRPS",
    "ence": "ENCE",
    "miscalibration_area": "Miscalibration area",
    "signed_area": "Signed area",
}
"""Of `BarFigures`."""
COVERAGES = {0.5: "50 %", 0.68: "68 %", 0.9: "90 %", 0.95: "95 %"}


def scores(evaluation: EvaluationResult) -> Table | None:
    """How well each score at each level ranks real errors, and what it flags."""
    rows = [(name, level, found) for name, levels in evaluation.scores.items() for level, found in levels.items()]
    if not rows:
        return None
    columns = [
        texts("Score", (name for name, _, _ in rows)),
        texts("Level", (level for _, level, _ in rows)),
        numbers("Spearman", (found.spearman for _, _, found in rows)),
        numbers("AUROC", (found.auroc for _, _, found in rows)),
        shares("Flagged", (found.flagged for _, _, found in rows)),
    ]
    caption = (
        "Scores against errors, by level. Spearman: 1 is a perfect ranking of the errors. AUROC, for finding the worst "
        "tenth: 0.5 is a coin toss, 1 is perfect."
    )
    if evaluation.symmetry_zero_components:
        moving = numbers("Spearman, moving atoms", (found.spearman_without_symmetry_zeros for _, _, found in rows))
        columns.insert(3, moving)
        caption += " Moving atoms are those whose force does not vanish by symmetry, which is easy to foretell."
    return Table("score-table", caption, tuple(columns))


def error_bars(evaluation: EvaluationResult) -> Table | None:
    """Every number about the error bars: a column a quantity, its constant bar beside it."""
    columns = []
    for name, bar in evaluation.bars.forces_first():
        unit, factor = DISPLAYED[name]
        columns.append(written(f"{name.capitalize()} ({unit})", _bar_cells(bar.name, bar.figures, bar.ause, factor)))
        if bar.constant is not None:
            columns.append(written("constant bar", _bar_cells("constant", bar.constant, None, factor)))
    if not columns:
        return None
    measures = [
        "Error bar",
        "Mean bar: ± at 68 %",
        *(f"Coverage at {text}" for text in COVERAGES.values()),
        *MEASURES.values(),
        "AUSE",
    ]
    caption = (
        "Error bars against errors, each beside one bar of constant width. Coverage should equal its level; for the "
        "other measures smaller is better. NLL is that of errors in eV."
    )
    return Table("bar-table", caption, (texts("Measure", measures), *columns), sortable=False)


def envelopes(evaluation: EvaluationResult) -> Table | None:
    """How many references are outside what the members span, and errors over the members' standard deviation."""
    found = dict(evaluation.envelopes.forces_first())
    if not found:
        return None
    levels = list(next(iter(found.values())).error_over_std)
    columns = (
        texts("Quantity", (f"{name.capitalize()} ({DISPLAYED[name][0]})" for name in found)),
        counts("Values", (one.values for one in found.values())),
        shares("Outside", (one.violation for one in found.values())),
        written("95 % interval", (_ends(one.violation_95) for one in found.values())),
        written("Mean range", (number(DISPLAYED[name][1] * one.mean_range) for name, one in found.items())),
        written("Mean std", (number(DISPLAYED[name][1] * one.mean_std) for name, one in found.items())),
        *(
            written(f"{100 * level:g} %", (number(one.error_over_std[level]) for one in found.values()))
            for level in levels
        ),
    )
    normal = ", ".join(number(float(ndtri(0.5 + 0.5 * level))) for level in levels)
    caption = (
        f"References outside the range of {many(evaluation.members, 'member')} and the best fit, with the "
        "interval of a bootstrap over frames; mean width of the range; mean standard deviation of the members; "
        f"quantiles of |error| over that deviation, which for normal errors of its size are {normal}."
    )
    return Table("envelope-table", caption, columns, sortable=False)


def _ends(interval: Ends | None) -> str:
    return NONE if interval is None else " – ".join(percent(end) for end in interval)


def groups(id: str, head: str, parts: Mapping[str, Part]) -> Table | None:
    """The main numbers of each group of frames or atoms."""
    if not parts:
        return None
    found = list(parts.values())

    def bar(name: Quantity) -> list[float | None]:
        return [mean_bar(_figures(part, name), DISPLAYED[name][1]) for part in found]

    def covered(name: Quantity, level: float) -> list[float | None]:
        return [None if (bar := _figures(part, name)) is None else bar.coverage[level] for part in found]

    def outside(name: Quantity) -> list[float | None]:
        return [None if (one := part.envelopes[name]) is None else one.violation for part in found]

    columns = (
        texts(head, (name or NONE for name in parts)),
        counts("Frames", (part.frames or None for part in found)),
        counts("Atoms", (part.atoms for part in found)),
        numbers("Force RMSE (eV/Å)", [part.errors.force.rmse for part in found]),
        numbers("Force bar (eV/Å)", bar("force")),
        shares("Force coverage at 68 %", covered("force", 0.68)),
        shares("Force coverage at 95 %", covered("force", 0.95)),
        shares("Forces outside members' range", outside("force")),
        numbers("Energy RMSE (meV/atom)", [part.errors.energy.rmse for part in found]),
        numbers("Energy bar (meV/atom)", bar("energy")),
        shares("Energy coverage at 95 %", covered("energy", 0.95)),
        shares("Energies outside members' range", outside("energy")),
    )
    kept = tuple(column for column in columns if any(cell.text != NONE for cell in column.cells))
    return Table(
        id, f"By {head.lower()}: where the errors are, and whether the bars (mean of ± at 68 %) follow them.", kept
    )


def _figures(part: Part, name: Quantity) -> BarFigures | None:
    return None if (bar := part.bars[name]) is None else bar.figures


def _bar_cells(name: str, bar: BarFigures, ause: float | None, factor: float) -> list[str]:
    return [
        name or NONE,
        number(mean_bar(bar, factor)),
        *(percent(bar.coverage[level]) for level in COVERAGES),
        *(number(_scaled(getattr(bar, measure), factor if measure == "crps" else 1.0)) for measure in MEASURES),
        number(ause),
    ]


def mean_bar(bar: BarFigures | None, factor: float) -> float | None:
    """Mean half width of the 68 % intervals (the figures have the full width), times `factor`."""
    return None if bar is None else _scaled(bar.mean_width, 0.5 * factor)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
