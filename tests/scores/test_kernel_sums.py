"""Kernel sums: the plain double loop, in every way a set can be hard for float32, and threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from assay.scores.density import kernel_sums
from assay.scores.density.kernel_sums import KernelSum

N = kernel_sums.FEW + 2000


def plain(queries: np.ndarray, points: np.ndarray, h: float) -> np.ndarray:
    return logsumexp(-cdist(queries, points, "sqeuclidean") / (2 * h * h), axis=1)


def clusters(seed: int, n: int, columns: int, kinds: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres, widths = 5 * rng.normal(size=(kinds, columns)), np.geomspace(0.05, 2, kinds)
    kind = rng.integers(kinds, size=n)
    return centres[kind] + widths[kind, None] * rng.normal(size=(n, columns))


@pytest.mark.parametrize("n", [1, 7, 1500, N])
@pytest.mark.parametrize("h", [0.02, 0.3, 3.0])
def test_sums_are_those_of_all_pairs(n: int, h: float):
    points, queries = clusters(0, n, 6), clusters(1, 600, 6)
    found = KernelSum(points, h).log(queries)
    np.testing.assert_allclose(found, plain(queries, points, h), rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e4,
        lambda x: np.concatenate([x, np.full((len(x), 3), 1e3)], axis=1),
        lambda x: np.repeat(x[: len(x) // 4], 4, axis=0),
        lambda x: np.where(np.arange(len(x))[:, None] % 50 == 0, 30 * x, x),
        lambda x: x[:, :1],
        lambda x: np.round(x),
    ],
    ids=["far from the origin", "constant columns", "copies", "outliers", "one column", "a grid"],
)
def test_hard_sets(change):
    points, queries = change(clusters(2, N, 5)), change(clusters(3, 700, 5))
    found = KernelSum(points, 0.4).log(queries)
    np.testing.assert_allclose(found, plain(queries, points, 0.4), rtol=1e-9, atol=1e-6)


def test_far_queries_have_finite_sums_and_far_is_less():
    points = clusters(4, N, 5)
    found = KernelSum(points, 0.1).log(np.geomspace(20, 1e8, 40)[:, None] * np.ones(5))
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def test_most_work_is_not_done_in_float64(monkeypatch: pytest.MonkeyPatch):
    points, queries = np.random.default_rng(5).normal(size=(2, N, 12))
    done = []
    log_sum = kernel_sums._log_sum
    monkeypatch.setattr(kernel_sums, "_log_sum", lambda q, x: (done.append(len(q) * len(x)), log_sum(q, x))[1])
    KernelSum(points, 1.0).log(queries)
    assert sum(done) < len(queries) * len(points) / 10


def test_far_leaves_are_left_out(monkeypatch: pytest.MonkeyPatch):
    """Of eight clusters far apart, a leaf of queries needs the points of its own."""
    points = np.random.default_rng(8).normal(size=(N, 4)) + 100.0 * (np.arange(N) % 8)[:, None]
    sums = KernelSum(points, 1.0)
    needed = []
    found = KernelSum._needed
    monkeypatch.setattr(KernelSum, "_needed", lambda *args: (needed.append(found(*args)), needed[-1])[1])
    np.testing.assert_allclose(sums.log(points[:3000]), plain(points[:3000], points, 1.0), atol=1e-6)
    assert len(sums._centres) == 8
    assert np.mean([len(leaves) for leaves in needed]) <= 2


def test_threads_change_nothing():
    points, queries = clusters(6, N, 8), clusters(7, 3000, 8)
    sums = KernelSum(points, 0.5)
    with threadpool_limits(1):
        alone = sums.log(queries)
    with threadpool_limits(2):
        np.testing.assert_array_equal(sums.log(queries), alone)


@pytest.mark.parametrize("h", [0.0, -1.0, np.nan, np.inf])
def test_bandwidths_are_above_zero(h: float):
    with pytest.raises(ValueError, match="a bandwidth above 0"):
        KernelSum(np.ones((3, 2)), h)


def test_there_are_points():
    with pytest.raises(ValueError, match="0 points"):
        KernelSum(np.ones((0, 2)), 1.0)


def test_no_queries_no_values():
    assert KernelSum(np.ones((3, 2)), 1.0).log(np.empty((0, 2))).shape == (0,)
