"""Calibration by strata on errors drawn from the very bars, or from known multiples of them."""

from __future__ import annotations

import numpy as np
import pytest

from assay.metrics import ence, ence_by_chance, ence_interval, ence_samples, equal_count, mean_by, z_mean_square
from assay.metrics.bootstrap import FrameBootstrap
from assay.results.score import Score

FRAMES, ATOMS = 60, 40
FRAME = np.repeat(np.arange(FRAMES), ATOMS)


def drawn(seed: int, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    std = rng.lognormal(0.0, 0.5, FRAMES * ATOMS)
    return factor * std * rng.standard_normal(std.size), std


def test_equal_count():
    assert equal_count([5.0, 1.0, 3.0, 2.0, 6.0, 4.0], 3).tolist() == [2, 0, 1, 0, 2, 1]
    assert equal_count([1.0, 1.0, 1.0, 1.0, 2.0, np.inf], 3).tolist() == [0, 0, 0, 0, 1, 1]
    assert equal_count(np.ones(7), 5).tolist() == [0] * 7
    assert equal_count([2.0, 1.0], 5).tolist() == [1, 0]
    assert equal_count([], 5).tolist() == []
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        equal_count([1.0, np.nan], 2)
    with pytest.raises(ValueError, match="bins is 0"):
        equal_count([1.0], 0)


def test_z_mean_square_is_the_square_of_the_factor():
    """⟨z²⟩ of n normal errors has the standard deviation √(2/n) times its value."""
    error, std = drawn(1)
    stratum = np.random.default_rng(2).integers(3, size=std.size)
    factor = np.array([1.0, 2.0, 0.5])
    found, ends = z_mean_square(factor[stratum] * error, std, stratum, FRAME)
    n = np.bincount(stratum)
    assert np.all(np.abs(found / factor**2 - 1) < 4 * np.sqrt(2 / n))
    half = 0.5 * np.diff(ends, axis=1)[:, 0]
    assert half == pytest.approx(1.96 * factor**2 * np.sqrt(2 / n), rel=0.25)


def test_intervals_hold_what_they_say():
    """Of 200 data sets, 95 % of the intervals hold 1; a binomial count is within 4 √(200 · 0.05 · 0.95) of that."""
    held = 0
    for seed in range(200):
        error, std = drawn(seed)
        _, ends = z_mean_square(error, std, np.zeros(std.size), FRAME, seed=seed)
        held += ends[0, 0] <= 1.0 <= ends[0, 1]
    assert abs(held - 190) < 4 * np.sqrt(200 * 0.05 * 0.95)


def test_frames_that_err_as_one_give_wider_intervals():
    """The same factor for all atoms of a frame: as if there were 60 values, and not 2,400."""
    error, std = drawn(3)
    of_frame = np.exp(0.5 * np.random.default_rng(4).standard_normal(FRAMES))
    widths = [
        np.diff(z_mean_square(e, std, np.zeros(std.size), FRAME)[1])[0, 0] for e in (error, error * of_frame[FRAME])
    ]
    assert widths[1] > 4 * widths[0]


def test_strata_must_be_numbered_without_gaps():
    with pytest.raises(ValueError, match=r"strata \[1\] are empty"):
        mean_by([1.0, 2.0], [0, 2], FrameBootstrap([0, 1]))
    with pytest.raises(TypeError, match="Calibrate it first"):
        z_mean_square([1.0], Score("gamma", "atom", np.ones(1)), [0], [0])


def test_ence_of_right_bars_is_what_chance_gives():
    """Of 100 data sets with right bars, few have an ENCE above the 95 % quantile, and the means agree."""
    above, found, chance = 0, [], []
    for seed in range(100):
        error, std = drawn(seed)
        mean, quantile = ence_by_chance(error, std, FRAME, seed=seed)
        found.append(ence(error, std))
        chance.append(mean)
        above += found[-1] > quantile
    assert above <= 12
    assert np.mean(chance) == pytest.approx(np.mean(found), rel=0.1)


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_ence_intervals_hold_its_expectation(factor):
    """Of 100 data sets: with right bars, where ENCE is chance, and with errors of 1.5 σ, where it is about ½."""
    found, ends = [], []
    for seed in range(100):
        error, std = drawn(seed, factor)
        found.append(ence(error, std))
        ends.append(ence_interval(error, std, FRAME, seed=seed))
        assert factor == 1.0 or found[-1] > 3 * ence_by_chance(error, std, FRAME, seed=seed)[1]
    low, high = np.transpose(ends)
    held = np.sum((low <= np.mean(found)) & (np.mean(found) <= high))
    assert held >= 88
    assert np.mean(high - low) < 6 * np.std(found), "and not by being wide"


def test_ence_of_resamples_lies_around_that_of_all_values_and_not_above_it():
    """Unshifted it would be above by the chance that each resample adds, and of right bars by more than its scatter."""
    error, std = drawn(7)
    samples = ence_samples(error, std, FrameBootstrap(FRAME, 300))
    value = ence(error, std)
    assert samples.mean() == pytest.approx(value, rel=0.01)
    assert np.mean(samples < value) == pytest.approx(0.5, abs=0.15)
    assert (ence_samples(error, std, FrameBootstrap(FRAME, 300), bins=1) >= 0).all(), "|1 − RMSE/σ| is near 0"
    assert ence_samples(error, std, FrameBootstrap(np.zeros(error.size), 4)).tolist() == pytest.approx(
        [np.nan] * 4, nan_ok=True
    )


def test_ence_of_a_constant_bar_has_one_bin():
    """|1 − RMSE/σ|, whatever the order of the values."""
    error, _ = drawn(6)
    std = np.full(error.size, 2.0)
    low, high = ence_interval(error, std, FRAME)
    order = np.random.default_rng(0).permutation(error.size)
    assert ence_interval(error[order], std, FRAME[order]) == pytest.approx((low, high), rel=1e-9)
    assert low < ence(error, std) < high
    assert np.isnan(ence_interval(error, std, np.zeros(error.size))).all()
    assert np.isnan(ence_by_chance(error, std, np.zeros(error.size))).all()
