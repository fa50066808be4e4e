import math
import warnings

import numpy as np
import pytest

from assay.metrics import (
    areas_over_and_under,
    coverage,
    coverage_curve,
    coverages,
    ence,
    miscalibration_area,
    reliability,
    signed_miscalibration_area,
    vector_coverage,
)
from assay.results.error_bars import Gaussian

SURE = 5.0  # standard errors that a seeded draw may be off


@pytest.fixture(scope="module")
def toolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("uncertainty_toolbox")


@pytest.fixture(scope="module")
def drawn():
    """Perfect error bars over two decades: (error, std), n = 40 000."""
    rng = np.random.default_rng(23)
    std = 10.0 ** rng.uniform(-3, -1, 40_000)
    return std * rng.standard_normal(std.size), std


def test_coverage_counts_both_ends():
    assert coverage([1.0, -1.0, 1.1, 0.0, -3.0], [1.0, 1.0, 1.0, 0.0, np.inf]) == 0.8


@pytest.mark.parametrize("value", [-0.1, np.nan, -np.inf])
def test_coverage_refuses_what_is_no_width(value):
    with pytest.raises(ValueError, match="1 of 3 half widths are NaN or negative"):
        coverage([1.0, 2.0, 3.0], [1.0, value, 1.0])


def test_coverages_of_normal_errors_are_the_levels(drawn):
    error, std = drawn
    bar = Gaussian(np.zeros_like(std), std, "eV/Å")
    found = coverages(error, {p: bar.half_width(p) for p in (0.9, 0.5, 0.68, 0.99)})
    assert list(found) == [0.9, 0.5, 0.68, 0.99]
    for p, share in found.items():
        assert share == pytest.approx(p, abs=SURE * math.sqrt(p * (1 - p) / std.size))


