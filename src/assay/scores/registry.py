"""Scores by name: which need a fit to features, and which only read the members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from assay.prediction import Array
from assay.scores import FittedScore
from assay.scores.committee import CommitteeEnergy, CommitteeForce
from assay.scores.d_optimality import ExtrapolationGrade, GradeFold
from assay.scores.leverage import Leverage, LeverageFold

COMMITTEE: Mapping[str, FittedScore] = {
    score.name: score
    for score in (
        CommitteeForce(),
        CommitteeForce(largest=True),
        CommitteeEnergy(),
        CommitteeEnergy(largest=True),
    )
}
FOLDS: Mapping[str, type[GradeFold] | type[LeverageFold]] = {
    ExtrapolationGrade.name: GradeFold,
    Leverage.name: LeverageFold,
}
NAMES = (*COMMITTEE, *FOLDS)

_CLASSES: Mapping[str, Any] = {
    **{name: type(score) for name, score in COMMITTEE.items()},
    ExtrapolationGrade.name: ExtrapolationGrade,
    Leverage.name: Leverage,
}


class FeatureFold(Protocol):
    """What a score learns from features, chunk by chunk."""

    def update(self, features: Array, numbers: NDArray[Any]) -> None: ...

    def result(self) -> FittedScore: ...


class ScoresFold:
    """Fits several scores on one pass over features: `update(features, numbers)`, then `result()`."""

    def __init__(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise ValueError(f"unknown score {', '.join(unknown)}; there are {', '.join(NAMES)}")
        self._names = tuple(dict.fromkeys(names))
        self._folds: dict[str, FeatureFold] = {name: FOLDS[name]() for name in self._names if name in FOLDS}

    def update(self, features: Array, numbers: NDArray[Any]) -> None:
        for fold in self._folds.values():
            fold.update(features, numbers)

    def result(self) -> tuple[FittedScore, ...]:
        return tuple(COMMITTEE[n] if n in COMMITTEE else self._folds[n].result() for n in self._names)


def score_from_state(name: str, state: Mapping[str, Any]) -> FittedScore:
    """The fitted score that `state()` described."""
    score: FittedScore = _CLASSES[name].from_state(state)
    return score
