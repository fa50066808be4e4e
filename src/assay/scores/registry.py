"""Scores by name: which are fitted to features, and which only read the members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from assay.scores.d_optimality.cluster_wise import ClusterWiseForce, ClusterWiseGrade
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.d_optimality.maxvol import active_set
from assay.scores.d_optimality.partition import partition
from assay.scores.density.convex_hull import ConvexHull
from assay.scores.density.distance import Distance
from assay.scores.density.gaussian_mixture import MixtureLikelihood
from assay.scores.density.kernel_density import KernelDensity
from assay.scores.density.kernel_entropy import KernelEntropy
from assay.scores.density.knn_density import NeighbourDensity
from assay.scores.density.outlier_factor import FrameOutlierFactor, OutlierFactor
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.members.heterogeneous import OF_WEIGHTED_MEMBERS
from assay.scores.protocol import FittedScore
from assay.scores.rigidity.gaussian_process import GaussianProcess
from assay.scores.rigidity.last_layer import LastLayerForce, LastLayerRigidity
from assay.scores.rigidity.leverage import Leverage, LeverageFold
from assay.scores.rigidity.prediction_rigidity import ComponentPredictionRigidity, LocalPredictionRigidity

COMMITTEE: Mapping[str, FittedScore] = {
    score.name: score
    for score in (
        CommitteeForce(),
        CommitteeForce(largest=True),
        CommitteeEnergy(),
        CommitteeEnergy(largest=True),
        *(each() for each in OF_WEIGHTED_MEMBERS),
    )
}
"""Scores that read the members only. Weights of members are equal until `heterogeneous.with_weights` sets them."""
OF_ENERGIES = (
    *(name for name, score in COMMITTEE.items() if score.in_error_units == "energy"),
    LastLayerRigidity.name,
)
"""Scores that stand for errors of the energy per atom."""
OF_LIKE_MEMBERS = tuple(name for name in COMMITTEE if name not in {each.name for each in OF_WEIGHTED_MEMBERS})
"""Those for members that were drawn from one posterior: with equal weights the others say little more."""
FROM_FEATURES: Mapping[str, Callable[[TrainingFeatures, str | None], FittedScore]] = {
    ExtrapolationGrade.name: lambda training, clusters: _grade(training),
    Leverage.name: lambda training, clusters: _leverage(training),
    LocalGrade.name: lambda training, clusters: LocalGrade.fit(training, partition(training, clusters)),
    FrameOutlierFactor.name: lambda training, clusters: FrameOutlierFactor.fit(training),
    OutlierFactor.name: lambda training, clusters: OutlierFactor.fit(training),
    GaussianProcess.name: lambda training, clusters: GaussianProcess.fit(training),
    LocalPredictionRigidity.name: lambda training, clusters: LocalPredictionRigidity.fit(training),
    ComponentPredictionRigidity.name: lambda training, clusters: ComponentPredictionRigidity.fit(training),
    LastLayerRigidity.name: lambda training, clusters: LastLayerRigidity.fit(training),
    Distance.name: lambda training, clusters: Distance.fit(training),
    NeighbourDensity.name: lambda training, clusters: NeighbourDensity.fit(training),
    KernelDensity.name: lambda training, clusters: KernelDensity.fit(training),
    MixtureLikelihood.name: lambda training, clusters: MixtureLikelihood.fit(training),
    ConvexHull.name: lambda training, clusters: ConvexHull.fit(training),
    KernelEntropy.name: lambda training, clusters: KernelEntropy.fit(training),
}
FROM_DERIVATIVES: Mapping[str, Callable[[TrainingFeatures], FittedScore]] = {LastLayerForce.name: LastLayerForce.fit}
"""Scores that are fitted to features, and then read the derivatives of features."""
BY_DEFAULT = (*OF_LIKE_MEMBERS, ExtrapolationGrade.name, Leverage.name, LocalGrade.name, FrameOutlierFactor.name)
OF_LAST_LAYER = (
    *(name for name in BY_DEFAULT if name in FROM_FEATURES),
    LastLayerRigidity.name,
)
"""Scores of the last-layer features of a universal potential by default."""
NAMES = (*COMMITTEE, *FROM_FEATURES, *FROM_DERIVATIVES)
CHUNK = 4096
LOGARITHMS = (NeighbourDensity.name, KernelDensity.name, MixtureLikelihood.name, KernelEntropy.name)
"""Scores of which only the order counts: they may be below zero, and no error is a multiple of them."""

_CLASSES: Mapping[str, Any] = {
    **{name: type(score) for name, score in COMMITTEE.items()},
    ClusterWiseForce.name: ClusterWiseForce,
    ClusterWiseGrade.name: ClusterWiseGrade,
    **{each.name: each for each in (ExtrapolationGrade, Leverage, LocalGrade, FrameOutlierFactor, OutlierFactor)},
    **{each.name: each for each in (GaussianProcess, LocalPredictionRigidity, ComponentPredictionRigidity)},
    **{each.name: each for each in (LastLayerRigidity, LastLayerForce)},
    **{each.name: each for each in (Distance, NeighbourDensity, KernelDensity, MixtureLikelihood)},
    **{each.name: each for each in (ConvexHull, KernelEntropy)},
}


def _grade(training: TrainingFeatures) -> ExtrapolationGrade:
    return ExtrapolationGrade({z: active_set(training.rows(z)).inverse for z in training.species})


def _leverage(training: TrainingFeatures) -> Leverage:
    fold = LeverageFold()
    for z in training.species:
        rows = training.rows(z)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            fold.update(chunk, np.full(len(chunk), z))
    return fold.result()


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names once each, in order; raises `ValueError` for one that is not known."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"unknown score {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return tuple(dict.fromkeys(names))


def fit_scores(
    names: Sequence[str], training: TrainingFeatures, clusters: str | None = None
) -> tuple[FittedScore, ...]:
    """The named scores, fitted; `clusters` as in `assay.scores.d_optimality.partition.partition`, for those that need
    clusters."""
    return tuple(_fitted(name, training, clusters) for name in checked_names(names))


def _fitted(name: str, training: TrainingFeatures, clusters: str | None) -> FittedScore:
    if name in COMMITTEE:
        return COMMITTEE[name]
    return FROM_DERIVATIVES[name](training) if name in FROM_DERIVATIVES else FROM_FEATURES[name](training, clusters)


def score_from_state(name: str, state: Mapping[str, Any]) -> FittedScore:
    """The fitted score that `state()` described."""
    score: FittedScore = _CLASSES[name].from_state(state)
    return score
