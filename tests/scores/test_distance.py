"""The distance to the training set: by hand, with exact zeros, thinned out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from assay.scores.density.distance import Distance, Environments
from assay.scores.density.nearest import Nearest
from assay.scores.features import standardised
from assay.scores.features.standardised import column_units, distinct
from assay.scores.features.training import TrainingFeatures


@pytest.mark.parametrize("queries", [1, 70])
@pytest.mark.parametrize("columns", [2, 40])
def test_neighbours_are_those_of_all_pairs(columns: int, queries: int):
    """Few pairs, which need no scikit-learn, and many."""
    rng = np.random.default_rng(0)
    x, q = rng.normal(size=(500, columns)), rng.normal(size=(queries, columns))
    distance, which = Nearest(x)(q, 7)
    every = cdist(q, x)
    np.testing.assert_allclose(distance, np.sort(every, axis=1)[:, :7], rtol=1e-8)
    np.testing.assert_array_equal(which, every.argsort(axis=1)[:, :7])


def test_a_training_point_is_at_zero_though_far_from_the_origin():
    x = 1e6 + np.random.default_rng(1).normal(size=(300, 30))
    np.testing.assert_array_equal(Environments.fit(x).distance(x), 0.0)
    np.testing.assert_array_equal(Environments.fit(x).distance(x[:20]), 0.0)


def test_distances_are_in_units_of_the_spread_of_columns():
    x = np.array([[0.0, 0.0], [2.0, 200.0], [0.0, 200.0], [2.0, 0.0]])
    np.testing.assert_allclose(Environments.fit(x).distance(np.array([[3.0, 0.0], [2.0, 400.0]])), [1.0, 2.0])


def test_constant_and_empty_columns_have_units():
    units = column_units(np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 0.0]]))
    np.testing.assert_allclose(units, [1.0, 7e-6, 7e-6])
    assert (column_units(np.zeros((3, 2))) > 0).all()


def test_copies_are_one_up_to_rounding():
    x = np.random.default_rng(2).normal(size=(50, 8))
    assert len(distinct(np.concatenate([x, x + 1e-14]))) < 52


def test_training_sets_are_thinned_out_to_what_is_kept_and_their_members_stay_near(monkeypatch: pytest.MonkeyPatch):
    training = TrainingFeatures()
    rng = np.random.default_rng(3)
    for _ in range(10):
        training.append(rng.normal(size=(40, 4)), np.repeat([42, 74], 20))
    monkeypatch.setattr(standardised, "MOST_NUMBERS", 800)
    score = Distance.fit(training)
    assert {z: each.points.shape for z, each in score.environments.items()} == {42: (100, 4), 74: (100, 4)}
    left = [(score.environments[z].distance(training.rows(z)) == 0).sum() for z in (42, 74)]
    assert left == [100, 100]
