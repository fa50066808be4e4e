"""The figures of a distillation: of labels, of the student and of its teachers; `summary()` is their part of the JSON.

Mappings have names of config types or levels of coverage as keys, and are not to be changed. What is not known is
`None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assay.ensembles.references import EnergyReferences
from assay.results.per_quantity import PerQuantity
from assay.results.plain import plain

Compared = Literal["force", "energy", "energy_shifted"]
RMSE_KEYS: Mapping[Compared, str] = {
    "force": "force_rmse_eV_per_A",
    "energy": "energy_rmse_meV_per_atom",
    "energy_shifted": "energy_shifted_rmse_meV_per_atom",
}
"""How the summary names them."""


@dataclass(frozen=True)
class Rmses:
    """Root mean square errors against DFT over some frames.

    | field | meaning | unit |
    |---|---|---|
    | frames, atoms | how many they are of | |
    | force | of force components | eV/Å |
    | energy | of energies | meV/atom |
    | energy_shifted | of energies after one shift per species; `None` where there are no more frames than shifts | \
meV/atom |
    """

    frames: int
    atoms: int
    force: float
    energy: float
    energy_shifted: float | None

    def __getitem__(self, figure: Compared) -> float | None:
        value: float | None = getattr(self, figure)
        return value

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"frames": self.frames, "atoms": self.atoms, **{key: self[name] for name, key in RMSE_KEYS.items()}}


@dataclass(frozen=True)
class DftErrors:
    """Errors against DFT over all frames that have a DFT label, and over those of each config type."""

    overall: Rmses
    by_config_type: Mapping[str, Rmses]

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return self.overall.summary() | {
            "by_config_type": {name: each.summary() for name, each in self.by_config_type.items()}
        }


@dataclass(frozen=True)
class Share:
    """How many frames, the atoms in them, and the share that these are of all atoms of the pool."""

    frames: int
    atoms: int
    share_of_atoms: float


@dataclass(frozen=True)
class LabelFigures:
    """The labels of the pool at one cut-off, and their errors.

    | field | meaning |
    |---|---|
    | cutoff | U_c, eV/Å; `None` where there is none, and every frame keeps its teachers' label |
    | dft_needed, dft, pending | frames that are to have a DFT label: all, with one, without one yet |
    | teachers_labels, teachers_labels_judged | frames with their teachers' label: all, with a known DFT label |
    | for_the_reference | frames with DFT labels that are there for the energy reference alone |
    | references | what was added to the teachers' energies |
    | errors, teachers_errors | of all labels that are in use, and of the teachers' among them; `None`: no DFT label \
judges them |
    """

    cutoff: float | None
    dft_needed: Share
    dft: Share
    pending: Share
    teachers_labels: Share
    teachers_labels_judged: Share
    for_the_reference: int
    references: EnergyReferences
    errors: DftErrors | None
    teachers_errors: DftErrors | None

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "cutoff_eV_per_A": self.cutoff,
            "dft_needed": plain(self.dft_needed),
            "dft": plain(self.dft),
            "pending": plain(self.pending),
            "teachers_labels": plain(self.teachers_labels),
            "teachers_labels_judged": plain(self.teachers_labels_judged),
            "for_the_reference": self.for_the_reference,
            "references": self.references.summary(),
            "label_errors": _errors(self.errors),
            "teachers_label_errors": _errors(self.teachers_errors),
        }


@dataclass(frozen=True)
class ForceBars:
    """The student's force bars on the test frames: coverage by level, and mean full width at 68 %, eV/Å."""

    coverage: Mapping[float, float | None]
    mean_width: float | None


@dataclass(frozen=True)
class StudentOnTest:
    """A student on the test frames: its errors, and its force bars where it has any."""

    errors: DftErrors | None
    force_bars: ForceBars | None

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"test": _errors(self.errors), "force_bars": plain(self.force_bars)}


@dataclass(frozen=True)
class TeachersOnTest:
    """The teachers' label on the test frames: its errors, and the config types on which the student's are larger."""

    errors: DftErrors | None
    student_is_worse: PerQuantity[tuple[str, ...]]

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        worse = {quantity: list(kinds) for quantity, kinds in self.student_is_worse.forces_first()}
        return {"teachers": _errors(self.errors), "worse_than_teachers": worse}


def _errors(errors: DftErrors | None) -> dict[str, Any]:
    return {} if errors is None else errors.summary()
