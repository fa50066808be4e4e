"""The page of transferability: group × group, a heat map for each figure, and the frames of each group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from numpy.typing import NDArray

from assay.evaluation.transferability_result import TABLES, Transferability
from assay.report.kit.page import environment
from assay.report.kit.parts import Panel, Section, Table, counts, number, percent, texts
from assay.report.kit.theme import MUTED, density_map, svg
from assay.results.arrays import Array
from assay.results.wording import many
from assay.storage.files import write_atomically

RIGHT = {"force_coverage_68": 0.68, "force_coverage_95": 0.95, "energy_coverage_95": 0.95, "force_z_mean_square": 1.0}
"""What right bars give."""
SHARES = {"force_coverage_68", "force_coverage_95", "energy_coverage_95", "flagged", "failed"}
WIDEST = 24
"""Groups beyond which a cell has no room for its number."""


def write_transfer_report(path: str | Path, result: Transferability, *, warnings: Sequence[str] = ()) -> None:
    """Write the page to `path`, whole or not at all. Needs matplotlib and jinja2 (the extra `report`)."""
    page = render(result, warnings)
    write_atomically(path, lambda file: file.write(page.encode()))


def render(result: Transferability, warnings: Sequence[str] = ()) -> str:
    """The whole page as text."""
    section = Section(
        "tables",
        "What transfers, and what does not",
        "Each row is a potential with its error bars, fitted to and calibrated on one group; each column is the test "
        "frames of a group. On the diagonal, the frames are like the fitted ones.",
    )
    size = (2.2 + 0.62 * len(result.columns), 1.6 + 0.4 * len(result.rows))
    for name, table in result.tables.items():
        if np.isfinite(table).any() and not (name == "failed" and np.nanmax(table) == 0):
            caption = f"{TABLES[name][0].upper()}{TABLES[name][1:]}."
            if name in RIGHT:
                caption += f" Right bars give {RIGHT[name]:g}."
            if name == "flagged":
                caption += f" Flagged by {result.flag}; on the diagonal these are false alarms."
            draw = partial(heat_map, table=table, rows=result.rows, columns=result.columns, name=name)
            section.panels.append(Panel(name, TABLES[name], svg(draw, id=name, label=TABLES[name], size=size), caption))
    names = list(result.frames)
    heads = ("Fitted", "Calibrated on", "Judged")
    columns = (counts(head, (result.frames[name][i] for name in names)) for i, head in enumerate(heads))
    section.tables.append(Table("groups", "Frames of each group.", (texts("Group", names), *columns), sortable=False))
    section.notes.extend(f"{name} is not fitted: {reason}" for name, reason in result.failed)
    text: str = (
        environment()
        .get_template("transfer.html")
        .render(title="Transferability", said=warnings, judged=many(len(result.columns), "group"), sections=[section])
    )
    return text


def heat_map(ax: Axes, table: Array, rows: tuple[str, ...], columns: tuple[str, ...], name: str) -> Axes:
    """A table `(R, G)` as colours with its numbers: fitted to the row, judged on the column; a dash where undefined."""
    image = ax.imshow(np.ma.masked_invalid(table), cmap=density_map(), norm=_norm(table, name), aspect="auto")
    image.set_rasterized(True)
    ax.set_xticks(range(len(columns)), [c or "no name" for c in columns], rotation=40, ha="right")
    ax.set_yticks(range(len(rows)), [r or "no name" for r in rows])
    ax.set(xlabel="judged on", ylabel="fitted to")
    ax.grid(False)
    write = percent if name in SHARES else number
    if len(columns) <= WIDEST:
        for i, j in np.ndindex(table.shape):
            value = table[i, j]
            shade = image.cmap(image.norm(value))[:3] if np.isfinite(value) else None
            colour = MUTED if shade is None else "black" if np.dot(shade, (0.3, 0.6, 0.1)) > 0.5 else "white"
            ax.text(j, i, write(float(value)).removesuffix(" %"), ha="center", va="center", color=colour, size=8.5)
    return ax


def _norm(table: Array, name: str) -> Normalize:
    found: NDArray[np.float64] = table[np.isfinite(table)]
    if name in SHARES:
        return Normalize(0.0, 1.0)
    if name == "force_spearman":
        return TwoSlopeNorm(0.0, -1.0, 1.0)
    positive = found[found > 0]
    return LogNorm(positive.min(), max(positive.max(), 1.01 * positive.min())) if positive.size else Normalize(0, 1)
