"""One frame through source, scores and aggregation.

This is what runs in worker processes: features stay there, and a few numbers per atom come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.checks import check_structure
from assay.frames.frame import Frame, FrameError
from assay.frames.species import known_species
from assay.gauge.batch import Scored
from assay.gauge.spreads import bar_spreads
from assay.regions.neighbourhoods import neighbourhood_mean
from assay.results.arrays import Array
from assay.results.envelope import Envelope, envelopes
from assay.results.prediction import Prediction
from assay.results.score import Key
from assay.results.symmetry import STILL, STILL_LABEL
from assay.scores.features.emptiness import EMPTINESS, Emptiness
from assay.scores.protocol import Companioned, FittedScore
from assay.sources.capabilities import Source


@dataclass(frozen=True)
class FrameScorer:
    """Picklable function `Frame → Scored`: source, scores, neighbourhood radius and the scores of error bars.

    | field | meaning |
    |---|---|
    | bars | names of scores of which error bars can be made, none without predictions |
    | species | what frames may have; `None` is any |
    | emptiness | of the surroundings of atoms, against training; `None` where it is not known |
    """

    source: Source
    scores: tuple[FittedScore, ...]
    r_cut: float
    bars: tuple[str, ...]
    species: tuple[str, ...] | None
    emptiness: Emptiness | None = None

    def __call__(self, frame: Frame, keep_members: bool = False) -> Scored:
        """Raises `FrameError` for what can't be a structure, an unknown species, and values that are not finite."""
        atoms = frame.atoms
        check_structure(atoms, frame.origin)
        known_species(atoms, self.species)
        prediction = self.source.predict(atoms)
        for name in (
            "energy",
            "forces",
            "stress",
            "energy_members",
            "forces_members",
            "stress_members",
            "features",
            "feature_forces",
        ):
            value = getattr(prediction, name)
            if value is not None and not np.isfinite(value).all():
                raise FrameError(f"predicted {name} not finite")
        values, companions = values_of(self.scores, prediction, atoms.numbers, self.emptiness)
        levels, neighbourhood_error = self._levels(frame, prediction, values)
        of_members = envelopes(prediction)
        return Scored(
            prediction=prediction
            if keep_members
            else Prediction(prediction.energy, prediction.forces, prediction.stress),
            scores=levels,
            spreads={
                score.name: bar_spreads(score, values[score.name], prediction, atoms.numbers)
                for score in self.scores
                if score.name in self.bars
            },
            still=_still(prediction, of_members.force, frame),
            members=next((len(m) for m in (prediction.forces_members, prediction.energy_members) if m is not None), 0),
            neighbourhood_error=neighbourhood_error,
            companions=companions,
            envelopes=of_members,
        )

    def _levels(
        self, frame: Frame, prediction: Prediction, values: dict[str, Array]
    ) -> tuple[dict[Key, Array], Array | None]:
        """Scores at all levels, and the error of the neighbourhood: they share one neighbour list."""
        columns = {score.name: values[score.name] for score in self.scores if score.home == "atom"}
        if frame.forces is not None and prediction.forces is not None:
            columns[""] = np.linalg.norm(prediction.forces - frame.forces, axis=1)
        levels: dict[Key, Array] = {
            (score.name, "frame"): values[score.name] for score in self.scores if score.home == "frame"
        }
        error = None
        if columns:
            means = neighbourhood_mean(np.stack(list(columns.values()), axis=1), frame.atoms, self.r_cut)
            for (name, of_atoms), mean in zip(columns.items(), means.T, strict=True):
                if name:
                    levels[name, "atom"] = of_atoms
                    levels[name, "neighbourhood"] = mean
                    levels[name, "frame"] = of_atoms.max(keepdims=True)
                else:
                    error = mean
        return levels, error


def values_of(
    scores: Sequence[FittedScore], prediction: Prediction, numbers: NDArray[Any], emptiness: Emptiness | None
) -> tuple[dict[str, Array], dict[str, NDArray[Any]]]:
    """Values of scores, and what they say beside them, by name."""
    values, companions = {}, {}
    for score in scores:
        if isinstance(score, Companioned):
            values[score.name], companions[score.companion] = score.values_and_companion(prediction, numbers)
        else:
            values[score.name] = score.values(prediction, numbers)
    if emptiness is not None and prediction.features is not None:
        values, companions[EMPTINESS] = emptiness.raised(scores, values, prediction.features, numbers)
    return values, companions


def _still(prediction: Prediction, envelope: Envelope | None, frame: Frame) -> NDArray[np.bool_]:
    if prediction.forces is None:
        return np.zeros((len(frame.atoms), 3), dtype=bool)
    low, high = (prediction.forces,) * 2 if envelope is None else (envelope.low, envelope.high)
    still, labels = (low > -STILL) & (high < STILL), frame.forces
    return np.asarray(still if labels is None else still & (np.abs(labels) < STILL_LABEL))
