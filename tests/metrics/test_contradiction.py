"""When a reading is taken for what values are: never of right ones, always of wrong ones that predictions tell."""

from __future__ import annotations

import numpy as np
import pytest

from assay.metrics.contradiction import contradiction, losses, scale_of, scaled_losses, without_compositions


def held(rng: np.random.Generator, frames: int, noise: float, factor: float):
    """Losses of values `y = factor · truth` as they are, and read as `y / factor`, by noisy predictions."""
    truth = rng.normal(size=(frames, 12)) * rng.lognormal(0, 1, size=(frames, 1))
    predicted = truth + noise * rng.normal(size=truth.shape)
    return losses(factor * truth, predicted), losses(truth, predicted)


@pytest.mark.parametrize("factor", [-1.0, 160.2, 1 / 51.42, 23.06, -1602.0])
@pytest.mark.parametrize("noise", [0.05, 0.3, 0.5])
def test_a_wrong_unit_or_sign_is_found(factor, noise):
    found = contradiction(*held(np.random.default_rng(1), 60, noise, factor))
    assert found is not None
    assert found.share > 0.8
    assert found.other < 0.5 * found.as_is


def test_right_values_are_not_read_otherwise():
    """1,000 sets of 60 frames, from good predictions to those that know nothing: none contradicts."""
    rng = np.random.default_rng(2)
    for noise in rng.lognormal(0, 1.5, size=1000):
        truth = rng.normal(size=(60, 12))
        predicted = truth + noise * rng.normal(size=truth.shape)
        for factor in (-1.0, 160.2, 1 / 51.42, 23.06):
            assert contradiction(losses(truth, predicted), losses(factor * truth, predicted)) is None


def test_predictions_that_shrink_are_no_other_unit():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(60, 12))
    assert contradiction(losses(truth, 0.2 * truth), losses(truth / 23.06, 0.2 * truth)) is None


def test_few_frames_must_all_be_nearer_and_by_far():
    as_is = np.full(10, 0.9)
    assert contradiction(as_is, np.full(10, 0.1)) is not None
    assert contradiction(as_is, np.full(10, 0.4)) is None
    assert contradiction(as_is[:4], np.full(4, 0.1)) is None


def test_losses_are_0_for_equal_1_for_opposite_and_know_no_unit():
    y = np.random.default_rng(4).normal(size=(5, 3))
    np.testing.assert_allclose(losses(y, y), 0.0)
    np.testing.assert_allclose(losses(-y, y), 1.0)
    np.testing.assert_allclose(losses(7 * y, 7 * (y + 1)), losses(y, y + 1))
    assert np.isnan(losses(np.zeros((1, 3)), np.zeros((1, 3)))).all()
    p = y + 0.3
    sums = [(a * b).sum(axis=1) for a, b in ((y, y), (y, p), (p, p))]
    np.testing.assert_allclose(scaled_losses(*sums, factor=-2.5), losses(-2.5 * y, p))


def test_one_wild_value_changes_neither_scale_nor_compositions():
    rng = np.random.default_rng(5)
    fractions = rng.dirichlet([1, 1], size=40)
    energies = fractions @ [-3.0, -5.0] + 0.01 * rng.normal(size=40)
    wild = energies.copy()
    wild[7] *= -1e4
    clean = without_compositions(energies, fractions)
    np.testing.assert_allclose(np.delete(without_compositions(wild, fractions), 7), np.delete(clean, 7), atol=0.05)
    assert scale_of(without_compositions(wild, fractions)) < 20 * scale_of(clean)
