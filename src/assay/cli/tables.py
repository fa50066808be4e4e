"""Results as tables for people, on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.results.arrays import Array, Level
from assay.results.per_quantity import PerQuantity, Quantity
from assay.results.visible import visible, visible_name
from assay.results.warning import with_warnings
from assay.storage.files import json_text, write_json
from assay.verbs.evaluate import BarFigures, EvaluationResult, Stratum

LISTED = 10
"""Frames listed one by one before the rest is counted."""


def number(value: Any, digits: int = 3) -> str:
    """A number for a table; an en dash where it is not defined."""
    return "–" if value is None else f"{value:.{digits}g}"


def percent(value: Any) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table."""
    table = Table(title=Text(visible_name(title)), title_justify="left", title_style="bold", header_style="")
    for i, name in enumerate(header):
        table.add_column(Text(visible_name(name)), justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible_name(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def note(text: str) -> None:
    """A line for people, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(visible(text), markup=False, emoji=False)


def listed(what: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Say how many there are, and list the first few, on stderr."""
    if pairs:
        note(f"{len(pairs)} {what}:")
        for first, second in pairs[:LISTED]:
            note(f"  {visible_name(first)}: {second}")
        if len(pairs) > LISTED:
            note(f"  … and {len(pairs) - LISTED} more")


def global_bars(counts: PerQuantity[int]) -> None:
    """Say how many values have the error bar of all, on stderr."""
    if told := [f"{count} of the {quantity}" for quantity, count in counts.items() if count]:
        note(f"error bars of all, as their group was not calibrated: {', '.join(told)}")


def on_disk(path: Path | None) -> Path | None:
    """The file that `--json` names; none for stdout."""
    return None if str(path) == "-" else path


def printed_json(path: Path | None, content: Mapping[str, Any]) -> bool:
    """Write JSON to stdout where `--json -` asks for it, and say whether that was so."""
    return str(path) == "-" and emit_json(path, content)


def emit_json(path: Path | None, content: Mapping[str, Any]) -> bool:
    """Write JSON to a file, or to stdout for `-`; true where stdout is taken by it."""
    if path is None:
        return False
    if str(path) == "-":
        sys.stdout.write(json_text(with_warnings(content)).encode("utf-8", "backslashreplace").decode())
        return True
    write_json(path, with_warnings(content))
    return False


def errors_and_bars(result: EvaluationResult, title: str) -> None:
    """Errors and error bars of `evaluate`, with the constant bar beside them."""
    errors = PerQuantity(result.errors.energy, result.errors.force, result.errors.stress)
    rows = []
    for quantity, label, figures in _figures(result):
        name, unit, factor = _SHOWN[quantity]
        of, width = errors[quantity], figures.mean_width
        rows.append(
            [
                f"{name}, {unit}",
                label,
                number(None if of is None else of.rmse),
                number(None if width is None else factor * width),
                percent(figures.coverage[0.68]),
                percent(figures.coverage[0.95]),
                number(figures.nll),
            ]
        )
    show(
        f"{title}: {result.frames} frames, {result.atoms} atoms",
        ["quantity", "error bar", "RMSE", "width of 68 %", "in 68 %", "in 95 %", "NLL"],
        rows,
    )


_SHOWN: Mapping[Quantity, tuple[str, str, float]] = {
    "force": ("force component", "eV/Å", 1.0),
    "energy": ("energy per atom", "meV", 1000.0),
    "stress": ("stress component", "meV/Å³", 1000.0),
}
"""What a quantity is called, the unit it is shown in, and how many of it one of Assay's is."""


def _figures(result: EvaluationResult) -> Iterator[tuple[Quantity, str, BarFigures]]:
    """Every error bar, and the constant one beside it."""
    for quantity, bar in result.bars.forces_first():
        yield quantity, bar.name, bar.figures
        if bar.constant is not None:
            yield quantity, "constant", bar.constant


def calibration(result: EvaluationResult) -> None:
    """Whether bars have the size of the errors at every width, beside what chance gives, and which way they err."""
    rows = [
        [
            *(quantity, label, number(figures.ence)),
            "–" if figures.ence_95 is None else " – ".join(number(end) for end in figures.ence_95),
            "–" if figures.ence_by_chance is None else number(figures.ence_by_chance[1]),
            "–" if figures.miscalibration_area is None else f"{figures.miscalibration_area:.3f}",
            "–" if figures.signed_area is None else f"{figures.signed_area:+.3f}",
        ]
        for quantity, label, figures in _figures(result)
    ]
    if rows:
        header = [
            "quantity",
            "error bar",
            "ENCE",
            "95 % interval",
            "right bars: below",
            "area",
            "signed: > 0 too small",
        ]
        show("Calibration of the error bars", header, rows)


def strata(result: EvaluationResult) -> None:
    """The strata of each kind whose bars are the smallest and the largest beside the errors."""
    rows = []
    for quantity, divisions in result.strata.forces_first():
        for division, found in divisions.items():
            if len(found) < 2 or division == "bar_log":
                continue
            by_fit = sorted(found, key=_too_small)
            for row in (by_fit[-1], by_fit[0]):
                ends = row.z_mean_square_95
                rows.append(
                    [
                        *(quantity, division.replace("_", " "), row.stratum, str(row.frames)),
                        number(row.z_mean_square),
                        "–" if ends is None else " – ".join(number(end) for end in ends),
                        *(percent(row.coverage[level]) for level in (0.68, 0.95)),
                    ]
                )
    if rows:
        header = ["quantity", "by", "stratum", "frames", "⟨z²⟩", "95 % interval", "in 68 %", "in 95 %"]
        show("Where bars are too small and too large (1 is right)", header, rows)


def _too_small(row: Stratum) -> tuple[float, float]:
    z = row.z_mean_square
    return (-1.0 if z is None else z), -row.coverage[0.95]


def envelope(result: EvaluationResult) -> None:
    """How many labels are outside what the members span, and errors beside the members' standard deviation."""
    rows = []
    for quantity, found in result.envelopes.forces_first():
        name, unit, factor = _SHOWN[quantity]
        rows.append(
            [
                f"{name}, {unit}",
                percent(found.violation),
                "–" if found.violation_95 is None else " – ".join(percent(end) for end in found.violation_95),
                number(factor * found.mean_range),
                number(factor * found.mean_std),
                *(number(found.error_over_std[level]) for level in (0.5, 0.95)),
            ]
        )
    if rows:
        header = ["quantity", "labels outside", "95 % interval", "range", "std", "|error|/std: 50 %", "95 %"]
        show(f"Envelope of {result.members} members, not calibrated", header, rows)


def members(told: Mapping[str, Any]) -> None:
    """Errors and weights of members on the training frames, and what shifting their energies left of the difference."""
    rows = [
        [
            found["name"],
            *(number(found[key], 4) for key in ("force_rmse_eV_per_A", "weight")),
            *(number(found.get(f"{key}_meV_per_atom"), 4) for key in ("before", "after", "left_out")),
        ]
        for found in told["members"]
    ]
    onto = told["references"]
    show(
        "Members on the training frames; weight 0: left out"
        if not all(found["used"] for found in told["members"])
        else "Members on the training frames",
        ["member", "force RMSE, eV/Å", "weight", f"energy − {onto}, meV/atom", "shifted", "median, left out"]
        if onto != "none"
        else ["member", "force RMSE, eV/Å", "weight"],
        rows if onto != "none" else [row[:3] for row in rows],
    )
    if choice := told.get("choice"):
        best = [
            [
                str(found["count"]),
                *(number(found[key]) for key in ("spearman", "moving", "cross_validated")),
                " – ".join(map(number, found["cross_validated_95"])),
            ]
            for found in choice["table"]
        ]
        header = ["best members", "Spearman of U with error", "forces not zero", "cross-validated", "95 % interval"]
        show("How well the best members rank the largest force errors", header, best)
        note(choice["note"])


def flagged(
    thresholds: Mapping[tuple[str, Level], float],
    training: Mapping[tuple[str, Level], Array],
    held_out: Mapping[tuple[str, Level], Array],
) -> None:
    """Thresholds of scores, and what they flag of frames like the training frames: false alarms."""
    rows = [
        [
            *(name, level, number(limit := thresholds.get((name, level)))),
            *(
                percent(None if limit is None or values is None else np.mean(values > limit))
                for values in (trained, new)
            ),
        ]
        for (name, level), trained in training.items()
        for new in (held_out.get((name, level)),)
    ]
    show("Scores, and what they flag", ["score", "level", "flags above", "of training", "of held-out"], rows)


def ranking(result: EvaluationResult) -> None:
    """How well each score ranks the errors, and what it flags."""
    rows = [
        [name, level, number(figures.spearman), number(figures.auroc), percent(figures.flagged)]
        for name, levels in result.scores.items()
        for level, figures in levels.items()
    ]
    show("Scores against errors", ["score", "level", "Spearman", "AUROC worst decile", "flagged"], rows)
