"""The page of a distillation: what the labels are, how good students and teachers are, and who waits for DFT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from assay.distillation.figures import RMSE_KEYS, Compared, DftErrors
from assay.distillation.result import Distilled, DistilledStudent
from assay.report.evaluation.figures import plain_decades
from assay.report.kit.page import environment
from assay.report.kit.parts import Cell, Column, Panel, Section, Table, counts, number, numbers, shares, texts
from assay.report.kit.theme import ALERT, MUTED, SERIES, svg
from assay.results.arrays import Array
from assay.results.wording import many
from assay.storage.files import write_atomically

Rows = Sequence[DistilledStudent]
OF_LABELS: tuple[tuple[Compared, str], ...] = (("force", "force RMSE, eV/Å"), ("energy", "energy RMSE, meV/atom"))
DRAWN: tuple[tuple[Compared, str], ...] = (("force", "force RMSE, eV/Å"), ("energy_shifted", "energy RMSE, meV/atom"))
OF_TESTS: tuple[tuple[Compared, str], ...] = (
    ("force", "force, eV/Å"),
    ("energy", "energy, meV/atom"),
    ("energy_shifted", "energy, shifted"),
)
"""Figures of the labels, of the curves and of the test frames, and what they are called there."""


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
    labels = [row.labels for row in rows]
    section = Section(
        "labels",
        "Labels",
        "Frames whose uncertainty U is below the cut-off keep their teachers' label; the others need DFT.",
    )
    draw = partial(uncertainties, values=result.uncertainty, cutoffs=[each.cutoff for each in labels])
    caption = "How many frames of the pool have which U. Lines are the cut-offs: what is to their right needs DFT."
    label = "Uncertainty of the pool"
    section.panels.append(Panel("uncertainty", label, svg(draw, id="uncertainty", label=label), caption))
    columns = (
        texts("U_c, eV/Å", map(cutoff, rows)),
        counts("DFT labels needed", (each.dft_needed.frames for each in labels)),
        shares("share of atoms", (each.dft_needed.share_of_atoms for each in labels)),
        counts("of these waiting", (each.pending.frames for each in labels)),
        counts("teachers' labels", (each.teachers_labels.frames for each in labels)),
        counts("of these with a known DFT label", (each.teachers_labels_judged.frames for each in labels)),
        *(
            numbers(f"teachers' labels: {head}", [rmse(e.teachers_errors, of) for e in labels])
            for of, head in OF_LABELS
        ),
        *(numbers(f"all labels: {head}", [rmse(each.errors, of) for each in labels]) for of, head in OF_LABELS),
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
    tested = [row for row in result.students if row.test_errors is not None]
    section = Section(
        "students",
        "Students",
        "Errors against DFT on the test frames. A student can't be better than its own form allows, however good its "
        "labels: compare it with the one that has all DFT labels.",
    )
    section.notes.extend(
        f"Error bars at U_c = {cutoff(row)}: {row.student.bars}." for row in result.students if row.student is not None
    )
    if not tested:
        section.notes.append("No test frames were given: errors of students are not known.")
        return section
    for figure, unit in DRAWN:
        draw, key = partial(against_share, rows=tested, figure=figure, unit=unit), RMSE_KEYS[figure]
        what = unit.split(",")[0]
        caption = f"{what[0].upper()}{what[1:]} against the share of the pool's atoms that need DFT labels."
        if figure == "energy_shifted":
            caption += " After one shift per species, as energies of teachers alone have no DFT reference."
        caption += " Student and teachers are judged on the test frames, labels on frames of the pool."
        section.panels.append(Panel(key, what, svg(draw, id=key, label=what), caption))
    columns = [texts("U_c, eV/Å", map(cutoff, tested))]
    columns += [numbers(f"student: {unit}", [rmse(row.test_errors, of) for row in tested]) for of, unit in OF_TESTS]
    columns += [
        numbers(f"teachers: {unit}", [rmse(row.teachers_test_errors, of) for row in tested]) for of, unit in OF_TESTS
    ]
    columns.append(shares("95 % force bars hold", map(_held, tested)))
    section.tables.append(Table("errors", "RMSE on the test frames.", tuple(columns), sortable=False))
    section.tables.append(_by_config_type(tested))
    return section


def _by_config_type(rows: Rows) -> Table:
    """Force RMSE of each config_type, for each cut-off beside the teachers; a student that is worse is flagged."""
    kinds = sorted({kind for row in rows if row.test_errors for kind in row.test_errors.by_config_type})
    columns = [texts("config_type", (kind or "no name" for kind in kinds))]
    for row in rows:
        worse = None if row.teachers is None else row.teachers.student_is_worse.force
        given = (("student", row.test_errors, worse or ()), ("teachers", row.teachers_test_errors, ()))
        for name, errors, flagged in given:
            if errors is None:
                continue
            forces = {kind: each.force for kind, each in errors.by_config_type.items()}
            cells = (Cell(number(forces.get(kind)), forces.get(kind), kind in flagged) for kind in kinds)
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
        told = result.students[-1].labels.references
        for when, errors in (("before", told.before), ("after", told.after)):
            columns.append(numbers(f"energies {when} the shift, meV/atom", (1000 * errors).tolist()))
        section.notes.append(
            f"Energy references at the smallest cut-off: of {many(told.frames, 'frame')}, onto {told.onto}."
        )
    section.tables.append(Table("weights", "The teachers.", tuple(columns)))
    return section


def against_share(ax: Axes, rows: Rows, figure: Compared, unit: str) -> Axes:
    """RMSE of students and teachers on test frames, and of labels of the pool, over the share of DFT labels."""
    share = [100 * row.labels.dft_needed.share_of_atoms for row in rows]
    lines = (
        ("student, test frames", [row.test_errors for row in rows], SERIES[0], "o-"),
        ("teachers, test frames", [row.teachers_test_errors for row in rows], SERIES[1], "s--"),
        ("labels, frames of the pool with known DFT", [row.labels.errors for row in rows], MUTED, "^:"),
    )
    for name, errors, colour, style in lines:
        values = [rmse(each, figure) for each in errors]
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


def cutoff(row: DistilledStudent) -> str:
    """U_c in words."""
    return "none" if row.labels.cutoff is None else number(row.labels.cutoff)


def rmse(errors: DftErrors | None, figure: Compared) -> float | None:
    """Of all frames, where it is known."""
    return None if errors is None else errors.overall[figure]


def _held(row: DistilledStudent) -> float | None:
    """Share of the force errors within their 95 % bars."""
    on_test = None if row.student is None else row.student.on_test
    bars = None if on_test is None else on_test.force_bars
    return None if bars is None else bars.coverage[0.95]
