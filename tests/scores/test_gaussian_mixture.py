"""The mixture: a Gaussian's own density, an integral of one, how many Gaussians, and what leaves the span."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from assay.scores.density.gaussian_mixture import MOST_DIMENSIONS, Mixture
from assay.scores.features.whitening import Whitening


def mixed(seed: int, n: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, columns)) @ rng.normal(size=(columns, columns)) + 3.0


def test_one_gaussian_has_its_likelihood():
    x = mixed(0, 4000, 4)
    found = Mixture.fit(x)
    expected = -multivariate_normal(x.mean(axis=0), np.cov(x.T, ddof=0)).logpdf(x)
    assert len(found.weights) == 1
    units = np.linalg.slogdet(found.whitening.transform)[1]  # the density is per volume of the components
    np.testing.assert_allclose(found.minus_log(x) - units, expected, atol=5e-3)


def test_columns_beyond_the_mixture_are_one_gaussian():
    x = mixed(1, 3000, MOST_DIMENSIONS + 8)
    found = Mixture.fit(x)
    z = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, ddof=0))).T
    mahalanobis = 0.5 * np.square(z).sum(axis=1) + 0.5 * x.shape[1] * np.log(2 * np.pi)
    np.testing.assert_allclose(found.minus_log(x), mahalanobis, atol=0.02)


def test_clusters_are_found_and_the_density_integrates_to_one():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=(400, 2)) * 0.3 + 4 * np.array(c) for c in ((0, 0), (0, 1), (1, 0), (1, 1))])
    found = Mixture.fit(x)
    assert len(found.weights) == 4
    grid = np.stack(np.meshgrid(*[np.linspace(-3, 7, 300)] * 2), axis=-1).reshape(-1, 2)
    volume = (10 / 299) ** 2 * abs(np.linalg.det(found.whitening.transform))
    assert np.exp(-found.minus_log(grid)).sum() * volume == pytest.approx(1, abs=1e-3)
    assert found.minus_log(np.array([[2.0, 2.0]]))[0] > found.minus_log(x).max()  # between the four


def test_what_leaves_the_span_is_far():
    x = mixed(3, 200, 6)
    x = np.column_stack([x, x[:, 0] + x[:, 1]])
    found = Mixture.fit(x)
    assert found.whitening.spanned == 6
    off = x.copy()
    off[:, 6] += 1e-2
    assert found.minus_log(off).min() > 1000 * found.minus_log(x).max()


@pytest.mark.parametrize("columns", [4, MOST_DIMENSIONS + 4])
def test_rounding_errors_of_a_constant_column_do_not_count(columns: int):
    x = np.column_stack([mixed(6, 500, columns), np.full(500, 7.0)])
    found, moved = Mixture.fit(x), x.copy()
    moved[:, -1] *= 1 + 1e-10
    np.testing.assert_allclose(found.minus_log(moved), found.minus_log(x), atol=1e-6)
    moved[:, -1] = 7.07
    assert found.minus_log(moved).min() > 1e6


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_atoms(n: int):
    x = mixed(4, n, 8)
    found = Mixture.fit(x)
    assert found.whitening.spanned == n - 1
    assert found.minus_log(x + 1.0).min() > found.minus_log(x).max()


def test_components_have_unit_spread_and_an_orthogonal_span():
    x = mixed(5, 500, 5) * np.geomspace(1e-3, 1e3, 5)
    z = Whitening.fit(x)(x)
    np.testing.assert_allclose(z.T @ z / 500, np.eye(5), atol=1e-9)
