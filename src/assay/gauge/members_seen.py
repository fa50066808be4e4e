"""What members say of training frames, as scores of the features of one of them need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.fit import FittedMembers
from assay.ensembles.references import LABELS
from assay.frames.frame import Frame
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.capabilities import HasDerivatives


@dataclass
class FeaturesSeen:
    """Passes features on, and keeps what the errors of the mean of the members follow from.

    | field | meaning |
    |---|---|
    | append | gets each frame with its features `(A, D)` |
    | forces_too | keep errors of forces as well |
    """

    append: Callable[[Frame, Array], None]
    forces_too: bool = False
    frames: list[tuple[NDArray[Any], float | None, Array]] = field(default_factory=list)
    errors: list[Array] = field(default_factory=list)

    def __call__(self, frame: Frame, said: Prediction) -> None:
        """One frame, and what all members say; raises `ValueError` where there are no features."""
        if said.features is None:
            raise ValueError("the member that is to give last-layer features gives none")
        assert said.energy_members is not None
        assert said.forces_members is not None
        self.append(frame, said.features)
        self.frames.append((frame.atoms.numbers, frame.energy, said.energy_members))
        if self.forces_too:
            labels = np.full((len(frame.atoms), 3), np.nan) if frame.forces is None else frame.forces
            self.errors.append(np.linalg.norm(said.forces_members.mean(axis=0) - labels, axis=1))

    def energy_errors(self, fitted: FittedMembers, names: Sequence[str]) -> Array | None:
        """Of the energies per atom, `(F,)` eV; NaN for frames without a label, `None` with zeros other than theirs.

        `names`: of all M members that were seen, of which `fitted` may have kept some.
        """
        if fitted.references is None or fitted.references.onto != LABELS:
            return None
        kept = [names.index(name) for name in fitted.references.members]
        errors = []
        for numbers, label, energies in self.frames:
            mean = energies[kept].mean() + fitted.references.of(numbers).mean()
            errors.append(np.nan if label is None else (mean - label) / len(numbers))
        return np.array(errors)

    def force_errors(self) -> Array | None:
        """Norms of the errors of all atoms, `(A,)` eV/Å, where they were asked for; NaN for those without a label."""
        return np.concatenate(self.errors) if self.errors else None


def with_derivatives(fitted: FittedMembers) -> FittedMembers:
    """The members, whose predictions now have derivatives of features."""
    assert isinstance(fitted.source, HasDerivatives), "a score that reads derivatives was chosen where there are none"
    return replace(fitted, source=fitted.source.with_derivatives())
