"""Do energies, forces and stresses of the training frames agree with one fit to all of them, or only when read anew?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from assay.frames.dataset import Survey
from assay.frames.frame import Frame
from assay.frames.label_readings import (
    BOHR,
    COMMON_ENERGIES,
    COMMON_FORCES,
    ENERGIES,
    FORCES,
    HARTREE,
    NOUNS,
    PER_ATOM,
    finding,
    stress_contradiction,
)
from assay.linear.joint_fit import JointFit, Rows
from assay.metrics.contradiction import (
    FEWEST,
    LARGE,
    NEARER,
    WILD,
    Contradiction,
    contradiction,
    losses,
    without_compositions,
)
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.label_finding import Findings
from assay.results.per_quantity import Quantity

FRAMES, ATOMS, ROWS, WORK = 120, 20, 5000, 1e6
"""Of the sample at most: frames, atoms of a frame, rows, and rows times coefficients (but `FEWEST_ROWS` always)."""
FEWEST_ROWS = 600
CLOSE = 1.05
"""Times the least loss, up to which another reading is named beside it."""
WILD_SPREADS = 10.0
"""Times the spread of the middle four fifths of energies, at which they are clipped."""
MUCH = 0.55
"""Times the loss of labels as they are, which that of other units must not be above: energies weigh otherwise beside
forces then, and losses change by that alone."""
CONFIRMED = 0.85
"""Times the loss of a fit to all three, which that of a fit to stresses that are read otherwise must not be above."""
MANY = 200
"""Coefficients from which on only the commonest mistakes are looked for: each costs a factorisation."""


@dataclass(frozen=True)
class _Reading:
    """Labels as they might be meant: factors of energies and forces, and whether energies are per atom already."""

    quantity: Quantity
    name: str
    energy: float = 1.0
    force: float = 1.0
    per_atom: bool = False

    @property
    def weighs_alike(self) -> bool:
        """Whether energies count as much beside forces as they do as they are: a sign changes nothing of that."""
        return abs(self.energy) == abs(self.force) == 1.0


AS_IS = _Reading("energy", "")
COMMON = (
    *(_Reading("force", name, force=FORCES[name]) for name in COMMON_FORCES),
    *(_Reading("energy", name, energy=ENERGIES[name]) for name in COMMON_ENERGIES),
    _Reading("energy", PER_ATOM, per_atom=True),
)
READINGS = (
    *(_Reading("force", name, force=factor) for name, factor in FORCES.items()),
    *(_Reading("energy", name, energy=factor) for name, factor in ENERGIES.items() if factor > 0),
    _Reading("force", "in Ha/Bohr, and energies in Ha", HARTREE, HARTREE / BOHR),
    _Reading("energy", PER_ATOM, per_atom=True),
)


@dataclass(frozen=True)
class _Kept:
    """A frame of the sample with rows of P coefficients: of the energy per atom, some forces, and the stress if any."""

    frame: Frame
    energy_row: Array
    force_rows: Array
    stress_rows: Array | None
    forces: Array
    reference: tuple[float, Array, Array]


@dataclass
class LabelFold:
    """Keeps the rows of an evenly spaced sample of frames on their way to a linear fit, and holds labels to each other.

    `update(frame, design)` takes every one of the `total` fitted frames, in order; `findings()` says what contradicts.
    """

    total: int
    coefficients: int
    _seen: int = 0
    _due: int = 0
    _kept: list[_Kept] = field(default_factory=list)

    @property
    def _most(self) -> tuple[int, int]:
        """How many frames, and atoms of each, are kept."""
        rows = int(np.clip(WORK / max(1, self.coefficients), FEWEST_ROWS, ROWS))
        frames = min(FRAMES, rows // 10, max(1, self.total))
        return frames, int(np.clip((rows // frames - 7) // 3, 1, ATOMS))

    def update(self, frame: Frame, design: Design) -> None:
        """Keep the frame or pass it over; `design` has its rows."""
        most, atoms = self._most
        before, self._seen = self._seen, self._seen + 1
        self._due += self._seen * most // self.total - before * most // self.total
        if self._due < 1 or frame.energy is None or frame.forces is None:  # the next that has both is kept
            return
        self._due = 0
        n = len(frame.atoms)
        chosen = np.linspace(0, n - 1, min(n, atoms)).round().astype(int)
        rows = (3 * chosen[:, None] + np.arange(3)).ravel()
        none = np.zeros((len(rows), len(design.energy_row)))
        stressed = frame.stress is not None and frame.atoms.pbc.all()
        self._kept.append(
            _Kept(
                frame,
                np.array(design.energy_row) / n,
                none if design.force_rows is None else np.array(design.force_rows[rows]),
                np.array(design.stress_rows) if stressed and design.stress_rows is not None else None,
                np.asarray(frame.forces).ravel()[rows],
                (design.reference_energy / n, design.reference_forces.ravel()[rows], design.reference_stress),
            )
        )

    def findings(self, whose: str = "training frames") -> Findings:
        """What contradicts: energies and forces first, then stresses as these have to be read."""
        if len(self._kept) < FEWEST:
            return ()
        sample = _Sample.of(self._kept)
        reading, found = sample.of_energies_and_forces(whose)
        return (*found, *sample.of_stresses(reading, whose))


@dataclass(frozen=True)
class _Sample:
    """Labels and rows of F frames, G of which have a stress: energies `(F,)` eV, forces of rows, stresses `(G, 6)`."""

    fit: JointFit
    survey: Survey
    energy: Array
    forces: Array
    stress: Array
    volume: Array

    @classmethod
    def of(cls, kept: Sequence[_Kept]) -> _Sample:
        order = np.arange(len(kept))
        rows = {
            "energy": Rows(
                np.array([each.energy_row for each in kept]), np.array([each.reference[0] for each in kept]), order
            ),
            "force": Rows(
                np.concatenate([each.force_rows for each in kept]),
                np.concatenate([each.reference[1] for each in kept]),
                np.repeat(order, [len(each.force_rows) for each in kept]),
            ),
        }
        frames = [each.frame for each in kept]
        if stressed := [(i, each) for i, each in enumerate(kept) if each.stress_rows is not None]:
            rows["stress"] = Rows(
                np.concatenate([each.stress_rows for _, each in stressed]),
                np.concatenate([each.reference[2] for _, each in stressed]),
                np.repeat([i for i, _ in stressed], 6),
            )
        return cls(
            JointFit(rows, len(kept)),
            Survey.fit(frames),
            np.array([frame.energy for frame in frames]),
            np.concatenate([each.forces for each in kept]),
            np.array([each.frame.stress for _, each in stressed]).reshape(-1, 6),
            np.array([each.frame.atoms.cell.volume for _, each in stressed]),
        )

    @cached_property
    def _above(self) -> dict[bool, Array]:
        """Energies per atom less those of compositions and reference, by whether labels are per atom already."""
        natoms, reference = self.survey.natoms, self.fit.rows["energy"].reference
        fractions = self.survey.counts / natoms[:, None]
        return {
            each: _clipped(without_compositions((self.energy if each else self.energy / natoms) - reference, fractions))
            for each in (False, True)
        }

    def values(self, reading: _Reading) -> dict[str, Array]:
        """Energies per atom less those of the compositions, and forces, as they are read."""
        reference = self.fit.rows["energy"].reference
        if reading.energy == 1.0 or not reference.any():
            energy = reading.energy * self._above[reading.per_atom]
        else:
            natoms = self.survey.natoms
            fractions = self.survey.counts / natoms[:, None]
            energy = _clipped(without_compositions(reading.energy * self.energy / natoms - reference, fractions))
        return {"energy": energy + reference, "force": reading.force * self.forces}

    def of_energies_and_forces(self, whose: str) -> tuple[_Reading, Findings]:
        """How energies and forces have to be read to agree, and what there is to say of it."""

        def loss(reading: _Reading) -> Array:
            return np.asarray(np.sum([*self.fit.losses(self.values(reading), ("energy", "force"))], axis=0))

        as_is = loss(AS_IS)
        if np.median(as_is) < LARGE:
            return AS_IS, ()
        readings = READINGS if self.fit.coefficients < MANY else COMMON
        found = [
            (one, held)
            for one in readings
            if (held := contradiction(as_is, loss(one), NEARER if one.weighs_alike else MUCH)) is not None
        ]
        if not found:
            return AS_IS, ()
        reading, held = min(found, key=lambda each: each[1].other)
        near = [one for one, other in found if one is not reading and other.other <= CLOSE * held.other]
        cause = " or ".join(f"{NOUNS[each.quantity]} {each.name}" for each in (reading, *near[:1]))
        others = "energies" if reading.quantity == "force" else "forces"
        return reading, (finding(reading.quantity, cause, held, whose, others),)

    def of_stresses(self, reading: _Reading, whose: str) -> Findings:
        """What there is to say of stresses, beside energies and forces as they have to be read."""
        if len(self.stress) < FEWEST:
            return ()
        values = self.values(reading)
        predicted = self.fit.predicted(values, ("energy", "force"), ("stress",))["stress"].reshape(-1, 6)

        def confirmed(plain: Array, other: Array, part: slice) -> Contradiction | None:
            """Whether a fit to all three is as much nearer: a stress that others don't tell is no contradiction."""
            both = []
            for stress in (plain, other):
                given = {**values, "stress": stress.ravel()}
                said = self.fit.predicted(given, ("energy", "force", "stress"), ("energy", "force", "stress"))
                own = losses(stress[:, part], said["stress"].reshape(-1, 6)[:, part])
                rest = [self.fit.loss(name, values[name], said[name]) for name in ("energy", "force")]
                here = np.unique(self.fit.rows["stress"].frame)
                both.append(own + np.sum(rest, axis=0)[here])
            return contradiction(both[0], both[1], CONFIRMED)

        found = stress_contradiction(self.stress, predicted, self.volume, confirmed)
        return () if found is None else (finding("stress", *found, whose, "energies and forces"),)


def _clipped(energies: Array) -> Array:
    reach = max(
        WILD * float(np.median(np.abs(energies))), WILD_SPREADS * float(np.subtract(*np.quantile(energies, [0.9, 0.1])))
    )
    return np.clip(energies, -reach, reach)
