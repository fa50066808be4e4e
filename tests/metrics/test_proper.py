import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from assay.metrics import gaussian_crps, gaussian_nll, interval_score, rmse

laws = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(31)
    std = 10.0 ** rng.uniform(-2, 1, 300)
    return 1.5 * std * rng.standard_normal(300) + 0.1, std


def test_closed_forms_of_the_standard_normal():
    """At 0 and 1: NLL ½ ln 2π + ½z²; CRPS (√2 − 1)/√π at 0."""
    assert gaussian_nll(0.0, 1.0) == pytest.approx(0.5 * math.log(2 * math.pi), rel=1e-15)
    assert gaussian_nll([0.0, 1.0], [1.0, 1.0]) == pytest.approx(0.5 * math.log(2 * math.pi) + 0.25, rel=1e-15)
    assert gaussian_crps(0.0, 1.0) == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi), rel=1e-14)


@laws
@given(st.floats(-4, 4), st.floats(0.2, 3))
def test_crps_is_its_integral(e, sigma):
    """∫ (F(x) − [x ≥ e])² dx."""
    below, _ = quad(lambda x: ndtr(x / sigma) ** 2, min(-12 * sigma, e), e, epsabs=1e-11)
    above, _ = quad(lambda x: ndtr(-x / sigma) ** 2, e, max(12 * sigma, e), epsabs=1e-11)
    assert gaussian_crps(e, sigma) == pytest.approx(below + above, abs=1e-8)


def test_crps_becomes_the_absolute_error():
    assert gaussian_crps([3.0, -1.0], [1e-9, 1e-9]) == pytest.approx(2.0, abs=1e-9)


def test_crps_against_properscoring(drawn):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        properscoring = pytest.importorskip("properscoring")
        theirs = properscoring.crps_gaussian(drawn[0], 0.0, drawn[1])
    assert gaussian_crps(*drawn) == pytest.approx(np.mean(theirs), rel=1e-12)


def test_both_against_uncertainty_toolbox(drawn):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        toolbox = pytest.importorskip("uncertainty_toolbox")
    error, std = drawn
    args = error, std, np.zeros_like(error)
    assert gaussian_nll(error, std) == pytest.approx(toolbox.nll_gaussian(*args), rel=1e-12)
    assert gaussian_crps(error, std) == pytest.approx(toolbox.crps_gaussian(*args), rel=1e-12)


def test_nll_is_smallest_at_the_rmse(drawn):
    """Of all constant σ, the likeliest is √⟨e²⟩, where NLL = ½ ln 2πσ² + ½."""
    error, _ = drawn
    best = rmse(error)
    at = {s: gaussian_nll(error, np.full(error.shape, s * best)) for s in (0.99, 1.0, 1.01)}
    assert at[1.0] == pytest.approx(0.5 * math.log(2 * math.pi * best**2) + 0.5, rel=1e-13)
    assert at[1.0] < min(at[0.99], at[1.01])


def test_perfect_error_bars_have_the_expected_scores_and_others_more():
    """e ~ N(0, σ²): ⟨NLL⟩ = ½ ln 2πe σ², ⟨CRPS⟩ = σ/√π; n = 40 000, 5 standard errors.

    Per value, NLL varies by 1/√2 and CRPS by less than |e|, thus less than σ.
    """
    n, sigma = 40_000, 0.3
    error = sigma * np.random.default_rng(37).standard_normal(n)
    sharp, right, wide = (np.full(n, s * sigma) for s in (0.8, 1.0, 1.25))
    nll, crps = gaussian_nll(error, right), gaussian_crps(error, right)
    assert nll == pytest.approx(0.5 * math.log(2 * math.pi * math.e * sigma**2), abs=5 / math.sqrt(2 * n))
    assert crps == pytest.approx(sigma / math.sqrt(math.pi), abs=5 * sigma / math.sqrt(n))
    assert nll < min(gaussian_nll(error, sharp), gaussian_nll(error, wide))
    assert crps < min(gaussian_crps(error, sharp), gaussian_crps(error, wide))


def test_interval_score_by_hand():
    """Level ½: widths of 2 and 4; an error of 3 is 2 outside, at 2/½ = 4 each."""
    assert interval_score([3.0, -2.0], [1.0, 2.0], 0.5) == pytest.approx(((2 + 8) + 4) / 2, rel=1e-15)
    assert interval_score([3.0], [np.inf], 0.5) == np.inf
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level is"):
            interval_score([1.0], [1.0], level)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_interval_score_is_smallest_at_the_quantile(level):
    """Of all constant half widths, that of the empirical quantile of |error| is the best."""
    error = np.random.default_rng(5).standard_t(3, 999)
    best = np.quantile(np.abs(error), level)
    at = [interval_score(error, np.full(error.shape, s * best), level) for s in (0.9, 1.0, 1.1)]
    assert at[1] < min(at[0], at[2])
