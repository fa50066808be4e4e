"""One label for each frame of a pool: the teachers' where they agree, DFT's where they don't.

Axis letters: K teachers, F frames, A atoms of all frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.distillation.cutoffs import taught
from assay.distillation.errors import errors
from assay.distillation.figures import LabelFigures, Share
from assay.distillation.teachers import PoolLabels, TeacherLabel, Teachers
from assay.ensembles.references import LABELS, EnergyReferences, ReferenceFold
from assay.frames.frame import Frame, LabelKeys
from assay.results.arrays import Array
from assay.results.warning import warn

KEYS = LabelKeys()
"""Keys of the labels of mixed frames."""
DFT, TEACHERS = "DFT", "teachers"


@dataclass(frozen=True)
class Mixed:
    """PoolLabels of F frames at one cut-off U_c.

    | field | meaning | shape, unit |
    |---|---|---|
    | cutoff | U_c | eV/Å |
    | dft | which frames have their DFT label | `(F,)` |
    | pending | which would need one and have none: they take no part | `(F,)` |
    | labels | energies of both kinds on one reference | |
    | references | what was added to the teachers' energies | |
    | tied | how many of the DFT frames are there for the references | |
    """

    cutoff: float
    dft: NDArray[np.bool_]
    pending: NDArray[np.bool_]
    labels: PoolLabels
    references: EnergyReferences
    tied: int

    @property
    def taught(self) -> NDArray[np.bool_]:
        """Which frames have their teachers' label, `(F,)`."""
        return ~self.dft & ~self.pending


def mix(
    frames: Sequence[Frame],
    teachers: Teachers,
    uncertainty: Array,
    cutoff: float,
    known: PoolLabels,
    *,
    weights: Array,
    which: TeacherLabel,
    ties: NDArray[np.bool_],
    without: NDArray[np.bool_] | None = None,
) -> Mixed:
    """The teachers' label where `U_j < U_c`, the DFT label elsewhere, energies on DFT's reference.

    The teachers' energies are shifted per species onto the DFT labels of `ties`, or where those lack a species that
    others have, onto all DFT labels that are used; where a teacher failed on all of these frames, onto all that are
    known; where there are none, onto the teacher of the largest weight.

    | argument | meaning |
    |---|---|
    | uncertainty, cutoff | U `(F,)`, U_c, eV/Å |
    | known | DFT labels, NaN where there are none |
    | weights | w of the teachers, `(K,)` |
    | which | `best` or `mean`: see `Teachers.label` |
    | ties | frames with DFT labels whatever their U, for the references, `(F,)` |
    | without | frames whose DFT label is not to be trusted, `(F,)`: they keep their teachers' if U < U_c, else none |
    """
    trusted = known.known if without is None else known.known & ~without
    wanted = ~taught(uncertainty, cutoff) | (ties & (trusted | ~known.known))
    dft = wanted & trusted
    usable = trusted & teachers.answered
    tying, on = ties & usable, dft & usable
    if tying.any() and _species(frames, tying) >= _species(frames, on):
        on = tying
    elif dft.any() and not on.any():
        on = usable
        if not on.any():
            warn(
                "a teacher failed on every frame with a DFT label: energies of the teachers' labels keep another zero. "
                "Have some of the most certain frames labelled too (--reference-frames)",
                stacklevel=2,
            )
    references = fit_references(frames, teachers, known.energy, on, weights)
    shifts = np.array([references.of(frame.atoms.numbers) for frame in frames]).T
    label = teachers.label(which, weights, shifts)
    atoms = np.repeat(dft, teachers.natoms)
    return Mixed(
        cutoff=cutoff,
        dft=dft,
        pending=wanted & ~trusted,
        labels=PoolLabels(
            np.where(dft, known.energy, label.energy),
            np.where(atoms[:, None], known.forces, label.forces),
            np.where(dft[:, None], known.stress, label.stress),
        ),
        references=references,
        tied=int((ties & dft & taught(uncertainty, cutoff)).sum()),
    )


