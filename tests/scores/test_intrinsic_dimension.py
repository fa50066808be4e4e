"""TwoNN on manifolds of known dimension, on points whose ratios are known, and beside DADApy."""

from __future__ import annotations

import numpy as np
import pytest

from assay.scores.density.intrinsic_dimension import dimension, two_nn
from assay.scores.density.nearest import Nearest


def estimate(points: np.ndarray) -> float:
    near = Nearest(points)(points, 3)[0]
    return two_nn(near[:, 1], near[:, 2])


def embedded(d: int, columns: int = 12, n: int = 3000) -> np.ndarray:
    """A torus of dimension d, which has no edges, bent into more columns."""
    rng = np.random.default_rng(d)
    angles = rng.uniform(0, 2 * np.pi, size=(n, d))
    circles = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    turned = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    return np.pad(circles, ((0, 0), (0, columns - 2 * d))) @ turned


@pytest.mark.parametrize("d", [1, 2, 4])
def test_a_torus_has_its_dimension(d: int):
    """The estimate is a slope over 2700 ratios: 5 % is more than twice its standard error, d / √n."""
    assert estimate(embedded(d)) == pytest.approx(d, rel=0.05)


@pytest.mark.parametrize("d", [1.5, 7.0])
def test_ratios_of_a_pareto_law_give_its_exponent(d: float):
    """P(μ) = 1 − μ^−d at its exact quantiles i / n is a straight line of slope d."""
    n = 500
    ratios = (1 - np.arange(1, n + 1) / (n + 1e-9)) ** (-1 / d)
    assert two_nn(np.ones(n), ratios) == pytest.approx(d, rel=1e-6)


def test_scale_does_not_count():
    points = embedded(2, n=300)
    assert estimate(1e-4 * points) == pytest.approx(estimate(points), rel=1e-6)


def test_grids_and_single_points_say_so_and_have_what_they_could_span():
    with pytest.raises(ValueError, match="needs at least two"):
        two_nn(np.ones(100), np.ones(100))
    with pytest.raises(ValueError, match="0 different ratios"):
        two_nn(np.ones(1), 2 * np.ones(1))
    assert dimension(np.ones(100), np.ones(100), 5) == 5
    assert dimension(np.ones(3), np.array([1.05, 1.06, 1.07]), 5) == 2
    assert dimension(np.ones(100), np.linspace(1.0, 1.001, 100), 5) == 5
