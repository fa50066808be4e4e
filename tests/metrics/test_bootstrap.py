"""Resamples of frames against the metrics of the repeated values, and against laws of large numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.metrics import FrameBootstrap, interval, roc_auc, spearman

values = st.tuples(st.integers(0, 4), st.sampled_from([-math.inf, 0.0, 1.0, 2.0, math.inf]), st.integers(-3, 3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(values, min_size=2, max_size=30))
def test_a_resample_is_the_values_repeated_as_often_as_their_frame_was_drawn(rows):
    frame, score, error = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(frame)) < 2:
        return
    bad, x = np.abs(error) > 1, error.astype(float)
    resampled = FrameBootstrap(frame, resamples=8, seed=3)
    found = resampled.spearman(score, error), resampled.roc_auc(score, bad), resampled.mean(x)
    for b, (rho, auc, mean) in enumerate(zip(*found, strict=True)):
        drawn = np.repeat(np.arange(len(frame)), resampled.weights(b).astype(int))
        assert rho == pytest.approx(spearman(score[drawn], error[drawn]), abs=1e-12, nan_ok=True)
        assert auc == pytest.approx(roc_auc(score[drawn], bad[drawn]), abs=1e-12, nan_ok=True)
        assert mean == pytest.approx(x[drawn].mean(), abs=1e-12)
    np.testing.assert_allclose(resampled.each(spearman, score, error), found[0], atol=1e-12)
    together = resampled.rankings({"this": score, "another": x}, error, bad)["this"]
    np.testing.assert_allclose(together, found[:2], atol=1e-12)


def test_a_mean_is_that_of_one_stratum_and_infinite_where_a_value_is():
    rng = np.random.default_rng(6)
    x = rng.standard_normal(200)
    resampled = FrameBootstrap(rng.integers(30, size=200), resamples=20)
    one = np.zeros(200, dtype=int)
    np.testing.assert_allclose(resampled.mean(x), resampled.mean_by(x, one, 1)[:, 0], rtol=1e-12)
    x[7] = np.inf
    drawn = resampled.counts[:, resampled.place[7]] > 0
    assert np.isposinf(resampled.mean(x)[drawn]).all()
    assert drawn.any()


def test_whole_frames_are_drawn_as_many_as_there_are():
    frame = np.array([7, 7, -2, 30, 30, 30])
    resampled = FrameBootstrap(frame, resamples=50)
    for b in range(50):
        w = resampled.weights(b)
        assert w[0] == w[1]
        assert w[3] == w[4] == w[5]
        assert w[0] + w[2] + w[3] == 3


def test_scores_share_their_resamples():
    """The difference of a score and its double is 0 in every resample; so would no independent ones be."""
    rng = np.random.default_rng(0)
    frame, score, error = np.repeat(np.arange(20), 5), rng.random(100), rng.standard_normal(100)
    resampled = FrameBootstrap(frame, seed=1)
    np.testing.assert_array_equal(resampled.spearman(score, error), resampled.spearman(2 * score, error))
    np.testing.assert_array_equal(resampled.mean(error), FrameBootstrap(frame, seed=1).mean(error))
    assert not np.array_equal(resampled.mean(error), FrameBootstrap(frame, seed=2).mean(error))


def test_standard_deviation_of_resampled_means_is_that_of_the_mean_over_frames():
    """Values that are equal within a frame: σ/√F, and not σ/√n, which is five times smaller."""
    of_frame = np.random.default_rng(4).standard_normal(80)
    samples = FrameBootstrap(np.repeat(np.arange(80), 25), resamples=4000).mean(np.repeat(of_frame, 25))
    assert samples.std() == pytest.approx(of_frame.std() / np.sqrt(80), rel=4 / np.sqrt(2 * 4000))
    assert samples.mean() == pytest.approx(of_frame.mean(), abs=4 * of_frame.std() / np.sqrt(80 * 4000))


def test_leaving_out_is_the_jackknife():
    """For means of equally large frames the standard error of the jackknife is the usual one, exactly."""
    x = np.random.default_rng(5).standard_normal((30, 4))
    left_out = FrameBootstrap(np.repeat(np.arange(30), 4)).leave_out().mean(x.ravel())
    assert len(left_out) == 30
    error = np.sqrt(29 / 30 * np.sum((left_out - left_out.mean()) ** 2))
    assert error == pytest.approx(x.mean(axis=1).std(ddof=1) / np.sqrt(30), rel=1e-12)
    parts = FrameBootstrap(np.arange(30)).leave_out(groups=6)
    assert [parts.weights(i).sum() for i in range(len(parts))] == [25] * 6


@pytest.mark.parametrize("frame", [[], [3], [3, 3, 3]])
def test_one_frame_says_nothing_about_the_next(frame):
    one = np.arange(float(len(frame)))
    resampled = FrameBootstrap(frame, resamples=5)
    for samples in (resampled.spearman(one, one), resampled.roc_auc(one, one > 0), resampled.mean(one)):
        assert samples.shape == (5,)
        assert np.isnan(samples).all()
    assert np.isnan(interval(resampled.mean(one))).all()


def test_undefined_resamples_are_nan_and_left_out_of_intervals():
    """All that is bad is in one of three frames, which (2/3)³ of the resamples lack."""
    frame, bad = np.array([0, 0, 1, 1, 2, 2]), np.array([True, False, False, False, False, False])
    samples = FrameBootstrap(frame, resamples=2000).roc_auc([3.0, 1, 2, 0, 1, 2], bad)
    assert np.isnan(samples).mean() == pytest.approx((2 / 3) ** 3, abs=4 * np.sqrt(0.25 / 2000))
    assert interval(samples) == (1.0, 1.0)


def test_strata_of_one_frame_have_no_interval():
    frame, stratum = np.repeat([0, 1, 2], 4), np.array([0, 0, 1, 1] * 2 + [0, 0, 2, 2])
    samples = FrameBootstrap(frame, resamples=300).mean_by(np.arange(12.0), stratum, 3)
    assert np.isnan(samples[:, 2]).all()
    drawn = ~np.isnan(samples[:, 1])
    assert drawn.mean() == pytest.approx(1 - (1 / 3) ** 3, abs=4 * np.sqrt(0.04 / 300)), "both of its frames missing"
    assert set(samples[drawn, 1].round(9)) == {2.5, 6.5, 4.5, round(2.5 + 4 / 3, 9), round(2.5 + 8 / 3, 9)}


def test_quantiles():
    assert interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))
    assert interval([np.nan, *np.arange(101.0), np.nan], 0.5) == pytest.approx((25.0, 75.0))


def test_corrected_quantiles_against_scipy():
    """BCa of a skewed mean, beside `scipy.stats.bootstrap` with the same data and as many resamples."""
    from scipy.stats import bootstrap

    x = np.random.default_rng(8).exponential(size=25) ** 2
    resampled = FrameBootstrap(np.arange(25), resamples=20_000, seed=2)
    ours = interval(resampled.mean(x), estimate=float(x.mean()), left_out=resampled.leave_out().mean(x))
    theirs = bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(3))
    low, high = theirs.confidence_interval
    plain = interval(resampled.mean(x))
    assert ours == pytest.approx((low, high), rel=0.03)
    assert ours[1] - plain[1] > 0.1 * plain[1], "and the correction is not small here"


def test_bad_arguments():
    with pytest.raises(ValueError, match="resamples is 0"):
        FrameBootstrap([0, 1], resamples=0)
    with pytest.raises(ValueError, match="level is 95"):
        interval([0.0, 1.0], 95)
    with pytest.raises(ValueError, match="both estimate and left_out"):
        interval([0.0, 1.0], estimate=0.5)
    with pytest.raises(ValueError, match=r"values has shape \(3,\)"):
        FrameBootstrap([0, 1]).mean([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"error has shape \(3,\)"):
        FrameBootstrap([0, 1]).spearman([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="booleans are needed"):
        FrameBootstrap([0, 1]).roc_auc([1.0, 2.0], [1, 0])
