"""Envelope violation and the distribution of error over spread, against numbers by hand and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from assay import metrics
from assay.results.score import Score

EMPTY = "no errors: an array of shape"


def test_ends_are_inside():
    reference = [[0.0, 1.0, 2.0], [3.0, -1.0, 2.5]]
    low, high = np.zeros((2, 3)), np.full((2, 3), 2.0)
    assert metrics.envelope_violation(reference, low, high) == pytest.approx(3 / 6)  # 3, -1 and 2.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": [0.0, np.nan]}, "1 of 2 errors are NaN or infinite"),
        ({"reference": np.zeros(0), "low": np.zeros(0), "high": np.zeros(0)}, EMPTY),
        ({"low": [0.0, np.nan]}, "ends of the envelope are NaN or infinite"),
        ({"high": [1.0, np.inf]}, "ends of the envelope are NaN or infinite"),
        ({"low": [0.0, 2.0]}, "1 low ends are above their high ends"),
        ({"low": [0.0]}, "low has shape"),
    ],
)
def test_what_can_not_be_held_against_an_envelope(change: dict[str, object], message: str):
    good = {"reference": [0.0, 1.0], "low": [0.0, 0.0], "high": [1.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        metrics.envelope_violation(**(good | change))


def test_the_interval_of_single_values_is_that_of_a_binomial():
    """With one value a frame, the resampled count outside is Binomial(n, k/n)."""
    n, k = 400, 80
    reference = np.where(np.arange(n) < k, 2.0, 0.0)
    ends = metrics.envelope_violation_interval(reference, -np.ones(n), np.ones(n), np.arange(n), resamples=4000)
    np.testing.assert_allclose(ends, binom.ppf([0.025, 0.975], n, k / n) / n, atol=0.006)


def test_copies_of_a_value_in_a_frame_do_not_narrow_the_interval():
    n, k, copies = 400, 80, 30
    reference = np.repeat(np.where(np.arange(n) < k, 2.0, 0.0), copies)
    one = np.ones(n * copies)
    low, high = metrics.envelope_violation_interval(reference, -one, one, np.repeat(np.arange(n), copies))
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.2 * 0.8 / n), rel=0.1)
    apart = metrics.envelope_violation_interval(reference, -one, one, np.arange(n * copies))
    assert apart[1] - apart[0] < 0.25 * (high - low)


def test_frames_count_by_their_values():
    """Two frames of one value and of three: the possible shares are 0, 1/4 and 1, at chances of 1/4, 1/2 and 1/4."""
    reference = [2.0, 0.0, 0.0, 0.0]
    ends = metrics.envelope_violation_interval(reference, -np.ones(4), np.ones(4), [7, 9, 9, 9])
    assert ends == (0.0, 1.0)
    middle = metrics.envelope_violation_interval(reference, -np.ones(4), np.ones(4), [7, 9, 9, 9], level=0.4)
    assert middle == (0.25, 0.25)


@pytest.mark.parametrize(("reference", "frames"), [([0.0, 0.0], [0, 1]), ([2.0, 2.0], [0, 1]), ([0.0, 2.0], [0, 0])])
def test_where_there_is_nothing_to_resample(reference: list[float], frames: list[int]):
    assert np.isnan(metrics.envelope_violation_interval(reference, -np.ones(2), np.ones(2), frames)).all()


def test_ratios_of_normal_errors_have_normal_quantiles():
    rng = np.random.default_rng(2)
    std = rng.lognormal(size=20_000)
    found = metrics.error_ratio_quantiles(std * rng.normal(size=20_000), std, (0.5, 0.95))
    for level, ratio in found.items():
        assert ratio == pytest.approx(norm.ppf(0.5 + level / 2), rel=0.03)


def test_quantiles_are_of_values_that_occur():
    assert metrics.error_ratio_quantiles([1.0, -2.0, 6.0, 0.0], [1.0, 1.0, 2.0, 0.0], (0.25, 0.5, 0.75, 1.0)) == {
        0.25: 0.0,
        0.5: 1.0,
        0.75: 2.0,
        1.0: 3.0,
    }


def test_an_error_without_a_spread_is_infinitely_far():
    ratios = metrics.error_ratios([[1.0, -1.0], [0.0, 3.0]], [[0.0, 0.0], [0.0, np.inf]])
    assert ratios.tolist() == [[np.inf, -np.inf], [0.0, 0.0]]
    assert metrics.error_ratio_quantiles([1.0, 1.0], [0.0, 1.0], (0.5, 0.6)) == {0.5: 1.0, 0.6: np.inf}


def test_the_histogram_has_the_shares_of_all_values():
    """Of -3, 0.5, 0.5, 1.5 and ∞ two are beyond -2 … 2; normal shares between whole numbers are in every table."""
    found, normal = metrics.error_ratio_histogram([-3, 0.5, 1.0, 1.5, 1], [1, 1, 2, 1, 0], [-2, -1, 0, 1, 2])
    assert found.tolist() == [0.0, 0.0, 0.4, 0.2]
    np.testing.assert_allclose(normal, [0.1359, 0.3413, 0.3413, 0.1359], atol=5e-5)


@pytest.mark.parametrize("function", [metrics.error_ratios, metrics.error_ratio_quantiles])
def test_a_score_is_no_spread(function: object):
    arguments = ((0.5,),) if function is metrics.error_ratio_quantiles else ()
    with pytest.raises(TypeError, match="the Score 'gamma'"):
        function([1.0], Score("gamma", "atom", np.ones(1)), *arguments)  # type: ignore[operator]
