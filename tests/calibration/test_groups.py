"""Error bars of groups: a scale for each, and intervals that hold for each."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held
from scipy.stats import beta, kstest

from assay.calibration import fit_calibrator
from assay.calibration.grouped import FEWEST, Grouped
from assay.calibration.mondrian import FEWEST as FEWEST_FRAMES
from assay.calibration.mondrian import Mondrian
from assay.calibration.scale import Scale
from assay.results.error_bars import ErrorBar


def bar(fitted: Grouped | Mondrian, group: list[str]) -> ErrorBar:
    return fitted.bar(np.zeros(len(group)), np.ones(len(group)), "eV", np.array(group))


def test_each_group_has_its_own_scale():
    """e/s is 1 in one group and 3 in the other; all together ⟨e²/s²⟩ = (40 + 9 · 60)/100 = 5.8."""
    group = np.repeat(["Mo", "W"], [40, 60])
    spread = np.random.default_rng(0).lognormal(size=100)
    fitted = Grouped.fit(held(np.where(group == "Mo", 1.0, 3.0) * spread, spread, group=group))
    np.testing.assert_allclose(bar(fitted, ["Mo", "W", "Nb", ""]).std, np.sqrt([1.0, 9.0, 5.8, 5.8]), rtol=1e-12)
    np.testing.assert_allclose(fitted.bar(np.zeros(2), np.ones(2), "").std, np.sqrt(5.8), rtol=1e-12)
    assert fitted.groups == ("Mo", "W")


@pytest.mark.parametrize(("count", "own"), [(FEWEST - 1, False), (FEWEST, True)])
def test_a_small_group_has_the_scale_of_all(count: int, own: bool):
    group = np.repeat(["few", "many"], [count, 200])
    error = np.where(group == "few", 5.0, 1.0)
    fitted = Grouped.fit(held(error, np.ones(len(error)), group=group))
    assert bar(fitted, ["few"]).std[0] == pytest.approx(5.0 if own else np.sqrt(np.mean(error**2)))
    assert (("few" in fitted.groups), ("many" in fitted.groups)) == (own, True)


def test_scales_of_groups_are_corrected_for_few_members():
    rng = np.random.default_rng(1)
    group = np.repeat(["a", "b"], 50)
    values = held(rng.normal(size=100), rng.lognormal(size=100), group=group, members=6, components=3)
    assert Grouped.fit(values).scales["b"] == Scale.fit(values.at(group == "b"))
    assert Grouped.fit(values).of_all == Scale.fit(values)


@pytest.mark.parametrize("name", ["grouped", "mondrian"])
def test_without_groups_there_is_nothing_to_calibrate(name: str):
    with pytest.raises(ValueError, match=f"{name} calibrates groups of values: give the group of each"):
        fit_calibrator(name, held(np.ones(50), np.ones(50)))


def test_values_without_a_group_are_no_group():
    values = held(np.ones(100), np.ones(100), group=np.full(100, ""))
    assert Grouped.fit(values).groups == Mondrian.fit(values).groups == ()


def test_intervals_of_a_group_are_made_of_its_values_alone():
    """19 frames with a value of each group: 95 % needs all 19 of a group, 1 … 19 or ten times that."""
    ratio = np.concatenate([np.arange(1.0, 20), 10 * np.arange(1.0, 20)])
    fitted = Mondrian.fit(held(ratio, np.ones(38), np.tile(np.arange(19), 2), group=np.repeat(["a", "b"], 19)))
    half = bar(fitted, ["a", "b", "c"])
    assert half.half_width(0.5).tolist()[:2] == [10.0, 100.0]
    assert half.half_width(0.95).tolist() == [19.0, 190.0, 190.0]


@pytest.mark.parametrize(("count", "own"), [(FEWEST_FRAMES - 1, False), (FEWEST_FRAMES, True)])
def test_a_group_in_few_frames_has_the_interval_of_all(count: int, own: bool):
    """Three values in each frame, of which only frames count."""
    group = np.repeat(["few", "many"], [3 * count, 300])
    frame = np.arange(len(group)) // 3
    error = np.where(group == "few", 100.0, 1.0)
    found = bar(Mondrian.fit(held(error, np.ones(len(error)), frame, group=group)), ["few", "many"])
    assert found.half_width(0.5).tolist() == [100.0 if own else 1.0, 1.0]
    assert np.isfinite(found.half_width(0.95)).all()


def test_in_a_group_too_each_frame_counts_once():
    """One of 20 frames has 100 values of ratio 9 in group a, the others one of ratio 1."""
    frame = np.concatenate([np.zeros(100, int), np.arange(1, 20)])
    error = np.where(frame == 0, 9.0, 1.0)
    values = held(error, np.ones(119), frame, group=np.full(119, "a"))
    assert bar(Mondrian.fit(values), ["a"]).half_width(0.9).tolist() == [1.0]
    assert bar(Mondrian.fit(values), ["a"]).half_width(0.95).tolist() == [9.0]


def test_coverage_holds_for_each_group_and_that_of_all_does_not():
    """Errors of one group ten times the other's for the same spread. For each group the coverage over calibration sets
    is Beta(k, n_g + 1 - k); the interval of all covers nearly all of one and few of the other."""
    rng = np.random.default_rng(2)
    n, level = 30, 0.8
    k = int(np.ceil((n + 1) * level))
    group = np.tile(["a", "b"], n)
    scale = np.where(group == "a", 1.0, 10.0)
    found, of_all = [], []
    for _ in range(1500):
        fitted = Mondrian.fit(held(scale * rng.standard_exponential(2 * n), np.ones(2 * n), group=group))
        half = bar(fitted, ["a", "b", "c"]).half_width(level)
        found.append(1 - np.exp(-half[:2] / [1.0, 10.0]))
        of_all.append(1 - np.exp(-half[2] / np.array([1.0, 10.0])))
    for g in range(2):
        assert kstest(np.array(found)[:, g], beta(k, n + 1 - k).cdf).statistic < 2.2 / np.sqrt(1500)
    assert np.mean(of_all, axis=0)[0] > 0.98
    assert np.mean(of_all, axis=0)[1] < 0.7


def test_intervals_of_groups_keep_their_shape_and_their_selection():
    fitted = Mondrian.fit(held(np.arange(1.0, 61), np.ones(60), group=np.repeat(["a", "b"], 30)))
    group = np.array([["a", "b", "x"], ["b", "b", "a"]])
    whole = fitted.bar(np.zeros((2, 3)), np.full((2, 3), 2.0), "eV", group)
    half = whole.half_width(0.6)
    assert half.shape == (2, 3)
    keep = group != "x"
    np.testing.assert_array_equal(whole.at(keep).half_width(0.6), half[keep])
    np.testing.assert_array_equal(whole.at(keep).times(1000.0, "meV").half_width(0.6), 1000 * half[keep])
    assert half[0, 0] == half[1, 2] != half[0, 1]
