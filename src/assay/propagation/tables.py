"""Tables: rows for people; for a paper CSV with every number, LaTeX (booktabs) with the numbers that are no curves."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.propagation.property import YES_OR_NO
from assay.propagation.ranking import alike
from assay.propagation.references import References, against, mean_ratios
from assay.propagation.result import LEVELS, Propagated, Propagation, PropertyResult
from assay.results.arrays import Array
from assay.storage.files import write_atomically

NO_REFERENCES: References = {}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "Å": r"\AA{}",
    "°": r"$^\circ$",
    **{character: f"$^{i}$" for i, character in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{character: f"$_{i}$" for i, character in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "⁻": "$^-$",
    "−": "$-$",
    "–": "--",
    "\N{NO-BREAK SPACE}": "~",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "→": r"$\rightarrow$",
}


def write_csv(path: str | Path, result: Propagation, references: References = NO_REFERENCES) -> None:
    """One row a number, and one a point of a curve; empty cells stand for what is not defined.

    Columns: `property, quantity, unit, x, value, std, low, high, mean`, ends of the central 68 and 95 %, `members` that
    gave it, `failed`, and with references `reference, error, error_over_std, error_over_range, bracketed`.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    ends = [f"{end}_{level:g}" for level in LEVELS for end in ("low", "high")]
    head = ["property", "quantity", "unit", "x", "value", "std", "low", "high", "mean", *ends, "members", "failed"]
    measured = ["reference", "error", "error_over_std", "error_over_range", "bracketed"] if references else []
    rows.writerow([*head, *measured])
    for name, one in result.properties.items():
        for key, each in one.quantities.items():
            columns = [each.value, each.std, each.low, each.high, each.mean]
            columns += [end for level in LEVELS for end in each.interval(level)]
            extra: list[Array] = []
            if (reference := references.get(name, {}).get(key)) is not None:
                told = against(each, reference)
                extra = [told.reference, told.error, told.in_std, told.in_range, told.bracketed]
            x = [""] if each.x is None else [repr(float(at)) for at in each.x]
            failed = len(each.members) - each.count
            for i in range(each.value.size):
                at = x[min(i, len(x) - 1)] if each.value.ndim == 0 or each.x is not None else str(i)
                cells = [_cell(np.ravel(column)[i]) for column in columns]
                more = [_cell(np.ravel(column)[i]) for column in extra] if extra else [""] * len(measured)
                rows.writerow([name, key, each.unit, at, *cells, each.count, failed, *more])
    data = text.getvalue().encode()
    write_atomically(path, lambda file: file.write(data))


def write_latex(path: str | Path, result: Propagation, references: References = NO_REFERENCES) -> None:
    """A `tabular` of booktabs, one a property: value ± std, low and high, and with references those of Tables I–V of
    Perez et al. (doi:10.48550/arXiv.2502.07104): error of the best fit, std, low and high less the reference.

    Curves are left out. The file is ASCII and needs `\\usepackage{booktabs}`.
    """
    tables = [_tabular(one, references.get(name, {})) for name, one in result.properties.items() if one.scalars]
    note = f"% {_latex(result.source)}; {result.members} members, {result.method}. Needs \\usepackage{{booktabs}}."
    data = "\n\n".join([note, *tables, ""]).encode("ascii", "replace")
    write_atomically(path, lambda file: file.write(data))


def row_of_each(one: PropertyResult) -> list[list[str]]:
    """For people, the numbers of a property and then its curves: name, unit, value, std, low, high, and how many
    members gave it where some did not."""
    rows = [[name, each.unit, *written(each)] for name, each in one.scalars.items()]
    for name, each in one.curves.items():
        digits = decimals(each)
        rows.append(
            [
                f"{name}, curve of {each.value.size}",
                each.unit,
                f"{fixed(float(each.value.min()), digits)} to {fixed(float(each.value.max()), digits)}",
                f"up to {fixed(float(each.std.max()), digits)}",
                fixed(float(each.low.min()), digits),
                fixed(float(each.high.max()), digits),
            ]
        )
    counts = [str(each.count) for each in (*one.scalars.values(), *one.curves.values())]
    return [[*row, count] for row, count in zip(rows, counts, strict=True)] if one.in_part else rows


