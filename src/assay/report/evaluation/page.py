"""The page: sections put into the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from assay.evaluation.result import EvaluationResult
from assay.report.evaluation import sections
from assay.report.evaluation.bars import bars
from assay.report.evaluation.envelope import envelope
from assay.report.evaluation.quantities import FORCE_BAR, atom_key
from assay.report.evaluation.strata import strata
from assay.report.evaluation.verdict import verdict
from assay.report.kit.page import environment
from assay.report.kit.parts import Section
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.wording import many

TOP_FAILED = 50
"""Frames left out that are named one by one."""
SPELT_OUT = 12
"""Elements beyond which they are counted."""


def render(
    assessment: Assessment,
    *,
    title: str,
    provenance: Mapping[str, str],
    evaluation: EvaluationResult | None,
    training: Mapping[tuple[str, Level], Array],
    worst: Atoms | None,
    warnings: Sequence[str] = (),
) -> str:
    """The whole page as text; arguments as those of `write_report`."""
    _check(assessment, evaluation, worst)
    page: str = (
        environment()
        .get_template("template.html")
        .render(
            title=title,
            said=warnings,
            judged=_judged(assessment),
            verdict=verdict(assessment, evaluation),
            sections=_full_first(
                bars(assessment, evaluation),
                *strata(evaluation),
                *envelope(evaluation),
                sections.ranking(assessment, evaluation),
                sections.distributions(assessment, training),
                sections.riskiest(assessment, evaluation, worst),
                sections.every_number(evaluation),
            ),
            provenance=provenance,
            failed=assessment.failed[:TOP_FAILED],
            failed_total=len(assessment.failed),
        )
    )
    return page


def _full_first(*given: Section) -> list[Section]:
    """The sections in their order, those with nothing but notes at the end."""
    return sorted(given, key=lambda section: not (section.panels or section.tables))


def _judged(assessment: Assessment) -> str:
    """One line about the frames: how many, which elements and groups, which error bar."""
    elements = [chemical_symbols[z] for z in np.unique(assessment.batch.numbers)]
    named = ", ".join(elements) if len(elements) <= SPELT_OUT else many(len(elements), "element")
    groups = len({name for name in assessment.batch.config_types if name})
    parts = [
        many(len(assessment.batch.names), "frame"),
        many(len(assessment.batch.numbers), "atom") + (f" ({named})" if elements else ""),
        *([many(groups, "group")] if groups else []),
        f"error bars: {assessment.bar}" if assessment.bar else "scores only, no error bars",
    ]
    return " · ".join(parts)


def _check(assessment: Assessment, evaluation: EvaluationResult | None, worst: Atoms | None) -> None:
    """Raise ValueError where the evaluation is of other frames or the picture lacks what it shows."""
    if evaluation is not None and evaluation.assessment.batch.names != assessment.batch.names:
        raise ValueError(
            f"the evaluation is of {many(evaluation.frames, 'frame')} and the assessment of "
            f"{many(len(assessment.batch.names), 'other frame')}: give that of the same frames"
        )
    if worst is not None and (key := atom_key(assessment)) not in worst.arrays:
        what = "error bars of its atoms, `(A,)` eV/Å" if key == FORCE_BAR else "score of its atoms, `(A,)`"
        raise ValueError(f'worst has no arrays["{key}"]: set it to the {what}')
