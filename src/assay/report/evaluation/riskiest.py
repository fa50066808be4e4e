"""The tables of the riskiest frames and atoms."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.evaluation.barred import width
from assay.report.evaluation.quantities import atom_risk, descending, energy_error, frame_maximum, frame_risk
from assay.report.kit.parts import NONE, Column, Table, counts, numbers, texts
from assay.results.arrays import Level
from assay.results.assessment import Assessment
from assay.results.batch import Labels

TOP = 50
"""Rows of a table of the riskiest."""


def riskiest_frames(assessment: Assessment, labels: Labels | None) -> Table | None:
    """The frames with the largest risk, riskiest first."""
    risk = frame_risk(assessment)
    if risk is None:
        return None
    top = descending(risk[1], TOP)
    folder, names = _short_names(assessment)
    first = [
        texts("Frame", (names[f] for f in top)),
        texts("Group", (assessment.batch.config_types[f] or NONE for f in top)),
        counts("Atoms", assessment.batch.natoms[top]),
    ]
    risks = []
    if assessment.bars.force is not None:
        risks.append(numbers("Largest force bar (eV/Å)", risk[1][top]))
    elif atom_risk(assessment) is not None:
        risks.append(numbers(f"L{risk[0][1:]}", risk[1][top]))
    more = []
    if labels is not None:
        error = np.linalg.norm(assessment.batch.force_error(labels), axis=1)
        more.append(numbers("Largest force error (eV/Å)", frame_maximum(assessment, error)[top]))
    members = assessment.batch.envelopes
    if members.force is not None:
        widest = frame_maximum(assessment, (members.force.high - members.force.low).max(axis=1))
        more.append(numbers("Widest force range (eV/Å)", widest[top]))
    if assessment.bars.energy is not None:
        more.append(numbers("Energy bar (meV/atom)", 1e3 * width(assessment.bars.energy)[top]))
    if labels is not None:
        more.append(numbers("Energy error (meV/atom)", np.abs(energy_error(assessment, labels))[top]))
    if members.energy is not None:
        reach = 1e3 * (members.energy.high - members.energy.low) / assessment.batch.natoms
        more.append(numbers("Energy range (meV/atom)", reach[top]))
    caption = _caption("frames", risk[0], len(top), len(names), folder)
    return _ranked("frames", caption, first, risks, more, _scores(assessment, "frame", top))


def riskiest_atoms(assessment: Assessment, labels: Labels | None) -> Table | None:
    """The atoms with the largest risk, riskiest first."""
    risk = atom_risk(assessment)
    if risk is None:
        return None
    top = descending(risk[1], TOP)
    frame = assessment.batch.frame_of_atom[top]
    folder, names = _short_names(assessment)
    first = [
        texts("Frame", (names[f] for f in frame)),
        counts("Atom", top - assessment.batch.offsets[frame]),
        texts("Element", (chemical_symbols[z] for z in assessment.batch.numbers[top])),
    ]
    risks = [] if assessment.bars.force is None else [numbers("Force bar (eV/Å)", risk[1][top])]
    more = []
    if labels is not None:
        error = np.linalg.norm(assessment.batch.force_error(labels)[top], axis=1)
        more.append(numbers("Force error (eV/Å)", error))
    scores = _scores(assessment, "atom", top) + _scores(assessment, "neighbourhood", top)
    return _ranked("atoms", _caption("atoms", risk[0], len(top), len(risk[1]), folder), first, risks, more, scores)


def _scores(assessment: Assessment, level: Level, rows: NDArray[np.intp]) -> list[Column]:
    """The scores of a level at the given rows, with those above their thresholds marked."""
    found = [score for (_, at), score in assessment.scores.items() if at == level]
    suffix = " (neighbourhood)" if level == "neighbourhood" else ""
    return [numbers(score.name + suffix, score.values[rows], score.flagged[rows].tolist()) for score in found]


def _ranked(
    id: str, caption: str, first: list[Column], risks: list[Column], more: list[Column], scores: list[Column]
) -> Table:
    """Names, what ranks the rows (without `risks`, the first score), then the other numbers."""
    rest = risks + more + scores if risks else scores + more
    return Table(id, caption, (*first, *rest), ranked=len(first))


def _short_names(assessment: Assessment) -> tuple[str, list[str]]:
    """The folder that all frames come from, with its slash, and their names in it; none where there are several."""
    folders = {name[: name.rfind("/") + 1] for name in assessment.batch.names}
    folder = folders.pop() if len(folders) == 1 else ""
    return folder, [name[len(folder) :] for name in assessment.batch.names]


def _caption(what: str, risk: str, shown: int, total: int, folder: str) -> str:
    which = f"All {total:,} {what}" if shown == total else f"The {shown} riskiest of {total:,} {what}"
    place = f" Names are relative to {folder}." if folder else ""
    return f"{which}, by {risk}. ▲ marks a score above its threshold. Click a heading to sort.{place}"
