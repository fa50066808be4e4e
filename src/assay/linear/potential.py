"""A fitted linear potential: coefficients, an ensemble of them, and one evaluation for all members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.capabilities import LinearSource
from assay.sources.registry import source_state


@dataclass(frozen=True)
class LinearPotential:
    """`E = x_E · Θ`, `F = X_F Θ`, `σ = X_σ Θ` for the best fit and for every member, plus the source's reference.

    | field | meaning | shape |
    |---|---|---|
    | rows | the source of design rows | |
    | theta | best-fit coefficients, reference energies included | `(P,)` |
    | members | coefficients of the ensemble | `(M, P)` |
    | ridge | the regulariser that was chosen | |
    | posterior | name of what the members were drawn from | |
    """

    kind: ClassVar[str] = "linear"

    rows: LinearSource
    theta: Array
    members: Array
    ridge: float
    posterior: str = "bootstrap"

    @property
    def label(self) -> str:
        return f"{self.rows.label}, {len(self.members)} members ({self.posterior}), ridge {self.ridge:.0e}"

    def predict(self, frame: Atoms) -> Prediction:
        """Best fit and members in one go."""
        every = self.rows.predictions(frame, np.vstack([self.theta, self.members]))
        best = every.member(0)
        return replace(every.only(slice(1, None)), energy=best.energy, forces=best.forces, stress=best.stress)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """The features of `predict`, `(A, D)`, and nothing else: cheaper. `first`: as in `LinearSource`."""
        return self.rows.features(frame, first)

    def calculator(self, index: int | None = None) -> Calculator:
        """Member `index` alone, or with `None` the best fit, as an ASE calculator."""
        return self.rows.calculator(self.theta if index is None else self.members[index])

    @property
    def running(self) -> int:
        """M."""
        return len(self.members)

    @property
    def fitted_around(self) -> LinearSource:
        """The source of its rows."""
        return self.rows

    @property
    def cutoff(self) -> float | None:
        """No atom farther away than this has a part in an atom's features, Å."""
        return self.rows.cutoff

    def state(self) -> dict[str, Any]:
        return {
            "rows": source_state(self.rows),
            "theta": self.theta,
            "members": self.members,
            "ridge": self.ridge,
            "posterior": self.posterior,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], rows: LinearSource) -> LinearPotential:
        """The potential that `state()` described, with the source of its rows."""
        return cls(rows, state["theta"], state["members"], state["ridge"], state.get("posterior", "bootstrap"))
