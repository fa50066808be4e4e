"""Rank correlation, worst decile and alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from invented import FEATURES, as_split, batch, split

from assay.comparison.estimate import Resampled
from assay.comparison.figures import RankingFigure, Target
from assay.comparison.methods import RANDOM, Method
from assay.comparison.ranking import Alarm, badness, rankings
from assay.comparison.split import Split
from assay.metrics import roc_auc, spearman, worst_decile

HOME = split(60, seed=1)
AWAY = split(60, seed=2, times=3.0)


def ranking(split: Split, calibration: Split, method: Method, target: Target) -> dict[RankingFigure, Resampled]:
    return rankings(split, calibration, [method], target)[method.name]


@pytest.mark.parametrize("values", [np.arange(1000.0), np.repeat(np.arange(10.0), 100), np.ones(50), np.array([3.0])])
def test_an_alarm_is_false_for_one_in_twenty_at_most(values: np.ndarray) -> None:
    alarm = Alarm.fit(values, values)
    assert np.mean(values > alarm.score) <= 0.05
    assert np.mean(values > alarm.error) <= 0.05


def test_figures_are_those_of_the_metrics() -> None:
    found = ranking(AWAY, HOME, FEATURES, "force_atom")
    assert AWAY.batch.forces is not None
    error, score = np.linalg.norm(AWAY.batch.forces, axis=1), AWAY.batch.scores["gamma", "atom"]
    assert found["spearman"].value == spearman(score, error)
    assert found["auroc"].value == roc_auc(score, worst_decile(error))


def test_detection_is_the_share_of_bad_values_above_the_alarm() -> None:
    """By loops: the alarm is at the 95 % quantile of scores at home, bad is above the one of errors at home."""
    found = ranking(AWAY, HOME, FEATURES, "force_atom")
    assert HOME.batch.forces is not None
    assert AWAY.batch.forces is not None
    limits = []
    for values in (HOME.batch.scores["gamma", "atom"], np.linalg.norm(HOME.batch.forces, axis=1)):
        ordered = sorted(values)
        limits.append(next(v for v in ordered if sum(o > v for o in ordered) <= 0.05 * len(ordered)))
    raised = bad = caught = 0
    for score, error in zip(AWAY.batch.scores["gamma", "atom"], AWAY.batch.forces, strict=True):
        raised += score > limits[0]
        bad += np.linalg.norm(error) > limits[1]
        caught += score > limits[0] and np.linalg.norm(error) > limits[1]
    assert found["detection"].value == pytest.approx(caught / bad)
    assert found["flagged"].value == pytest.approx(raised / 600)
    assert badness(AWAY, HOME).force_atom.share == pytest.approx(bad / 600)


def test_a_score_with_ties_raises_no_more_alarms_than_one_in_twenty() -> None:
    """Nine tenths of the values share the largest score: none is above it."""
    assert HOME.batch.forces is not None
    score = np.where(np.arange(600) % 10 == 0, 1.0, 2.0)
    here = as_split(batch(HOME.batch.forces, score, 10))
    assert ranking(here, here, FEATURES, "force_atom")["flagged"].value == 0.0


def test_a_perfect_score_finds_everything() -> None:
    assert AWAY.batch.forces is not None
    assert HOME.batch.forces is not None
    away, home = (
        as_split(batch(each.batch.forces, np.linalg.norm(each.batch.forces, axis=1), 10))
        for each in (AWAY, HOME)
        if each.batch.forces is not None
    )
    for target in ("force_atom", "force_neighbourhood", "force_frame"):
        found = ranking(away, home, FEATURES, target)
        assert {figure: found[figure].value for figure in ("spearman", "auroc", "detection")} == dict.fromkeys(
            ("spearman", "auroc", "detection"), pytest.approx(1.0)
        )


def test_chance_is_chance() -> None:
    found = ranking(AWAY, HOME, RANDOM, "force_atom")
    for figure, expected in (("spearman", 0.0), ("auroc", 0.5), ("detection", 0.05), ("flagged", 0.05)):
        low, high = found[figure].estimate().low, found[figure].estimate().high
        assert low is not None
        assert high is not None
        assert low - 0.05 < expected < high + 0.05


def test_detection_without_bad_values_is_not_defined() -> None:
    found = ranking(split(20, seed=4, times=0.01), HOME, FEATURES, "force_atom")
    assert np.isnan(found["detection"].value)


def test_atoms_that_vanish_by_symmetry_are_not_ranked() -> None:
    still = np.zeros((600, 3), dtype=bool)
    still[:300] = True
    still[300:, 0] = True
    found = as_split(replace(AWAY.batch, still=still))
    assert found.targets["force_atom"].error.size == 300
    assert found.targets["force_frame"].error.size == 30
    assert found.targets["energy_frame"].error.size == 60
    assert found.quantities["force"].error.size == 600


def test_resamples_are_of_frames() -> None:
    """Frames whose atoms are all equal: the interval is as wide as with one atom each."""
    rng = np.random.default_rng(0)
    score, error = rng.random(40), rng.standard_normal((40, 3))
    one = as_split(batch(error, score, 1), 400)
    copies = as_split(batch(np.repeat(error, 25, axis=0), np.repeat(score, 25), 25), 400)
    widths = []
    for each in (one, copies):
        found = ranking(each, each, FEATURES, "force_atom")
        widths.append(found["spearman"].samples.std())
    assert widths[1] == pytest.approx(widths[0], rel=0.02)
