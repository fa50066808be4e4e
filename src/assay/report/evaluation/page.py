"""The page: sections put into the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from assay.report.evaluation import sections
from assay.report.evaluation.quantities import FORCE_BAR, atom_key
from assay.report.evaluation.strata import strata
from assay.report.evaluation.verdict import verdict
from assay.report.kit.page import environment
from assay.report.kit.parts import Section
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.batch import NO_PREDICTIONS, Labels
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
    labels: Labels | None,
    evaluation: Mapping[str, Any],
    training: Mapping[tuple[str, Level], Array],
    worst: Atoms | None,
) -> str:
    """The whole page as text; arguments as those of `write_report`."""
    _check(assessment, labels, worst)
    page: str = (
        environment()
        .get_template("template.html")
        .render(
            title=title,
            judged=_judged(assessment),
            verdict=verdict(assessment, evaluation),
            sections=_full_first(
                sections.bars(assessment, labels),
                *strata(evaluation),
                *sections.envelope(assessment, labels, evaluation),
                sections.ranking(assessment, labels, evaluation),
                sections.distributions(assessment, training),
                sections.riskiest(assessment, labels, worst),
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


def _check(assessment: Assessment, labels: Labels | None, worst: Atoms | None) -> None:
    """Raise ValueError where the labels are of other frames or the picture lacks what it shows."""
    if labels is not None:
        if assessment.batch.energy is None or assessment.batch.forces is None:
            raise ValueError(NO_PREDICTIONS)
        for name, predicted in (("energy", assessment.batch.energy), ("forces", assessment.batch.forces)):
            came, needed = getattr(labels, name).shape, predicted.shape
            if came != needed:
                raise ValueError(
                    f"the labels have {name} of shape {came} and the assessment {needed}: "
                    "give the labels of the same frames, without those that failed"
                )
    if worst is not None and (key := atom_key(assessment)) not in worst.arrays:
        what = "error bars of its atoms, `(A,)` eV/Å" if key == FORCE_BAR else "score of its atoms, `(A,)`"
        raise ValueError(f'worst has no arrays["{key}"]: set it to the {what}')
