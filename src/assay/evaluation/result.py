"""What `assay.evaluate` found: one frozen record, read by attributes; `summary()` is its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ase import Atoms

from assay.evaluation.diagrams import Diagrams
from assay.evaluation.figures import (
    BarAgainstErrors,
    BarFigures,
    EnvelopeFigures,
    Errors,
    Part,
    PerLevel,
    RankingFigures,
    Stratum,
)
from assay.results.assessment import Assessment
from assay.results.label_finding import Findings
from assay.results.partly import partly_labelled
from assay.results.per_quantity import FORCES_FIRST, PerQuantity, Quantity
from assay.results.plain import plain

STRATIFIED: tuple[Quantity, ...] = ("force", "energy")
"""Quantities whose bars are held against errors part by part, in the order of the summary."""
Strata = Mapping[str, tuple[Stratum, ...]]
"""By what divides the values: see `assay.evaluation.strata`."""


@dataclass(frozen=True)
class EvaluationResult:
    """A gauge held against labelled frames; what is not defined is `None`.

    | field | meaning |
    |---|---|
    | assessment | predictions, labels, scores and error bars of all frames |
    | errors | of energies, forces and stresses: `errors.force.rmse` |
    | scores | how each ranks the errors, by name and level: `scores["gamma"].atom.spearman` |
    | bars | by quantity: `bars.force.figures.coverage[0.95]`, beside `bars.force.constant` |
    | envelopes | what members span, by quantity: `envelopes.energy.violation` |
    | strata | bars part by part, by quantity and what divides the values: `strata.force["species"]` |
    | by_config_type, by_element | the same figures of parts, by name |
    | diagrams | curves of error bars and rankings |
    | training_overlap, calibration_overlap | how many frames the gauge was fitted to, or calibrated on: what is \
measured on them says nothing about new ones |
    | label_check | labels that contradict the predictions |
    | worst | the frame with the riskiest atom, for a picture; `None` without scores of atoms |
    """

    assessment: Assessment
    errors: Errors
    scores: Mapping[str, PerLevel[RankingFigures]]
    bars: PerQuantity[BarAgainstErrors]
    envelopes: PerQuantity[EnvelopeFigures]
    strata: PerQuantity[Strata]
    by_config_type: Mapping[str, Part]
    by_element: Mapping[str, Part]
    diagrams: Diagrams = field(default_factory=Diagrams)
    training_overlap: int = 0
    calibration_overlap: int = 0
    label_check: Findings = ()
    worst: Atoms | None = None

    @property
    def frames(self) -> int:
        """How many were evaluated."""
        return len(self.assessment.batch.names)

    @property
    def atoms(self) -> int:
        """How many they have."""
        return len(self.assessment.batch.numbers)

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """Frames left out: `file:index` and the reason."""
        return self.assessment.failed

    @property
    def partly(self) -> tuple[str, ...]:
        """Sentences on frames that lack a label which others have."""
        return tuple(partly_labelled(self.assessment.batch.names, self.assessment.batch.labelled))

    @property
    def members(self) -> int:
        """How many the ensemble has; 0 without one."""
        return self.assessment.batch.members

    @property
    def symmetry_zero_components(self) -> int:
        """How many force components vanish by symmetry."""
        return int(self.assessment.batch.still.sum())

    @property
    def global_bars(self) -> PerQuantity[int]:
        """Of bars by group: how many values have the bar of all, as their group was not calibrated."""
        return self.assessment.global_bars

    def summary(self) -> dict[str, Any]:
        """What `assay evaluate --json` writes."""
        return {
            "frames": self.frames,
            "atoms": self.atoms,
            "skipped": len(self.failed),
            "symmetry_zero_components": self.symmetry_zero_components,
            "members": self.members,
            **_figures(self),
            "strata": {name: plain(self.strata[name]) for name in STRATIFIED},
            "by_config_type": {name: _part(each) for name, each in self.by_config_type.items()},
            "by_element": {name: _part(each) for name, each in self.by_element.items()},
            "training_overlap": self.training_overlap,
            "calibration_overlap": self.calibration_overlap,
            "global_bars": dict(self.global_bars.items()),
            "label_check": [each.summary() for each in self.label_check],
            "failed": [{"frame": origin, "reason": reason} for origin, reason in self.failed],
        }


def _part(part: Part) -> dict[str, Any]:
    return {"frames": part.frames, "atoms": part.atoms, **_figures(part)}


def _figures(of: EvaluationResult | Part) -> dict[str, Any]:
    return {
        "errors": _errors(of.errors),
        "scores": {name: {level: plain(each) for level, each in levels.items()} for name, levels in of.scores.items()},
        "error_bars": {name: None if (bar := of.bars[name]) is None else _bar(name, bar) for name in FORCES_FIRST},
        "envelope": {name: None if (one := of.envelopes[name]) is None else _envelope(one) for name in FORCES_FIRST},
    }


def _errors(errors: Errors) -> dict[str, Any]:
    found = {
        "energy_rmse_meV_per_atom": errors.energy.rmse,
        "energy_mae_meV_per_atom": errors.energy.mae,
        "force_rmse_eV_per_A": errors.force.rmse,
        "force_mae_eV_per_A": errors.force.mae,
        "force_vector_rmse_eV_per_A": errors.force_vector.rmse,
        "force_vector_mae_eV_per_A": errors.force_vector.mae,
        "largest_force_error_of_frame_rmse_eV_per_A": errors.largest_of_frame.rmse,
        "largest_force_error_of_frame_mae_eV_per_A": errors.largest_of_frame.mae,
        "largest_force_error_eV_per_A": errors.largest,
    }
    if errors.stress is not None:
        found |= {"stress_rmse_meV_per_A3": errors.stress.rmse, "stress_mae_meV_per_A3": errors.stress.mae}
    return found


def _bar(quantity: Quantity, bar: BarAgainstErrors) -> dict[str, Any]:
    found = {
        "bar": bar.name,
        "unit": bar.unit,
        **_bar_figures(bar.figures),
        "constant_bar": None if bar.constant is None else _bar_figures(bar.constant),
        "ause": bar.ause,
    }
    return found | ({"vector_coverage": plain(bar.vector_coverage)} if quantity == "force" else {})


OF_DISTRIBUTIONS = {"error_over_bar", "without_bar"}
"""Figures that the summary of intervals does not name."""


def _bar_figures(figures: BarFigures) -> dict[str, Any]:
    left_out = {name for name in OF_DISTRIBUTIONS if getattr(figures, name) is None}
    return {name: value for name, value in plain(figures).items() if name not in left_out}


def _envelope(figures: EnvelopeFigures) -> dict[str, Any]:
    """Of parts without the histogram, which is of all frames."""
    found: dict[str, Any] = plain(figures)
    if figures.histogram is None:
        del found["histogram"]
    return found
