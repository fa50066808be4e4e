"""Split conformal intervals against their exact law: the coverage is Beta(k, n + 1 - k), k = ⌈(n + 1) p⌉."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held
from scipy.stats import beta, kstest, norm

from assay.calibration.conformal import Conformal


def test_the_smallest_k_that_promises_the_level():
    """Ratios 1, 2, 4 of three values in any order: 50 % needs the 2nd, 75 % the 3rd, 76 % more than there are."""
    fitted = Conformal.fit(held(np.array([8.0, 0.5, 1.0]), np.array([2.0, 0.5, 0.5])))
    bar = fitted.bar(np.zeros(2), np.array([1.0, 10.0]), "eV")
    assert bar.half_width(0.5).tolist() == [2.0, 20.0]
    assert bar.half_width(0.75).tolist() == [4.0, 40.0]
    assert bar.half_width(0.76).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("n", [1, 4, 19, 100])
def test_infinite_exactly_where_n_is_too_small(n: int):
    """A level p can be promised by n values if p ≤ n/(n + 1)."""
    bar = Conformal.fit(held(np.arange(1.0, n + 1), np.ones(n))).bar(np.zeros(1), np.ones(1), "")
    assert np.isfinite(bar.half_width(n / (n + 1)))
    assert np.isinf(bar.half_width(n / (n + 1) + 1e-6))


@pytest.mark.parametrize(("n", "level"), [(20, 0.5), (50, 0.9), (137, 0.68), (40, 0.95)])
def test_coverage_follows_the_beta_law(n: int, level: float):
    """2000 held-out sets of heteroscedastic normal errors; the true coverage of each set's interval is known.

    Kolmogorov-Smirnov against Beta(k, n + 1 - k): below 2.2/√2000 with a probability of 1 - 10⁻⁴ under the law.
    """
    k = int(np.ceil((n + 1) * level))
    rng = np.random.default_rng(n)
    covered = np.empty(2000)
    for i in range(2000):
        spread = rng.lognormal(size=n)
        bar = Conformal.fit(held(np.abs(spread * rng.standard_normal(n)), spread)).bar(np.zeros(1), np.ones(1), "")
        covered[i] = 2 * norm.cdf(bar.half_width(level)[0]) - 1
    law = beta(k, n + 1 - k)
    assert kstest(covered, law.cdf).statistic < 2.2 / np.sqrt(2000)
    assert level <= law.mean() <= level + 1 / (n + 1)
    assert abs(covered.mean() - law.mean()) < 4 * law.std() / np.sqrt(2000)


def test_neither_distribution_nor_score_matters_for_the_coverage():
    """Cauchy errors and a spread that knows nothing of them: the coverage of one new value in 4000 sets of 30 is
    binomial with p = k/31; the bound is four standard deviations."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(4000):
        error, spread = np.abs(rng.standard_cauchy(31)), rng.lognormal(size=31)
        half = Conformal.fit(held(error[:30], spread[:30])).bar(np.zeros(1), spread[30:], "").half_width(0.8)
        hits += error[30] <= half[0]
    p = np.ceil(31 * 0.8) / 31
    assert abs(hits / 4000 - p) < 4 * np.sqrt(p * (1 - p) / 4000)


def test_ties_only_raise_the_coverage():
    """Ratios are dice: at least 80 % of new throws are covered, within four standard deviations of 4000 sets."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(4000):
        throws = rng.integers(1, 7, 31).astype(float)
        half = Conformal.fit(held(throws[:30], np.ones(30))).bar(np.zeros(1), np.ones(1), "").half_width(0.8)
        assert half[0] in throws[:30]
        hits += throws[30] <= half[0]
    assert hits / 4000 > 0.8 - 4 * np.sqrt(0.16 / 4000)


def test_all_ratios_equal():
    bar = Conformal.fit(held(np.full(9, 0.6), np.full(9, 0.2))).bar(np.zeros(1), np.ones(1), "")
    np.testing.assert_allclose([bar.half_width(p)[0] for p in (0.1, 0.5, 0.9)], 3.0, rtol=1e-12)
    assert np.isinf(bar.half_width(0.91))


def test_state_round_trip():
    fitted = Conformal.fit(held(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    np.testing.assert_array_equal(Conformal.from_state(fitted.state()).ratios, [1.0, 3.0])
