"""A source: a pair potential of Gaussians, linear in their heights, which Assay fits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list

from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.frame_calculator import row_calculator

WIDTHS = np.array([1.0, 1.6, 2.4])


@dataclass(frozen=True)
class PairRows:
    """`E = Σ_i e_i + Σ_ik c_k f_ik`, `f_ik = Σ_j exp(−(r_ij / w_k)²)`; a constant e for each species, and c `(3,)`."""

    cutoff: float = 5.0
    species: tuple[str, ...] = ()

    kind: ClassVar[str] = "example"
    label: ClassVar[str] = "pairs of three Gaussians"
    changes_forces: ClassVar[bool] = True

    @property
    def coefficients(self) -> int:
        return len(self.species) + len(WIDTHS)

    def for_species(self, species: Sequence[str]) -> Self:
        return replace(self, species=tuple(species))

    def design(self, frame: Atoms) -> Design:
        i, r, vector = neighbor_list("idD", frame, self.cutoff)
        terms, n = np.exp(-((r[:, None] / WIDTHS) ** 2)), len(frame)
        features, forces = np.zeros((n, 3)), np.zeros((n, 3, 3))
        np.add.at(features, i, terms)
        np.add.at(forces, i, -4.0 * vector[:, :, None] * (terms / WIDTHS**2)[:, None])
        counts = [frame.get_chemical_symbols().count(s) for s in self.species]
        rows = np.hstack([np.zeros((3 * n, len(counts))), forces.reshape(3 * n, 3)])
        return Design(np.append(counts, features.sum(axis=0)), rows, None, features, 0.0, np.zeros((n, 3)), np.zeros(6))

    def predictions(self, frame: Atoms, coefficients: np.ndarray) -> Prediction:
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: np.ndarray) -> Calculator:
        return row_calculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> np.ndarray:
        return self.design(frame).features[:first]

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Self:
        if unknown := settings.keys() - {"cutoff", "species"}:
            raise ValueError(f"example has the settings cutoff and species, and not {', '.join(unknown)}")
        return cls(settings.get("cutoff", cls.cutoff), tuple(settings.get("species", ())))

    from_state = from_settings
