"""Bars that bend with the spread: a known σ(s) is found again, by a monotone map and by factors of strata."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration.binned import MOST_BINS, Binned
from assay.calibration.isotonic import Isotonic


def heteroscedastic(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal errors of σ(s) = 0.1 + 0.5 √s: not proportional to s, and not zero at zero."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.01, 4.0, n)
    return truth(spread) * rng.standard_normal(n), spread


def truth(spread: np.ndarray) -> np.ndarray:
    return np.asarray(0.1 + 0.5 * np.sqrt(spread))


def bar(fitted: Isotonic | Binned, spread: np.ndarray) -> np.ndarray:
    return np.asarray(fitted.bar(np.zeros(len(spread)), spread, "eV").std)


def test_a_known_deviation_is_found_by_both_and_not_by_a_scale():
    """n = 10⁵. Isotonic: pointwise error (σ²σ²'/n)^(1/3) is 2 to 3 % of σ². Binned: within a bin of 5 % of the values a
    factor is off by up to 2.5 % of σ at s > 0.5, plus 1 % of noise. Bounds are about four times that, of σ."""
    error, spread = heteroscedastic(100_000, 0)
    s = np.linspace(0.5, 3.8, 50)
    np.testing.assert_allclose(bar(Isotonic.fit(held(error, spread)), s), truth(s), rtol=0.08)
    np.testing.assert_allclose(bar(Binned.fit(held(error, spread)), s), truth(s), rtol=0.12)
    alpha = np.sqrt(np.mean((error / spread) ** 2))
    assert np.abs(alpha * s / truth(s) - 1).max() > 0.5


def test_pooling_by_hand():
    """e² = 1, 9, 4, 16 at s = 1, 2, 3, 4: the two in the middle break the order and have their mean, 6.5."""
    fitted = Isotonic.fit(held([1.0, -3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]))
    found = bar(fitted, np.array([0.1, 1.0, 2.0, 2.5, 3.0, 4.0, 99.0])) ** 2
    np.testing.assert_allclose(found, [1.0, 1.0, 6.5, 6.5, 6.5, 16.0, 16.0], rtol=1e-14)


def test_a_monotone_map_whatever_the_errors():
    rng = np.random.default_rng(1)
    fitted = Isotonic.fit(held(rng.standard_cauchy(500), rng.lognormal(size=500)))
    assert (np.diff(bar(fitted, np.sort(rng.lognormal(size=1000)))) >= 0).all()


def test_a_score_that_ranks_backwards_gives_one_isotonic_bar():
    spread = np.linspace(1.0, 2.0, 100)
    error = 1.0 / spread
    found = bar(Isotonic.fit(held(error, spread)), np.array([0.5, 1.5, 3.0]))
    np.testing.assert_allclose(found, np.sqrt(np.mean(error**2)), rtol=1e-12)


def test_every_bin_has_the_rmse_of_its_errors():
    error, spread = heteroscedastic(1000, 2)
    fitted = Binned.fit(held(error, spread))
    assert len(fitted.alphas) == MOST_BINS
    of_values, order = bar(fitted, spread), np.argsort(spread)
    for here in np.split(order, MOST_BINS):
        np.testing.assert_allclose(np.mean(of_values[here] ** 2), np.mean(error[here] ** 2), rtol=1e-12)


def test_binned_bars_go_on_growing_and_isotonic_ones_do_not():
    error, spread = heteroscedastic(1000, 3)
    far = np.array([40.0, 80.0])
    assert bar(Binned.fit(held(error, spread)), far)[1] == 2 * bar(Binned.fit(held(error, spread)), far)[0]
    constant = bar(Isotonic.fit(held(error, spread)), far)
    assert constant[0] == constant[1]


@pytest.mark.parametrize(("n", "bins"), [(1, 1), (99, 1), (100, 2), (10_000, 20)])
def test_how_many_bins(n: int, bins: int):
    error, spread = heteroscedastic(n, 4)
    assert len(Binned.fit(held(error, spread)).alphas) == bins


@pytest.mark.parametrize("kind", [Isotonic, Binned])
def test_a_constant_score_gives_the_root_mean_square_error(kind: type[Isotonic] | type[Binned]):
    error = np.random.default_rng(5).normal(size=300)
    fitted = kind.fit(held(error, np.full(300, 0.7)))
    np.testing.assert_allclose(bar(fitted, np.array([0.7])), np.sqrt(np.mean(error**2)), rtol=1e-12)


@pytest.mark.parametrize("kind", [Isotonic, Binned])
def test_ties_are_one_value_whatever_their_order(kind: type[Isotonic] | type[Binned]):
    """Only five different spreads: equal ones have equal bars, from the mean of their e²."""
    rng = np.random.default_rng(6)
    spread = rng.integers(1, 6, 1000).astype(float)
    error = spread * rng.standard_normal(1000)
    found = bar(kind.fit(held(error, spread)), np.arange(1.0, 6.0))
    expected = [np.sqrt(np.mean(error[spread == s] ** 2)) for s in range(1, 6)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    again = bar(kind.fit(held(error[::-1], spread[::-1])), np.arange(1.0, 6.0))
    np.testing.assert_allclose(again, found, rtol=1e-13)


@pytest.mark.parametrize("kind", [Isotonic, Binned])
def test_an_infinite_spread_has_an_infinite_bar(kind: type[Isotonic] | type[Binned]):
    error, spread = heteroscedastic(200, 7)
    assert bar(kind.fit(held(error, spread)), np.array([np.inf, 1.0])).tolist()[0] == np.inf
    assert np.isinf(bar(kind.fit(held(0 * error, spread)), np.array([np.inf])))
