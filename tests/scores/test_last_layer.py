"""Last-layer prediction rigidity against its equation, metatrain's numbers, and what leave-one-out is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference_metatrain import FILE, FITTED, REGULARISERS, frames

from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.registry import fit_scores
from assay.scores.rigidity.last_layer import (
    RATIOS,
    LastLayerForce,
    LastLayerRigidity,
    chosen_ratio,
    frame_rows,
    inverse_root,
)
from assay.scores.rigidity.leverage import RIDGE
from assay.scores.rigidity.prediction_rigidity import ComponentPredictionRigidity

W, MO = 74, 42
FRAMES = frames()
ROWS = np.array([features.mean(axis=0) for features, _ in FRAMES[:FITTED]])
RNG = np.random.default_rng(3)


def training(of: list[tuple[np.ndarray, np.ndarray]]) -> TrainingFeatures:
    made = TrainingFeatures()
    for features, numbers in of:
        made.append(features, numbers)
    return made


def value(score: LastLayerRigidity, features: np.ndarray, numbers: np.ndarray) -> float:
    return float(score.values(Prediction(features=features), numbers)[0])


def test_the_rows_are_those_of_energies_per_atom_whatever_the_species():
    np.testing.assert_allclose(frame_rows(training(FRAMES[:FITTED])), ROWS, rtol=1e-12)


@pytest.mark.parametrize("which", range(len(REGULARISERS)))
def test_the_numbers_of_metatrain(which: int):
    """Energies of frames, whose standard deviation is ours per atom times their number, and of atoms."""
    told = json.loads(FILE.read_text(encoding="utf-8"))
    ratio = REGULARISERS[which] / np.linalg.eigvalsh(ROWS.T @ ROWS)[-1]
    root = inverse_root(ROWS, ratio)
    score = LastLayerRigidity(root, (MO, W), ratio)
    ours = [len(numbers) * np.sqrt(value(score, features, numbers)) for features, numbers in FRAMES]
    np.testing.assert_allclose(ours, told["frames"][which], rtol=1e-6)
    atoms = np.concatenate([features for features, _ in FRAMES[FITTED:]])
    np.testing.assert_allclose(np.linalg.norm(atoms @ root.T, axis=1), told["atoms"][which], rtol=1e-6)


def test_with_one_species_it_is_the_component_wise_rigidity():
    alone = [(features, np.full(len(features), W)) for features, _ in FRAMES[:FITTED]]
    score, other = (each.fit(training(alone)) for each in (LastLayerRigidity, ComponentPredictionRigidity))
    for features, numbers in alone[:5]:
        expected = other.values(Prediction(features=features), numbers)[0]
        assert value(score, features, numbers) == pytest.approx(expected, rel=1e-4)


def test_species_share_their_weights():
    """Mo in frames of its own pins down what W with the same features has; scores split by species can't tell."""
    features = RNG.normal(size=(12, 1, 3))
    alone = [(f, np.array([MO])) for f in features] + [(features[0], np.array([W]))]
    score = LastLayerRigidity.fit(training(alone))
    for f in features[1:]:
        assert value(score, f, np.array([W])) == pytest.approx(value(score, f, np.array([MO])), rel=1e-9)
        assert value(score, f, np.array([W])) < 1.0


def test_forces_are_the_derivative_of_energies():
    """The variance of `A (ε(r + h) − ε(r − h)) / 2h`, the energies being those of means of features."""
    score = LastLayerRigidity.fit(training(FRAMES[:FITTED]))
    slope = RNG.normal(size=(6, 4, 3))  # of the sum of the features by the 12 coordinates
    at = RNG.normal(size=6)
    plus, minus = (at + sign * 1e-3 * slope[:, 2, 1] for sign in (1, -1))
    difference = (plus - minus) / 2e-3
    expected = value(score, np.tile(difference, (4, 1)), np.full(4, W))
    found = score.of_forces(-slope)
    assert found.shape == (4, 3)
    assert found[2, 1] == pytest.approx(expected, rel=1e-9)


