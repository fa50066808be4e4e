"""Isolation forest: how few random cuts set an environment apart from the training environments of its species.

`s(x) = 2^(-E[h(x)] / c(n))`, with `h` the depth at which `x` is alone in a tree and `c(n)` its mean over n points:
near 1 for a point that is alone after few cuts, below 0.5 for one inside. Cuts are between the smallest and the largest
training value of a feature, so the score saturates: it tells outside from inside, and not how far outside.

Liu, Ting and Zhou, Isolation Forest, ICDM 2008 (doi:10.1109/ICDM.2008.17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions

TREES = 100


@dataclass(frozen=True)
class Isolation:
    """s per atom; infinite for a species without training environments."""

    forests: Mapping[int, IsolationForest]

    name: ClassVar[str] = "isolation_forest"
    home: ClassVar[Literal["atom", "frame"]] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Self:
        """One forest for each species, to 256 environments a tree."""
        return cls(
            {z: IsolationForest(n_estimators=TREES, random_state=0).fit(training.rows(z)) for z in training.species}
        )

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """`(A,)`."""
        assert prediction.features is not None
        s = np.full(len(numbers), np.inf)
        for z, forest in self.forests.items():
            if (here := numbers == z).any():
                s[here] = -forest.score_samples(prediction.features[here])
        return s

    def state(self) -> dict[str, Any]:
        """The cuts of all trees, for their size; a method of the benchmark is never loaded from a file."""
        trees = [each.tree_ for forest in self.forests.values() for each in forest.estimators_]
        return {"cuts": [(tree.feature, tree.threshold, tree.children_left, tree.children_right) for tree in trees]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        raise NotImplementedError("a method of the benchmark is never loaded from a file")


score = Isolation
