"""All scores, and the one place where a name or a class becomes one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.plugins.kinds import PLUGIN, Kinds
from assay.results.arrays import Array
from assay.results.score import BarsOf
from assay.scores.d_optimality.cluster_wise import ClusterWiseForce, ClusterWiseGrade
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.density.convex_hull import ConvexHull
from assay.scores.density.distance import Distance
from assay.scores.density.gaussian_mixture import MixtureLikelihood
from assay.scores.density.kernel_density import KernelDensity
from assay.scores.density.kernel_entropy import KernelEntropy
from assay.scores.density.knn_density import NeighbourDensity
from assay.scores.density.outlier_factor import FrameOutlierFactor, OutlierFactor
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import CommitteeEnergy, CommitteeEnergyMax, CommitteeForce, CommitteeForceMax
from assay.scores.members.heterogeneous import Heterogeneous, HeterogeneousEnergy, HeterogeneousForce
from assay.scores.protocol import DEFAULTS, Clustered, FitOptions, FittedScore, ScoreClass
from assay.scores.rigidity.gaussian_process import GaussianProcess
from assay.scores.rigidity.last_layer import LastLayerForce, LastLayerRigidity
from assay.scores.rigidity.leverage import Leverage
from assay.scores.rigidity.prediction_rigidity import ComponentPredictionRigidity, LocalPredictionRigidity

SCORES: tuple[ScoreClass, ...] = (
    CommitteeForce,
    CommitteeForceMax,
    CommitteeEnergy,
    CommitteeEnergyMax,
    Heterogeneous,
    HeterogeneousForce,
    HeterogeneousEnergy,
    ExtrapolationGrade,
    Leverage,
    LocalGrade,
    FrameOutlierFactor,
    OutlierFactor,
    GaussianProcess,
    LocalPredictionRigidity,
    ComponentPredictionRigidity,
    LastLayerRigidity,
    Distance,
    NeighbourDensity,
    KernelDensity,
    MixtureLikelihood,
    ConvexHull,
    KernelEntropy,
    LastLayerForce,
)
"""Every score that can be asked for, in the order in which they are told of. Each declares all else by its `facts`."""
BY_CLUSTER = (ClusterWiseForce, ClusterWiseGrade)
"""Scores that are made of another one and thresholds, after frames were scored by it: nobody asks for them by name."""
KINDS: Kinds[ScoreClass] = Kinds(
    "score", "assay.scores", {each.name: each for each in SCORES}, in_files={each.name: each for each in BY_CLUSTER}
)
"""Scores by name, those of other packages included."""

Asked = str | ScoreClass
"""The name of a score, or a class (or object) with the contract of `assay.scores.protocol.ScoreClass`."""
CONTRACT = ("name", "home", "facts", "fit", "values", "state", "from_state")


def resolved(asked: Iterable[Asked]) -> tuple[ScoreClass, ...]:
    """The scores, once each, in order; a name may be that of a class beside it, or of another package.

    Raises `ValueError` for a name that is not known, two scores of one name, and what lacks a part of the contract; as
    `assay.plugins.kinds.Kinds.find` for a package that can't be imported.
    """
    asked = [asked] if isinstance(asked, str) else list(asked)
    known: dict[str, ScoreClass] = dict(KINDS.built_in)
    for given in asked:
        if not isinstance(given, str) and known.setdefault(_checked(given).name, given) is not given:
            raise ValueError(f"two scores are called {given.name}: give {given!r} a name of its own")
    names = dict.fromkeys(given if isinstance(given, str) else given.name for given in asked)
    for name in names:
        if name not in known and (plugged := KINDS.find(name)) is not None:
            known[name] = _checked(plugged)
    if unknown := [name for name in names if name not in known]:
        there_are = dict.fromkeys([*known, *KINDS.names()])
        raise ValueError(f"unknown score {', '.join(unknown)}; there are {', '.join(there_are)}")
    return tuple(known[name] for name in names)


def _checked(given: ScoreClass) -> ScoreClass:
    if lacking := [part for part in CONTRACT if not hasattr(given, part)]:
        raise ValueError(
            f"{given!r} is not a score: it lacks {', '.join(lacking)}. Give a name, or a class with "
            f"{', '.join(CONTRACT)} (docs/plugins.md)"
        )
    return given


def score_of_bars(of: BarsOf) -> str:
    """The name of the score that error bars are made from unless others are asked for."""
    return next(score.name for score in SCORES if score.facts.default_bar_of == of)


def fit_scores(
    asked: Sequence[Asked], training: TrainingFeatures, options: FitOptions = DEFAULTS
) -> tuple[FittedScore, ...]:
    """The scores, fitted; raises as `resolved` and `ScoreClass.fit` do."""
    return tuple(score.fit(training, options) for score in resolved(asked))


def cluster_wise(local: Clustered, *, fences: Array | None, levels: Array | None) -> tuple[FittedScore, ...]:
    """The scores of `BY_CLUSTER` whose thresholds of the K clusters there are.

    | argument | meaning | shape, unit |
    |---|---|---|
    | local | has the clusters | |
    | fences | of the force errors of training atoms | `(K,)` eV/Å |
    | levels | of `local` in held-out frames | `(K,)` |
    """
    of_forces = () if fences is None else (ClusterWiseForce(local, fences),)
    return of_forces if levels is None else (*of_forces, ClusterWiseGrade(local, levels))


def score_state(score: FittedScore) -> dict[str, Any]:
    """What a gauge file holds of a score; raises `ValueError` where it could not be loaded again."""
    origin = KINDS.require_origin(score.name, type(score))
    return {"name": score.name, "state": score.state(), **({PLUGIN: origin} if origin else {})}


def score_from_state(state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> FittedScore:
    """The fitted score that `score_state` described; raises as `assay.plugins.kinds.Kinds.of_file`."""
    return KINDS.of_file(state["name"], state.get(PLUGIN, {}), allow_import).from_state(state["state"])
