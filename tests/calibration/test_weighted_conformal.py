"""Conformal intervals for new values that are drawn from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration.conformal import Conformal
from assay.calibration.weighted_conformal import DensityRatio, WeightedConformal


def half(bar, level: float) -> np.ndarray:
    return np.asarray(bar.half_width(level))


def test_by_hand():
    """Ratios 1, 2, 3 of weights 1, 4, 2 and w(x) = 1: level p needs a mass of 8 p."""
    fitted = WeightedConformal.fit(held([3.0, 1.0, 2.0], np.ones(3)), [2.0, 1.0, 4.0])
    bar = fitted.bar(np.zeros(1), np.ones(1), "", 1.0)
    assert [half(bar, p)[0] for p in (0.125, 0.126, 0.625, 0.626, 0.875, 0.876)] == [1, 2, 2, 3, 3, np.inf]
    assert fitted.effective == pytest.approx(49 / 21)


def test_each_value_has_its_own_weight():
    fitted = WeightedConformal.fit(held([1.0, 2.0, 3.0], np.ones(3)), np.ones(3))
    bar = fitted.bar(np.zeros((2, 2)), np.ones((2, 2)), "", np.array([[0.0, 1.0], [3.0, 1e9]]))
    assert half(bar, 0.6).tolist() == [[2.0, 3.0], [np.inf, np.inf]]
    assert half(bar.at(np.array([[False, True], [True, False]])), 0.6).tolist() == [3.0, np.inf]


@pytest.mark.parametrize("level", [0.3, 0.68, 0.95])
def test_equal_weights_are_the_split_conformal_interval(level: float):
    rng = np.random.default_rng(0)
    values = held(rng.normal(size=40), rng.lognormal(size=40))
    weighted = WeightedConformal.fit(values, np.full(40, 7.0)).bar(np.zeros(3), np.ones(3), "", 7.0)
    np.testing.assert_array_equal(
        half(weighted, level), half(Conformal.fit(values).bar(np.zeros(3), np.ones(3), ""), level)
    )


def shifted(rng: np.random.Generator, count: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """x normal around `mean`; errors of deviation e^x, that the constant score does not know of."""
    x = rng.normal(mean, 1.0, count)
    return x, np.exp(x) * rng.standard_normal(count)


@pytest.mark.parametrize("known", [True, False])
def test_coverage_under_a_shift_with_its_density_ratio(known: bool):
    """x ~ N(0, 1) is held out, x ~ N(1, 1) is new: w = e^(x - 1/2). 500 sets of 300 held-out values and 100 new ones.

    The mean coverage has a standard error below 0.3 %; the estimated ratio may cost a little more.
    """
    rng = np.random.default_rng(1)
    plain, weighted = [], []
    for _ in range(500):
        (x, e), (z, new) = shifted(rng, 300, 0.0), shifted(rng, 100, 1.0)
        values = held(e, np.ones(300))
        if known:
            w, own = np.exp(x - 0.5), np.exp(z - 0.5)
        else:
            ratio = DensityRatio.fit(x, shifted(rng, 300, 1.0)[0])
            w, own = ratio.weights(x), ratio.weights(z)
        bar = WeightedConformal.fit(values, w).bar(np.zeros(100), np.ones(100), "", own)
        weighted.append(np.mean(np.abs(new) <= half(bar, 0.8)))
        plain.append(np.mean(np.abs(new) <= half(Conformal.fit(values).bar(np.zeros(1), np.ones(1), ""), 0.8)))
    assert np.mean(plain) < 0.65
    assert 0.8 - 0.012 < np.mean(weighted) < 0.86


def test_the_ratio_of_two_normal_densities():
    """log w = 2 x₁ - 2 for means 0 and 2 of unit variance, of 20 000 points each; x₂ and a constant say nothing."""
    rng = np.random.default_rng(2)
    points = [np.column_stack([rng.normal(m, 1, 20_000), rng.normal(size=20_000), np.ones(20_000)]) for m in (0.0, 2.0)]
    ratio = DensityRatio.fit(*points)
    x = np.array([[-1.0, 0.0, 1.0], [0.0, 3.0, 1.0], [1.0, -2.0, 1.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(np.log(ratio.weights(x)), 2 * x[:, 0] - 2, atol=0.35)


def test_numbers_of_points_do_not_count():
    rng = np.random.default_rng(3)
    old, new = rng.normal(size=(5000, 1)), rng.normal(0.5, 1, size=(500, 1))
    np.testing.assert_allclose(DensityRatio.fit(old, new).weights([[0.25]]), 1.0, atol=0.15)


def test_new_values_unlike_all_held_out_ones_have_infinite_intervals():
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=200), rng.normal(50.0, 1.0, 200)
    ratio = DensityRatio.fit(x, z)
    fitted = WeightedConformal.fit(held(rng.normal(size=200), np.ones(200)), ratio.weights(x))
    assert np.isinf(half(fitted.bar(np.zeros(200), np.ones(200), "", ratio.weights(z)), 0.68)).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0, 2.0], r"weights \(2,\) for \(3,\)"), ([1, -1, 1], "not negative"), ([1, np.nan, 1], "finite"),
     ([0, 0, 0], "above zero")],
)  # fmt: skip
def test_weights_that_can_not_be(weights: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        WeightedConformal.fit(held(np.ones(3), np.ones(3)), weights)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(np.ones((3, 2)), np.ones((3, 1)), "2 columns of held-out points, 1 of new"),
     (np.ones((0, 1)), np.ones((3, 1)), "points of both samples"),
     (np.full((3, 1), np.nan), np.ones((3, 1)), "finite")],
)  # fmt: skip
def test_points_that_can_not_be(old: np.ndarray, new: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        DensityRatio.fit(old, new)


def test_weights_of_values_without_a_spread_are_left_out_with_them():
    fitted = WeightedConformal.fit(held([1.0, 9.0, 2.0], [1.0, 0.0, 1.0]), [1.0, 5.0, 3.0])
    assert (fitted.ratios.tolist(), fitted.weights.tolist()) == ([1.0, 2.0], [1.0, 3.0])
