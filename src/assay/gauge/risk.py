"""What a gauge says of many frames, in a few numbers; `summary()` is its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.gauge.assess import MANY
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Batch
from assay.results.envelope import Envelope
from assay.results.error_bars import ONE_SIGMA
from assay.results.score import Key

QUANTILES = (0.5, 0.9, 0.99, 0.999)
"""Of the scores of the atoms of a large frame."""


@dataclass(frozen=True)
class EnergySpan:
    """Standard deviation, smallest and largest of the members' energies of a frame, eV."""

    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class WidestSpan:
    """The largest standard deviation and range of a component: of forces eV/Å, of stresses eV/Å³."""

    std: float | None
    range: float | None


@dataclass(frozen=True)
class OverAtoms:
    """How a score is distributed over the atoms of a frame; `flagged`: how many are above its threshold."""

    quantiles: Mapping[float, float | None]
    largest: float | None
    flagged: int


@dataclass(frozen=True)
class FrameRisk:
    """What a gauge says of one frame; `None` where there is no such number, or it is not finite.

    | field | meaning | unit |
    |---|---|---|
    | frame, config_type, atoms | `file:index`, its group, and its size | |
    | energy | predicted | eV |
    | energy_bar | of the energy per atom | eV |
    | force_bar, riskiest_atom | the largest, by its norm, and at which atom; without bars that of the largest score | \
eV/Å |
    | energy_span, force_span, stress_span | what members span | |
    | scores | of the frame, by name | |
    | flagged_by | scores of the frame above their thresholds | |
    | over_atoms | by score, of large frames | |
    """

    frame: str
    config_type: str
    atoms: int
    energy: float | None
    energy_bar: float | None
    force_bar: float | None
    riskiest_atom: int | None
    energy_span: EnergySpan | None
    force_span: WidestSpan | None
    stress_span: WidestSpan | None
    scores: Mapping[str, float | None]
    flagged_by: tuple[str, ...]
    over_atoms: Mapping[str, OverAtoms] = field(default_factory=dict)


@dataclass(frozen=True)
class Risks:
    """An assessment in a few numbers.

    | field | meaning |
    |---|---|
    | by_risk | its frames, the riskiest first |
    | flagged | share of values above the threshold, by name and level of the score; `None` without one |
    """

    assessment: Assessment
    by_risk: tuple[FrameRisk, ...]
    flagged: Mapping[Key, float | None]

    @property
    def frames(self) -> int:
        """How many were assessed."""
        return len(self.assessment.batch.names)

    @property
    def atoms(self) -> int:
        """How many they have."""
        return len(self.assessment.batch.numbers)

    def summary(self) -> dict[str, Any]:
        """What `assay predict --json` writes."""
        flagged: dict[str, dict[str, float | None]] = {}
        for (name, level), share in self.flagged.items():
            flagged.setdefault(name, {})[level] = share
        return {
            "frames": self.frames,
            "atoms": self.atoms,
            "skipped": len(self.assessment.failed),
            "failed": [{"frame": origin, "reason": reason} for origin, reason in self.assessment.failed],
            "error_bar": self.assessment.bar,
            "global_bars": dict(self.assessment.global_bars.items()),
            "flagged": flagged,
            "by_risk": [_row(frame, self.assessment) for frame in self.by_risk],
        }


def risks(assessment: Assessment) -> Risks:
    """Shares flagged, and frames by falling risk.

    Risk is the largest force error bar; without predictions, the first score of atoms.
    """
    score = next((s for (_, level), s in assessment.scores.items() if level == "atom" and not assessment.bar), None)
    width = force_widths(assessment)
    of_atoms = width if score is None else score.values
    frames = [_frame(assessment, f, width, of_atoms) for f in range(len(assessment.batch.names))]

    def risk(frame: FrameRisk) -> float:
        value = frame.force_bar if score is None else frame.scores.get(score.name)
        return np.inf if value is None else value

    return Risks(
        assessment,
        tuple(sorted(frames, key=risk, reverse=True)),
        {
            key: None if score.threshold is None else float(score.flagged.mean())
            for key, score in assessment.scores.items()
        },
    )


