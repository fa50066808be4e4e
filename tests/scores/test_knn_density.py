"""The adaptive k-nearest-neighbour density: DADApy's numbers, a known density, copies and few points."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference_dadapy import FILE, points
from scipy.stats import spearmanr

from assay.scores.density.knn_density import MOST_NEIGHBOURS, Density, NeighbourDensity
from assay.scores.density.nearest import Nearest
from assay.scores.features import standardised
from assay.scores.features.training import TrainingFeatures

DADAPY = json.loads(FILE.read_text(encoding="utf-8"))


def test_dimension_neighbours_and_density_are_those_of_dadapy():
    """DADApy has k* / n V where Grasselli et al., Eq. 32, have (k* − 1) / n V."""
    x, k = points(), np.array(DADAPY["neighbours"])
    density = Density.fit(x)
    assert density.dimension == pytest.approx(DADAPY["dimension"], rel=1e-6)
    distance, which = (each[:, 1:] for each in Nearest(x)(x, MOST_NEIGHBOURS + 1))
    np.testing.assert_array_equal(density._neighbours(distance, which), k)
    np.testing.assert_allclose(-density.beside(distance, which) + np.log(k / (k - 1)), DADAPY["log_density"], atol=1e-6)


def test_a_flat_density_is_its_value():
    """Uniform on a periodic square, seen in its middle: ρ = 1 / area, within four standard errors 1 / √k*."""
    rng = np.random.default_rng(0)
    square = rng.uniform(-1, 1, size=(20_000, 2))
    density = Density.fit(square)
    found = -density.minus_log(rng.uniform(-0.5, 0.5, size=(500, 2)))
    expected = np.log(1 / 4) + np.log(density.scale).sum()
    assert np.mean(found) == pytest.approx(expected, abs=0.05 + abs(density.dimension - 2) * 4)
    assert np.std(found) < 4 / np.sqrt(MOST_NEIGHBOURS)


def test_gaussian_points_rank_as_their_density():
    rng = np.random.default_rng(1)
    x, new = rng.normal(size=(5000, 4)), rng.normal(size=(1000, 4)) * 1.5
    assert spearmanr(Density.fit(x).minus_log(new), np.square(new).sum(axis=1))[0] > 0.97


def test_a_point_of_training_is_like_those_beside_it_and_copies_are_one():
    x = np.random.default_rng(2).normal(size=(300, 3))
    once, twice = Density.fit(x), Density.fit(np.repeat(x, 2, axis=0))
    found = once.minus_log(x)
    np.testing.assert_allclose(twice.minus_log(x), found, rtol=1e-9)
    np.testing.assert_allclose(found, once.minus_log(x + 1e-4), atol=0.01)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 10])
def test_with_few_points_density_falls_from_each_of_them(n: int):
    """Medians over many sets, at a point, right beside it, and a unit away, in any direction."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(100):
        x = rng.normal(size=(n, 4))
        density, direction = Density.fit(x), rng.normal(size=(n, 4))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        found.append([np.median(density.minus_log(x + s * direction)) for s in (0, 1e-3, 1)])
    at, beside, away = np.median(found, axis=0)
    assert at == pytest.approx(beside, abs=0.01) or n == 1
    assert max(at, beside) < away


def test_the_distances_of_neighbours_count_in_what_is_kept(monkeypatch: pytest.MonkeyPatch):
    training = TrainingFeatures()
    training.append(np.random.default_rng(5).normal(size=(2000, 4)), np.full(2000, 74))
    monkeypatch.setattr(standardised, "MOST_NUMBERS", 100_000)
    density = NeighbourDensity.fit(training).densities[74]
    assert 90_000 < density.points.size + density.radii.size <= 100_000


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 50])
def test_few_points(n: int):
    x = np.random.default_rng(3).normal(size=(n, 3))
    density = Density.fit(x)
    at_home, away = density.minus_log(x), density.minus_log(x + 100.0)
    assert np.isfinite(at_home).all()
    assert at_home.max() < away.min()


def test_far_is_farther_the_farther_it_is():
    x = np.random.default_rng(4).normal(size=(500, 6))
    away = Density.fit(x).minus_log(np.geomspace(10, 1e6, 30)[:, None] * np.ones(6))
    assert (np.diff(away) > 0).all()