def fit_references(
    frames: Sequence[Frame], teachers: Teachers, energy: Array, on: NDArray[np.bool_], weights: Array
) -> EnergyReferences:
    """Shifts of the K teachers onto the DFT energies `(F,)` of the frames `on` `(F,)`; where there are none, onto the
    teacher of the largest weight.

    A species of the pool that no frame of `on` has keeps the teachers' zero: no DFT energy holds it against another,
    and the student has a constant of its own for each species.
    """
    if not on.any():
        fold = ReferenceFold(teachers.models, teachers.models[int(np.argmax(weights))])
        for j in np.flatnonzero(teachers.answered).tolist():
            fold.update(frames[j].atoms.numbers, teachers.energy[:, j])
    else:
        fold = ReferenceFold(teachers.models, LABELS)
        for j in np.flatnonzero(on).tolist():
            fold.update(frames[j].atoms.numbers, teachers.energy[:, j], float(energy[j]))
    return fold.result().with_species(sorted(_species(frames, np.ones(len(frames), dtype=bool))))


def _species(frames: Sequence[Frame], which: NDArray[np.bool_]) -> set[int]:
    """Atomic numbers in some of the frames, `(F,)`."""
    return {int(z) for j in np.flatnonzero(which).tolist() for z in frames[j].atoms.numbers}


def mixed_frames(frames: Sequence[Frame], mixed: Mixed, uncertainty: Array) -> Iterator[Atoms]:
    """The frames that take part, with their label under `KEYS`, `label_source`, `U` and `origin` in `info`.

    Stress is there if all of them have it.
    """
    here: list[int] = np.flatnonzero(~mixed.pending).tolist()
    offsets = np.concatenate([[0], np.cumsum([len(frame.atoms) for frame in frames])])
    stress = bool(np.isfinite(mixed.labels.stress[here]).all())
    for j in here:
        atoms = bare(frames[j])
        atoms.info |= {
            KEYS.energy: float(mixed.labels.energy[j]),
            "label_source": DFT if mixed.dft[j] else TEACHERS,
        } | _finite({"U": uncertainty[j]})
        atoms.set_array(KEYS.forces, mixed.labels.forces[offsets[j] : offsets[j + 1]])
        if stress:
            atoms.info[KEYS.stress] = mixed.labels.stress[j]
        yield atoms


def jobs(frames: Sequence[Frame], mixed: Sequence[Mixed], uncertainty: Array) -> list[Atoms]:
    """The frames that need a DFT calculation for any of the cut-offs, the most uncertain first.

    `info` has `U`, `rank` (from 1) and `largest_cutoff`, the largest U_c that asks for it, where they are finite.
    Frames on which a teacher failed have no U, and come first.
    """
    pending = np.any([each.pending for each in mixed], axis=0)
    order = [j for j in np.argsort(-uncertainty, kind="stable") if pending[j]]
    found = []
    for rank, j in enumerate(order, 1):
        atoms = bare(frames[j])
        largest = max(each.cutoff for each in mixed if each.pending[j])
        atoms.info |= {"rank": rank} | _finite({"U": uncertainty[j], "largest_cutoff": largest})
        found.append(atoms)
    return found


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isfinite(value)}


def bare(frame: Frame) -> Atoms:
    """The structure alone, with its `config_type` and `origin`."""
    atoms = Atoms(
        numbers=frame.atoms.numbers, positions=frame.atoms.positions, cell=frame.atoms.cell, pbc=frame.atoms.pbc
    )
    atoms.info = {"origin": frame.origin} | ({"config_type": frame.config_type} if frame.config_type else {})
    return atoms


def described(one: Mixed, frames: Sequence[Frame], told: Teachers, known: PoolLabels) -> LabelFigures:
    """What the labels at one cut-off are, and their errors against the DFT labels that are known.

    Where teachers' labels are in use and DFT's is known of none of them, no error is: DFT's own labels have none.
    """

    def share(which: NDArray[np.bool_]) -> Share:
        atoms = int(told.natoms[which].sum())
        return Share(int(which.sum()), atoms, atoms / int(told.natoms.sum()))

    taught = np.where(one.taught, one.labels.energy, np.nan)
    judged = one.taught & known.known
    here = np.where(one.pending | (one.taught.any() & ~judged.any()), np.nan, one.labels.energy)
    return LabelFigures(
        cutoff=one.cutoff if isfinite(one.cutoff) else None,
        dft_needed=share(one.dft | one.pending),
        dft=share(one.dft),
        pending=share(one.pending),
        teachers_labels=share(one.taught),
        teachers_labels_judged=share(judged),
        for_the_reference=one.tied,
        references=one.references,
        errors=errors(frames, replace(one.labels, energy=here), known),
        teachers_errors=errors(frames, replace(one.labels, energy=taught), known),
    )
