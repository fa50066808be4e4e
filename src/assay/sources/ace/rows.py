"""The atomic cluster expansion: design rows and per-atom features through pacemaker's `python-ace`.

`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, where the B_k are pacemaker's B-functions of the neighbourhood of atom i,
those of rank 1 first: a linear embedding. Drautz 2019 (doi:10.1103/PhysRevB.99.014104), Bochkarev et al. 2022
(doi:10.1103/PhysRevMaterials.6.013804).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.ace.active_sets import asi_bytes, by_symbol
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.calculator import AceCalculator
from assay.sources.ace.engine import engine
from assay.sources.ace.wheel import potential_texts

FEW = 50
"""Coefficient vectors up to which evaluations cost less than the rows, which cost as much as 25 to 130 of them."""


@dataclass(frozen=True)
class Ace:
    """The design rows of an ACE potential: P = S + Σ functions coefficients, first the S constants, then species by
    species.

    Features are the B-functions, `(A, D)` with D the largest number of functions: those of a species with fewer end in
    zeros. They are the linear projections of pacemaker's active sets.
    """

    kind: ClassVar[str] = "ace"
    changes_forces: ClassVar[bool] = True
    export_format: ClassVar[str] = "pace"

    basis: AceBasis

    @property
    def species(self) -> tuple[str, ...]:
        return self.basis.species

    @property
    def label(self) -> str:
        return self.basis.label

    @property
    def coefficients(self) -> int:
        """P."""
        return self.basis.coefficients

    @property
    def cutoff(self) -> float:
        """The largest distance at which any two species see each other, Å."""
        return self.basis.cutoff

    def for_species(self, species: Sequence[str]) -> Ace:
        """The same settings for given species, unless they name their own."""
        return self if self.species else Ace(self.basis.for_species(species))

    def design(self, frame: Atoms) -> Design:
        """Rows of one frame: see `assay.results.design.Design`.

        Raises `FrameError` for a species that the basis does not have, positions that are not finite, atoms that
        coincide, or a frame that has exploded.
        """
        counts = self.basis.counts(frame)
        own = engine(self.basis.configuration)
        forces, virial = own.gradients(frame)
        n, s, k = len(frame), len(self.species), sum(self.basis.functions)
        features = self._padded(own.projections(frame))
        index = species_index(frame, self.species)
        sums = [features[index == t, :d].sum(axis=0) for t, d in enumerate(self.basis.functions)]
        force_rows = np.zeros((3 * n, s + k))
        force_rows[:, s:] = forces
        volume = _volume(frame)
        stress_rows = None
        if volume:
            stress_rows = np.zeros((6, s + k))
            stress_rows[:, s:] = virial / volume
        energies, references, virials = own.linear(frame, np.zeros((int(own.has_core), k)))
        return Design(
            energy_row=np.concatenate([counts, *sums]),
            force_rows=force_rows,
            stress_rows=stress_rows,
            features=features,
            reference_energy=float(energies.sum()),
            reference_forces=references.sum(axis=0),
            reference_stress=virials.sum(axis=0) / (volume or np.inf),
        )

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        """What N coefficient vectors `(N, P)` say, as members: N evaluations, or for more than `FEW` the rows.

        Raises as `design`.
        """
        if len(coefficients) > FEW:
            return self.design(frame).predictions(coefficients)
        counts = self.basis.counts(frame)
        s, volume = len(self.species), _volume(frame)
        energies, forces, virials = engine(self.basis.configuration).linear(frame, coefficients[:, s:])
        return Prediction(
            energy_members=energies + coefficients[:, :s] @ counts,
            forces_members=forces,
            stress_members=virials / volume if volume else None,
            features=self.features(frame),
        )

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`: pacemaker's recursive evaluator, far faster
        than rows."""
        return AceCalculator(self.basis, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """B-functions of every atom, `(A, D)`: those of `design`, without force rows. Raises as `design`.

        With `first` of the first atoms only, `(first, D)`.
        """
        self.basis.counts(frame)
        return self._padded(engine(self.basis.configuration).projections(frame, first))

    def _padded(self, projections: Sequence[Array]) -> Array:
        features = np.zeros((len(projections), max(self.basis.functions)))
        for row, values in zip(features, projections, strict=True):
            row[: len(values)] = values
        return features

    def potential_files(self, coefficients: Array, name: str) -> Mapping[str, bytes]:
        """`.yaml` and `.yace`, and `.pace`, LAMMPS input that uses the latter, of files called `name`.

        `.yaml` is pacemaker's form, for `PyACECalculator` and, with `.asi`, for `pair_style pace/extrapolation`. It has
        no place for the constants of the species: its energies are those of `.yace` less the constants.
        """
        s = len(self.species)
        yaml, yace = potential_texts(self.basis.configuration, coefficients[s:], coefficients[:s])
        use = [
            f"# {self.label}, written by Assay: atom types are {' '.join(self.species)}",
            "pair_style pace",
            f"pair_coeff * * {name}.yace {' '.join(self.species)}",
        ]
        return {".yaml": yaml.encode(), ".yace": yace.encode(), ".pace": ("\n".join(use) + "\n").encode()}

    def grade_files(
        self, inverses: Mapping[int, Array], name: str, emptiness: Mapping[int, Array]
    ) -> Mapping[str, bytes]:
        """`.asi`, pacemaker's active set, which has no place for emptiness; nothing where a species of the potential
        has none."""
        own = by_symbol(inverses, dict(zip(self.species, self.basis.functions, strict=True)))
        return {".asi": asi_bytes(own)} if set(own) == set(self.species) else {}

    def state(self) -> dict[str, Any]:
        return self.basis.state()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Ace:
        """Raises `ValueError` for an unknown setting."""
        return cls(AceBasis.from_state(settings))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Ace:
        return cls(AceBasis.from_state(state))


def _volume(frame: Atoms) -> float:
    """Å³; 0 where none is defined."""
    return float(frame.get_volume()) if frame.pbc.all() else 0.0