def test_more_frames_never_raise_it_at_one_ratio():
    fewer, more = (inverse_root(rows, 1e-4) for rows in (ROWS[:8], ROWS))
    g = RNG.normal(size=(50, 6))
    assert (np.linalg.norm(g @ more.T, axis=1) <= np.linalg.norm(g @ fewer.T, axis=1) * (1 + 1e-9)).all()


@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize("ratio", [1e-8, 1e-2])
def test_fewer_frames_than_features_by_the_equation(count: int, ratio: float):
    x = ROWS[:count, :5]
    gram = x.T @ x
    inverse = np.linalg.inv(gram + ratio * np.linalg.eigvalsh(gram)[-1] * np.eye(5))
    root = inverse_root(x, ratio)
    np.testing.assert_allclose(root.T @ root, inverse, rtol=1e-5, atol=1e-7 * np.abs(inverse).max())


def test_the_ratio_has_the_largest_leave_one_out_likelihood():
    """Each frame left out in turn, and every ratio tried."""
    rows = RNG.normal(size=(25, 4))
    errors = RNG.normal(size=25) * (1.0 + 3.0 * np.abs(rows[:, 0]))
    largest = np.linalg.eigvalsh(rows.T @ rows)[-1]
    likelihood = []
    for ratio in RATIOS:
        variances = []
        for f in range(25):
            others = np.delete(rows, f, axis=0)
            h = others.T @ others + ratio * largest * np.eye(4)
            variances.append(rows[f] @ np.linalg.solve(h, rows[f]))
        alpha2 = np.mean(errors**2 / variances)
        likelihood.append(-0.5 * np.log(alpha2 * np.array(variances)).sum())
    assert chosen_ratio(rows, errors) == RATIOS[np.argmax(likelihood)]


@pytest.mark.parametrize("truth", [1e-5, 1e-1])
def test_the_ratio_of_errors_that_were_drawn_with_it(truth: float):
    """Errors that spread as leave-one-out variances of one ratio do, of features some of which hardly vary."""
    rows = RNG.normal(size=(150, 40)) * np.geomspace(1.0, 1e-3, 40)
    largest = np.linalg.eigvalsh(rows.T @ rows)[-1]
    variances = [
        rows[f] @ np.linalg.solve(others.T @ others + truth * largest * np.eye(40), rows[f])
        for f in range(150)
        for others in [np.delete(rows, f, axis=0)]
    ]
    found = [chosen_ratio(rows, RNG.normal(size=150) * np.sqrt(variances)) for _ in range(20)]
    assert abs(np.median(np.log10(found)) - np.log10(truth)) < 1.0


def test_without_errors_it_is_the_least():
    for errors in (None, np.full(FITTED, np.nan), np.zeros(FITTED)):
        assert chosen_ratio(ROWS, errors) == RIDGE


def test_errors_of_the_training_frames_choose_and_those_not_known_are_left_out():
    made = training(FRAMES[:FITTED])
    errors = RNG.normal(size=FITTED)
    errors[4] = np.nan
    made.energy_errors = errors
    (score,) = fit_scores([LastLayerRigidity.name], made)
    assert isinstance(score, LastLayerRigidity)
    assert score.ratio == chosen_ratio(ROWS, errors) > RIDGE
    again = LastLayerRigidity.from_state(score.state())
    assert value(again, *FRAMES[-1]) == value(score, *FRAMES[-1])


def test_a_species_that_training_lacks_has_no_finite_variance():
    """Though its features may look like those of another: the last layer was never asked for it."""
    score = LastLayerRigidity(inverse_root(ROWS, 1e-3), (MO, W), 1e-3)
    features, numbers = FRAMES[0]
    assert np.isfinite(value(score, features, numbers))
    other = numbers.copy()
    other[0] = 29
    assert value(score, features, other) == np.inf
    derivatives = RNG.normal(size=(features.shape[1], len(numbers), 3))
    told = Prediction(features=features, feature_forces=derivatives)
    of_atoms = LastLayerForce(score).values(told, other)
    assert of_atoms[0] == np.inf
    assert np.isfinite(LastLayerForce(score).values(told, numbers)).all()
