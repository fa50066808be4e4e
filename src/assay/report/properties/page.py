"""The page of properties: a section each, with figures as in Perez et al. (doi:10.48550/arXiv.2502.07104)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.propagation.property import YES_OR_NO
from assay.propagation.ranking import Ranking, alike
from assay.propagation.references import References, against, mean_ratios
from assay.propagation.result import Propagated, Propagation, PropertyResult
from assay.propagation.tables import decimals, fixed
from assay.propagation.tables import written as in_a_table
from assay.report.kit.page import environment
from assay.report.kit.parts import Cell, Column, Panel, Section, Table, number, percent, texts, written
from assay.report.kit.theme import svg
from assay.report.properties import figures as figures
from assay.results.arrays import Array
from assay.results.wording import many

TOP_FAILED = 50
"""Failures that are listed one by one."""


def render(
    result: Propagation, *, references: References, provenance: Mapping[str, str], warnings: Sequence[str] = ()
) -> str:
    """The whole page as text."""
    sections = [
        _section(f"property-{i}", one, result.members, references.get(name, {}))
        for i, (name, one) in enumerate(result.properties.items())
    ]
    failed = [(f"{name}, member {m}", reason) for name, one in result.properties.items() for m, reason in one.failed]
    if result.failed:
        sections.insert(0, _not_computed(result))
    page: str = (
        environment()
        .get_template("properties.html")
        .render(
            title="Properties",
            said=warnings,
            judged=f"{', '.join(result.properties)} · {many(result.members, 'member')} · method: {result.method}",
            sections=sections,
            provenance=provenance,
            failed=failed[:TOP_FAILED],
            failed_total=len(failed),
        )
    )
    return page


def _not_computed(result: Propagation) -> Section:
    section = Section("not-computed", "Not computed", "These failed as a whole, with the best fit.")
    section.notes.extend(f"{name}: {reason}" for name, reason in result.failed)
    return section


def _section(id: str, one: PropertyResult, members: int, references: Mapping[str, Array]) -> Section:
    lead = f"{members - len(one.failed)} of {many(members, 'member')} gave {'all of ' * one.in_part}this property."
    if references:
        in_std, in_range, bracketed = mean_ratios(one.quantities, references)
        lead += f" Against the references: mean |error|/std {number(in_std)}, mean |error|/(high − low) "
        lead += f"{number(in_range)}, bracketed {percent(bracketed)}."
    section = Section(id, one.name, lead, notes=list(one.notes))
    for group in _panels(one.curves):
        section.panels.append(_curves(f"{id}-n{len(section.panels)}", group, references))
    for kind, names in alike({name: each.unit for name, each in one.scalars.items()}).items():
        if one[names[0]].unit != YES_OR_NO and any(one[name].std > 0 for name in names):
            section.panels.append(_numbers(f"{id}-n{len(section.panels)}", kind, names, one, references))
    ranked = [ranking for ranking in one.rankings if np.isfinite(ranking.mean)]
    for ranking in ranked:
        section.panels.append(_ranking(f"{id}-n{len(section.panels)}", ranking))
    if one.scalars:
        section.tables.append(_table(f"{id}-table", one, references))
    section.tables.extend(_order(f"{id}-order-{i}", ranking) for i, ranking in enumerate(ranked))
    return section


def _numbers(id: str, kind: str, names: Sequence[str], one: PropertyResult, references: Mapping[str, Array]) -> Panel:
    known = [references.get(name) for name in names]
    if len(names) == 1:
        return Panel(
            id,
            names[0],
            svg(lambda ax: figures.histogram(ax, one[names[0]], known[0]), id=id, label=f"Members of {names[0]}"),
            "How the members are distributed. The band is one std around the best fit.",
        )
    found = [one[name] for name in names]
    return Panel(
        id,
        kind,
        svg(
            lambda ax: figures.strip(ax, _differing(names), found, known),
            id=id,
            label=f"Members of {', '.join(names)}",
        ),
        "Every grey point is one member; the bar is one std around the best fit.",
    )


def _panels(curves: Mapping[str, Propagated]) -> list[list[Propagated]]:
    """Curves by abscissa and unit: what belongs into one panel."""
    groups: list[list[Propagated]] = []
    for each in curves.values():
        for group in groups:
            first = group[0]
            if (first.unit, first.x_label) == (each.unit, each.x_label) and _equal(first.x, each.x):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _equal(first: Array | None, second: Array | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def _curves(id: str, group: Sequence[Propagated], references: Mapping[str, Array]) -> Panel:
    name = group[0].name if len(group) == 1 else f"{group[0].name} to {group[-1].name}"
    known = [references.get(each.name) for each in group]
    return Panel(
        id,
        name,
        svg(lambda ax: figures.curves(ax, group, known), id=id, label=f"Members of {name}"),
        "Every grey line is one member, and the dotted lines are the lowest and the highest value at each point.",
    )


def _ranking(id: str, ranking: Ranking) -> Panel:
    return Panel(
        id,
        f"Order of {ranking.of}",
        svg(lambda ax: figures.spearman(ax, ranking), id=id, label=f"Rank correlations of {ranking.of}"),
        f"At 1 a member has the order of the best fit. Mean {number(ranking.mean)}, std {number(ranking.std)}: "
        "expect the order of the true values to agree as well as this.",
    )


def _order(id: str, ranking: Ranking) -> Table:
    """The share of members in which each pair stands as with the best fit."""
    names = _differing(ranking.names)
    columns = [texts(ranking.of, names)]
    for i, name in enumerate(names):
        cells = ["–" if i == j else percent(float(ranking.same_order[j, i])) for j in range(len(names))]
        columns.append(written(name, cells))
    caption = f"Share of members that order each pair of {ranking.of} as the best fit does."
    return Table(id, caption, tuple(columns), sortable=False)


def _table(id: str, one: PropertyResult, references: Mapping[str, Array]) -> Table:
    found = list(one.scalars.values())
    columns = [texts("Quantity", [each.name for each in found]), texts("Unit", [each.unit for each in found])]
    for i, (head, part) in enumerate((("Value", "value"), ("Std", "std"), ("Low", "low"), ("High", "high"))):
        columns.append(Column(head, tuple(_cell(in_a_table(each)[i], float(getattr(each, part))) for each in found)))
    columns.append(_column("Mean", [float(each.mean) for each in found], found))
    columns.append(written("Members", [str(each.count) for each in found]))
    if known := {name: value for name, value in references.items() if name in one.scalars}:
        told = {name: against(one[name], value) for name, value in known.items()}
        for head, part in (("Reference", "reference"), ("Error", "error")):
            values = [float(getattr(told[each.name], part)) if each.name in told else np.nan for each in found]
            columns.append(_column(head, values, found))
        ratios = [number(float(told[each.name].in_std)) if each.name in told else "–" for each in found]
        columns.append(written("|Error|/std", ratios))
        inside = [("yes" if told[each.name].bracketed else "no") if each.name in told else "–" for each in found]
        columns.append(texts("Bracketed", inside))
    return Table(id, "The best fit, and the spread of the members.", tuple(columns))


def _column(head: str, values: Sequence[float], found: Sequence[Propagated]) -> Column:
    """Numbers with the decimals that their error bars deserve."""
    cells = [_cell(fixed(value, decimals(each)), value) for value, each in zip(values, found, strict=True)]
    return Column(head, tuple(cells))


def _cell(text: str, value: float) -> Cell:
    return Cell(text, value if np.isfinite(value) else None)


def _differing(names: Sequence[str]) -> list[str]:
    """The one word of each name that others don't have."""
    words = [name.split() for name in names]
    place = next((i for i in range(len(words[0])) if len({each[i] for each in words}) > 1), 0)
    return [each[place] for each in words]
