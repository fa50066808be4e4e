"""What a score is to others: before it is fitted, and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures


@dataclass(frozen=True)
class FitOptions:
    """What a fit is told beside the training features.

    | field | meaning |
    |---|---|
    | clusters | how to divide atoms, as in `assay.scores.d_optimality.partition.partition` |
    | weights | of the M members, `(M,)` with a sum of 1; `()` is equal ones |
    """

    clusters: str | None = None
    weights: tuple[float, ...] = ()


DEFAULTS = FitOptions()


class Declared(Protocol):
    """What both a score class and a fitted score say of themselves.

    | attribute | meaning |
    |---|---|
    | name | as in the table of scores in the docs |
    | home | whether `values` are of atoms or of the frame |
    | facts | what it reads, which error it stands for and how, when it is there by default |
    """

    @property
    def name(self) -> str: ...

    @property
    def home(self) -> Literal["atom", "frame"]: ...

    @property
    def facts(self) -> ScoreFacts: ...


class FittedScore(Declared, Protocol):
    """A method with everything it learnt from training frames."""

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """Values of one frame: `(A,)` of atoms with atomic numbers `numbers`, or `(1,)`.

        Raises `ValueError` for a prediction that lacks what it reads.
        """

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays, from which the class' `from_state` makes the same score again."""


class ScoreClass(Declared, Protocol):
    """A method before it is fitted: a class, such as `assay.scores.rigidity.leverage.Leverage`."""

    def fit(self, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> FittedScore:
        """Learn from the features of training atoms; a method that learns nothing takes no notice of them.

        Raises `ValueError` where it can't be fitted to these.
        """

    def from_state(self, state: Mapping[str, Any]) -> FittedScore:
        """The fitted score that `state()` described."""


@runtime_checkable
class Companioned(Protocol):
    """A score of atoms that says something else of each beside its value: the column `companion`."""

    @property
    def companion(self) -> str: ...

    def values_and_companion(self, prediction: Prediction, numbers: NDArray[Any]) -> tuple[Array, NDArray[Any]]:
        """`values`, and the companion column, two `(A,)`."""


class Clustered(Companioned, FittedScore, Protocol):
    """A score whose facts say `clusters`: its companion is the cluster of each atom, an index into `names`, or -1."""

    @property
    def names(self) -> tuple[str, ...]: ...


def clustered(scores: Iterable[FittedScore]) -> Clustered | None:
    """The first score that divides atoms into clusters."""
    return next((cast(Clustered, score) for score in scores if score.facts.clusters), None)


def majority(clusters: NDArray[np.int64]) -> int:
    """The cluster of a frame: that of most of its atoms that have one (not -1), `(A,)`; 0 where none has."""
    return int(np.bincount(clusters[clusters >= 0], minlength=1).argmax())


@runtime_checkable
class WithEnergies(Protocol):
    """A score of forces to which a score of energies belongs: that one makes the error bars of energies."""

    def of_energy(self) -> FittedScore | None:
        """The score of energies; `None` where the mean over the atoms makes their bars after all."""


@runtime_checkable
class OfMembers(Protocol):
    """A score that is a spread of members: error bars of stresses have that of the members' stresses."""

    def variance(self, members: Array) -> Array | None:
        """Of members `(M, ...)`, `(...)`; `None` where the mean over the atoms makes the bars after all."""


@runtime_checkable
class OfActiveSets(Protocol):
    """An extrapolation grade: it has one active set for each species."""

    @property
    def active_sets(self) -> Mapping[int, Array]:
        """Atomic number → `A⁻¹`, `(D, D)`."""
