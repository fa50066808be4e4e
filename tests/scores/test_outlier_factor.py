"""The outlier factor: closed forms on a line, and the scale of the neighbourhood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from assay.results.prediction import Prediction
from assay.scores.density.outlier_factor import (
    COINCIDENT,
    SHRINKAGE,
    FrameOutlierFactor,
    OutlierFactor,
    Reference,
    distances,
)
from assay.scores.features.training import TrainingFeatures, signature

W, MO = 74, 42


def reference(points: np.ndarray, groups: np.ndarray | None = None, most: int = 1000) -> Reference:
    return Reference.fit(points, np.arange(len(points)) if groups is None else groups, most)


def test_distances_are_euclidean():
    a, b = np.random.default_rng(0).normal(size=(2, 7, 3))
    np.testing.assert_allclose(distances(a, b), np.linalg.norm(a[:, None] - b, axis=2), rtol=1e-12)


def test_evenly_spaced_points_have_one_spacing():
    """Points 0, 1, … 999: five neighbours are at 1, 1, 2, 2, 3 steps (mean 1.8), and from half-way at 0.5, 0.5, …"""
    line = np.arange(1000.0)[:, None]
    factor = reference(line).factor(np.array([[500.0], [500.5], [2000.0]]))
    assert factor[0] == pytest.approx((0 + 1 + 1 + 2 + 2) / 5 / 1.8, rel=1e-9)
    assert factor[1] == pytest.approx((0.5 + 0.5 + 1.5 + 1.5 + 2.5) / 5 / 1.8, rel=1e-9)
    edge = np.array([3.0, 2.2, 1.8, 1.8, 1.8])  # spacings of 999, 998, … in steps
    assert factor[2] == pytest.approx(1003.0 / (np.exp(np.log(edge).mean()) ** SHRINKAGE * 1.8 ** (1 - SHRINKAGE)))


def test_the_same_distance_is_far_from_a_dense_part_and_near_a_sparse_one():
    rng = np.random.default_rng(1)
    dense, sparse = 0.01 * rng.normal(size=(50, 3)), 10 + rng.normal(size=(50, 3))
    factors = reference(np.concatenate([dense, sparse])).factor(np.array([[0.5, 0.0, 0.0], [10.5, 10.0, 10.0]]))
    assert factors[0] > 5 * factors[1]


def test_columns_in_other_units_change_nothing():
    rng = np.random.default_rng(2)
    points, new, units = rng.normal(size=(60, 4)), rng.normal(size=(5, 4)), np.array([1e-6, 1.0, 1e3, 1e9])
    np.testing.assert_allclose(reference(points * units).factor(new * units), reference(points).factor(new), rtol=1e-9)


def test_a_column_that_is_constant_in_training_is_far_to_leave():
    points = np.random.default_rng(3).normal(size=(60, 2))
    points[:, 1] = 7.0
    same, other = reference(points).factor(np.array([[0.0, 7.0], [0.0, 7.1]]))
    assert other > 1000 * same


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_few_points(count: int):
    points = np.random.default_rng(4).normal(size=(count, 3))
    near, far = reference(points).factor(np.stack([points[0], points[0] + 100.0]))
    assert 0 <= near < far < np.inf


def test_copies_of_a_point_do_not_make_the_rest_infinitely_far():
    points = np.concatenate([np.zeros((10, 2)), np.random.default_rng(5).normal(size=(20, 2))])
    assert np.isfinite(reference(points).factor(np.array([[0.1, 0.0], [50.0, 0.0]]))).all()


def test_atoms_of_one_frame_are_no_neighbours_for_the_spacing():
    """Two frames of nearly equal atoms, 1 apart: the spacing is 1, not that within a frame."""
    points = np.array([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5) + 1e-4 * np.random.default_rng(6).normal(size=(10, 2))
    apart = reference(points, np.repeat([0, 1], 5)).factor(np.array([[0.0, 1.0]]))
    mixed = reference(points).factor(np.array([[0.0, 1.0]]))
    assert mixed[0] > 4 * apart[0]


@pytest.mark.parametrize("frame_size", [1, 7, 60])
@pytest.mark.parametrize("columns", [3, 40])
def test_spacings_and_factors_are_those_of_all_pairs(frame_size: int, columns: int):
    """Atoms of a frame are near each other, so most of the nearest are of the own frame in large ones."""
    rng = np.random.default_rng(11)
    groups = np.arange(420) // frame_size
    points = rng.normal(size=(420, columns))[groups] + 0.1 * rng.normal(size=(420, columns))
    found = reference(points, groups)
    every = cdist(points / found.scale, points / found.scale)
    every[groups[:, None] == groups] = np.inf
    near = np.sort(every, axis=1)[:, :5].mean(axis=1)
    shrunk = np.maximum(near, COINCIDENT * np.median(near)) ** SHRINKAGE * np.median(near) ** (1 - SHRINKAGE)
    np.testing.assert_allclose(found.spacing, shrunk, rtol=1e-8)
    new = rng.normal(size=(90, columns))
    every = cdist(new / found.scale, points / found.scale)
    local = np.log(shrunk)[every.argsort(axis=1)[:, :5]].mean(axis=1)
    np.testing.assert_allclose(found.factor(new), np.sort(every, axis=1)[:, :5].mean(axis=1) / np.exp(local), rtol=1e-8)


def test_many_points_are_thinned_out():
    points = np.random.default_rng(7).normal(size=(500, 2))
    assert len(reference(points, most=100).points) == 100


def frames(seed: int, count: int, spread: float = 1.0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(spread * rng.normal(size=(8, 3)), np.array([W, MO] * 4)) for _ in range(count)]


def trained() -> TrainingFeatures:
    training = TrainingFeatures()
    for features, numbers in frames(8, 30):
        training.append(features, numbers)
    return training


def test_signatures_of_training_frames_are_those_of_frames():
    training = trained()
    each = [signature(features, numbers, training.species) for features, numbers in frames(8, 30)]
    np.testing.assert_allclose(training.signatures(), each, rtol=1e-12)
    assert training.species == (MO, W)


def test_frames_of_another_spread_are_outliers_though_no_atom_need_be():
    """All atoms at a tenth of the spread lie among the training atoms; the frame does not lie among the frames."""
    score, atoms = FrameOutlierFactor.fit(trained()), OutlierFactor.fit(trained())
    usual = [score.values(Prediction(features=f), n)[0] for f, n in frames(9, 20)]
    narrow = [score.values(Prediction(features=f), n)[0] for f, n in frames(10, 20, spread=0.1)]
    assert min(narrow) > np.quantile(usual, 0.9)
    assert np.median(atoms.values(Prediction(features=frames(10, 1, 0.1)[0][0]), frames(10, 1)[0][1])) < 1.5


def test_units_of_a_column_that_is_constant_do_not_count_for_frames():
    """The standard deviation over atoms of 0.1 is not 0 but a rounding error, and another one of 0.37."""
    values = []
    for unit in (1.0, 3.7):
        of = [(np.column_stack([f, np.full(len(f), 0.1 * unit)]), n) for f, n in frames(12, 30)]
        training = TrainingFeatures()
        for f, n in of[:25]:
            some = np.arange(8) < 3 + len(training.kinds) % 5  # means of other numbers of atoms are rounded otherwise
            training.append(f[some], n[some])
        score = FrameOutlierFactor.fit(training)
        values.append([score.values(Prediction(features=f), n)[0] for f, n in of[25:]])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_unknown_species_are_infinitely_far():
    features = np.zeros((2, 3))
    assert FrameOutlierFactor.fit(trained()).values(Prediction(features=features), np.array([W, 29])) == np.inf
    assert OutlierFactor.fit(trained()).values(Prediction(features=features), np.array([W, 29]))[1] == np.inf
