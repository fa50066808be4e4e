"""Jackknife+ and CV+ for least squares on few data."""

from __future__ import annotations

import numpy as np
import pytest

from assay.calibration.jackknife_plus import jackknife_plus


def folds_of(x: np.ndarray, y: np.ndarray, fold: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold residuals `(n,)` and predictions of new points `(K, m)` of least squares."""
    residual, predictions = np.empty(len(y)), []
    for k in range(fold.max() + 1):
        out = fold == k
        theta = np.linalg.lstsq(x[~out], y[~out], rcond=None)[0]
        residual[out] = y[out] - x[out] @ theta
        predictions.append(new @ theta)
    return residual, np.array(predictions)


def test_by_hand():
    """n = 4, two folds; 1 - α = 0.6: the 3rd smallest of μ + R and the 2nd smallest of μ - R."""
    low, high = jackknife_plus(np.array([1.0, -2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]), np.array([10.0, 20.0]), 0.6)
    assert (sorted([11, 12, 23, 24])[2], sorted([9, 8, 17, 16])[1]) == (23, 9)
    assert (low, high) == (9.0, 23.0)


def test_one_fit_for_all_is_the_split_conformal_interval():
    from held_values import held

    from assay.calibration.conformal import Conformal

    r = np.random.default_rng(0).normal(size=33)
    half = Conformal.fit(held(r, np.ones(33))).bar(np.zeros(1), np.ones(1), "").half_width(0.9)[0]
    low, high = jackknife_plus(r, np.zeros(33, dtype=int), np.array([[1.0, 5.0]]), 0.9)
    np.testing.assert_array_equal(high - [1.0, 5.0], half)
    np.testing.assert_allclose([1.0, 5.0] - low, half, rtol=1e-14)


@pytest.mark.parametrize(("n", "finite"), [(9, True), (8, False)])
def test_infinite_exactly_where_n_is_too_small(n: int, finite: bool):
    low, high = jackknife_plus(np.ones(n), np.arange(n), np.zeros((n, 2)), 0.9)
    assert np.isfinite([low, high]).all() == finite
    assert (low < high).all()


@pytest.mark.parametrize("folds", [5, 30], ids=["CV+", "jackknife+"])
def test_coverage_where_the_fit_has_as_many_coefficients_as_half_the_data(folds: int):
    """30 values, 15 coefficients: training residuals are far too small, and the intervals of folds still cover.

    1000 sets of one new value; at least 1 - 2α of them must be inside, and about 1 - α are.
    """
    rng = np.random.default_rng(folds)
    alpha, inside, naive = 0.1, [], []
    for _ in range(1000):
        x = rng.normal(size=(31, 15))
        y = x @ np.ones(15) + rng.standard_t(5, 31)
        fold = rng.permutation(30) % folds
        low, high = jackknife_plus(*reversed_arguments(x[:30], y[:30], fold, x[30:]), 1 - alpha)
        inside.append(low[0] <= y[30] <= high[0])
        theta = np.linalg.lstsq(x[:30], y[:30], rcond=None)[0]
        half = np.quantile(np.abs(y[:30] - x[:30] @ theta), 1 - alpha, method="higher")
        naive.append(abs(y[30] - x[30] @ theta) <= half)
    error = np.sqrt(0.09 / 1000)
    assert np.mean(naive) < 1 - 2 * alpha
    assert 1 - alpha - 3 * error < np.mean(inside) < 0.97


def reversed_arguments(x: np.ndarray, y: np.ndarray, fold: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, ...]:
    residual, predictions = folds_of(x, y, fold, new)
    return residual, fold, predictions


def test_many_new_values_in_parts_are_those_at_once(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    arguments = rng.normal(size=50), rng.integers(0, 5, 50), rng.normal(size=(5, 7, 3)), 0.8
    whole = jackknife_plus(*arguments)
    monkeypatch.setattr("assay.calibration.jackknife_plus.CHUNK", 200)
    parts = jackknife_plus(*arguments)
    assert whole[0].shape == (7, 3)
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((np.ones(3), np.zeros(2, int), np.ones((1, 1)), 0.5), "columns .* of one length"),
     ((np.ones(0), np.zeros(0, int), np.ones((1, 1)), 0.5), "columns .* of one length"),
     ((np.ones(3), np.array([0, 1, 2]), np.ones((2, 1)), 0.5), "folds 0 to 2, but predictions of 2 fits"),
     ((np.ones(3), np.array([-1, 1, 0]), np.ones((2, 1)), 0.5), "folds -1 to 1"),
     ((np.array([1, np.nan]), np.array([0, 1]), np.ones((2, 1)), 0.5), "must be finite"),
     ((np.ones(2), np.array([0, 1]), np.full((2, 1), np.inf), 0.5), "must be finite"),
     ((np.ones(2), np.array([0, 1]), np.ones((2, 1)), 1.0), "level must be between 0 and 1, got 1.0")],
)  # fmt: skip
def test_what_can_not_be(arguments: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        jackknife_plus(*arguments)
