"""The sections about scores, rankings and risk, and all numbers, with captions that say how to read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from assay.evaluation.diagrams import Sparsification
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation import figures, tables
from assay.report.evaluation.quantities import FORCE_BAR, atom_key, atom_risk, labels_of
from assay.report.evaluation.riskiest import riskiest_atoms, riskiest_frames
from assay.report.kit import theme
from assay.report.kit.parts import Panel, Section, percent
from assay.report.kit.structure import picture
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.score import Score
from assay.results.wording import many


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
        table for table in (riskiest_frames(assessment, labels), riskiest_atoms(assessment, labels)) if table
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
