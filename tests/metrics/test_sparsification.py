import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, trapezoid
from scipy.special import ndtri

from assay.metrics import ause, mae, sparsification_curve

laws = settings(max_examples=100, deadline=None, derandomize=True)
n = 50
ladder = np.random.default_rng(5).permutation(np.arange(1.0, n + 1)) * np.where(np.arange(n) % 2, 1, -1)


def test_oracle_of_a_ladder_is_closed():
    """|e| = 1 … n: the m smallest have the mean (m + 1)/2."""
    removed, rest = sparsification_curve(np.abs(ladder), ladder, points=n + 1)
    m = np.arange(n, 0, -1)
    np.testing.assert_allclose(removed, np.arange(n + 1) / n, rtol=1e-15)
    np.testing.assert_allclose(rest, [*((m + 1) / 2), 1.0], rtol=1e-13)


def test_largest_scores_go_first():
    removed, rest = sparsification_curve([1.0, np.inf, -np.inf, 2.0], [4.0, -8.0, 2.0, 6.0], points=5)
    np.testing.assert_allclose(removed, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(rest, [5.0, 4.0, 3.0, 2.0, 2.0], rtol=1e-15)


def test_a_constant_score_is_a_flat_line():
    removed, rest = sparsification_curve(np.full(n, np.inf), ladder)
    assert removed.shape == rest.shape == (101,)
    np.testing.assert_allclose(rest, mae(ladder), rtol=1e-14)


def test_ties_are_the_mean_over_random_orders():
    """1000 orders within ties; the bound is 5 standard errors of their mean at each point."""
    rng = np.random.default_rng(11)
    score, error = rng.integers(0, 4, n), rng.exponential(size=n)
    drawn = [sparsification_curve(score + 0.5 * rng.random(n), error, points=21)[1] for _ in range(1000)]
    standard_error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    difference = sparsification_curve(score, error, points=21)[1] - np.mean(drawn, axis=0)
    assert np.all(np.abs(difference) <= 5 * standard_error + 1e-12)
    assert standard_error.max() < 0.05


def test_a_part_of_a_value_counts_by_that_part():
    """f = ¼ of two values: all of 1 and half of 3 are left."""
    _, rest = sparsification_curve([0.0, 1.0], [1.0, 3.0], points=5)
    assert rest[1] == pytest.approx((1.0 + 0.5 * 3.0) / 1.5, rel=1e-15)


@pytest.mark.parametrize("points", [1, 0, -3])
def test_points(points):
    with pytest.raises(ValueError, match="at least 2"):
        sparsification_curve(ladder, ladder, points=points)


def test_ause_of_a_ladder_is_closed():
    """Oracle 0; no ranking (n − 1)/2(n + 1); the wrong way round (n − 1)/(n + 1)."""
    assert ause(np.abs(ladder), ladder) == 0.0
    assert ause(ladder**2, ladder) == 0.0
    assert ause(np.zeros(n), ladder) == pytest.approx((n - 1) / (2 * (n + 1)), rel=1e-13)
    assert ause(-np.abs(ladder), ladder) == pytest.approx((n - 1) / (n + 1), rel=1e-13)


def test_ause_of_no_ranking_of_normal_errors():
    """|N(0, 1)|: 1 − ∫₀¹ L(q)/q dq, L(q) = 1 − exp(−x²/2) its Lorenz curve, x the q-quantile; 5/√n off."""
    size = 20_000
    error = np.random.default_rng(13).standard_normal(size)
    area, _ = quad(lambda q: (1 - math.exp(-0.5 * ndtri(0.5 * (1 + q)) ** 2)) / q, 0, 1)
    assert ause(np.ones(size), error) == pytest.approx(1 - area, abs=5 / math.sqrt(size))


@laws
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-6, 6)), min_size=1, max_size=20))
def test_ause_is_at_least_zero_and_at_most_that_of_the_worst_order(pairs):
    score, error = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if not error.any():
        assert math.isnan(ause(score, error))
        return
    assert -1e-13 <= ause(score, error) <= ause(-np.abs(error), error) + 1e-13
    assert ause(np.abs(error), error) == 0.0


def test_ause_is_the_area_between_the_curves():
    """Trapezia over whole numbers of values: they miss half an end point, at most max|e|/2n."""
    rng = np.random.default_rng(17)
    size = 2000
    error = rng.standard_normal(size)
    score = np.round(np.abs(error) + rng.random(size), 1)
    removed, rest = sparsification_curve(score, error, points=size + 1)
    _, oracle = sparsification_curve(np.abs(error), error, points=size + 1)
    area = trapezoid(rest - oracle, removed) / mae(error)
    assert 0.05 < area < 0.5
    assert ause(score, error) == pytest.approx(area, abs=np.abs(error).max() / (2 * size) / mae(error))