def test_coverage_curve_counts_levels():
    """|e|/σ at the levels 0 and 0.5 of the normal distribution."""
    half = float(Gaussian(np.zeros(1), np.ones(1), "eV").half_width(0.5)[0])
    expected, observed = coverage_curve([0.0, 1.001 * half, -0.999 * half, 20.0], np.ones(4), points=5)
    np.testing.assert_array_equal(expected, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(observed, [0.25, 0.25, 0.5, 0.75, 1.0])


def test_coverage_curve_is_made_of_coverages(drawn):
    error, std = drawn
    bar = Gaussian(np.zeros_like(std), std, "eV")
    expected, observed = coverage_curve(error, std, points=11)
    np.testing.assert_allclose(
        observed[1:-1], [coverage(error, bar.half_width(p)) for p in expected[1:-1]], atol=1.5 / std.size
    )


def test_coverage_curve_needs_two_points():
    with pytest.raises(ValueError, match="at least 2"):
        coverage_curve([1.0], [1.0], points=1)


def test_coverage_curve_against_uncertainty_toolbox(toolbox, drawn):
    error, std = drawn[0][:500], 0.7 * drawn[1][:500]
    theirs = toolbox.get_proportion_lists_vectorized(error, std, np.zeros_like(error), num_bins=51)
    np.testing.assert_allclose(coverage_curve(error, std, points=51), theirs, atol=1e-12)


@pytest.mark.parametrize("prop_type", ["interval", "quantile"])
def test_miscalibration_area_against_uncertainty_toolbox(toolbox, drawn, prop_type):
    """Trapezia of width h miss at most h; the errors are biased, so that quantiles differ."""
    error, std = drawn[0][:500] + 0.5 * drawn[1][:500], 1.3 * drawn[1][:500]
    args = error, std, np.zeros_like(error)
    theirs = toolbox.miscalibration_area(*args, num_bins=2001, vectorized=True, prop_type=prop_type)
    agrees = abs(miscalibration_area(error, std) - theirs) <= 1 / 2000
    assert agrees == (prop_type == "interval")


@pytest.mark.parametrize("s", [0.25, 0.5, 1.0, 2.0, 10.0])
def test_miscalibration_area_of_misjudged_normal_errors(drawn, s):
    """Errors s times their σ: A = |½ − (2/π) arctan(1/s)|; sup|F − F_n| < 3.3/√n but for 1e-9 (DKW)."""
    error, std = drawn
    exact = abs(0.5 - 2 / math.pi * math.atan(1 / s))
    assert miscalibration_area(s * error, std) == pytest.approx(exact, abs=3.3 / math.sqrt(std.size))


def test_miscalibration_area_is_exact_for_few():
    """One error at level u: ∫₀ᵘ p dp + ∫ᵤ¹ (1 − p) dp = ½ − u (1 − u); ½ at either end."""
    for z in (0.3, 1.0, 2.5):
        u = math.erf(z / math.sqrt(2))
        assert miscalibration_area([-2 * z], [2.0]) == pytest.approx(0.5 - u * (1 - u), rel=1e-14)
    assert miscalibration_area([0.0, 0.0], [1.0, 2.0]) == 0.5
    assert miscalibration_area([50.0, -60.0], [1.0, 1.0]) == 0.5


def test_reliability_by_hand():
    rmv, rmse, count = reliability([3.0, 1.0, -4.0, 1.0, 5.0], [0.3, 0.1, 0.4, 0.2, 0.5], bins=2)
    np.testing.assert_array_equal(count, [2, 3])
    np.testing.assert_allclose(rmv, np.sqrt([0.05 / 2, 0.5 / 3]), rtol=1e-14)
    np.testing.assert_allclose(rmse, np.sqrt([2 / 2, 50 / 3]), rtol=1e-14)


def test_reliability_of_one_bin_is_sharpness(toolbox, drawn):
    error, std = drawn
    rmv, rmse, count = reliability(error, std, bins=1)
    assert rmv[0] == pytest.approx(toolbox.sharpness(std), rel=1e-12)
    assert rmse[0] == pytest.approx(math.sqrt(np.mean(error**2)), rel=1e-12)
    assert count.tolist() == [error.size]


@pytest.mark.parametrize(("size", "bins"), [(1, 1), (3, 1), (4, 2), (99, 9), (100, 10)])
def test_bins_by_default_are_the_root_and_equal(size, bins):
    _, _, count = reliability(np.ones(size), np.arange(1.0, size + 1))
    assert len(count) == bins
    assert count.sum() == size
    assert np.ptp(count) <= 1


@pytest.mark.parametrize("bins", [0, -1, 4])
def test_bins_are_not_empty(bins):
    with pytest.raises(ValueError, match=f"bins is {bins} for 3 errors; 1 to 3"):
        reliability(np.ones(3), np.ones(3), bins=bins)


def test_equal_spreads_share_their_errors():
    rmv, rmse, _ = reliability([0.0, 0.0, 2.0, 2.0], np.full(4, 3.0), bins=4)
    np.testing.assert_allclose(rmv, 3.0, rtol=1e-15)
    np.testing.assert_allclose(rmse, math.sqrt(2.0), rtol=1e-15)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0.0), (2.0, 1.0), (0.25, 0.75), (0.0, 1.0)])
def test_ence_of_errors_in_proportion(factor, expected):
    """e = ±s σ in every bin: |s − 1|."""
    std = np.random.default_rng(29).uniform(0.1, 2.0, 300)
    error = factor * std * np.where(np.arange(300) % 2, 1, -1)
    assert ence(error, std) == pytest.approx(expected, abs=1e-14)


def test_ence_sees_what_averages_hide():
    """Too narrow for one half and too wide for the other: right on average, wrong in each bin."""
    std = np.repeat([1.0, 2.0], 50)
    error = np.sqrt(2.5) * np.where(np.arange(100) % 2, 1, -1)
    assert ence(error, std, bins=1) == pytest.approx(0.0, abs=1e-14)
    assert ence(error, std, bins=2) == pytest.approx(((math.sqrt(2.5) - 1) + (1 - math.sqrt(2.5) / 2)) / 2)


def test_ence_floor_of_perfect_error_bars(drawn):
    """√(B/πn), a mean of B half-normals: standard error √(π/2 − 1)/√B of it; 1/n_b for the curved root."""
    error, std = drawn
    n, B = std.size, 200
    floor = math.sqrt(B / (math.pi * n))
    bound = SURE * floor * math.sqrt((math.pi / 2 - 1) / B) + B / n
    assert ence(error, std) == pytest.approx(floor, abs=bound)
    assert bound < 0.5 * floor


