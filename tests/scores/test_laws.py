"""Table of scores × laws: every score that is fitted to features, on training sets as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FittedScore
from assay.scores.registry import SCORES, fit_scores, score_from_state
from assay.storage.archive import load_state, save_state

FROM_FEATURES = [score.name for score in SCORES if score.facts.features_alone]
W, MO, TA = 74, 42, 73
D = 5
Frames = list[tuple[np.ndarray, np.ndarray]]


def frames(seed: int = 0, count: int = 24, columns: int = D) -> Frames:
    """Two species in varying proportion, each around a place of its own."""
    rng = np.random.default_rng(seed)
    made: Frames = []
    for _ in range(count):
        numbers = rng.choice([W, MO], size=8)
        made.append((rng.normal(size=(8, columns)) + np.where(numbers == W, 3.0, 5.0)[:, None], numbers))
    return made


def changed(f: np.ndarray) -> np.ndarray:
    """The last column depends on others, the one before is the same for all atoms."""
    return np.column_stack([f[:, :3], np.full(len(f), 7.0), f[:, 0] - 2.0 * f[:, 1]])


SETS: dict[str, Frames] = {
    "two species": frames(),
    "dependent and constant columns": [(changed(f), z) for f, z in frames()],
    "fewer atoms than features": frames(count=2, columns=30),
    "every frame twice": [each for each in frames(count=6) for _ in range(2)],
    "one kind of environment": [(np.full((4, D), 2.5), np.full(4, W))] * 3,
    "one atom": [(np.linspace(1.0, 2.0, D)[None], np.array([W]))],
    "atoms alone": [(f[:1], np.array([W])) for f, _ in frames()],
    "an empty column": [(f * [1, 1, 0, 1, 1], z) for f, z in frames()],
}


def fitted(name: str, of: Frames) -> FittedScore:
    training = TrainingFeatures()
    for features, numbers in of:
        training.append(features, numbers)
    return fit_scores([name], training)[0]


def values(score: FittedScore, features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return score.values(Prediction(features=features), numbers)


def new(of: Frames) -> Frames:
    """Its own frames, some a little changed, and some from elsewhere."""
    rng = np.random.default_rng(99)
    some = of[:3]
    return [*some, *((f + 0.1 * rng.normal(size=f.shape), z) for f, z in some), *((3.0 * f, z) for f, z in some)]


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
every_set = pytest.mark.parametrize("training", SETS)


@every_score
@every_set
def test_no_value_is_nan_and_there_is_one_for_each(name: str, training: str):
    score = fitted(name, SETS[training])
    for features, numbers in new(SETS[training]):
        found = values(score, features, numbers)
        assert found.shape == ((len(numbers),) if score.home == "atom" else (1,))
        assert not np.isnan(found).any()


@every_score
@every_set
def test_atoms_may_come_in_any_order(name: str, training: str):
    score = fitted(name, SETS[training])
    for features, numbers in new(SETS[training]):
        p = np.random.default_rng(1).permutation(len(numbers))
        before, after = values(score, features, numbers), values(score, features[p], numbers[p])
        np.testing.assert_allclose(after, before[p] if score.home == "atom" else before, rtol=1e-6, atol=1e-9)


@every_score
def test_a_frame_twice_over_says_the_same_and_an_atom_alone_too(name: str):
    """An atom is told the same whatever else is there; a frame, when all its atoms are there twice."""
    score = fitted(name, SETS["two species"])
    for features, numbers in new(SETS["two species"]):
        found = values(score, features, numbers)
        twice = values(score, np.tile(features, (2, 1)), np.tile(numbers, 2))
        np.testing.assert_allclose(twice, np.tile(found, len(twice) // len(found)), rtol=1e-6, atol=1e-6)
        if score.home == "atom":
            alone = [values(score, f[None], z[None])[0] for f, z in zip(features, numbers, strict=True)]
            np.testing.assert_allclose(found, alone, rtol=1e-6, atol=1e-6)


@every_score
@every_set
def test_same_frames_same_score_and_a_file_keeps_it(name: str, training: str, tmp_path: Path):
    score, again = fitted(name, SETS[training]), fitted(name, SETS[training])
    save_state(tmp_path / "score", score.state())
    loaded = score_from_state({"name": name, "state": load_state(tmp_path / "score")})
    for features, numbers in new(SETS[training]):
        expected = values(score, features, numbers)
        np.testing.assert_array_equal(values(again, features, numbers), expected)
        np.testing.assert_array_equal(values(loaded, features, numbers), expected)


@every_score
def test_a_species_without_training_atoms_is_infinitely_far(name: str):
    score = fitted(name, SETS["two species"])
    features, numbers = frames(seed=7, count=1)[0]
    found = values(score, features, np.where(np.arange(8) == 2, TA, numbers))
    expected = np.arange(8) == 2 if score.home == "atom" else np.array([True])
    np.testing.assert_array_equal(np.isinf(found), expected)


@every_score
@every_set
def test_far_away_is_farther_than_training(name: str, training: str):
    score = fitted(name, SETS[training])
    at_home = max(values(score, *frame).max() for frame in SETS[training])
    features, numbers = SETS[training][0]
    direction = np.random.default_rng(3).normal(size=features.shape[1])
    assert values(score, features + 1e4 * direction, numbers).min() > at_home


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