def force_widths(assessment: Assessment) -> Array | None:
    """The norm of the bars of each atom's force, `(A,)` eV/Å; `None` without bars."""
    bar = assessment.bars.force
    return None if bar is None else np.asarray(np.linalg.norm(bar.half_width(ONE_SIGMA), axis=1))


def _frame(assessment: Assessment, f: int, width: Array | None, of_atoms: Array | None) -> FrameRisk:
    batch, of_energy = assessment.batch, assessment.bars.energy
    atoms = slice(batch.offsets[f], batch.offsets[f + 1])
    of_frame = {name: score for (name, level), score in assessment.scores.items() if level == "frame"}
    return FrameRisk(
        frame=batch.names[f],
        config_type=batch.config_types[f],
        atoms=int(batch.natoms[f]),
        energy=None if batch.energy is None else float(batch.energy[f]),
        energy_bar=None if of_energy is None else _finite(of_energy.half_width(ONE_SIGMA)[f]),
        force_bar=None if width is None else _finite(width[atoms].max()),
        riskiest_atom=None if of_atoms is None else int(of_atoms[atoms].argmax()),
        energy_span=_energy_span(batch, f),
        force_span=None if (of := batch.envelopes.force) is None else _widest(of.at(atoms)),
        stress_span=None if (of := batch.envelopes.stress) is None else _widest(of.at(f)),
        scores={name: _finite(score.values[f]) for name, score in of_frame.items()},
        flagged_by=tuple(name for name, score in of_frame.items() if score.flagged[f]),
        over_atoms=_over_atoms(assessment, atoms) if batch.natoms[f] > MANY else {},
    )


def _energy_span(batch: Batch, f: int) -> EnergySpan | None:
    of = batch.envelopes.energy
    return None if of is None else EnergySpan(_finite(of.std[f]), _finite(of.low[f]), _finite(of.high[f]))


def _widest(of: Envelope) -> WidestSpan:
    return WidestSpan(_finite(of.std.max()), _finite((of.high - of.low).max()))


def _over_atoms(assessment: Assessment, atoms: slice) -> dict[str, OverAtoms]:
    """Quantiles of the scores of a frame's atoms, and how many are flagged."""
    found = {}
    for (name, level), score in assessment.scores.items():
        if level == "atom":
            levels = np.quantile(score.values[atoms], [*QUANTILES, 1.0], method="inverted_cdf")
            found[name] = OverAtoms(
                {q: _finite(value) for q, value in zip(QUANTILES, levels, strict=False)},
                largest=_finite(levels[-1]),
                flagged=int(score.flagged[atoms].sum()),
            )
    return found


def _row(frame: FrameRisk, assessment: Assessment) -> dict[str, Any]:
    """A frame in the summary, with the keys of what the assessment has, `None` or not."""
    batch, bars = assessment.batch, assessment.bars
    row: dict[str, Any] = {"frame": frame.frame, "config_type": frame.config_type, "atoms": frame.atoms}
    if batch.energy is not None:
        row["energy_eV"] = frame.energy
    if bars.energy is not None:
        row["energy_error_bar_eV_per_atom"] = frame.energy_bar
    if (span := frame.energy_span) is not None:
        row |= {"energy_std_eV": span.std, "energy_min_eV": span.low, "energy_max_eV": span.high}
    if (widest := frame.force_span) is not None:
        row |= {"largest_force_std_eV_per_A": widest.std, "largest_force_range_eV_per_A": widest.range}
    if (widest := frame.stress_span) is not None:
        row |= {"largest_stress_std_eV_per_A3": widest.std, "largest_stress_range_eV_per_A3": widest.range}
    if bars.force is not None:
        row["largest_force_error_bar_eV_per_A"] = frame.force_bar
    if frame.riskiest_atom is not None:
        row["riskiest_atom"] = frame.riskiest_atom
    if frame.over_atoms:
        row["over_atoms"] = {
            name: {
                **{str(q): value for q, value in over.quantiles.items()},
                "largest": over.largest,
                "flagged": over.flagged,
            }
            for name, over in frame.over_atoms.items()
        }
    return row | {**frame.scores, "flagged_by": list(frame.flagged_by)}


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
