"""Every metric × the laws that all of them keep."""

import numpy as np
import pytest

from assay import metrics
from assay.results.score import Score

N = 60
RANKING = {
    "spearman": metrics.spearman,
    "sparsification_curve": metrics.sparsification_curve,
    "ause": metrics.ause,
    "roc_auc": lambda score, error: metrics.roc_auc(score, np.abs(error) > 0.5),
}
BARS = {
    "coverage": lambda std, error: metrics.coverage(error, std),
    "coverages": lambda std, error: list(metrics.coverages(error, {0.68: std}).values()),
    "coverage_curve": lambda std, error: metrics.coverage_curve(error, std),
    "miscalibration_area": lambda std, error: metrics.miscalibration_area(error, std),
    "reliability": lambda std, error: metrics.reliability(error, std),
    "ence": lambda std, error: metrics.ence(error, std),
    "error_ratio_quantiles": lambda std, error: list(metrics.error_ratio_quantiles(error, std, (0.5, 0.9)).values()),
    "gaussian_nll": lambda std, error: metrics.gaussian_nll(error, std),
    "gaussian_crps": lambda std, error: metrics.gaussian_crps(error, std),
    "interval_score": lambda std, error: metrics.interval_score(error, std, 0.9),
    "signed_miscalibration_area": lambda std, error: metrics.signed_miscalibration_area(error, std),
    "reliability_log": lambda std, error: metrics.reliability(error, std, 5, "log"),
}
ERRORS = {"rmse": lambda _, error: metrics.rmse(error), "mae": lambda _, error: metrics.mae(error)}
ALL = ERRORS | RANKING | BARS
HALF_WIDTHS = {"coverage", "coverages", "error_ratio_quantiles", "interval_score"}
SCALED_WITH_THE_UNIT = {"rmse", "mae", "gaussian_crps", "interval_score", "sparsification_curve"}

every = pytest.mark.parametrize("name", ALL)


@pytest.fixture
def data():
    """Spreads with many ties, and errors that follow them."""
    rng = np.random.default_rng(7)
    std = rng.integers(1, 6, N) / 4.0
    return std, std * rng.standard_normal(N)


def assert_same(a, b):
    """Numbers, arrays or tuples of arrays that agree to rounding, and are finite."""
    a, b = (np.concatenate([np.ravel(part) for part in (r if isinstance(r, tuple) else (r,))]) for r in (a, b))
    assert np.all(np.isfinite(a))
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@every
def test_order_of_values_does_not_count(name, data):
    std, error = data
    p = np.random.default_rng(3).permutation(N)
    assert_same(ALL[name](std, error), ALL[name](std[p], error[p]))


@every
def test_sign_of_errors_does_not_count(name, data):
    std, error = data
    assert_same(ALL[name](std, error), ALL[name](std, np.where(np.arange(N) % 3 == 0, -error, error)))


@every
def test_components_count_as_values(name, data):
    std, error = data
    assert_same(ALL[name](std, error), ALL[name](std.reshape(-1, 3), error.reshape(-1, 3)))


@every
def test_lists_do(name, data):
    std, error = data
    assert_same(ALL[name](std, error), ALL[name](std.tolist(), error.tolist()))


@every
def test_input_is_left_alone(name, data):
    std, error = data
    before = std.copy(), error.copy()
    ALL[name](std, error)
    np.testing.assert_array_equal(before, (std, error))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"gaussian_nll", "roc_auc"}))
def test_unit(name, data):
    """Results are in the unit of the errors or have none; of a pair (f, S), f has none."""
    std, error = data
    plain, scaled = ALL[name](std, error), ALL[name](8.0 * std, 8.0 * error)
    if name == "sparsification_curve":
        plain = plain[0], 8.0 * plain[1]
    elif name.startswith("reliability"):
        plain = 8.0 * plain[0], 8.0 * plain[1], plain[2]
    elif name in SCALED_WITH_THE_UNIT:
        plain = 8.0 * plain
    assert_same(plain, scaled)


def test_unit_of_nll(data):
    std, error = data
    shift = metrics.gaussian_nll(8.0 * error, 8.0 * std) - metrics.gaussian_nll(error, std)
    assert shift == pytest.approx(np.log(8.0), rel=1e-12)


@pytest.mark.parametrize("name", RANKING)
def test_only_the_order_of_scores_counts(name, data):
    std, error = data
    score = np.where(std == std.max(), np.inf, np.exp(std))
    assert_same(RANKING[name](std, error), RANKING[name](score, error))


@pytest.mark.parametrize("name", RANKING)
def test_nan_scores_are_counted(name, data):
    std, error = data
    std[[1, 4]] = np.nan
    with pytest.raises(ValueError, match="2 of 60 scores are NaN"):
        RANKING[name](std, error)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"roc_auc"}))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_errors_that_are_not_finite_are_counted(name, value, data):
    std, error = data
    error[[0, 5, 9]] = value
    with pytest.raises(ValueError, match="3 of 60 errors are NaN or infinite"):
        ALL[name](std, error)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"spearman", "roc_auc"}))
def test_no_errors(name):
    with pytest.raises(ValueError, match=r"no errors: an array of shape \(0,\) came"):
        ALL[name](np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("name", RANKING | BARS)
def test_shapes_must_match(name, data):
    std, error = data
    with pytest.raises(ValueError, match=r"has shape \(60,\) .* \(60, 1\)"):
        ALL[name](std, error[:, None])


@pytest.mark.parametrize("name", BARS)
def test_a_score_is_not_an_error_bar(name, data):
    std, error = data
    score = Score("gamma", "atom", std)
    with pytest.raises(TypeError, match=r"the Score 'gamma': a score is .*Calibrate it first.*assay\.calibration"):
        BARS[name](score, error)


@pytest.mark.parametrize("name", sorted(set(BARS) - HALF_WIDTHS))
def test_spreads_that_can_not_be_error_bars_are_counted(name, data):
    std, error = data
    std[:7] = 0.0, 0.0, 0.0, -1.0, np.nan, np.inf, -np.inf
    message = r"7 of 60 standard .*: 3 zero, 1 negative, 3 NaN or infinite.*symmetry.*Assessment\.still"
    with pytest.raises(ValueError, match=message):
        BARS[name](std, error)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_one_spread_that_can_not_be_an_error_bar(value, data):
    std, error = data
    std[-1] = value
    with pytest.raises(ValueError, match="1 of 60 standard deviations"):
        metrics.gaussian_nll(error, std)


def test_every_public_function_is_here():
    elsewhere = {"worst_decile", "flagged_fraction", "envelope_violation", "envelope_violation_interval"}
    elsewhere |= {"error_ratios", "error_ratio_histogram"}  # the sign counts
    elsewhere |= {"FrameBootstrap", "interval", "mean_by", "areas_over_and_under", "vector_coverage"}
    elsewhere |= {"ence_by_chance", "ence_interval", "ence_samples", "equal_count", "z_mean_square"}
    assert set(metrics.__all__) | {"reliability_log"} == set(ALL) | elsewhere
