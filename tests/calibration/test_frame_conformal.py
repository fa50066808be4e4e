"""Conformal intervals where the atoms of a frame are not independent: the frame is what is exchangeable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from held_values import held
from scipy.special import ndtr
from scipy.stats import beta, betabinom, binom, chi2, kstest

from assay.calibration.conformal import Conformal
from assay.calibration.frame_conformal import FrameConformal
from assay.calibration.simultaneous_conformal import SimultaneousConformal


def test_masses_by_hand():
    """Ratios 1, 2 | 3 | 4 of three frames: masses of ½, ½, 1, 1, and 1 for the new frame, so that level p needs the
    first ratio with a mass of 4 p below it."""
    bar = FrameConformal.fit(held([4.0, 2.0, 1.0, 3.0], np.ones(4), [2, 0, 0, 1])).bar(np.zeros(1), np.ones(1), "")
    found = {p: bar.half_width(p)[0] for p in (0.12, 0.125, 0.126, 0.25, 0.26, 0.5, 0.51, 0.75, 0.76)}
    assert [*found.values()] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, np.inf]


@pytest.mark.parametrize("level", [0.05, 0.5, 0.68, 0.9, 0.95])
def test_one_value_per_frame_is_the_split_conformal_interval(level: float):
    rng = np.random.default_rng(0)
    values = held(rng.standard_cauchy(57), rng.lognormal(size=57))
    halves = [k.fit(values).bar(np.zeros(1), np.ones(1), "").half_width(level) for k in (Conformal, FrameConformal)]
    assert halves[0] == halves[1]
    assert SimultaneousConformal.fit(values).bar(np.zeros(1), np.ones(1), "").half_width(level) == halves[0]


def test_atoms_as_if_independent_lose_coverage_and_frames_keep_it():
    """10 frames of 20 values that differ by 10 %, 69 %: the pooled quantile takes one of the 7th of the frames,
    ⌈10 · 0.69⌉, which covers 7/11 = 64 % of new ones; that of frames takes the 8th, ⌈11 · 0.69⌉, and covers 8/11.

    The share of a new frame inside has a standard error of 0.8 % over 3000 sets.
    """
    rng = np.random.default_rng(7)
    inside: dict[Any, list[float]] = {Conformal: [], FrameConformal: []}
    for _ in range(3000):
        error = np.exp(rng.standard_normal((11, 1))) * (1 + 0.1 * rng.standard_normal((11, 20)))
        values = held(error[:10], np.ones(200), np.repeat(np.arange(10), 20))
        for kind, found in inside.items():
            half = kind.fit(values).bar(np.zeros(1), np.ones(1), "").half_width(0.69)[0]
            found.append(np.mean(np.abs(error[10]) <= half))
    assert np.mean(inside[Conformal]) < 0.69 - 3 * 0.008
    assert 0.69 < np.mean(inside[FrameConformal]) < 0.69 + 1 / 11


def test_the_coverage_of_pooled_atoms_is_that_of_few_frames_not_of_many_atoms():
    """All atoms of a frame have one |e|: 2000 values of 20 frames. If they were independent, the coverage over
    calibration sets would be Beta(1801, 200), 90 ± 0.7 %. It is that of the 19th of 20 frames, or 18th."""
    rng = np.random.default_rng(5)
    coverages = {Conformal: [], FrameConformal: []}
    for _ in range(1000):
        error = np.repeat(np.abs(rng.standard_exponential(20)), 100)
        values = held(error, np.ones(2000), np.repeat(np.arange(20), 100))
        for kind, found in coverages.items():
            found.append(1 - np.exp(-kind.fit(values).bar(np.zeros(1), np.ones(1), "").half_width(0.9)[0]))
    claimed = beta(1801, 200)
    assert kstest(coverages[Conformal], claimed.cdf).statistic > 0.3
    assert np.mean(np.array(coverages[Conformal]) < claimed.ppf(0.001)) > 0.2
    assert kstest(coverages[FrameConformal], beta(19, 2).cdf).statistic < 2.2 / np.sqrt(1000)


@pytest.mark.parametrize(("count", "level"), [(20, 0.5), (40, 0.9)])
def test_all_values_at_once_follow_the_beta_law(count: int, level: float):
    """Frames of 30 values that share one of three amplitudes: P(max |e| ≤ q) = ⟨(2Φ(q/a) - 1)³⁰⟩_a is known."""
    amplitudes = np.array([0.5, 1.0, 3.0])
    k = int(np.ceil((count + 1) * level))
    rng = np.random.default_rng(count)
    found = np.empty(1500)
    for i in range(len(found)):
        error = rng.choice(amplitudes, count)[:, None] * rng.standard_normal((count, 30))
        values = held(error, np.ones(error.size), np.repeat(np.arange(count), 30))
        q = SimultaneousConformal.fit(values).bar(np.zeros(1), np.ones(1), "").half_width(level)[0]
        found[i] = np.mean((2 * ndtr(q / amplitudes) - 1) ** 30)
    assert kstest(found, beta(k, count + 1 - k).cdf).statistic < 2.2 / np.sqrt(len(found))


def test_counts_in_a_test_set_are_beta_binomial():
    """50 held-out values, 20 new ones, 2000 times: χ² of the counts against the beta-binomial law at 10⁻⁴."""
    rng = np.random.default_rng(8)
    n, m, level, sets = 50, 20, 0.9, 2000
    k = int(np.ceil((n + 1) * level))
    counts = np.zeros(m + 1)
    for _ in range(sets):
        error = np.abs(rng.standard_t(3, n + m))
        half = Conformal.fit(held(error[:n], np.ones(n))).bar(np.zeros(1), np.ones(1), "").half_width(level)[0]
        counts[np.sum(error[n:] <= half)] += 1
    expected = sets * betabinom(m, k, n + 1 - k).pmf(np.arange(m + 1))
    enough = expected >= 5
    pooled = [np.append(x[enough], x[~enough].sum()) for x in (counts, expected)]
    assert ((pooled[0] - pooled[1]) ** 2 / pooled[1]).sum() < chi2(enough.sum()).ppf(1 - 1e-4)
    binomial = sets * binom(m, level).pmf(np.arange(m + 1))
    far = [np.append(x[enough], x[~enough].sum()) for x in (counts, binomial)]
    assert ((far[0] - far[1]) ** 2 / far[1]).sum() > chi2(enough.sum()).ppf(1 - 1e-4), "not binomial"


def test_many_small_frames_do_not_outvote_a_large_one_per_value():
    """A frame of 10⁴ values counts as much as a frame of one."""
    error = np.concatenate([np.full(10_000, 5.0), [1.0, 1.0, 1.0]])
    frame = np.concatenate([np.zeros(10_000, int), [1, 2, 3]])
    bar = FrameConformal.fit(held(error, np.ones(len(error)), frame)).bar(np.zeros(1), np.ones(1), "")
    assert (bar.half_width(0.6)[0], bar.half_width(0.61)[0]) == (1.0, 5.0)
