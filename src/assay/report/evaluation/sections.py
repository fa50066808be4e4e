"""The sections of the page: which panels and tables, with captions that say how to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from assay.evaluation.barred import Barred
from assay.evaluation.diagrams import CoverageCurve, Reliability, Sparsification, SpreadRatios
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation import figures, tables
from assay.report.evaluation.quantities import DISPLAYED, FORCE_BAR, atom_key, atom_risk, shown
from assay.report.kit import theme
from assay.report.kit.parts import Panel, Section, percent
from assay.report.kit.structure import picture
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.results.error_bars import Gaussian
from assay.results.per_quantity import FORCES_FIRST, PerQuantity, Quantity
from assay.results.residuals import Enveloped, enveloped
from assay.results.score import Score
from assay.results.wording import many


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


def labels_of(evaluation: EvaluationResult | None) -> Labels | None:
    """The references that errors are against; `None` without an evaluation."""
    return None if evaluation is None else evaluation.assessment.batch.labels


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


def ranking(assessment: Assessment, evaluation: EvaluationResult | None) -> Section:
    """How the mean force error falls as the atoms ranked riskiest are taken out, and how well each score ranks."""
    section = Section(
        "ranking", "Do they put the largest errors first?", "A ranking needs no unit: scores count as well as bars."
    )
    scored = None if evaluation is None else tables.scores(evaluation)
    section.tables.extend([scored] if scored else [])
    if evaluation is None or atom_risk(assessment) is None:
        missing = "no reference labels" if evaluation is None else "no error bars or scores of atoms"
        section.notes.append(f"There are {missing}, so a ranking of errors can't be drawn.")
    elif (curves := evaluation.diagrams.sparsification) is None:
        section.notes.append("No atom has both an error and a ranking.")
    else:
        section.panels.append(_sparsification(curves))
    return section


def distributions(assessment: Assessment, training: Mapping[tuple[str, Level], Array]) -> Section:
    """A histogram of each score beside that of training frames."""
    section = Section(
        "scores",
        "How far from home are these frames?",
        "A score is a distance from what the potential was fitted to: bigger is less trustworthy. It is not an error.",
    )
    for place, (key, score) in enumerate(assessment.scores.items()):
        values = training.get(key)
        if np.isfinite(score.values).any():
            section.panels.append(_distribution(f"score-{place}", score, values))
    if not assessment.scores:
        section.notes.append("The gauge gave no scores.")
    elif not training:
        section.notes.append("No scores of training frames came with this report, so there is nothing to compare with.")
    return section


def riskiest(assessment: Assessment, evaluation: EvaluationResult | None, worst: Atoms | None) -> Section:
    """Tables of the riskiest frames and atoms, and a picture of the worst frame."""
    labels = labels_of(evaluation)
    lead = "Look here first: what to recompute, and where in a frame the potential is unsure."
    if assessment.batch.forces is not None:
        lead += f" Force bars {'' if labels is None else 'and errors '}are lengths of vectors."
    section = Section("riskiest", "Riskiest frames and atoms", lead)
    section.tables.extend(
        table
        for table in (tables.riskiest_frames(assessment, labels), tables.riskiest_atoms(assessment, labels))
        if table
    )
    if not section.tables:
        section.notes.append("There are neither error bars nor scores to rank by.")
    if worst is None:
        section.notes.append("No structure was handed in for a picture of the worst frame.")
    else:
        section.panels.append(_picture(worst, assessment))
    return section


def every_number(evaluation: EvaluationResult | None) -> Section:
    """The tables of the evaluation."""
    section = Section("numbers", "All numbers", "An en dash stands where a number is not defined.")
    if evaluation is not None:
        found = (
            tables.error_bars(evaluation),
            tables.groups("by-config-type", "Group", evaluation.by_config_type),
            tables.groups("by-element", "Element", evaluation.by_element),
        )
        section.tables.extend(table for table in found if table)
    if not section.tables:
        section.notes.append("No evaluation came with these frames: run assay evaluate on labelled frames to get one.")
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


def _sparsification(curves: Sparsification) -> Panel:
    return Panel(
        "sparsification",
        "Sparsification",
        theme.svg(
            lambda ax: figures.sparsification(ax, curves, "eV/Å"),
            id="sparsification",
            label="Mean force error of the atoms left as the riskiest are taken out",
        ),
        "Take out the atoms ranked riskiest and see how far the mean force error of the rest falls. A good ranking "
        "follows the oracle, which knows the errors; a useless one stays on the flat line of a random order.",
    )


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


def _distribution(id: str, score: Score, training: Array | None) -> Panel:
    caption = f"{many(len(score.values), score.level)}. "
    unplaced = int(np.sum(~np.isfinite(score.values) | (figures.positive(score) & (score.values <= 0))))
    if unplaced:
        caption += f"{unplaced:,} of them are zero or not finite and have no place on the axis. "
    if training is not None:
        caption += "Where the two histograms part, these frames are unlike the training frames. "
    if score.threshold is None:
        caption += "Nothing sets a threshold for this score."
    else:
        caption += f"Above the threshold: {percent(float(score.flagged.mean()))}"
        caption += "." if training is None else f" (training: {percent(float(np.mean(training > score.threshold)))})."
    heading = f"{score.name}, {score.level}"
    return Panel(
        id,
        heading,
        theme.svg(
            lambda ax: figures.score_distribution(ax, score, training),
            id=id,
            label=f"Histogram of {heading}",
            size=(4.2, 2.7),
        ),
        caption,
    )


def _picture(worst: Atoms, assessment: Assessment) -> Panel:
    key = atom_key(assessment)
    values = np.asarray(worst.arrays[key])
    top = int(np.argmax(values))
    calibrated = assessment.bars.force is not None
    name = key if key != FORCE_BAR else "force error bar" if calibrated else "uncalibrated force spread"
    which = ", ".join(filter(None, (worst.info.get("origin"), worst.get_chemical_formula())))
    return Panel(
        "worst",
        "The riskiest frame",
        theme.svg(
            lambda ax: picture(ax, worst, values, f"{name} (eV/Å)" if key == FORCE_BAR else name),
            id="worst",
            label=f"Atoms of {which} coloured by their {name}",
            size=(4.2, 4.2),
        ),
        f"Frame {which}. Atoms are coloured by their {name}: the brighter, the less trustworthy. The "
        f"ring marks atom {top} ({chemical_symbols[worst.numbers[top]]}), where it is largest.",
    )
