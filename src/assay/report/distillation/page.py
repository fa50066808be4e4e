"""The page of a distillation: what the labels are, how good students and teachers are, and who waits for DFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from assay.distillation.result import Distilled
from assay.report.evaluation.figures import plain_decades
from assay.report.kit.page import environment
from assay.report.kit.parts import Cell, Column, Panel, Section, Table, counts, number, numbers, shares, texts
from assay.report.kit.theme import ALERT, MUTED, SERIES, svg
from assay.results.arrays import Array
from assay.results.wording import many
from assay.storage.files import write_atomically

FORCE, ENERGY, SHIFTED = (
    "force_rmse_eV_per_A",
    "energy_rmse_meV_per_atom",
    "energy_shifted_rmse_meV_per_atom",
)
Row = Mapping[str, Any]


def write_distillation_report(path: str | Path, result: Distilled, *, warnings: Sequence[str] = ()) -> None:
    """Write the page to `path`, whole or not at all. Needs matplotlib and jinja2 (the extra `report`)."""
    page = render(result, warnings)
    write_atomically(path, lambda file: file.write(page.encode()))


def render(result: Distilled, warnings: Sequence[str] = ()) -> str:
    """The whole page as text."""
    pool = f"{many(len(result.natoms), 'frame')} · {many(int(result.natoms.sum()), 'atom')}"
    judged = f"{pool} in the pool · {many(len(result.models), 'teacher')} · {many(len(result.students), 'cut-off')}"
    given = [_labels(result), _students(result), _teachers(result)]
    text: str = (
        environment()
        .get_template("transfer.html")
        .render(
            title="Distillation",
            said=warnings,
            judged=judged,
            sections=[s for s in given if s.tables or s.panels or s.notes],
        )
    )
    return text


def _labels(result: Distilled) -> Section:
    """Which frames have whose label, and how good the labels are."""
    rows = result.students
    section = Section(
        "labels",
        "Labels",
        "Frames whose uncertainty U is below the cut-off keep their teachers' label; the others need DFT.",
    )
    draw = partial(uncertainties, values=result.uncertainty, cutoffs=[row["cutoff_eV_per_A"] for row in rows])
    caption = "How many frames of the pool have which U. Lines are the cut-offs: what is to their right needs DFT."
    label = "Uncertainty of the pool"
    section.panels.append(Panel("uncertainty", label, svg(draw, id="uncertainty", label=label), caption))
    columns = (
        texts("U_c, eV/Å", map(cutoff, rows)),
        counts("DFT labels needed", (row["dft_needed"]["frames"] for row in rows)),
        shares("share of atoms", (row["dft_needed"]["share_of_atoms"] for row in rows)),
        counts("of these waiting", (row["pending"]["frames"] for row in rows)),
        counts("teachers' labels", (row["teachers_labels"]["frames"] for row in rows)),
        counts("of these with a known DFT label", (row["teachers_labels_judged"]["frames"] for row in rows)),
        *(
            numbers(f"{whose}: {head}", [row[errors].get(key) for row in rows])
            for whose, errors in (("teachers' labels", "teachers_label_errors"), ("all labels", "label_errors"))
            for key, head in ((FORCE, "force RMSE, eV/Å"), (ENERGY, "energy RMSE, meV/atom"))
        ),
    )
    caption = (
        "The mixed sets. Errors of labels are against DFT, over the frames of the pool whose DFT label is known: over "
        "those with the teachers' label, and over all, where DFT's own has no error. They are not known where DFT "
        "labels are of no frame that has its teachers'."
    )
    section.tables.append(Table("mixed", caption, columns, sortable=False))
    if result.jobs:
        section.notes.append(f"{many(result.jobs, 'frame')} wait for a DFT label, in dft-jobs.extxyz.")
    if result.failed:
        section.notes.append(
            f"{many(len(result.failed), 'frame')} need DFT as a teacher failed: no U is known of them."
        )
    section.notes.extend(f"{origin}: DFT label dropped as noisy, {reason}" for origin, reason in result.noisy)
    return section


def _students(result: Distilled) -> Section:
    """Errors on the test frames, and where the student is worse than its teachers."""
    rows = [row for row in result.students if row["student"]]
    tested = [row for row in rows if row["student"].get("test")]
    section = Section(
        "students",
        "Students",
        "Errors against DFT on the test frames. A student can't be better than its own form allows, however good its "
        "labels: compare it with the one that has all DFT labels.",
    )
    section.notes.extend(f"Error bars at U_c = {cutoff(row)}: {row['student']['bars']}." for row in rows)
    if not tested:
        section.notes.append("No test frames were given: errors of students are not known.")
        return section
    for key, unit in ((FORCE, "force RMSE, eV/Å"), (SHIFTED, "energy RMSE, meV/atom")):
        draw = partial(against_share, rows=tested, key=key, unit=unit)
        what = unit.split(",")[0]
        caption = f"{what[0].upper()}{what[1:]} against the share of the pool's atoms that need DFT labels."
        if key == SHIFTED:
            caption += " After one shift per species, as energies of teachers alone have no DFT reference."
        caption += " Student and teachers are judged on the test frames, labels on frames of the pool."
        section.panels.append(Panel(key, what, svg(draw, id=key, label=what), caption))
    columns = [texts("U_c, eV/Å", map(cutoff, tested))]
    for name, of in (("student", _of_student), ("teachers", _of_teachers)):
        for key, unit in ((FORCE, "force, eV/Å"), (ENERGY, "energy, meV/atom"), (SHIFTED, "energy, shifted")):
            columns.append(numbers(f"{name}: {unit}", [of(row).get(key) for row in tested]))
    held = [_held(row) for row in tested]
    columns.append(shares("95 % force bars hold", held))
    section.tables.append(Table("errors", "RMSE on the test frames.", tuple(columns), sortable=False))
    section.tables.append(_by_config_type(tested))
    return section


def _by_config_type(rows: Sequence[Row]) -> Table:
    """Force RMSE of each config_type, for each cut-off beside the teachers; a student that is worse is flagged."""
    kinds = sorted({kind for row in rows for kind in _of_student(row)["by_config_type"]})
    columns = [texts("config_type", (kind or "no name" for kind in kinds))]
    for row in rows:
        for name, of in (("student", _of_student), ("teachers", _of_teachers)):
            by_kind = of(row).get("by_config_type", {})
            if not by_kind:
                continue
            worse = row.get("worse_than_teachers", {}).get("force", ()) if name == "student" else ()
            cells = (
                Cell(number(by_kind.get(kind, {}).get(FORCE)), by_kind.get(kind, {}).get(FORCE), kind in worse)
                for kind in kinds
            )
            columns.append(Column(f"U_c {cutoff(row)}: {name}", tuple(cells)))
    caption = (
        "Force RMSE, eV/Å, of each config_type of the test frames; marked where a student is worse than its teachers."
    )
    return Table("config-types", caption, tuple(columns))


def _teachers(result: Distilled) -> Section:
    """Weights and energy references."""
    section = Section(
        "teachers", "Teachers", "Weights are inverse to given or measured RMSEs. Shifts put energies on one reference."
    )
    columns = [texts("teacher", result.models), numbers("weight", result.weights)]
    if result.rmse is not None:
        columns.append(numbers("RMSE, eV/Å", result.rmse))
    if result.rmse_frames is not None:
        section.notes.append(f"Measured over {many(result.rmse_frames, 'labelled frame')} of the pool.")
    if result.students:
        told = result.students[-1]["references"]
        members = [told["members"][name] for name in result.models]
        for when in ("before", "after"):
            head = f"energies {when} the shift, meV/atom"
            columns.append(numbers(head, [member[f"{when}_meV_per_atom"] for member in members]))
        section.notes.append(
            f"Energy references at the smallest cut-off: of {many(told['frames'], 'frame')}, onto {told['onto']}."
        )
    section.tables.append(Table("weights", "The teachers.", tuple(columns)))
    return section


def against_share(ax: Axes, rows: Sequence[Row], key: str, unit: str) -> Axes:
    """RMSE of students and teachers on test frames, and of labels of the pool, over the share of DFT labels."""
    share = [100 * row["dft_needed"]["share_of_atoms"] for row in rows]
    lines = (
        ("student, test frames", [_of_student(row).get(key) for row in rows], SERIES[0], "o-"),
        ("teachers, test frames", [_of_teachers(row).get(key) for row in rows], SERIES[1], "s--"),
        ("labels, frames of the pool with known DFT", [row["label_errors"].get(key) for row in rows], MUTED, "^:"),
    )
    for name, values, colour, style in lines:
        if any(value is not None for value in values):
            ax.plot(share, [np.nan if v is None else v for v in values], style, color=colour, label=name)
    ax.set(xlabel="atoms with DFT labels, %", ylabel=unit)
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def uncertainties(ax: Axes, values: Array, cutoffs: Sequence[float | None]) -> Axes:
    """A histogram of U `(F,)` on a logarithmic axis, with the cut-offs."""
    positive = values[(values > 0) & np.isfinite(values)]
    if positive.size:
        low, high = positive.min(), max(positive.max(), 1.01 * positive.min())
        ax.hist(
            np.clip(values[np.isfinite(values)], low, None), bins=list(np.geomspace(low, high, 41)), color=SERIES[0]
        )
        ax.set_xscale("log")
        plain_decades(ax.xaxis)
    for value in cutoffs:
        if value is not None:
            ax.axvline(value, color=ALERT, linewidth=1.2)
    ax.set(xlabel="U, eV/Å", ylabel="frames")
    return ax


def cutoff(row: Row) -> str:
    """U_c in words."""
    value = row["cutoff_eV_per_A"]
    return "none" if value is None else number(value)


def _held(row: Row) -> float | None:
    """Share of the force errors within their 95 % bars."""
    bars = row["student"]["force_bars"]
    return None if bars is None else bars["coverage"]["0.95"]


def _of_student(row: Row) -> Row:
    found: Row = row["student"]["test"]
    return found


def _of_teachers(row: Row) -> Row:
    found: Row = row.get("teachers", {})
    return found
