"""The section about error bars: errors against their bars, coverage, and RMSE against predicted variance."""

from __future__ import annotations

from collections.abc import Sequence

from assay.evaluation.barred import Barred
from assay.evaluation.diagrams import CoverageCurve, Reliability
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation import figures
from assay.report.evaluation.quantities import labels_of, shown
from assay.report.kit import theme
from assay.report.kit.parts import Panel, Section
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import Gaussian
from assay.results.per_quantity import FORCES_FIRST, PerQuantity, Quantity


def bars(assessment: Assessment, evaluation: EvaluationResult | None) -> Section:
    """Errors against their bars: scatter, coverage, and RMSE against predicted variance."""
    section = Section(
        "bars", "Do the error bars match the errors?", "Each error is held against the bar that foretold it."
    )
    if assessment.batch.forces is None:
        section.notes.append("The gauge gives scores and no predictions, so there are neither errors nor bars.")
        return section
    labels = labels_of(evaluation)
    if evaluation is None or labels is None:
        section.notes.append(
            "No reference labels came with these frames, so there are no errors to hold the bars against."
        )
        return section
    found = shown(assessment, labels)
    section.notes.extend(_missing(assessment, labels, found))
    drawn = {quantity.name for quantity in found if figures.drawable(quantity).any()}
    section.panels.extend(_error_against_bar(quantity) for quantity in found if quantity.name in drawn)
    if found:
        section.panels.append(_coverage(evaluation.diagrams.coverage))
    for name, bins in evaluation.diagrams.reliability.forces_first():
        if name in drawn and name != "stress":
            section.panels.append(_rmse_against_rmv(name, bins))
    if any(not isinstance(quantity.bar, Gaussian) for quantity in found):
        section.notes.append(
            "Some bars are intervals with a promised coverage. They have no variance, so the diagram of RMSE against "
            "predicted variance is not defined for them; the coverage diagram is."
        )
    return section


def _missing(assessment: Assessment, labels: Labels, found: Sequence[Barred]) -> list[str]:
    """Why a quantity has no diagram, and what of it was left out."""
    drawn = {quantity.name for quantity in found}
    notes = []
    for name in FORCES_FIRST:
        if name not in drawn:
            no_reference = name == "stress" and labels.stress is None
            why = (
                "the gauge gives no bars"
                if assessment.bars[name] is None
                else "no reference came"
                if no_reference
                else "no value is left"
            )
            notes.append(f"No {name} diagram: {why} for it.")
    notes += [
        f"{q.left_out:,} {q.name} values had no finite error or usable bar and are left out."
        for q in found
        if q.left_out
    ]
    if still := int(assessment.batch.still.sum()):
        notes.append(f"{still:,} force components are left out of these diagrams: they vanish by symmetry.")
    return notes


def _error_against_bar(quantity: Barred) -> Panel:
    drawn = figures.drawable(quantity)
    guide = "1σ and 2σ" if isinstance(quantity.bar, Gaussian) else "68 % and 95 %"
    caption = (
        "Bigger bars (right) should go with bigger errors (up). If the bars are right, about 68 % and 95 % of the "
        f"points lie below the {guide} lines, at every width. The smallest errors run off the bottom."
    )
    if not drawn.all():
        caption += f" {int((~drawn).sum()):,} errors of exactly zero or infinite bars have no place on these axes."
    return Panel(
        f"error-{quantity.name}",
        f"{quantity.name.capitalize()} errors against their bars",
        theme.svg(
            lambda ax: figures.error_against_bar(ax, quantity),
            id=f"error-{quantity.name}",
            label=f"Absolute {quantity.name} error against the size of its error bar, on logarithmic axes",
        ),
        caption,
    )


def _coverage(curves: PerQuantity[CoverageCurve]) -> Panel:
    return Panel(
        "coverage",
        "Reliability: coverage",
        theme.svg(
            lambda ax: figures.coverage(ax, curves),
            id="coverage",
            label="Share of errors inside the error bars against the share promised",
        ),
        "A bar that promises to hold 68 % of the errors should hold 68 %: the closer to the diagonal, the better. "
        "Below it the bars are too narrow (overconfident), above it too wide.",
    )


def _rmse_against_rmv(name: Quantity, bins: Reliability) -> Panel:
    return Panel(
        f"rmv-{name}",
        f"{name.capitalize()} errors predicted and found",
        theme.svg(
            lambda ax: figures.rmse_against_rmv(ax, name, bins),
            id=f"rmv-{name}",
            label=f"Root mean square {name} error against the root mean variance predicted, by bins",
        ),
        "Values are sorted by their bar and put in bins of equal count. Points on the diagonal have bars of the right "
        "size at that width; a flat row of points means that the bars don't tell risky from safe.",
    )