@pytest.mark.parametrize(("factor", "side"), [(0.5, -1), (2.0, 1)])
def test_signed_area_says_which_way(factor, side):
    """Bars that are wrong by one factor are wrong the same way at every level: |S| is the area."""
    rng = np.random.default_rng(0)
    error = factor * rng.standard_normal(20_000)
    area, signed = (f(error, np.ones(error.size)) for f in (miscalibration_area, signed_miscalibration_area))
    assert side * signed == pytest.approx(area, abs=0.002)
    expected = np.arctan(factor) * 2 / np.pi - 0.5  # ⟨erf(|z| f/√2)⟩ of normal z
    assert signed == pytest.approx(expected, abs=4 * 0.3 / np.sqrt(error.size))


def test_signed_area_of_opposite_faults_cancels():
    """Half the bars four times too small and half too large: an area on both sides of the diagonal."""
    error = np.random.default_rng(1).standard_normal(40_000)
    std = np.where(np.arange(error.size) % 2, 0.25, 4.0)
    assert miscalibration_area(error, std) > 0.1
    assert abs(signed_miscalibration_area(error, std)) < 0.02
    over, under = areas_over_and_under(*coverage_curve(error, std, 2001))
    assert over + under == pytest.approx(miscalibration_area(error, std), abs=1e-3)
    assert over - under == pytest.approx(signed_miscalibration_area(error, std), abs=1e-3)


def test_areas_of_straight_lines():
    """A coverage of ½ everywhere: two triangles of ⅛; and one that is never there."""
    assert areas_over_and_under([0.0, 1.0], [0.5, 0.5]) == pytest.approx((0.125, 0.125))
    assert areas_over_and_under([0.0, 1.0], [0.2, 0.2]) == pytest.approx((0.32, 0.02))
    assert areas_over_and_under([0.0, 0.4, 1.0], [0.0, 0.0, 0.0]) == pytest.approx((0.5, 0.0))
    assert areas_over_and_under([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]) == (0.0, 0.0)
    with pytest.raises(ValueError, match="must rise"):
        areas_over_and_under([0.5, 0.5], [0.0, 0.1])


def test_vectors_of_normal_components_are_covered_as_promised():
    rng = np.random.default_rng(2)
    std = rng.lognormal(0, 1, (20_000, 3))
    error = std * rng.standard_normal(std.shape)
    for level in (0.5, 0.95):
        slack = 4 * np.sqrt(level * (1 - level) / 20_000)
        assert vector_coverage(error, std, level) == pytest.approx(level, abs=slack)
    together = std * rng.standard_normal((20_000, 1))  # components that err as one: each is covered, the vector is not
    assert coverage(together, 1.959964 * std) == pytest.approx(0.95, abs=0.01)
    assert vector_coverage(together, std, 0.95) < 0.94
    with pytest.raises(ValueError, match="vectors"):
        vector_coverage(error[:, 0], std[:, 0], 0.5)


def test_bins_equally_wide_in_the_logarithm():
    """σ of 1, 2, 4 … 256 in four bins of a factor four; the largest σ is in the last."""
    std = 2.0 ** np.arange(9)
    rmv, rmse, count = reliability(3 * std, std, 4, "log")
    assert count.tolist() == [2, 2, 2, 3]
    assert rmse == pytest.approx(3 * rmv)
    assert rmv[0] == pytest.approx(np.sqrt(2.5))
    _, _, count = reliability([1.0, 1.0, 1.0], [1.0, 1.0, 1e6], 3, "log")
    assert count.tolist() == [2, 1], "the empty one is left out"
    rmv, _, count = reliability([1.0, 2.0], [0.1, 0.1], 2, "log")
    assert (rmv.tolist(), count.tolist()) == ([pytest.approx(0.1)], [2])
    with pytest.raises(ValueError, match="spacing is 'width'"):
        reliability([1.0], [1.0], 1, "width")