def rows_of_orders(result: Propagation) -> list[list[str]]:
    """For people, how surely like numbers keep their order: property, what is ordered, how many, Spearman's ρ, its std,
    and the share of members that keep the least sure pair."""
    return [
        [
            name,
            ranking.of,
            str(len(ranking.names)),
            fixed(ranking.mean, 2),
            fixed(ranking.std, 2),
            f"{100 * ranking.same_order.min():.1f} %",
        ]
        for name, one in result.properties.items()
        for ranking in one.rankings
    ]


def _tabular(one: PropertyResult, references: Mapping[str, Array]) -> str:
    known = {name: value for name, value in references.items() if name in one.scalars}
    head = ["Quantity", "Unit", "Value", "Std", "Low", "High"]
    head += ["Reference", "Error", "Low error", "High error"] if known else []
    head += ["Members"] if one.in_part else []
    lines = [f"% {_latex(one.name)}" + _failures(one), rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}", r"\toprule"]
    lines += [_row(head), r"\midrule"]
    for names in alike({name: each.unit for name, each in one.scalars.items()}).values():
        for name in names:
            numbers = _numbers(one[name], known.get(name), bool(known))
            numbers += [str(one[name].count)] if one.in_part else []
            lines.append(_row([_latex(name), _latex(one[name].unit), *numbers]))
    if known:
        in_std, in_range, bracketed = mean_ratios(one.scalars, known)
        told = rf"Mean $|$error$|$/std {_short(in_std)}; mean $|$error$|$/(high $-$ low) {_short(in_range)}; "
        told += rf"bracketed {100 * bracketed:.0f}\,\%"
        lines += [r"\midrule", rf"\multicolumn{{{len(head)}}}{{l}}{{{told}}} \\"]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _numbers(each: Propagated, reference: Array | None, referenced: bool) -> list[str]:
    digits, cells = decimals(each), list(written(each))
    if reference is not None:
        plain = [reference, each.value - reference, each.low - reference, each.high - reference]
        cells += [fixed(float(value), digits) for value in plain]
    cells = [f"${cell.replace('−', '-')}$" if cell[-1].isdecimal() else _latex(cell) for cell in cells]
    return cells + ["--"] * (4 if referenced and reference is None else 0)


def _failures(one: PropertyResult) -> str:
    return f"; {len(one.failed)} members failed, and what they did not give is left out" if one.failed else ""


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character) or _greek(character) for character in text)


def _greek(character: str) -> str:
    case, _, letter = unicodedata.name(character, "").partition(" LETTER ")
    if case == "GREEK CAPITAL":
        return rf"$\{letter.capitalize()}$"
    return rf"$\{letter.lower()}$" if case == "GREEK SMALL" else character


def _short(value: float) -> str:
    return "--" if math.isnan(value) else f"{value:.2g}"


def _cell(value: float | bool) -> str:
    if isinstance(value, np.bool_):
        return str(bool(value)).lower()
    return repr(float(value)) if math.isfinite(value) else ""


def decimals(each: Propagated) -> int:
    """Decimals that show the error bar with two significant digits; without one, four digits of the value."""
    std, value = float(np.max(each.std)), float(np.max(np.abs(each.value)))
    if math.isfinite(std) and std > 1e-9 * value:
        return min(max(1 - math.floor(math.log10(std)), 0), 9)
    return min(max(3 - math.floor(math.log10(value)), 0), 9) if 0 < value < math.inf else 0


def written(each: Propagated) -> tuple[str, str, str, str]:
    """Value, std, low and high of a number; of one that is 1 or 0, whether the best fit says yes, and how many members
    do."""
    if each.unit == YES_OR_NO:
        return "yes" if each.value else "no", f"{100 * each.mean:.0f}\N{NO-BREAK SPACE}% yes", "–", "–"
    digits = decimals(each)
    value, std, low, high = (fixed(float(part), digits) for part in (each.value, each.std, each.low, each.high))
    return value, std, low, high


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals, zero without sign; an en dash where it is not defined."""
    return f"{value:z.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
