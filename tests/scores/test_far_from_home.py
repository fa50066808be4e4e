"""Which directions are far, and in which units: every score that is fitted to features alone.

The laws that all scores keep are those of `assay.testing`, which run in `tests/test_laws.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FittedScore
from assay.scores.registry import SCORES, fit_scores
from assay.testing.training_sets import TRAINING_SETS, W, features_of

FROM_FEATURES = [score.name for score in SCORES if score.facts.features_alone]
Frames = list[tuple[np.ndarray, np.ndarray]]
SETS: dict[str, Frames] = {
    name: [(features_of(prediction), numbers) for prediction, numbers in frames]
    for name, frames in TRAINING_SETS.items()
}

THROUGH_THE_ORIGIN = (
    "gamma",
    "leverage",
    "gamma_local",
    "local_prediction_rigidity",
    "component_prediction_rigidity",
    "last_layer_prediction_rigidity",
)
"""For these a constant column is a direction like any other, and 3 % more of it no extrapolation to speak of."""
COLUMN_BY_COLUMN = (
    "frame_outlier_factor",
    "outlier_factor",
    "distance",
    "knn_density",
    "kernel_density",
    "kernel_entropy",
)
"""In units of the spread of each column, these don't see what columns have in common."""

every_score = pytest.mark.parametrize("name", FROM_FEATURES)


def fitted(name: str, of: Frames) -> FittedScore:
    return fit_scores([name], TrainingFeatures.of(of))[0]


def values(score: FittedScore, features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return score.values(Prediction(features=features), numbers)


def leaves_home(name: str, column: int) -> bool:
    """Are atoms off by 3 % in one column all farther than any of training?"""
    of = SETS["dependent and constant columns"]
    score = fitted(name, of)
    features, numbers = of[0][0].copy(), of[0][1]
    features[:, column] += 0.03 * np.abs(features[:, column]).max()
    return bool(values(score, features, numbers).min() > max(values(score, *frame).max() for frame in of))


@pytest.mark.parametrize("name", [name for name in FROM_FEATURES if name not in THROUGH_THE_ORIGIN])
def test_to_change_a_constant_is_far(name: str):
    assert leaves_home(name, 3)


@pytest.mark.parametrize("name", [name for name in FROM_FEATURES if name not in COLUMN_BY_COLUMN])
def test_to_break_a_dependence_of_columns_is_far(name: str):
    assert leaves_home(name, 4)


@every_score
@pytest.mark.parametrize("training", ["two species", "fewer atoms than features"])
def test_the_units_of_a_column_do_not_count(name: str, training: str):
    units = np.geomspace(0.1, 10.0, SETS[training][0][0].shape[1])
    score, other = (fitted(name, [(f * u, z) for f, z in SETS[training]]) for u in (np.ones_like(units), units))
    for features, numbers in SETS[training][:3]:
        np.testing.assert_allclose(
            values(other, features * units, numbers), values(score, features, numbers), rtol=1e-3, atol=1e-6
        )


@every_score
def test_a_source_without_features_is_told_so(name: str):
    score = fitted(name, SETS["two species"])
    with pytest.raises(ValueError, match=f"{name} needs per-atom features, which this source does not have"):
        score.values(Prediction(0.0, np.zeros((1, 3))), np.array([W]))
