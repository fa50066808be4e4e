"""Heid's error-to-uncertainty ratio."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration.ratio import Ratio


def test_by_hand():
    """⟨|e|⟩ = 3 per ⟨s⟩ = 1.5, which is not the mean of the quotients."""
    fitted = Ratio.fit(held(np.array([1.0, 5.0]), np.array([1.0, 2.0])))
    assert fitted.alpha == 2.0
    bar = fitted.bar(np.zeros(2), np.array([0.5, 0.0]), "eV")
    np.testing.assert_allclose(bar.std, [np.sqrt(np.pi / 2), 0.0], rtol=1e-15)


def test_the_mean_absolute_error_of_normal_errors():
    """E|e| = √(2/π) σ, so that √(π/2) α s is σ = 1.7 s. Over 10⁵ values the relative standard error of ⟨|e|⟩ with
    these spreads is 0.0032; the bound is four of them."""
    rng = np.random.default_rng(0)
    spread = rng.lognormal(0.0, 0.5, 100_000)
    error = np.abs(1.7 * spread * rng.standard_normal(len(spread)))
    std = Ratio.fit(held(error, spread)).bar(np.zeros(1), np.ones(1), "").std[0]
    assert std == pytest.approx(1.7, rel=4 * 0.0032)


def test_a_few_large_ratios_count_less_than_for_the_scale():
    """One of 1000 spreads is a thousand times too small: the ratio changes by a per mille, α of Eq. 26 by 31 times."""
    error, spread = np.ones(1000), np.ones(1000)
    spread[0] = 1e-3
    assert Ratio.fit(held(error, spread)).alpha == pytest.approx(1.0, rel=2e-3)


def test_units_and_members_do_not_count():
    error, spread = np.array([1.0, 5.0, 2.0]), np.array([1.0, 2.0, 0.5])
    assert Ratio.fit(held(8 * error, 8 * spread, members=2)) == Ratio.fit(held(error, spread))


def test_state_round_trip():
    assert Ratio.from_state(Ratio(0.3).state()) == Ratio(0.3)
