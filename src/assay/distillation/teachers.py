"""What K teachers predict for a pool of frames: their uncertainty U, and one label for each frame.

Axis letters: K teachers, F frames, A atoms of all frames, S species.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.weights import MemberErrors
from assay.execution.workers import Failure, Progress, map_frames
from assay.frames.frame import Frame, FrameError, Skipped
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.scores.members.deviations import member_deviations
from assay.sources.capabilities import Source

TeacherLabel = Literal["best", "mean"]


@dataclass(frozen=True)
class Teachers:
    """Predictions of K teachers for F frames of A atoms in all.

    | field | meaning | shape, unit |
    |---|---|---|
    | models | names | `(K,)` |
    | energy, forces | predictions, NaN of a frame on which a teacher failed | `(K, F)` eV, `(K, A, 3)` eV/Å |
    | stress | NaN where a frame has none | `(K, F, 6)` eV/Å³ |
    | offsets | atoms of frame j are `offsets[j]:offsets[j + 1]` | `(F + 1,)` |
    """

    models: tuple[str, ...]
    energy: Array
    forces: Array
    stress: Array
    offsets: NDArray[np.int64]

    @classmethod
    def evaluate(
        cls,
        source: Source,
        models: Sequence[str],
        frames: Iterable[Frame],
        *,
        workers: int = 1,
        progress: Progress | None = None,
        failed: Skipped | None = None,
    ) -> tuple[list[Frame], Teachers]:
        """The frames, and what all teachers predict for them.

        Frames on which one failed are added to `failed` and have no predictions; without `failed` the first raises
        `FrameError`, as do failures on all frames.
        """
        kept: list[Frame] = []
        energy, forces, stress = [], [], []
        for frame, told in map_frames(_Evaluate(source), frames, workers=workers, progress=progress):
            if isinstance(told, Failure):
                if failed is None:
                    raise FrameError(f"{told.origin}: {told.reason} (--skip-bad leaves such frames out)")
                failed.append((told.origin, told.reason))
                kept.append(frame)
                energy.append(np.full(len(models), np.nan))
                forces.append(np.full((len(models), len(frame.atoms), 3), np.nan))
                stress.append(np.full((len(models), 6), np.nan))
                continue
            kept.append(frame)
            assert told.energy_members is not None
            assert told.forces_members is not None
            energy.append(told.energy_members)
            forces.append(told.forces_members)
            none = np.full((len(told.energy_members), 6), np.nan)
            stress.append(none if told.stress_members is None else told.stress_members)
        if not np.isfinite(energy).any():
            raise FrameError(
                f"no frame of the pool has predictions of all teachers: {failed[0] if failed else 'empty'}"
            )
        offsets = np.concatenate([[0], np.cumsum([len(frame.atoms) for frame in kept])])
        return kept, cls(
            tuple(models), np.stack(energy, axis=1), np.concatenate(forces, axis=1), np.stack(stress, axis=1), offsets
        )

    @property
    def natoms(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def uncertainty(self, weights: Sequence[float] | Array) -> Array:
        """U of each frame, `(F,)` eV/Å: `assay.scores.members.heterogeneous`; weights `(K,)`, `()` for equal ones.

        Infinite where a teacher failed: nothing says that they agree.
        """
        return np.where(self.answered, member_deviations(self.forces, self.offsets).frames(weights), np.inf)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which frames all teachers could evaluate, `(F,)`."""
        return np.asarray(np.isfinite(self.energy).all(axis=0))

    def force_rmse(self, forces: Array) -> Array:
        """RMSE of each teacher's force components over the atoms with labels `(A, 3)`, NaN without: `(K,)`, eV/Å.

        Raises `ValueError` without any label.
        """
        here, errors = np.isfinite(forces).all(axis=1) & np.repeat(self.answered, self.natoms), MemberErrors()
        if here.any():
            errors.update(self.forces[:, here], forces[here])
        return errors.rmse

    def label(self, which: TeacherLabel, weights: Array, shifts: Array) -> PoolLabels:
        """The prediction of the teacher with the largest weight (`best`), or `Σ_k w_k y_k` (`mean`).

        w `(K,)`; shifts `(K, F)` are added to the energies, eV.
        """
        w = np.eye(len(weights))[np.argmax(weights)] if which == "best" else weights
        return PoolLabels(*(np.tensordot(w, y, axes=1) for y in (self.energy + shifts, self.forces, self.stress)))


@dataclass(frozen=True)
class TeacherWeights:
    """Weights of the K teachers, the force RMSEs they come from, and over how many labelled frames these are."""

    weights: tuple[float, ...]
    rmse: tuple[float, ...] | None
    frames: int | None

    def which(self, asked: TeacherLabel | None) -> TeacherLabel:
        """Whose label it is; raises `ValueError` where no teacher is best."""
        differ = len(set(self.weights)) > 1
        found = asked or ("best" if differ else "mean")
        if found == "best" and not differ:
            raise ValueError("which teacher is best? All have the same weight: give --rmse, or --teacher-label mean")
        return found


@dataclass(frozen=True)
class PoolLabels:
    """One label for each of F frames, NaN where there is none: `(F,)` eV, `(A, 3)` eV/Å, `(F, 6)` eV/Å³."""

    energy: Array
    forces: Array
    stress: Array

    @classmethod
    def of(cls, frames: Sequence[Frame], found: Callable[[Frame], Frame | None]) -> PoolLabels:
        """The labels of `found(frame)`, a frame of the same structure, where it is there and has energy and forces."""
        energy, forces, stress = [], [], []
        for frame in frames:
            given = found(frame)
            if given is None or given.energy is None or given.forces is None:
                energy.append(np.nan)
                forces.append(np.full((len(frame.atoms), 3), np.nan))
                stress.append(np.full(6, np.nan))
                continue
            energy.append(given.energy)
            forces.append(given.forces)
            stress.append(np.full(6, np.nan) if given.stress is None else given.stress)
        return cls(np.array(energy), np.concatenate(forces), np.array(stress))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which frames have a label, `(F,)`."""
        return np.isfinite(self.energy)


@dataclass(frozen=True)
class _Evaluate:
    source: Source

    def __call__(self, frame: Frame) -> Prediction:
        told = self.source.predict(frame.atoms)
        if told.energy_members is None or told.forces_members is None:
            raise FrameError("the teachers gave no energies and forces of their own")
        if not (np.isfinite(told.energy_members).all() and np.isfinite(told.forces_members).all()):
            raise FrameError("a teacher has no prediction (a gap)")
        return told
