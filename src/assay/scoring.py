"""One frame through source, scores and aggregation.

This is what runs in worker processes: features stay there, and a few numbers per atom come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.aggregate import neighbourhood_mean
from assay.assessment import NO_PREDICTIONS, Labels
from assay.envelope import Envelope, Envelopes, Predicted, envelopes, joined
from assay.frames import Frame, FrameError, check_structure
from assay.prediction import Array, Level
from assay.scores import Companioned, FittedScore
from assay.scores.committee import CommitteeEnergy, CommitteeForce
from assay.scores.heterogeneous import (
    Heterogeneous,
    HeterogeneousEnergy,
    HeterogeneousForce,
    weighted_variance,
    with_weights,
)
from assay.scores.last_layer import LastLayerForce, LastLayerRigidity
from assay.scores.leverage import Leverage
from assay.scores.prediction_rigidity import ComponentPredictionRigidity, LocalPredictionRigidity
from assay.sources import Evaluation, Source

STILL = 1e-3
"""eV/Å: a force component for which every member predicts less vanishes by symmetry, if its label is not above
`STILL_LABEL`. Coordinates rounded to 6 decimals leave some 1e-4 eV/Å in a prediction."""
STILL_LABEL = 1e-2
"""eV/Å: what labels that vanish by symmetry may have, as DFT leaves it. More than that is an error of the potential,
such as for atoms beyond its cut-off, and is not left out."""

VARIANCES = (
    Leverage.name,
    LocalPredictionRigidity.name,
    ComponentPredictionRigidity.name,
    LastLayerRigidity.name,
    LastLayerForce.name,
)
"""Scores that are variances but for a factor: errors go as their square root (Grasselli et al., Eq. 14)."""

ENERGIES: Mapping[str, FittedScore] = {
    **{CommitteeForce(largest).name: CommitteeEnergy(largest) for largest in (False, True)},
    **{each.name: HeterogeneousEnergy() for each in (Heterogeneous, HeterogeneousForce)},
}
"""Scores of force members, and the score of the energy members that makes their energy bars."""

Key = tuple[str, Level]


@dataclass(frozen=True)
class Scored:
    """Predictions, scores and the uncalibrated spread that becomes the error bar, of one frame of A atoms.

    | field | meaning | shape |
    |---|---|---|
    | evaluation | predictions, without features and members; empty for features without predictions | |
    | scores | by (name, level) | `(A,)`, or `(1,)` for frames |
    | energy_spread, … | of energy per atom, force components, stress; `None` without | `()`, `(A, 3)`, `(6,)` |
    | still | the force component vanishes by symmetry; false without predictions | `(A, 3)` |
    | members | M, 0 without members | |
    | neighbourhood_error | mean over the neighbourhood of the norm of the force error, for labelled frames | `(A,)` |
    | companions | what scores say beside their values, by name, such as `gamma_cluster` | `(A,)` |
    | envelopes | what the members span, without members empty | `(1,)`, `(A, 3)`, `(1, 6)` |
    """

    evaluation: Evaluation
    scores: dict[Key, Array]
    energy_spread: float | None
    force_spread: Array | None
    stress_spread: Array | None
    still: NDArray[np.bool_]
    members: int
    neighbourhood_error: Array | None
    companions: dict[str, NDArray[Any]]
    envelopes: Envelopes = field(default_factory=dict)


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
        evaluation = self.source.evaluate(atoms)
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
        spanned = envelopes(evaluation)
        return Scored(
            evaluation=evaluation
            if keep_members
            else Evaluation(evaluation.energy, evaluation.forces, evaluation.stress),
            scores=levels,
            **self._spreads(evaluation, values, atoms.numbers),
            still=_still(evaluation, spanned.get("forces"), frame),
            members=next((len(m) for m in (evaluation.forces_members, evaluation.energy_members) if m is not None), 0),
            neighbourhood_error=neighbourhood_error,
            companions=companions,
            envelopes=spanned,
        )

    def _levels(
        self, frame: Frame, evaluation: Evaluation, values: dict[str, Array]
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

    def _spreads(self, evaluation: Evaluation, values: dict[str, Array], numbers: NDArray[Any]) -> dict[str, Any]:
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
    scores: Sequence[FittedScore], evaluation: Evaluation, numbers: NDArray[Any]
) -> tuple[dict[str, Array], dict[str, NDArray[Any]]]:
    """Values of scores, and what they say beside them, by name."""
    values, companions = {}, {}
    for score in scores:
        if isinstance(score, Companioned):
            values[score.name], companions[score.companion] = score.values_and_companion(evaluation, numbers)
        else:
            values[score.name] = score.values(evaluation, numbers)
    return values, companions


def sampled(score: str, quantity: str, members: int) -> tuple[int | None, int]:
    """M and c of what `assay.calibration.scale.Scale` corrects for: of standard deviations over members alone.

    That of a force is pooled over 3 components, that of a stress over 6. The correction takes members for draws from
    one distribution. Those of `heterogeneous_force` are not: their weights say that they differ, and which ones there
    are is no matter of chance. So α² is ⟨e²/s²⟩ as it comes, with which the held-out bars are right on average.
    """
    if not members or score not in ("committee_force", "committee_energy"):
        return None, 1
    return members, {"force": 3, "stress": 6}.get(quantity, 1) if score == "committee_force" else 1


def proportional_to_errors(name: str, values: Array) -> Array:
    """Values of the score `name` as error bars take them: the square root of those that are variances."""
    return np.asarray(np.sqrt(values) if name in VARIANCES else values)


def force_spread(score: Array) -> Array:
    """`(A,)` → `(A, 3)`: the score of a force vector as the same spread of its three components."""
    return np.repeat(score[:, None] / np.sqrt(3.0), 3, axis=1)


def _still(evaluation: Evaluation, envelope: Envelope | None, frame: Frame) -> NDArray[np.bool_]:
    if evaluation.forces is None:
        return np.zeros((len(frame.atoms), 3), dtype=bool)
    low, high = (evaluation.forces,) * 2 if envelope is None else (envelope.low, envelope.high)
    still, labels = (low > -STILL) & (high < STILL), frame.forces
    return np.asarray(still if labels is None else still & (np.abs(labels) < STILL_LABEL))


@dataclass(frozen=True)
class Batch:
    """Columns of scored frames, still without thresholds and error bars: F frames, A atoms.

    Fields as in `Scored` and `assay.assessment.Assessment`; `energy_spread` is `(F,)`, `force_spread` `(A, 3)`,
    `stress_spread` `(F, 6)`; columns of predictions and spreads are `None` unless every frame has them. Envelopes are
    NaN for frames that have none, where others have.
    """

    names: tuple[str, ...]
    config_types: tuple[str, ...]
    offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy: Array | None
    forces: Array | None
    stress: Array | None
    scores: dict[Key, Array]
    energy_spread: Array | None
    force_spread: Array | None
    stress_spread: Array | None
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
            energy_spread=_stacked([result.energy_spread for result in results]),
            force_spread=_joined([result.force_spread for result in results]),
            stress_spread=_stacked([result.stress_spread for result in results]),
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


def _joined(columns: Sequence[Array | None]) -> Array | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _labels(frames: Sequence[Frame]) -> Labels | None:
    energies = [frame.energy for frame in frames if frame.energy is not None]
    forces = [frame.forces for frame in frames if frame.forces is not None]
    if len(energies) < len(frames) or len(forces) < len(frames):
        return None
    return Labels(np.array(energies), np.concatenate(forces), _stacked([frame.stress for frame in frames]))


def known_species(frame: Atoms, species: tuple[str, ...] | None) -> None:
    """Raise `FrameError` for the first atom whose species the training frames did not have; `None` is any."""
    if species is None:
        return
    known = np.isin(frame.numbers, [atomic_numbers[s] for s in species])
    if not known.all():
        i = int(np.argmin(known))
        raise FrameError(
            f"atom {i} is {frame.get_chemical_symbols()[i]}, which was not in the training frames "
            f"({', '.join(species)})"
        )
