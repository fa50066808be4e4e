"""The kernel density: scikit-learn's numbers, an integral of one, and the bandwidth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import KernelDensity as Peer

from assay.scores.density.kernel_density import Kernels, likeliest_bandwidth


def test_density_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    x, q = rng.normal(size=(200, 3)), 2 * rng.normal(size=(50, 3))
    peer = Peer(bandwidth=0.4).fit(x).score_samples(q)
    np.testing.assert_allclose(Kernels(x, np.ones(3), 0.4, 3.0).minus_log(q), -peer, atol=1e-5)


def test_density_integrates_to_one():
    """Over a square that holds all of it, by 40,000 points of a grid."""
    x = np.random.default_rng(1).normal(size=(30, 2))
    grid = np.stack(np.meshgrid(*[np.linspace(-8, 8, 200)] * 2), axis=-1).reshape(-1, 2)
    p = np.exp(-Kernels(x, np.ones(2), 0.5, 2.0).minus_log(grid))
    assert p.sum() * (16 / 199) ** 2 == pytest.approx(1, abs=1e-6)


def test_the_bandwidth_has_the_greatest_likelihood_of_other_frames():
    """Every other bandwidth of a fine list leaves each frame less likely under the others."""
    rng = np.random.default_rng(2)
    x, frames = rng.normal(size=(200, 2)), np.repeat(np.arange(50), 4)

    def likelihood(h: float) -> float:
        square = np.square(x[:, None] - x).sum(axis=2)
        kernels = np.where(frames[:, None] == frames, 0, np.exp(-square / (2 * h * h)) / h**2)
        return float(np.log(kernels.sum(axis=1)).sum())

    found = likeliest_bandwidth(x, frames, 2.0)
    grid = np.geomspace(0.05, 2, 200)
    assert found == pytest.approx(grid[np.argmax([likelihood(h) for h in grid])], rel=0.04)


def test_atoms_of_one_frame_do_not_narrow_the_bandwidth():
    x = np.repeat(np.random.default_rng(3).normal(size=(60, 2)), 5, axis=0)
    frames = np.repeat(np.arange(60), 5)
    near = x + 1e-4 * np.random.default_rng(4).normal(size=x.shape)
    assert likeliest_bandwidth(near, frames, 2.0) > 0.1
    assert likeliest_bandwidth(near, np.arange(300), 2.0) < 1e-3


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_frames_that_occur_twice_do_not_narrow_the_bandwidth(noise: float):
    """Nor where the first atoms are odd ones: distances are computed from the mean."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400, 4))
    x[:2] += 4e3
    once = likeliest_bandwidth(x, np.arange(400), 4.0)
    twice = np.concatenate([x, x * (1 + noise * rng.normal(size=x.shape))])
    assert likeliest_bandwidth(twice, np.arange(800), 4.0) == pytest.approx(once, rel=0.1)


def test_one_environment_over_and_over_has_a_bandwidth():
    assert 0 < likeliest_bandwidth(np.ones((10, 3)), np.arange(10), 3.0) < 1e-5


def test_gaussian_points_rank_as_their_density():
    rng = np.random.default_rng(4)
    x, new = rng.normal(size=(4000, 3)), 1.5 * rng.normal(size=(1000, 3))
    kernels = Kernels.fit(x, np.arange(4000))
    assert spearmanr(kernels.minus_log(new), np.square(new).sum(axis=1))[0] > 0.97
    assert kernels.dimension == pytest.approx(3, rel=0.1)
