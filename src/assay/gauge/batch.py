"""What is said of one frame, and columns of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Frame
from assay.results.arrays import Array
from assay.results.batch import Batch, Labels
from assay.results.envelope import Envelopes, joined
from assay.results.per_quantity import PerQuantity
from assay.results.prediction import Prediction
from assay.results.score import Key


@dataclass(frozen=True)
class Scored:
    """Predictions, scores and the uncalibrated spread that becomes the error bar, of one frame of A atoms.

    | field | meaning | shape |
    |---|---|---|
    | prediction | predictions, without features and members; empty for features without predictions | |
    | scores | by (name, level) | `(A,)`, or `(1,)` for frames |
    | spreads | by score: of energy per atom, force components, stress; none without | `(1,)`, `(A, 3)`, `(1, 6)` |
    | still | the force component vanishes by symmetry; false without predictions | `(A, 3)` |
    | members | M, 0 without members | |
    | neighbourhood_error | mean over the neighbourhood of the norm of the force error, for labelled frames | `(A,)` |
    | companions | what scores say beside their values, by name, such as `gamma_cluster` | `(A,)` |
    | envelopes | what the members span, without members empty | `(1,)`, `(A, 3)`, `(1, 6)` |
    """

    prediction: Prediction
    scores: dict[Key, Array]
    spreads: Mapping[str, PerQuantity[Array]]
    still: NDArray[np.bool_]
    members: int
    neighbourhood_error: Array | None
    companions: dict[str, NDArray[Any]]
    envelopes: Envelopes = field(default_factory=Envelopes)


def collect(scored: Sequence[tuple[Frame, Scored]]) -> Batch:
    """The frames as columns; raises `ValueError` without any."""
    if not scored:
        raise ValueError("no frame could be evaluated")
    frames = [frame for frame, _ in scored]
    results = [result for _, result in scored]
    predictions = [result.prediction for result in results]
    return Batch(
        names=tuple(frame.origin for frame in frames),
        config_types=tuple(frame.config_type for frame in frames),
        offsets=np.cumsum([0, *(len(frame.atoms) for frame in frames)]),
        numbers=np.concatenate([frame.atoms.numbers for frame in frames]).astype(np.int64),
        energy=_stacked([prediction.energy for prediction in predictions]),
        forces=_joined([prediction.forces for prediction in predictions]),
        stress=_filled([(None if each.stress is None else each.stress[None], (1, 6)) for each in predictions]),
        scores={key: np.concatenate([result.scores[key] for result in results]) for key in results[0].scores},
        spreads={
            name: _spreads([result.spreads.get(name, PerQuantity()) for result in results])
            for name in results[0].spreads
        },
        still=np.concatenate([result.still for result in results]),
        members=results[0].members,
        labels=_labels(frames),
        neighbourhood_error=_filled([(result.neighbourhood_error, (len(frame.atoms),)) for frame, result in scored]),
        companions={
            name: np.concatenate([result.companions[name] for result in results]) for name in results[0].companions
        },
        envelopes=joined([(len(frame.atoms), result.envelopes) for frame, result in scored]),
        volumes=np.array([frame.atoms.cell.volume if frame.atoms.pbc.all() else np.nan for frame in frames]),
    )


def _stacked(rows: Sequence[Array | float | None]) -> Array | None:
    present = [row for row in rows if row is not None]
    return np.array(present) if len(present) == len(rows) else None


def _spreads(of_frames: Sequence[PerQuantity[Array]]) -> PerQuantity[Array]:
    return PerQuantity(
        _joined([each.energy for each in of_frames]),
        _joined([each.force for each in of_frames]),
        _filled([(each.stress, (1, 6)) for each in of_frames]),
    )


def _joined(columns: Sequence[Array | None]) -> Array | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _filled(rows: Sequence[tuple[Array | None, tuple[int, ...]]]) -> Array | None:
    """Rows of known shapes one after the other, NaN where there is none; `None` where there are none at all."""
    if all(row is None for row, _ in rows):
        return None
    return np.concatenate([np.full(shape, np.nan) if row is None else row for row, shape in rows])


def _labels(frames: Sequence[Frame]) -> Labels | None:
    energy = _filled([(None if frame.energy is None else np.array([frame.energy]), (1,)) for frame in frames])
    forces = _filled([(frame.forces, (len(frame.atoms), 3)) for frame in frames])
    stress = _filled([(None if frame.stress is None else frame.stress[None], (1, 6)) for frame in frames])
    if energy is None and forces is None and stress is None:
        return None
    atoms = sum(len(frame.atoms) for frame in frames)
    return Labels(
        np.full(len(frames), np.nan) if energy is None else energy,
        np.full((atoms, 3), np.nan) if forces is None else forces,
        stress,
    )
