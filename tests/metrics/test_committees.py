"""Closed forms for committees of normal members, held against draws of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from assay.metrics.committees import (
    c4,
    common_share,
    expected_correlation,
    mean_of_ratios,
    published_ratio,
    ratio_of_means,
)

DRAWS = 200_000


def committee(members: int, sigma: np.ndarray, common: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """|error of the mean| and standard deviation of members that are drawn, shape of `sigma`."""
    rng = np.random.default_rng(seed)
    shared = np.sqrt(common) * rng.normal(size=sigma.shape)
    drawn = sigma * (shared + np.sqrt(1 - common) * rng.normal(size=(members, *sigma.shape)))
    return np.abs(drawn.mean(axis=0)), drawn.std(axis=0, ddof=1)


@pytest.mark.parametrize(("members", "value"), [(2, 0.797885), (5, 0.939986), (10, 0.972659), (25, 0.989640)])
def test_c4_is_that_of_the_tables_of_statistical_quality_control(members: int, value: float) -> None:
    assert c4(members) == pytest.approx(value, abs=1e-6)  # Montgomery, Introduction to Statistical Quality Control


def test_the_ratios_for_ten_members() -> None:
    assert published_ratio(10) == pytest.approx(0.2523, abs=5e-5)
    assert ratio_of_means(10) == pytest.approx(0.2594, abs=5e-5)
    assert mean_of_ratios(10) == pytest.approx(0.2761, abs=5e-5)


@pytest.mark.parametrize("common", [0.0, 0.5])
@pytest.mark.parametrize("members", [4, 5, 10, 30])
def test_ratios_are_those_of_drawn_committees(members: int, common: float) -> None:
    sigma = np.random.default_rng(1).gamma(2.0, size=DRAWS)
    e, s = committee(members, sigma, common, seed=members)
    ratio = ratio_of_means(members, common)
    error_of_ratio = np.std(e - ratio * s) / s.mean() / np.sqrt(DRAWS)
    assert abs(e.mean() / s.mean() - ratio) < 4 * error_of_ratio < 0.01 * ratio
    each = e / s
    tolerance = 4 * each.std() / np.sqrt(DRAWS)
    assert abs(each.mean() - mean_of_ratios(members, common)) < tolerance
    assert published_ratio(members) * np.sqrt(1 + members * common / (1 - common)) < ratio - 2 * error_of_ratio


@pytest.mark.parametrize("members", [3, 7, 20])
def test_the_mean_of_ratios_is_that_of_students_distribution(members: int) -> None:
    assert mean_of_ratios(members) == pytest.approx(
        student(members - 1).expect(abs, epsabs=1e-10) / np.sqrt(members), rel=1e-5
    )
    assert mean_of_ratios(2) == np.inf  # |t| of one degree of freedom, Cauchy's, has no mean


@pytest.mark.parametrize("common", [0.0, 0.2, 0.9])
def test_the_common_share_is_found_again(common: float) -> None:
    e, s = committee(8, np.random.default_rng(2).uniform(1, 3, size=DRAWS), common, seed=3)
    assert common_share(8, float(np.mean(e**2) / np.mean(s**2))) == pytest.approx(common, abs=0.01)
    assert common_share(8, 0.01) == 0  # errors smaller than the noise of the members' mean


@pytest.mark.parametrize("n", [1, 3, 30])
@pytest.mark.parametrize(("between", "within"), [(0.0, 0.7), (0.3, 0.0), (0.3, 0.7), (0.0, 0.0)])
def test_the_correlation_is_that_of_drawn_regions(n: int, between: float, within: float) -> None:
    rng, regions = np.random.default_rng(4), 40_000

    def lifted(shape: tuple[int, ...]) -> np.ndarray:  # mean 0, variance 1, above -1
        return rng.gamma(1.0, size=shape) - 1

    sigma = 1 + between * lifted((regions, 1)) + within * lifted((regions, n))
    e, s = (each.mean(axis=1) for each in committee(6, sigma, 0.0, seed=5))
    expected = expected_correlation(6, n, mean=1.0, between=between, within=within)
    assert np.corrcoef(e, s)[0, 1] == pytest.approx(expected, abs=0.03)


def test_averaging_helps_only_where_regions_differ() -> None:
    alike = [expected_correlation(10, n, mean=1, within=0.5) for n in (1, 10, 1000)]
    assert alike == pytest.approx([alike[0]] * 3)
    assert expected_correlation(10, 1, mean=1, within=1e6) == pytest.approx(np.sqrt(2 / np.pi) * c4(10), rel=1e-6)
    differ = [expected_correlation(10, n, mean=1, between=0.3) for n in (1, 10, 100, 10_000)]
    assert differ == sorted(differ)
    assert differ[-1] > 0.99
    assert expected_correlation(10, 100, mean=1) == 0


def test_what_has_no_answer_is_refused() -> None:
    for call in (
        lambda: c4(1),
        lambda: published_ratio(0),
        lambda: ratio_of_means(1),
        lambda: ratio_of_means(5, 1.0),
        lambda: mean_of_ratios(5, -0.1),
        lambda: common_share(5, np.nan),
        lambda: expected_correlation(5, 0, mean=1),
        lambda: expected_correlation(5, 3, mean=0),
    ):
        with pytest.raises(ValueError, match="needed"):
            call()
