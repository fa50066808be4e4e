"""A universal potential with a linear correction that is fitted to your frames, in its own last-layer features.

`E = E_universal + Σ_i (θ·c(D_i) + θ_{s_i})`, with D_i the features of atom i that enter the last layer, c their first
principal components, and a constant for each species. Perez et al. 2025, Eq. 10 (arXiv:2502.07104).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.execution.progress import Stage
from assay.frames.frame import Frame, FrameError
from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.model_names import needs_permission, parse_member
from assay.sources.features.axes import FeatureAxes, FeatureMoments
from assay.sources.frame_calculator import row_calculator
from assay.sources.settings import Kinds, checked_settings

_KINDS: Kinds = {
    "model": (str, False),
    "components": (int, False),
    **dict.fromkeys(("constants", "forces"), (bool, False)),
    "species": (str, True),
}


@dataclass(frozen=True)
class Corrector:
    """Settings of a linear corrector, and the source of its design rows: P = S + K coefficients.

    | setting | meaning | default |
    |---|---|---|
    | model | a universal potential by name, as a member of a committee: `chgnet:0.3.0` | |
    | components | at most so many principal components of the features, K; of the atoms of the training frames | 20 |
    | constants | a constant for each species, for labels of another reference scheme; `false` is Eq. 10 itself | True |
    | forces | fit forces too, with the gradients of the features; else energies alone are corrected | False |
    | species | chemical symbols; set from the training frames where empty | |
    | allow_import | as in `AseCommittee`; never saved | |

    With constants, features are centred at the mean of their species (which the constants span), so that the axes are
    those of what differs between atoms of one species; without, they are not centred, as a mean times the number of
    atoms is part of Eq. 10. Design rows are of energies alone (forces and stress are those of the universal potential,
    and no member differs in them), or with `forces` also of forces; there is no stress then, as it would not be
    corrected. Scores get all D features, not the components: what lies outside of the axes is far from home too.
    """

    kind: ClassVar[str] = "corrector"

    model: str
    components: int = 20
    constants: bool = True
    forces: bool = False
    species: tuple[str, ...] = ()
    axes: FeatureAxes | None = None
    allow_import: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.components < 0 or not (self.components or self.constants):
            raise ValueError(f"corrector: nothing to fit with {self.components} components; give 1 or more")
        if self.species and not self.constants:
            raise ValueError("corrector: species are those of the constants, and constants=false asks for none")

    @property
    def changes_forces(self) -> bool:
        return self.forces

    def for_species(self, species: Sequence[str]) -> Corrector:
        """The same settings with constants for these species, unless they name their own."""
        return self if self.species or not self.constants else replace(self, species=tuple(species))

    @cached_property
    def member(self) -> Member:
        """The universal potential. Raises `ValueError` for a name that is none."""
        return parse_member(self.model)

    @cached_property
    def potential(self) -> AseCommittee:
        """The universal potential as a committee of one, with its features."""
        return AseCommittee((self.member,), self.allow_import, featured=self.member.label)

    @property
    def coefficients(self) -> int:
        """P; before the axes are known, the most that there can be."""
        return len(self.species) + (self.components if self.axes is None else len(self.axes.axes))

    @property
    def label(self) -> str:
        what = "energies and forces" if self.forces else "energies"
        constants = f" and {len(self.species)} constants of species" if self.species else ""
        components = self.coefficients - len(self.species)
        return f"corrector of the {what} of {self.model}: {components} components of its features{constants}"

    @property
    def cutoff(self) -> float | None:
        """It is not known how far messages between atoms reach."""
        return None

    def told(self, frame: Atoms) -> Prediction:
        """What the universal potential says, with features; raises `FrameError` where it has none."""
        found = self.potential.predict(frame)
        if found.features is None:
            raise FrameError(f"{self.model} gives no last-layer features, and without those there is no corrector")
        return found

    def prepare(
        self,
        frames: Callable[[], Iterable[Frame]],
        *,
        workers: int = 1,
        total: int | None = None,
        stage: Stage | None = None,
    ) -> None:
        """Keep what the universal potential says of the frames."""
        self.potential.prepare(frames, workers=workers, total=total, stage=stage)

    def learns(self) -> LearnsAxes:
        """A fold that finds the axes of the features."""
        return LearnsAxes(self)

    def design(self, frame: Atoms) -> Design:
        """Rows of one frame: see `assay.results.design.Design`.

        Raises `FrameError` for a species without a constant, and what the universal potential fails on; `ValueError`
        where the axes are not known yet.
        """
        if self.axes is None:
            raise ValueError("a corrector has design rows once its axes are known: see assay.linear.residual")
        told = self.told(frame)
        assert told.energy is not None
        assert told.forces is not None
        assert told.features is not None
        index = species_index(frame, self.species) if self.species else np.zeros(len(frame), dtype=np.int64)
        components = self.axes.components(told.features, index)
        counts = np.bincount(index, minlength=len(self.species))[: len(self.species)]
        return Design(
            energy_row=np.concatenate([counts, components.sum(axis=0)]),
            force_rows=self._force_rows(frame) if self.forces else None,
            stress_rows=None,
            features=told.features,
            reference_energy=told.energy,
            reference_forces=told.forces,
            reference_stress=np.zeros(6) if told.stress is None else told.stress,
        )

    def _force_rows(self, frame: Atoms) -> Array:
        """`V · ∂(−Σ_i D_i)/∂r`, `(3A, P)`; constants move no atom."""
        assert self.axes is not None
        gradients = self.potential.feature_forces(frame)
        rows = np.einsum("kd,dai->aik", self.axes.axes, gradients).reshape(3 * len(frame), -1)
        return np.hstack([np.zeros((len(rows), len(self.species))), rows])

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        """What N coefficient vectors `(N, P)` say, as members; one evaluation of the potential for all."""
        design = self.design(frame)
        if self.forces:
            return design.predictions(coefficients)
        return Prediction(
            forces=design.reference_forces,
            stress=design.reference_stress if frame.pbc.all() else None,
            energy_members=coefficients @ design.energy_row + design.reference_energy,
            features=design.features,
        )

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`; raises `ValueError` unless forces were fitted."""
        if not self.forces:
            raise ValueError(
                f"members of the {self.label} have the same forces, which are not those of their energies: no property "
                "follows from them. Build with forces=true"
            )
        return row_calculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """All last-layer features `(A, D)`, or of the `first` atoms."""
        features = self.told(frame).features
        assert features is not None
        return features[:first]

    def state(self) -> dict[str, Any]:
        """Settings, and the axes once they are known."""
        settings = {name: getattr(self, name) for name in _KINDS}
        learnt = {} if self.axes is None else {"axes": self.axes.axes, "centres": self.axes.centres}
        return {**settings, **learnt}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Corrector:
        """What a user names, here and now, may run: it is allowed what its potential needs."""
        found = cls.from_state(settings)
        return replace(found, allow_import=(*allow_import, *needs_permission(found.member)))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Corrector:
        """The source with these settings; it may run what `allow_import` names, and nothing because a file says so.

        Raises `ValueError` for an unknown setting, or none for the model.
        """
        settings = {key: value for key, value in state.items() if key not in ("axes", "centres")}
        if "model" not in settings:
            raise ValueError("corrector: which universal potential? Give model=, such as corrector:model=chgnet:0.3.0")
        axes = FeatureAxes(state["axes"], state["centres"]) if "axes" in state else None
        own = checked_settings(cls.kind, _KINDS, settings)
        return cls(**own, axes=axes, allow_import=tuple(allow_import))


class LearnsAxes:
    """A fold over frames and what the universal potential says of them: the corrector with the axes of the features."""

    def __init__(self, corrector: Corrector) -> None:
        self._corrector = corrector
        self._moments: FeatureMoments | None = None

    def update(self, frame: Frame, said: Prediction) -> None:
        assert said.features is not None
        own = self._corrector
        if self._moments is None:
            self._moments = FeatureMoments(len(own.species), said.features.shape[1], centred=own.constants)
        none = np.zeros(len(frame.atoms), dtype=np.int64)
        index = species_index(frame.atoms, own.species) if own.constants else none
        self._moments.update(np.asarray(said.features, dtype=np.float64), index)

    def result(self) -> Corrector:
        """Raises `FrameError` where it has seen no frame."""
        if self._moments is None:
            raise FrameError(f"{self._corrector.label}: no frame to find the axes of features by")
        return replace(self._corrector, axes=self._moments.axes(self._corrector.components))
