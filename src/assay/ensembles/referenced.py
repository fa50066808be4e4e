"""A source whose energies are shifted onto a common scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.ensembles.references import EnergyReferences
from assay.execution.progress import Stage
from assay.frames.frame import Frame
from assay.results.prediction import Prediction
from assay.sources.capabilities import HasDerivatives, HasMembers, IsRecorded, Runs, prepare, running
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.registry import source_state


@dataclass(frozen=True)
class Referenced:
    """Members with `E'_k = E_k + Σ_s n_s δ_ks` in place of their energies, and the mean of those.

    Forces, stress and features stay, and so does what the source can do. Raises `ValueError` for references of other
    members.
    """

    kind: ClassVar[str] = "referenced"

    source: HasMembers
    references: EnergyReferences

    def __post_init__(self) -> None:
        if (names := self.source.member_names) != self.references.members:
            raise ValueError(f"references of {', '.join(self.references.members)} for members {', '.join(names)}")

    @property
    def fitted_around(self) -> HasMembers:
        """The source with its own energies."""
        return self.source

    @property
    def label(self) -> str:
        return f"{self.source.label}; energies shifted onto {self.references.onto}"

    @property
    def member_names(self) -> tuple[str, ...]:
        return self.source.member_names

    @property
    def member_rmse(self) -> tuple[float | None, ...]:
        return self.source.member_rmse

    @property
    def featured(self) -> str:
        return self.source.featured

    def only(self, names: Sequence[str]) -> Referenced:
        """Some of the members, with their references, in the order of `names`."""
        return Referenced(self.source.only(names), self.references.only(names))

    def predict(self, frame: Atoms) -> Prediction:
        """As of the source; raises `FrameError` for a species without references, too."""
        said, shifts = self.source.predict(frame), self.references.of(frame.numbers)
        assert said.energy is not None
        return replace(
            said,
            energy=said.energy + float(shifts.mean()),
            energy_members=None if said.energy_members is None else said.energy_members + shifts,
        )

    @property
    def running(self) -> int:
        return running(self.source)

    def calculator(self, index: int | None = None) -> FrameCalculator:
        """Member `index` alone, or with `None` the mean of all, as an ASE calculator.

        Raises `ValueError` for recorded members, which don't run.
        """
        if not (isinstance(self.source, Runs) and self.running):
            raise ValueError(f"no potentials to run in this source: {self.label}")
        if index is None:
            return FrameCalculator(self.predict)
        return FrameCalculator(
            _Shifted(self.source.calculator(index), self.references.only([self.member_names[index]]))
        )

    def prepare(
        self,
        frames: Callable[[], Iterable[Frame]],
        *,
        workers: int = 1,
        total: int | None = None,
        stage: Stage | None = None,
    ) -> None:
        """As the source does, if it does."""
        prepare(self.source, frames, workers=workers, total=total, stage=stage)

    def is_read(self, frame: Atoms) -> bool:
        return isinstance(self.source, IsRecorded) and self.source.is_read(frame)

    def with_derivatives(self) -> Referenced:
        """With those of the source's features. Raises `ValueError` where it can't give any."""
        if not isinstance(self.source, HasDerivatives):
            raise ValueError(f"no derivatives of features in this source: {self.label}")
        return replace(self, source=self.source.with_derivatives())

    def state(self) -> dict[str, Any]:
        return {"source": source_state(self.source), "references": self.references.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], source: HasMembers) -> Referenced:
        """What `state()` described, with the source that it wraps."""
        return cls(source, EnergyReferences.from_state(state["references"]))


@dataclass(frozen=True)
class _Shifted:
    """What one member says, with its energy shifted."""

    calculator: Calculator
    references: EnergyReferences

    def __call__(self, frame: Atoms) -> Prediction:
        self.calculator.calculate(frame)
        found = self.calculator.results
        (shift,) = self.references.of(frame.numbers)
        return Prediction(found["energy"] + float(shift), found["forces"], found.get("stress"))
