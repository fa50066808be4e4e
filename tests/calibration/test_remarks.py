"""What a calibration says of itself: too few values, constant scores, outliers, small groups."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration import CALIBRATORS, Residuals, fit_calibrator
from assay.calibration.conformal import Conformal
from assay.calibration.remarks import FEW, needed, outlier_share, remarks, too_wide

RNG = np.random.default_rng(0)


def said(name: str, values: Residuals) -> str:
    return "; ".join(remarks(name, values))


def fine(n: int = 200) -> Residuals:
    return held(RNG.normal(size=n), RNG.uniform(1, 2, n), group=np.resize(["a", "b"], n))


@pytest.mark.parametrize("name", CALIBRATORS)
def test_nothing_where_all_is_well(name: str):
    assert said(name, fine()) == ""


@pytest.mark.parametrize(("level", "least"), [(0.0, 0), (0.5, 1), (0.68, 3), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_fewest_values_that_promise_a_level(level: float, least: int):
    """So many give a finite interval, and one fewer does not."""
    assert needed(level) == least
    for n in {max(1, least), max(1, least - 1)}:
        half = Conformal.fit(held(np.ones(n), np.ones(n))).bar(np.zeros(1), np.ones(1), "").half_width(level)
        assert np.isfinite(half)[0] == (n >= least)


@pytest.mark.parametrize("level", [1.0, 1.5, -0.1, np.nan])
def test_levels_that_nothing_promises(level: float):
    with pytest.raises(ValueError, match="can't be promised: give a level below 1"):
        needed(level)


@pytest.mark.parametrize("name", ["conformal", "frame_conformal", "simultaneous_conformal", "mondrian"])
def test_too_few_for_95_per_cent(name: str):
    few = held(RNG.normal(size=18), RNG.uniform(1, 2, 18), group=np.full(18, ""))
    unit = "values" if name == "conformal" else "frames"
    assert f"18 held-out {unit} promise a coverage of 94.7% at most" in said(name, few)
    assert f"95% needs 19 {unit}" in said(name, few)
    assert said(name, held(RNG.normal(size=19), RNG.uniform(1, 2, 19), group=np.full(19, ""))) == ""


def test_atoms_of_few_frames_are_few():
    values = held(RNG.normal(size=900), RNG.uniform(1, 2, 900), np.repeat(np.arange(9), 100))
    assert "9 held-out frames promise a coverage of 90.0% at most" in said("frame_conformal", values)
    assert said("conformal", values) == ""


@pytest.mark.parametrize("name", CALIBRATORS)
def test_a_constant_score(name: str):
    values = held(RNG.normal(size=200), np.full(200, 0.3), group=np.resize(["a", "b"], 200))
    assert "the score is the same for all 200 held-out values: the bar is a constant" in said(name, values)
    if name in ("isotonic", "binned"):
        assert said(name, values).split("constant")[1].startswith(", as there")


def test_the_share_of_the_largest_per_cent():
    """Normal errors: 2 (z φ(z) + Φ(-z)) = 8.5 % at z = 2.576. By hand: 3 of 300 with e²/s² = 99 · 99 and the rest 1."""
    assert outlier_share(held(np.random.default_rng(1).normal(size=10**6), np.ones(10**6))) == pytest.approx(
        0.0846, abs=2e-3
    )
    error = np.ones(300)
    error[:3] = 99.0
    assert outlier_share(held(error, np.ones(300))) == pytest.approx(3 * 99**2 / (3 * 99**2 + 297))
    assert outlier_share(held(np.zeros(200), np.ones(200))) == 0.0


@pytest.mark.parametrize("name", CALIBRATORS)
def test_outliers_sway_the_scale(name: str):
    """One label in 200 that is off by a hundred times the others'."""
    values = fine()
    error = values.error.copy()
    error[7] = 150.0
    told = said(name, held(error, values.spread, group=values.group))
    if name in ("scale", "grouped"):
        assert "the largest 1 % of e²/s² carry 9" in told
        assert "Look at the labels of those frames; the calibrators ratio and conformal" in told
    else:
        assert told == ""


def test_among_few_values_one_is_no_outlier():
    error = np.ones(FEW - 1)
    error[0] = 1e3
    assert "largest" not in said("scale", held(error, RNG.uniform(1, 2, FEW - 1)))


@pytest.mark.parametrize(
    ("name", "count", "unit"), [("grouped", 15, "30 held-out values"), ("mondrian", 5, "19 held-out frames")]
)
def test_groups_that_are_too_small(name: str, count: int, unit: str):
    group = np.repeat(["W", "Mo", ""], [150, 15, 35])
    values = held(RNG.normal(size=200), RNG.uniform(1, 2, 200), np.arange(200) // 3, group=group)
    assert f"1 of 2 groups have fewer than {unit} and the bar of all: Mo ({count})" in said(name, values)


@pytest.mark.parametrize(("name", "told"), [("scale", True), ("ratio", False), ("isotonic", False)])
def test_multiples_of_a_score_that_is_out_by_orders_of_magnitude(name: str, told: bool):
    """One atom in a hundred has a score of a millionth of the others', and their error: α makes all others' bars."""
    rng = np.random.default_rng(2)
    spread = rng.uniform(1, 2, 400)
    spread[::100] *= 1e-6
    values = held(rng.normal(size=400), spread)
    constant = fit_calibrator(name, held(values.error, np.ones(400)))
    found = list(too_wide("leverage", fit_calibrator(name, values), constant, values))
    assert len(found) == told
    assert not told or "leverage:isotonic" in found[0]


@pytest.mark.parametrize("name", CALIBRATORS)
def test_bars_that_are_as_wide_as_others(name: str):
    values = fine(18)
    constant = fit_calibrator(name, held(values.error, np.ones(18), group=values.group))
    assert not list(too_wide("gamma", fit_calibrator(name, values), constant, values))
