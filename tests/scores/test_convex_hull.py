"""The hull: a simplex and a cube by hand, certain extrapolation only, flat sets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from assay.scores.density.convex_hull import ConvexHull, Hull
from assay.scores.features import standardised, whitening
from assay.scores.features.training import TrainingFeatures


def cube(columns: int) -> np.ndarray:
    """Corners and middle of [−1, 1]^D: unit spread but for the middle, no correlation."""
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * columns), axis=-1).reshape(-1, columns)
    return np.concatenate([corners, np.zeros((1, columns))])


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_distances_from_a_cube(columns: int):
    x = cube(columns)
    spread = x.std()
    hull = Hull.fit(x)
    assert -1e-5 < hull.outside(x)[:-1].min() <= hull.outside(x)[:-1].max() < 0
    assert hull.outside(np.zeros((1, columns)))[0] == pytest.approx(-1 / spread, rel=1e-5)
    assert hull.outside(np.full((1, columns), 0.5))[0] == pytest.approx(-0.5 / spread, rel=1e-5)
    outside = np.zeros((1, columns))
    outside[0, 0] = 3.0
    assert hull.outside(outside)[0] == pytest.approx(2 / spread, rel=1e-5)


def test_a_corner_of_the_range_is_outside_of_a_simplex():
    """(1, 1, 1) is within the range of each column of 0, e₁, e₂, e₃."""
    x = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    hull = Hull.fit(x)
    assert hull.outside(np.ones((1, 3)))[0] > 0.5
    assert hull.outside(np.full((1, 3), 0.2))[0] < 0


def inside(x: np.ndarray, q: np.ndarray) -> bool:
    """Is q a convex combination of x? By linear programming."""
    found = linprog(np.zeros(len(x)), A_eq=np.vstack([x.T, np.ones(len(x))]), b_eq=np.append(q, 1))
    return found.status == 0


@pytest.mark.parametrize("columns", [2, 3, 6])
def test_what_is_outside_is_outside_of_the_hull_in_all_dimensions(columns: int):
    """The converse holds in up to three; in six, much that is not seen to be outside is."""
    rng = np.random.default_rng(columns)
    x, q = rng.normal(size=(60, columns)), 1.3 * rng.normal(size=(80, columns))
    flagged = Hull.fit(x).outside(q) > 0
    outside = ~np.array([inside(x, each) for each in q])
    assert 5 < outside.sum() < 80
    assert not (flagged & ~outside).any()
    if columns <= 3:
        np.testing.assert_array_equal(flagged, outside)
    else:
        assert flagged.sum() < outside.sum()


@pytest.mark.parametrize(
    ("n", "columns", "constant"), [(200, 6, False), (20, 80, False), (200, 6, True), (3, 5, False), (1, 4, True)]
)
@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_rounding_errors_put_nothing_of_the_hull_outside(n: int, columns: int, constant: bool, noise: float):
    """Neither training atoms nor the middle between two of them, with constant and dependent columns too."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, columns)) + 3
    if constant:
        x = np.column_stack([x, np.full(n, 7.0), x[:, 0] - 2 * x[:, 1]])
    middles = (x[rng.integers(n, size=500)] + x[rng.integers(n, size=500)]) / 2
    probes = np.concatenate([x, middles])
    assert Hull.fit(x).outside(probes * (1 + noise * rng.normal(size=probes.shape))).max() <= 0


def test_no_training_atom_is_outside_however_many_there_are(monkeypatch: pytest.MonkeyPatch):
    """All of them count, read in chunks, and chunks of copies too."""
    monkeypatch.setattr(standardised, "MOST_NUMBERS", 600)
    monkeypatch.setattr(whitening, "CHUNK", 70)
    rng = np.random.default_rng(1)
    training = TrainingFeatures()
    for f in range(40):
        features = np.tile(20 * rng.normal(size=4), (50, 1)) if f < 4 else rng.standard_t(3, size=(50, 4))
        training.append(features, np.full(50, 74))
    hull, rows = ConvexHull.fit(training).hulls[74], training.rows(74)
    assert hull.outside(rows).max() <= 0
    monkeypatch.undo()
    probes = 2 * rng.normal(size=(200, 4))
    np.testing.assert_allclose(hull.outside(probes), Hull.fit(rows).outside(probes), rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_flat_sets_have_ranges(n: int):
    x = np.random.default_rng(0).normal(size=(n, 5))
    hull = Hull.fit(x)
    assert hull.outside(x).max() < 1e-6
    assert hull.outside(x + 0.1).min() > 1
