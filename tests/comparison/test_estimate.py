"""Intervals, paired differences and Holm's test."""

from __future__ import annotations

import numpy as np
import pytest

from assay.comparison.estimate import Resampled, leaders
from assay.comparison.figures import Estimate, Leaders


def near(value: float, noise: float = 0.1, seed: int = 0) -> Resampled:
    return Resampled(value, value + noise * np.random.default_rng(seed).standard_normal(2000))


def test_the_interval_holds_the_middle_95_percent() -> None:
    found = near(3.0).estimate()
    assert found.value == 3.0
    assert found.low == pytest.approx(3.0 - 0.196, abs=0.02)
    assert found.high == pytest.approx(3.0 + 0.196, abs=0.02)


def test_what_is_not_defined_is_none() -> None:
    assert Resampled(float("nan"), np.full(5, np.nan)).estimate() == Estimate(None, None, None)


def test_differences_are_paired() -> None:
    """A small difference that every resample shows is certain, though both vary by more."""
    noise = near(0.0, noise=1.0).samples
    certain, other = Resampled(1.01, 1.01 + noise), Resampled(1.0, 1.0 + noise * 0.999)
    assert certain.better_by(other) < 1e-6
    assert certain.better_by(near(1.0, noise=1.0, seed=1)) > 0.3


def test_a_difference_of_two_deviations_has_the_normal_p() -> None:
    difference = near(0.2, noise=0.1).samples
    assert Resampled(0.2, difference).better_by(Resampled(0.0, np.zeros(2000))) == pytest.approx(0.0228, abs=0.004)


def test_leaders_are_the_best_and_what_cannot_be_told_from_it() -> None:
    candidates = {"a": near(1.0), "b": near(0.95, seed=1), "c": near(0.0, seed=2)}
    found = leaders(candidates, near(0.2, seed=3))
    assert found == Leaders("a", ("a", "b"), True)


def test_holm_asks_more_of_each_the_more_are_compared() -> None:
    """p of 0.03 is significant alone and not beside nine others."""
    best = Resampled(0.0, np.zeros(2000))
    other = near(-1.88, noise=1.0)
    alone = leaders({"best": best, "other": other})
    crowd = leaders({"best": best, **{f"other {i}": near(-1.88, noise=1.0, seed=i) for i in range(10)}})
    assert alone is not None
    assert alone.tied == ("best",)
    assert crowd is not None
    assert len(crowd.tied) == 11


def test_holm_steps_down() -> None:
    """Of p = 0.001 and 0.04 both are significant: 0.001 · 2 and then 0.04 · 1; Bonferroni would keep the second."""
    found = leaders({"best": Resampled(0.0, np.zeros(2000)), "far": near(-3.1, 1.0), "near": near(-1.76, 1.0, seed=1)})
    assert found is not None
    assert found.tied == ("best",)


def test_a_best_that_is_no_better_than_the_control_says_so() -> None:
    found = leaders({"a": near(0.01)}, near(0.0, seed=1))
    assert found == Leaders("a", ("a",), False)


def test_the_best_of_many_by_chance_does_not_beat_the_control() -> None:
    """Of 25 scores that are no better than chance, one is two deviations above it in most cases."""
    rng, beaten = np.random.default_rng(0), 0
    for _ in range(200):
        by_chance = {f"{k}": Resampled(v, v + rng.standard_normal(100)) for k, v in enumerate(rng.standard_normal(25))}
        found = leaders(by_chance, Resampled(0.0, np.zeros(100)))
        assert found is not None
        beaten += found.better_than_control
    assert beaten <= 20  # 5 %, and noise


def test_the_truly_best_is_among_the_tied() -> None:
    rng, missed = np.random.default_rng(0), 0
    for _ in range(300):
        truth = np.linspace(0.0, 1.0, 8)
        made = {
            f"{k}": Resampled(v, v + rng.standard_normal(100)) for k, v in enumerate(truth + rng.standard_normal(8))
        }
        found = leaders(made)
        assert found is not None
        missed += "7" not in found.tied
    assert missed <= 24  # 5 %, and noise


def test_undefined_values_take_no_part() -> None:
    nothing = Resampled(float("nan"), np.full(2000, np.nan))
    assert leaders({"a": nothing}) is None
    assert leaders({"a": nothing, "b": near(1.0)}) == Leaders("b", ("b",), False)
