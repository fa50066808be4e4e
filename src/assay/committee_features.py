"""Last-layer features of a member of a committee, seen on training frames beside what all members predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.committee_fit import Predicted
from assay.energy_references import LABELS
from assay.frames import Frame, FrameError
from assay.prediction import Array
from assay.sources import Source
from assay.sources.ase_committee import AseCommittee
from assay.sources.recorded import Recorded
from assay.sources.referenced import Referenced


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

    def __call__(self, frame: Frame, told: Predicted) -> None:
        """One frame; raises `ValueError` where there are no features."""
        if told.features is None:
            raise ValueError("the member that is to give last-layer features gives none")
        self.append(frame, told.features)
        self.frames.append((frame.atoms.numbers, frame.energy, told.energies))
        if self.forces_too:
            if frame.forces is None:
                raise FrameError(f"{frame.origin}: no forces to tell outliers by")
            self.errors.append(np.linalg.norm(told.forces.mean(axis=0) - frame.forces, axis=1))

    def energy_errors(self, fitted: Source, names: Sequence[str]) -> Array | None:
        """Of the energies per atom, `(F,)` eV; NaN for frames without a label, `None` with zeros other than theirs.

        `names`: of all M members that were seen, of which `fitted` may have kept some.
        """
        if not isinstance(fitted, Referenced) or fitted.references.onto != LABELS:
            return None
        kept = [names.index(name) for name in fitted.references.members]
        errors = []
        for numbers, label, energies in self.frames:
            mean = energies[kept].mean() + fitted.references.of(numbers).mean()
            errors.append(np.nan if label is None else (mean - label) / len(numbers))
        return np.array(errors)

    def force_errors(self) -> Array | None:
        """Norms of the errors of all atoms, `(A,)` eV/Å, where they were asked for."""
        return np.concatenate(self.errors) if self.errors else None


def with_derivatives(source: AseCommittee | Recorded | Referenced) -> AseCommittee | Referenced:
    """The source, whose evaluations now have the derivatives of features."""
    if isinstance(source, Referenced):
        assert isinstance(source.source, AseCommittee)
        return replace(source, source=replace(source.source, derivatives=True))
    assert isinstance(source, AseCommittee)
    return replace(source, derivatives=True)
