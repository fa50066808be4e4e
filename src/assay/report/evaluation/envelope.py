"""The section about members: what they span beside the references, and errors over their spread."""

from __future__ import annotations

from assay.evaluation.diagrams import SpreadRatios
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation import figures, tables
from assay.report.evaluation.quantities import DISPLAYED, labels_of
from assay.report.kit import theme
from assay.report.kit.parts import Panel, Section, percent
from assay.results.per_quantity import Quantity
from assay.results.residuals import Enveloped, enveloped
from assay.results.wording import many


def envelope(evaluation: EvaluationResult | None) -> list[Section]:
    """References beside what the members span, and errors over their spread; no section without members or labels."""
    labels = labels_of(evaluation)
    if evaluation is None or labels is None or not (found := enveloped(evaluation.assessment.batch, labels)):
        return []
    section = Section(
        "envelope",
        "Do the members hold the truth between them?",
        "From the smallest to the largest prediction of the members and the best fit: nothing is calibrated.",
    )
    for name, values in found.forces_first():
        section.panels.append(_parity(name, values, evaluation.members))
        if (ratios := evaluation.diagrams.ratios[name]) is not None:
            section.panels.append(_ratios(name, ratios))
    table = tables.envelopes(evaluation)
    section.tables.extend([table] if table else [])
    if evaluation.symmetry_zero_components:
        section.notes.append("Force components that vanish by symmetry are left out.")
    return [section]


def _parity(name: Quantity, values: Enveloped, members: int) -> Panel:
    unit, factor = DISPLAYED[name]
    shown, n = len(figures.drawn(values)), values.label.size
    caption = (
        f"A parity plot with its diagonal laid flat: the reference, and the range of {many(members, 'member')}, less "
        f"the prediction. {percent(float(values.outside.mean()))} of {many(n, 'reference')} are outside their range. "
        "The longest ranges run off the axis."
    )
    if shown < n:
        caption += f" Drawn are {shown:,} values, taken at random."
    return Panel(
        f"envelope-{name}",
        f"{name.capitalize()} envelope of the members",
        theme.svg(
            lambda ax: figures.envelope(ax, values, unit, factor),
            id=f"envelope-{name}",
            label=f"Reference {name} less the prediction, with the range of the members shaded",
        ),
        caption,
    )


def _ratios(name: str, ratios: SpreadRatios) -> Panel:
    caption = (
        "How often an error is so many times its spread: the members' standard deviation as it is, and the calibrated "
        "error bar. Where a spread has the size of the errors, its histogram follows the normal distribution; too "
        "narrow, it is lower in the middle and higher at the sides."
    )
    if beyond := ratios.members.beyond:
        last = ratios.members.histogram.edges[-1]
        caption += f" {percent(beyond)} are more than {last:g} deviations off, beyond the axis."
    return Panel(
        f"ratio-{name}",
        f"{name.capitalize()} errors over their spread",
        theme.svg(
            lambda ax: figures.error_over_spread(ax, ratios),
            id=f"ratio-{name}",
            label=f"Histogram of {name} error over spread, beside the normal distribution",
        ),
        caption,
    )
