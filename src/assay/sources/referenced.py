"""A source whose energies are shifted onto a common scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from ase import Atoms

from assay.results.prediction import Prediction
from assay.sources.committees.committee import AseCommittee
from assay.sources.energy_references import EnergyReferences
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.recorded.recorded import Recorded


@dataclass(frozen=True)
class Referenced:
    """A committee with `E'_k = E_k + Σ_s n_s δ_ks` in place of the energies of its members, and the mean of those.

    Forces, stress and features stay. Raises `ValueError` for references of other members.
    """

    kind: ClassVar[str] = "referenced"

    source: AseCommittee | Recorded
    references: EnergyReferences

    def __post_init__(self) -> None:
        if (names := member_names(self.source)) != self.references.members:
            raise ValueError(f"references of {', '.join(self.references.members)} for members {', '.join(names)}")

    @property
    def label(self) -> str:
        return f"{self.source.label}; energies shifted onto {self.references.onto}"

    def predict(self, frame: Atoms) -> Prediction:
        """As of the source; raises `FrameError` for a species without references, too."""
        return self._shifted(self.source.predict(frame), frame, slice(None))

    def calculator(self, index: int | None = None) -> FrameCalculator:
        """Member `index` alone, or with `None` the mean of all, as an ASE calculator.

        Raises `ValueError` for recorded members, which don't run.
        """
        if not isinstance(self.source, AseCommittee):
            raise ValueError(f"no potentials to run in this source: {self.label}")
        return FrameCalculator(partial(self._evaluate_member, index))

    def _evaluate_member(self, index: int | None, frame: Atoms) -> Prediction:
        assert isinstance(self.source, AseCommittee)
        told = self.source.calculator(index).predict(frame)
        return self._shifted(told, frame, slice(None) if index is None else slice(index, index + 1))

    def _shifted(self, told: Prediction, frame: Atoms, members: slice) -> Prediction:
        shifts = self.references.of(frame.numbers)[members]
        assert told.energy is not None
        return replace(
            told,
            energy=told.energy + float(shifts.mean()),
            energy_members=None if told.energy_members is None else told.energy_members + shifts,
        )

    def state(self) -> dict[str, Any]:
        inner = {"kind": self.source.kind, **self.source.state()}
        return {"source": inner, "references": self.references.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Referenced:
        """The same source; imports nothing, and allows only what is allowed now."""
        inner = {key: value for key, value in state["source"].items() if key != "kind"}
        source: AseCommittee | Recorded
        if state["source"]["kind"] == AseCommittee.kind:
            source = AseCommittee.from_state(inner, allow_import)
        else:
            source = Recorded.from_state(inner)
        return cls(source, EnergyReferences.from_state(state["references"]))


def member_names(source: AseCommittee | Recorded) -> tuple[str, ...]:
    """Names of the M members."""
    return source.models if isinstance(source, Recorded) else tuple(member.label for member in source.members)


def only_members(source: AseCommittee | Recorded, names: Sequence[str]) -> AseCommittee | Recorded:
    """The source with some of its members, in the order of `names`."""
    if isinstance(source, Recorded):
        return replace(source, models=tuple(names))
    by_name = dict(zip(member_names(source), source.members, strict=True))
    return replace(source, members=tuple(by_name[name] for name in names))
