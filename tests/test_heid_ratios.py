"""The factor from spread to error, the labels it takes, and what is no chance."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from assay.metrics.committees import ratio_of_means

sys.path.insert(0, str(Path(__file__).parent.parent / "studies"))

from heid_ratios import error_ratio, labels_needed, ratio_curve, split_error


def frames(rng: np.random.Generator, n: int, members: int, bias: float, atoms: int = 300) -> tuple[np.ndarray, ...]:
    """Frame means of |error| and spread of a committee; the bias of a component is `bias` σ and has either sign."""
    sigma = rng.gamma(2.0, size=(n, 1)) * np.ones(atoms)
    drawn = sigma * rng.normal(size=(members, n, atoms))
    error = drawn.mean(axis=0) + bias * sigma * rng.choice([-1, 1], size=sigma.shape)
    return np.abs(error).mean(axis=1), drawn.std(axis=0, ddof=1).mean(axis=1)


def test_an_unbiased_committee_has_variance_only() -> None:
    e, s = frames(np.random.default_rng(0), 400, 5, bias=0.0)
    split = split_error(e, s, members=5)
    assert split.other == pytest.approx(0, abs=0.01 * split.error)
    assert split.variance_share == pytest.approx(1, abs=0.01)
    assert error_ratio(e, s) == pytest.approx(ratio_of_means(5), rel=0.01)


def test_the_non_variance_part_is_what_a_bias_adds() -> None:
    e, s = frames(np.random.default_rng(1), 6000, 5, bias=3.0, atoms=50)
    split = split_error(e, s, members=5)
    sigma = 2.0  # mean of the gamma distribution; |b + N(0, 1/√5)| is b to 1e-11
    assert split.variance == pytest.approx(sigma * np.sqrt(2 / np.pi / 5), rel=0.05)
    assert split.variance + split.other == pytest.approx(3.0 * sigma, rel=0.05)


def test_labels_needed_are_those_that_reach_the_precision() -> None:
    rng = np.random.default_rng(2)
    s = rng.uniform(1, 3, size=100_000)
    e = s * rng.gamma(4.0, size=len(s))
    m = labels_needed(e, s, precision=0.05)
    assert 80 < m < 140  # e - αs has a variance of 4 ⟨s²⟩ = 52/3, ⟨e⟩ = 8: 108
    drawn = rng.integers(len(s), size=(2000, m))
    ratios = e[drawn].sum(axis=1) / s[drawn].sum(axis=1)
    assert ratios.std() / ratios.mean() == pytest.approx(0.05, rel=0.1)
    assert labels_needed(s, s) == 2


def test_more_labels_give_narrower_ratios_and_errors_that_follow_the_spread() -> None:
    e, s = frames(np.random.default_rng(3), 200, 5, bias=1.0)
    curve = ratio_curve(e, s, [2, 10, 100])
    width = curve.ratio[:, 2] - curve.ratio[:, 0]
    assert width[0] > width[1] > width[2]
    assert curve.ratio[:, 1] == pytest.approx(error_ratio(e, s), rel=0.05)
    assert (curve.deviation[:, 1] < 0.3 * curve.constant[:, 1]).all()
    assert curve.deviation[2, 1] == pytest.approx(np.abs(e - error_ratio(e, s) * s).mean() / e.mean(), rel=0.1)


def test_spreads_that_say_nothing_are_no_better_than_a_constant() -> None:
    rng = np.random.default_rng(4)
    curve = ratio_curve(rng.gamma(2.0, size=100), rng.gamma(2.0, size=100), [50], repeats=50)
    assert curve.deviation[0, 1] > curve.constant[0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: error_ratio([1.0, 2.0], [0.0, 0.0]), "all 2 spreads are 0"),
        (lambda: error_ratio([1.0, 2.0], [1.0]), "shape"),
        (lambda: error_ratio([1.0, np.nan], [1.0, 1.0]), "NaN or infinite"),
        (lambda: error_ratio([1.0, 2.0], [1.0, -1.0]), "negative"),
        (lambda: labels_needed([0.0, 0.0], [1.0, 1.0]), "not all 0"),
        (lambda: ratio_curve([1.0, 2.0], [1.0, 1.0], [2]), "1 to 1"),
        (lambda: ratio_curve([0.0, 0.0], [1.0, 1.0], [1]), "nothing to predict"),
    ],
)
def test_what_has_no_answer_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
