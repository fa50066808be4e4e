"""A gauge as an ASE calculator: predictions, error bars, members and scores of every structure it meets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from assay.frames.frame import Frame
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.results.batch import NO_PREDICTIONS
from assay.results.envelope import PREDICTED
from assay.results.error_bars import ONE_SIGMA, ErrorBar
from assay.scores.features.emptiness import EMPTINESS
from assay.scores.protocol import Companioned


def calculator(gauge: Gauge | str | Path, *, allow_import: tuple[str, ...] = (), **options: Any) -> GaugeCalculator:
    """An ASE calculator with error bars of a gauge, or of a file `NAME.gauge`.

    | argument | meaning |
    |---|---|
    | gauge | what makes predictions, scores and error bars |
    | allow_import | modules that a gauge file may import, as of `assay.Gauge.load` |
    | options | of `ase.calculators.calculator.Calculator` |

    Raises `assay.GaugeFileError` for a file that is not a gauge, is damaged or too new.
    """
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
    return GaugeCalculator(gauge, **options)


class GaugeCalculator(Calculator):  # type: ignore[misc]
    """Results, all of one evaluation of the potential:

    | key | meaning | shape, unit |
    |---|---|---|
    | energy, free_energy, forces, stress | predictions | eV, eV/Å, eV/Å³ |
    | energy_uncertainty | standard deviation of the total energy | eV |
    | forces_uncertainty, stress_uncertainty | standard deviations of the components | `(A, 3)` eV/Å, `(6,)` eV/Å³ |
    | energy_ensemble, forces_ensemble | members | `(M,)`, `(M, A, 3)` |
    | energy_std, forces_std, stress_std | standard deviations over members (ddof = 1), not calibrated | as predicted |
    | energy_min, energy_max, forces_min, … | smallest and largest prediction of members and best fit | as predicted |
    | every atom score by its name, e.g. `gamma`, `committee_force` | | `(A,)` |
    | emptiness | above 1 the surroundings are emptier than in training; of sources with features | `(A,)` |
    | the same with `_neighbourhood`, e.g. `gamma_neighbourhood` | means over neighbourhoods | `(A,)` |

    A gauge with features and no predictions has the scores only, and says so when asked for an energy or forces.

    With conformal error bars the uncertainties are half the widths of the 68 % intervals. ASE's extended-XYZ writer
    drops results that it does not know: `annotate(atoms)` copies them to `info` and `arrays`.
    """

    implemented_properties = [  # noqa: RUF012 (ASE's own declaration)
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(self, gauge: Gauge, **options: Any) -> None:
        super().__init__(**options)
        self.gauge = gauge
        self._scorer = gauge.scorer
        self._atom_scores = [score.name for score in gauge.scores if score.home == "atom"]
        predicted = [
            *type(self).implemented_properties,
            *(f"{name}_uncertainty" for _, name in PREDICTED.items()),
            "energy_ensemble",
            "forces_ensemble",
            *(f"{name}_{end}" for _, name in PREDICTED.items() for end in ("std", "min", "max")),
        ]
        self.implemented_properties = [
            *(predicted if gauge.bar else ()),
            *self._atom_scores,
            *(f"{name}_neighbourhood" for name in self._atom_scores),
            *(score.companion for score in gauge.scores if isinstance(score, Companioned)),
            *([] if gauge.emptiness is None else [EMPTINESS]),
        ]

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """As of any calculator; raises `PropertyNotImplementedError` that says why where there are no predictions."""
        if not self.gauge.bar and name not in self.implemented_properties:
            raise PropertyNotImplementedError(f"no {name}: {NO_PREDICTIONS}")
        return super().get_property(name, atoms, allow_calculation)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        frame = Frame(self.atoms, "calculator:0", str(self.atoms.info.get("config_type", "")))
        scored = self._scorer(frame, keep_members=True)
        prediction = scored.prediction
        assessment = self.gauge.assessment(collect([(frame, scored)]))
        self.results: dict[str, Any] = {
            **{name: assessment.scores[name, "atom"].values for name in self._atom_scores},
            **{f"{name}_neighbourhood": assessment.scores[name, "neighbourhood"].values for name in self._atom_scores},
            **assessment.batch.companions,
        }
        optional = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "forces": prediction.forces,
            "stress": prediction.stress,
            "energy_ensemble": prediction.energy_members,
            "forces_ensemble": prediction.forces_members,
            "energy_uncertainty": _deviation(assessment.bars.energy, len(self.atoms)),
            "forces_uncertainty": _deviation(assessment.bars.force),
            "stress_uncertainty": _deviation(assessment.bars.stress),
        }
        self.results |= {key: value for key, value in optional.items() if value is not None}
        for key in ("energy_uncertainty", "stress_uncertainty"):
            if key in self.results:
                self.results[key] = self.results[key][0]
        for quantity, envelope in assessment.batch.envelopes.items():
            for key, value in envelope.columns(quantity).items():
                self.results[key] = value if quantity == "force" else value[0]
        for key, value in self.results.items():  # a user may write into what an ASE calculator has found
            if isinstance(value, np.ndarray):
                self.results[key] = value.copy()

    def annotate(self, atoms: Atoms) -> Atoms:
        """A copy of `atoms` without calculator and with all results in `info` and `arrays`, and `info["max_gamma"]`."""
        self.get_property(self.implemented_properties[0], atoms)
        copy = atoms.copy()
        for key, value in self.results.items():
            if key == "forces_ensemble":
                copy.arrays[key] = np.swapaxes(value, 0, 1).reshape(len(atoms), -1)  # M vectors of each atom
            elif np.ndim(value) == 0 or key == "energy_ensemble" or key.startswith("stress"):
                copy.info[key] = value
            else:
                copy.arrays[key] = value.copy()
        if "gamma" in self.results:
            copy.info["max_gamma"] = float(self.results["gamma"].max())
        return copy


def _deviation(bar: ErrorBar | None, times: int = 1) -> Any:
    return None if bar is None else times * bar.half_width(ONE_SIGMA)
