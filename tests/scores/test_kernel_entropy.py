"""δS, entropy and diversity: the package `quests` and closed forms; the bandwidth of the score."""

from __future__ import annotations

import numpy as np
import pytest

from assay.scores.density.kernel_entropy import Surroundings, differential_entropy, diversity, entropy, typical_distance


def sets(n: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """A training set of several kinds and a test set that is partly elsewhere, the size of quests' descriptors."""
    rng = np.random.default_rng(0)
    kinds = 0.1 * rng.normal(size=(8, 20))
    train = kinds[rng.integers(6, size=n)] + 0.01 * rng.normal(size=(n, 20))
    return train, kinds[rng.integers(8, size=500)] + 0.012 * rng.normal(size=(500, 20))


@pytest.mark.parametrize("h", [0.015, 0.05])
def test_numbers_are_those_of_quests(h: float):
    pytest.importorskip("quests", exc_type=ImportError)
    from quests import entropy as quests

    train, test = sets()
    expected = quests.delta_entropy(test, train, h=h)
    finite = expected < 650  # quests adds up kernels, not logarithms: they vanish, or lose digits, below that
    assert finite.sum() > 300
    np.testing.assert_allclose(differential_entropy(test, train, h)[finite], expected[finite], rtol=0, atol=1e-6)
    some = train[:1500]
    assert entropy(some, h) == pytest.approx(quests.entropy(some, h=h), abs=1e-6)
    assert diversity(some, h) == pytest.approx(quests.diversity(some, h=h), abs=1e-6)


def test_one_environment_says_nothing_and_distant_ones_all_count():
    same, apart = np.ones((50, 3)), 100.0 * np.arange(50.0)[:, None]
    assert entropy(same, 0.1) == pytest.approx(0, abs=1e-12)
    assert diversity(same, 0.1) == pytest.approx(0, abs=1e-12)
    assert entropy(apart, 0.1) == pytest.approx(np.log(50))
    assert diversity(apart, 0.1) == pytest.approx(np.log(50))
    assert entropy(np.repeat(apart, 3, axis=0), 0.1) == pytest.approx(np.log(50))


def test_surprise_is_half_the_squared_distance_from_a_single_environment():
    d = np.array([0.0, 0.3, 5.0, 1e6])
    np.testing.assert_allclose(differential_entropy(d[:, None], np.zeros((1, 1)), 0.5), d**2 / 2 / 0.25, rtol=1e-12)
    np.testing.assert_allclose(differential_entropy(d[:, None], np.zeros((4, 1)), 0.5), d**2 / 0.5 - np.log(4))


def test_the_bandwidth_is_how_far_the_next_frame_is():
    """Frames 1 apart, of ten atoms within 1e-3."""
    points = np.repeat(np.arange(20.0), 10)[:, None] + 1e-3 * np.random.default_rng(1).normal(size=(200, 1))
    frames = np.repeat(np.arange(20), 10)
    assert typical_distance(points, frames) == pytest.approx(1.0, abs=0.01)
    assert typical_distance(points, np.zeros(200, int)) < 0.01


def test_a_set_without_distances_has_a_bandwidth():
    assert typical_distance(np.ones((5, 2)), np.arange(5)) == 1.0
    assert np.isfinite(Surroundings.fit(np.ones((1, 3)), np.zeros(1, int)).surprise(np.zeros((2, 3)))).all()
