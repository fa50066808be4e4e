"""A fitted linear potential: coefficients, an ensemble of them, and one evaluation for all members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.prediction import Array
from assay.sources import Evaluation
from assay.sources.snap import Snap


@dataclass(frozen=True)
class LinearPotential:
    """`E = x_E · Θ`, `F = X_F Θ`, `σ = X_σ Θ` for the best fit and for every member, plus the source's reference.

    | field | meaning | shape |
    |---|---|---|
    | rows | the source of design rows | |
    | theta | best-fit coefficients, reference energies included | `(P,)` |
    | members | coefficients of the ensemble | `(M, P)` |
    | ridge | the regulariser that was chosen | |
    """

    kind: ClassVar[str] = "linear"

    rows: Snap
    theta: Array
    members: Array
    ridge: float

    @property
    def label(self) -> str:
        return f"{self.rows.label}, {len(self.members)} members, ridge {self.ridge:.0e}"

    def evaluate(self, frame: Atoms) -> Evaluation:
        """Best fit and members from one evaluation of the rows and one matrix product."""
        design = self.rows.design(frame)
        coefficients = np.vstack([self.theta, self.members]).T  # (P, 1 + M)
        energies = design.energy_row @ coefficients + design.reference_energy
        forces = (design.force_rows @ coefficients).T.reshape(-1, len(frame), 3) + design.reference_forces
        stresses = None
        if design.stress_rows is not None:
            stresses = (design.stress_rows @ coefficients).T + design.reference_stress
        return Evaluation(
            energy=float(energies[0]),
            forces=forces[0],
            stress=None if stresses is None else stresses[0],
            energy_members=energies[1:],
            forces_members=forces[1:],
            stress_members=None if stresses is None else stresses[1:],
            features=design.features,
        )

    def state(self) -> dict[str, Any]:
        return {
            "rows": {"kind": self.rows.kind, **self.rows.state()},
            "theta": self.theta,
            "members": self.members,
            "ridge": self.ridge,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LinearPotential:
        """The potential that `state()` described."""
        rows = {k: v for k, v in state["rows"].items() if k != "kind"}
        return cls(Snap.from_state(rows), state["theta"], state["members"], state["ridge"])
