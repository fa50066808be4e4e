"""Scores, error bars and what they promise."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from assay.results.error_bars import Ensemble, Gaussian, Interval
from assay.results.score import Score

MEAN = np.array([1.0, -2.0, 0.5])


def test_a_score_flags_above_its_threshold_and_not_at_it():
    score = Score("gamma", "atom", np.array([0.5, 1.0, np.nextafter(1.0, 2.0), np.inf]), 1.0)
    assert score.flagged.tolist() == [False, False, True, True]


def test_a_score_without_threshold_flags_nothing():
    flagged = Score("leverage", "atom", np.array([[0.5], [np.inf]])).flagged
    assert flagged.shape == (2, 1)
    assert not flagged.any()


@pytest.mark.parametrize(("level", "z"), [(0.0, 0.0), (0.5, 0.674490), (0.6826894921370859, 1.0), (0.95, 1.959964)])
def test_half_widths_of_a_normal_bar(level: float, z: float):
    """Quantiles of the standard normal distribution, from tables."""
    std = np.array([0.5, 2.0, 0.0])
    np.testing.assert_allclose(Gaussian(MEAN, std, "eV").half_width(level), z * std, atol=2e-6)


def test_members():
    """Three numbers by hand: 1, 2, 6 have mean 3 and variance (4 + 1 + 9) / 2."""
    ensemble = Ensemble(np.array([[1.0, 4.0], [2.0, 4.0], [6.0, 4.0]]), "eV")
    assert ensemble.mean.tolist() == [3.0, 4.0]
    np.testing.assert_allclose(ensemble.std, [np.sqrt(7.0), 0.0], rtol=1e-15)


def test_one_member_has_no_spread():
    assert Ensemble(MEAN[None], "eV").std.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("level", "factor"),
    # n = 9 ratios 1 … 9: level p takes the ⌈10 p⌉-th
    [(0.05, 1), (0.1, 1), (0.11, 2), (0.5, 5), (0.68, 7), (0.9, 9), (0.91, np.inf), (1.0, np.inf)],
)
def test_half_widths_of_an_interval(level: float, factor: float):
    spread = np.array([0.5, 2.0])
    interval = Interval(MEAN[:2], spread, np.arange(1.0, 10.0), "eV")
    assert interval.half_width(level).tolist() == [0.5 * factor, 2.0 * factor]


def test_rounding_of_n_plus_one_times_level_does_not_skip_a_ratio():
    """(n + 1) p is whole for n = 99 and p = k/100, whatever floating point makes of it."""
    interval = Interval(np.zeros(1), np.ones(1), np.arange(1.0, 100.0), "eV")
    assert [interval.half_width(k / 100)[0] for k in range(1, 100)] == list(range(1, 100))


def test_an_interval_of_no_coverage_has_no_width():
    assert Interval(MEAN, np.ones(3), np.arange(1.0, 10.0), "eV").half_width(0.0).tolist() == [0.0, 0.0, 0.0]


def test_what_can_not_be_promised_is_infinite_even_without_spread():
    half = Interval(MEAN, np.array([1.0, 0.0, 2.0]), np.array([0.3]), "eV").half_width(0.95)
    assert half.tolist() == [np.inf] * 3


@pytest.mark.parametrize(
    "thing",
    [Score("gamma", "atom", MEAN), Gaussian(MEAN, MEAN, ""), Ensemble(MEAN, ""), Interval(MEAN, MEAN, MEAN, "")],
    ids=lambda thing: type(thing).__name__,
)
def test_frozen(thing: object):
    with pytest.raises(FrozenInstanceError):
        thing.unit = "meV"  # type: ignore[attr-defined]
