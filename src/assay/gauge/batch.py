"""Columns of scored frames, still without thresholds and error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Frame
from assay.results.arrays import Array
from assay.results.assessment import Labels
from assay.results.envelope import Envelope, Envelopes, Predicted, joined
from assay.results.per_quantity import QUANTITIES, PerQuantity
from assay.results.prediction import Prediction
from assay.results.score import Key


@dataclass(frozen=True)
class Scored:
    """Predictions, scores and the uncalibrated spread that becomes the error bar, of one frame of A atoms.

    | field | meaning | shape |
    |---|---|---|
    | evaluation | predictions, without features and members; empty for features without predictions | |
    | scores | by (name, level) | `(A,)`, or `(1,)` for frames |
    | spreads | by score: of energy per atom, force components, stress; none without | `(1,)`, `(A, 3)`, `(1, 6)` |
    | still | the force component vanishes by symmetry; false without predictions | `(A, 3)` |
    | members | M, 0 without members | |
    | neighbourhood_error | mean over the neighbourhood of the norm of the force error, for labelled frames | `(A,)` |
    | companions | what scores say beside their values, by name, such as `gamma_cluster` | `(A,)` |
    | envelopes | what the members span, without members empty | `(1,)`, `(A, 3)`, `(1, 6)` |
    """

    evaluation: Prediction
    scores: dict[Key, Array]
    spreads: Mapping[str, PerQuantity[Array]]
    still: NDArray[np.bool_]
    members: int
    neighbourhood_error: Array | None
    companions: dict[str, NDArray[Any]]
    envelopes: Envelopes = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Columns of scored frames, still without thresholds and error bars: F frames, A atoms.

    Fields as in `Scored` and `assay.results.assessment.Assessment`; the spreads are `(F,)`, `(A, 3)`, `(F, 6)`; columns
    of predictions and spreads are `None` unless every frame has them. Envelopes are NaN for frames that have none,
    where others have.
    """

    names: tuple[str, ...]
    config_types: tuple[str, ...]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy: Array | None
    forces: Array | None
    stress: Array | None
    scores: dict[Key, Array]
    spreads: Mapping[str, PerQuantity[Array]]
    still: NDArray[np.bool_]
    members: int
    labels: Labels | None
    neighbourhood_error: Array | None
    companions: dict[str, NDArray[Any]]
    envelopes: dict[Predicted, Envelope]

    @classmethod
    def collect(cls, scored: Sequence[tuple[Frame, Scored]]) -> Batch:
        """Concatenate; raises `ValueError` without frames."""
        if not scored:
            raise ValueError("no frame could be evaluated")
        frames = [frame for frame, _ in scored]
        results = [result for _, result in scored]
        evaluations = [result.evaluation for result in results]
        return cls(
            names=tuple(frame.origin for frame in frames),
            config_types=tuple(frame.config_type for frame in frames),
            offsets=np.cumsum([0, *(len(frame.atoms) for frame in frames)]),
            numbers=np.concatenate([frame.atoms.numbers for frame in frames]).astype(np.int64),
            energy=_stacked([evaluation.energy for evaluation in evaluations]),
            forces=_joined([evaluation.forces for evaluation in evaluations]),
            stress=_stacked([evaluation.stress for evaluation in evaluations]),
            scores={key: np.concatenate([result.scores[key] for result in results]) for key in results[0].scores},
            spreads={
                name: _spreads([result.spreads.get(name, PerQuantity()) for result in results])
                for name in results[0].spreads
            },
            still=np.concatenate([result.still for result in results]),
            members=results[0].members,
            labels=_labels(frames),
            neighbourhood_error=_joined([result.neighbourhood_error for result in results]),
            companions={
                name: np.concatenate([result.companions[name] for result in results]) for name in results[0].companions
            },
            envelopes=joined([(len(frame.atoms), result.envelopes) for frame, result in scored]),
        )

    @property
    def natoms(self) -> NDArray[np.int64]:
        """`(F,)`."""
        return np.diff(self.offsets)

    @property
    def fractions(self) -> Array:
        """Of the S species that there are, of the atoms of each frame, `(F, S)`."""
        species, index = np.unique(self.numbers, return_inverse=True)
        counts = np.zeros((len(self.names), len(species)))
        np.add.at(counts, (np.repeat(np.arange(len(self.names)), self.natoms), index), 1)
        return counts / self.natoms[:, None]


def _stacked(rows: Sequence[Array | float | None]) -> Array | None:
    present = [row for row in rows if row is not None]
    return np.array(present) if len(present) == len(rows) else None


def _spreads(of_frames: Sequence[PerQuantity[Array]]) -> PerQuantity[Array]:
    return PerQuantity.of({quantity: _joined([each[quantity] for each in of_frames]) for quantity in QUANTITIES})


def _joined(columns: Sequence[Array | None]) -> Array | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _labels(frames: Sequence[Frame]) -> Labels | None:
    energies = [frame.energy for frame in frames if frame.energy is not None]
    forces = [frame.forces for frame in frames if frame.forces is not None]
    if len(energies) < len(frames) or len(forces) < len(frames):
        return None
    return Labels(np.array(energies), np.concatenate(forces), _stacked([frame.stress for frame in frames]))
