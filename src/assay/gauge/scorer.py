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
from assay.gauge.spreads import ENERGIES, force_spread, proportional_to_errors
from assay.regions.neighbourhoods import neighbourhood_mean
from assay.results.arrays import Array
from assay.results.batch import NO_PREDICTIONS
from assay.results.envelope import Envelope, envelopes
from assay.results.prediction import Prediction
from assay.results.score import Key
from assay.results.symmetry import STILL, STILL_LABEL
from assay.scores.members.heterogeneous import (
    Heterogeneous,
    HeterogeneousForce,
    weighted_variance,
    with_weights,
)
from assay.scores.protocol import Companioned, FittedScore
from assay.scores.rigidity.last_layer import LastLayerForce
from assay.sources.capabilities import Source


@dataclass(frozen=True)
class FrameScorer:
    """Picklable function `Frame → Scored`: source, scores, neighbourhood radius and the score of the error bar.

    `bar_score` is `""` where there is no error bar; `species`: what frames may have, `None` is any.
    """

    source: Source
    scores: tuple[FittedScore, ...]
    r_cut: float
    bar_score: str
    species: tuple[str, ...] | None

    def __call__(self, frame: Frame, keep_members: bool = False) -> Scored:
        """Raises `FrameError` for what can't be a structure, an unknown species, and values that are not finite."""
        atoms = frame.atoms
        check_structure(atoms, frame.origin)
        known_species(atoms, self.species)
        evaluation = self.source.predict(atoms)
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
            value = getattr(evaluation, name)
            if value is not None and not np.isfinite(value).all():
                raise FrameError(f"predicted {name} not finite")
        values, companions = values_of(self.scores, evaluation, atoms.numbers)
        levels, neighbourhood_error = self._levels(frame, evaluation, values)
        of_members = envelopes(evaluation)
        return Scored(
            prediction=evaluation
            if keep_members
            else Prediction(evaluation.energy, evaluation.forces, evaluation.stress),
            scores=levels,
            **self._spreads(evaluation, values, atoms.numbers),
            still=_still(evaluation, of_members.force, frame),
            members=next((len(m) for m in (evaluation.forces_members, evaluation.energy_members) if m is not None), 0),
            neighbourhood_error=neighbourhood_error,
            companions=companions,
            envelopes=of_members,
        )

    def _levels(
        self, frame: Frame, evaluation: Prediction, values: dict[str, Array]
    ) -> tuple[dict[Key, Array], Array | None]:
        """Scores at all levels, and the error of the neighbourhood: they share one neighbour list."""
        columns = {score.name: values[score.name] for score in self.scores if score.home == "atom"}
        if frame.forces is not None and evaluation.forces is not None:
            columns[""] = np.linalg.norm(evaluation.forces - frame.forces, axis=1)
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

    def _spreads(self, evaluation: Prediction, values: dict[str, Array], numbers: NDArray[Any]) -> dict[str, Any]:
        """What becomes the error bars: of force components `score / √3`, the same along x, y and z.

        For `committee_force` that is the root mean square of the standard deviations of the components. Of the scores
        in `ENERGIES` the energy has the spread of its own members, and so has the stress, its standard deviation
        pooled over the components of the tensor, with the weights of the score. For other scores energy and stress
        have the mean over the atoms, and of `last_layer_force` the energy has its own. Of `VARIANCES` all take the
        square root.
        """
        if not self.bar_score:
            return dict.fromkeys(("energy_spread", "force_spread", "stress_spread"))
        if evaluation.forces is None:
            raise ValueError(NO_PREDICTIONS)
        n = len(evaluation.forces)
        atoms = np.broadcast_to(proportional_to_errors(self.bar_score, values[self.bar_score]), (n,))
        spreads = {
            "energy_spread": float(np.mean(atoms)),
            "force_spread": force_spread(atoms),
            "stress_spread": None if evaluation.stress is None else np.full(6, np.mean(atoms)),
        }
        for score in self.scores:
            if isinstance(score, LastLayerForce) and score.name == self.bar_score:
                spreads["energy_spread"] = float(np.sqrt(score.energy.values(evaluation, numbers)[0]))
        if self.bar_score in ENERGIES:
            score = next(each for each in self.scores if each.name == self.bar_score)
            weights = score.weights if isinstance(score, Heterogeneous | HeterogeneousForce) else None
            if evaluation.energy_members is not None:
                (of_energy,) = with_weights([ENERGIES[self.bar_score]], weights or ())
                spreads["energy_spread"] = float(of_energy.values(evaluation, np.empty(n))[0])
            if (members := evaluation.stress_members) is not None:
                variance = members.var(axis=0, ddof=1) if weights is None else weighted_variance(members, weights)
                tensor = (variance[:3].sum() + 2 * variance[3:].sum()) / 9  # xy and yx are one Voigt component
                spreads["stress_spread"] = np.full(6, np.sqrt(tensor))
        return spreads


def values_of(
    scores: Sequence[FittedScore], evaluation: Prediction, numbers: NDArray[Any]
) -> tuple[dict[str, Array], dict[str, NDArray[Any]]]:
    """Values of scores, and what they say beside them, by name."""
    values, companions = {}, {}
    for score in scores:
        if isinstance(score, Companioned):
            values[score.name], companions[score.companion] = score.values_and_companion(evaluation, numbers)
        else:
            values[score.name] = score.values(evaluation, numbers)
    return values, companions


def _still(evaluation: Prediction, envelope: Envelope | None, frame: Frame) -> NDArray[np.bool_]:
    if evaluation.forces is None:
        return np.zeros((len(frame.atoms), 3), dtype=bool)
    low, high = (evaluation.forces,) * 2 if envelope is None else (envelope.low, envelope.high)
    still, labels = (low > -STILL) & (high < STILL), frame.forces
    return np.asarray(still if labels is None else still & (np.abs(labels) < STILL_LABEL))
