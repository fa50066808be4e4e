"""A score: the largest deviation of any feature from its mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions


@dataclass(frozen=True)
class LargestDeviation:
    """`max_d |f_id − m_d| / w_d` of atom i, m and w the mean and the largest size of each feature of its species.

    `mean`, `size`: atomic number → `(D,)`.
    """

    mean: Mapping[int, np.ndarray]
    size: Mapping[int, np.ndarray]

    name: ClassVar[str] = "example"
    home: ClassVar[str] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> LargestDeviation:
        rows = {z: training.rows(z) for z in training.species}
        size = {z: 1e-6 + np.abs(f).max(axis=0) for z, f in rows.items()}
        return cls({z: f.mean(axis=0) for z, f in rows.items()}, size)

    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        """`(A,)`; infinite for a species without training atoms."""
        if prediction.features is None:
            raise ValueError(f"{self.name} needs per-atom features, which this source does not have")
        found = np.full(len(numbers), np.inf)
        for z, mean in self.mean.items():
            here = numbers == z
            found[here] = np.abs((prediction.features[here] - mean) / self.size[z]).max(axis=1)
        return found

    def state(self) -> dict[str, Any]:
        return {name: {str(z): f for z, f in of.items()} for name, of in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LargestDeviation:
        return cls(*({int(z): f for z, f in state[name].items()} for name in ("mean", "size")))
