"""Emptiness of surroundings, of features alone: against a fit by hand, and where lone atoms are at home."""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.features.emptiness import FLOOR, Emptiness
from assay.scores.features.training import TrainingFeatures
from assay.scores.registry import SCORES, fit_scores

SI, O = 14, 8  # noqa: E741 (oxygen)
LONE = np.zeros((1, 3))


def training(*more: tuple[np.ndarray, np.ndarray]) -> TrainingFeatures:
    """Eight frames of three silicon atoms and one of oxygen, whose features are around (5, 1, 2)."""
    rng = np.random.default_rng(0)
    of = [(rng.normal((5.0, 1.0, 2.0), 0.6, (4, 3)), np.array([SI, SI, O, SI])) for _ in range(8)]
    return TrainingFeatures.of([*of, *more])


def test_against_least_squares_by_hand() -> None:
    of = training()
    emptiness = Emptiness.fit(of)
    for z in (SI, O):
        rows = np.array(of.rows(z))
        w = np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]
        missing = 1 - rows @ w
        size = np.linalg.norm(rows / np.abs(rows).max(axis=0), axis=1)
        missing = missing[size < np.median(size)]
        half = rows[:1] / 2
        expected = (1 - half @ w) / missing.max()
        np.testing.assert_allclose(emptiness.of_atoms(half, np.array([z])), expected, rtol=1e-5)
        np.testing.assert_allclose(emptiness.of_atoms(LONE, np.array([z])), 1 / missing.max(), rtol=1e-5)
        found = emptiness.of_atoms(rows, np.full(len(rows), z))
        assert 1 - 2 * FLOOR < found.max() < 1.0, "the emptiest of training is at the border"
    np.testing.assert_allclose(emptiness.of_atoms(2 * np.array(of.rows(SI)), np.full(24, SI)), 0.0)
    assert emptiness.of_atoms(LONE, np.array([1])) == [0.0], "a species that training lacks"


def test_what_is_denser_than_most_is_not_empty() -> None:
    """Though the constant is left on the far side of training too."""
    of = training()
    emptiness = Emptiness.fit(of)
    dense = np.array(of.rows(SI)).max(axis=0) * np.array([1.0, 3.0, 1.0])
    assert emptiness.of_atoms(dense[None], np.array([SI])) == [0.0]


def test_of_frames_it_is_that_of_the_mean() -> None:
    of = training()
    emptiness = Emptiness.fit(of)
    rows, numbers = np.array(of.rows(SI)).reshape(8, 3, 3), np.full(3, SI)
    oxygen = np.array(of.rows(O))
    of_frames = [
        emptiness.of_frame(np.vstack([silicon, atom]), np.append(numbers, O))[0]
        for silicon, atom in zip(rows, oxygen, strict=True)
    ]
    assert 1 - 2 * FLOOR < max(of_frames) < 1.0
    gas = emptiness.of_frame(np.zeros((5, 3)), np.full(5, SI))
    np.testing.assert_allclose(gas, 1 / emptiness.frame_border)
    assert gas > 1.0


HOME = [score.name for score in SCORES if score.facts.zero_is_home and score.facts.features_alone]


@pytest.mark.parametrize("name", [score.name for score in SCORES if score.facts.features_alone])
def test_zero_is_home_to_scores_that_say_so_until_emptiness_raises_it(name: str) -> None:
    of = training()
    score = fit_scores([name], of)[0]
    numbers = np.array([SI])

    def said(features: np.ndarray) -> np.ndarray:
        return score.values(Prediction(features=features), numbers)

    atoms = np.array(of.rows(SI))
    in_training = np.concatenate([said(row[None]) for row in atoms])
    plain = said(LONE)
    assert (plain < in_training.min()).all() == (name in HOME)
    emptiness = Emptiness.fit(of).seen({name: float(in_training.max())})
    raised, of_atoms = emptiness.raised([score], {name: plain}, LONE, numbers)
    assert raised[name] > in_training.max()
    assert of_atoms > 1.0
    if name not in HOME:
        assert raised[name] == plain
    inside = atoms[[0]]
    assert emptiness.raised([score], {name: said(inside)}, inside, numbers)[0] == {name: said(inside)}


def test_where_training_has_lone_atoms_they_are_home() -> None:
    emptiness = Emptiness.fit(training((np.zeros((1, 3)), np.array([SI]))))
    assert emptiness.of_atoms(LONE, np.array([SI])) <= 1.0
    assert emptiness.of_frame(LONE, np.array([SI])) <= 1.0
    assert emptiness.of_atoms(LONE, np.array([O])) > 1.0


def test_saved_and_read_again() -> None:
    emptiness = Emptiness.fit(training()).seen({"gamma": 1.0})
    again = Emptiness.from_state(emptiness.state())
    np.testing.assert_array_equal(again.of_atoms(LONE, np.array([O])), emptiness.of_atoms(LONE, np.array([O])))
    assert again.largest == {"gamma": 1.0}


def test_features_that_span_a_constant_have_a_border_all_the_same() -> None:
    rows = np.eye(3)
    emptiness = Emptiness.fit(TrainingFeatures.of([(rows, np.full(3, SI))]))
    assert emptiness.border[SI] == pytest.approx(FLOOR)
    assert emptiness.of_atoms(rows, np.full(3, SI)).max() <= 1.0
