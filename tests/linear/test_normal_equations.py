"""Streamed least squares against dense least squares, and the choice of the ridge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from assay.linear.normal_equations import BUFFER_ROWS, RIDGES, NormalEquations, choose_ridge


def dense(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """`argmin |y - xΘ|² + ridge |SᵀΘ|²`, S the norms of the columns, by least squares on augmented rows."""
    norms = np.linalg.norm(x, axis=0)
    augmented = np.vstack([x, np.sqrt(ridge) * np.diag(norms)])
    return np.linalg.lstsq(augmented, np.concatenate([y, np.zeros(len(norms))]), rcond=None)[0]


def accumulated(x: np.ndarray, y: np.ndarray, groups: int = 1, chunk: int = 97) -> NormalEquations:
    """Groups of consecutive rows, fed in chunks."""
    equations = NormalEquations(x.shape[1], groups)
    for group, rows in enumerate(np.array_split(np.arange(len(x)), groups)):
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            equations.update(group, x[part], y[part])
    return equations


def problem(n: int = 400, p: int = 12, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    return x, x @ (rng.normal(size=p) / np.linalg.norm(x, axis=0)) * np.sqrt(n) + noise * rng.normal(size=n)


@pytest.mark.parametrize(
    ("n", "ridge"), [(400, 1e-12), (400, 1e-6), (400, 1e-2), (12, 1e-6), (12, 1e-2), (5, 1e-6), (5, 1e-2)]
)
def test_solution_is_that_of_dense_ridge_regression(n, ridge):
    x, y = problem(n)
    theta = accumulated(x, y).system().solve(ridge)
    np.testing.assert_allclose(x @ theta, x @ dense(x, y, ridge), rtol=0, atol=1e-7)
    scale = np.linalg.norm(x, axis=0)
    np.testing.assert_allclose(
        theta * scale, dense(x, y, ridge) * scale, rtol=0, atol=1e-5 * np.abs(theta * scale).max()
    )


def test_columns_of_rounding_errors_get_no_coefficient():
    """They must not matter where they become real: metals know nothing of the columns of their alloys."""
    x, y = problem()
    noise = 1e-17 * np.abs(x).max() * np.random.default_rng(3).normal(size=(len(x), 5))
    system = accumulated(np.hstack([x, noise]), y).system()
    theta = system.stable_factor(1e-13).solve(system.moment)
    assert theta[-5:].tolist() == [0.0] * 5
    np.testing.assert_allclose(theta[:-5], accumulated(x, y).system().solve(1e-13), rtol=1e-12)
    small = accumulated(np.hstack([x, 1e-9 * np.random.default_rng(3).normal(size=(len(x), 1))]), y).system()
    assert small.solve(1e-13)[-1] != 0.0


@pytest.mark.parametrize("chunk", [1, 7, 400, 10_000])
@pytest.mark.parametrize("groups", [1, 3, 20])
def test_chunks_and_groups_do_not_matter(chunk, groups):
    x, y = problem()
    system = accumulated(x, y, groups, chunk).system()
    np.testing.assert_allclose(np.triu(system.gram), np.triu(x.T @ x), rtol=1e-12, atol=1e-12 * np.abs(x.T @ x).max())
    np.testing.assert_allclose(system.moment, x.T @ y, rtol=1e-9)
    assert system.square == pytest.approx(y @ y)


def test_more_rows_than_the_buffer_holds():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3 * BUFFER_ROWS + 17, 3)), rng.normal(size=3 * BUFFER_ROWS + 17)
    equations = accumulated(x, y, chunk=len(x))
    np.testing.assert_allclose(equations.system().solve(1e-12), np.linalg.lstsq(x, y, rcond=None)[0])
    assert equations.rows == len(x)


def test_groups_may_come_in_any_order():
    x, y = problem()
    equations = NormalEquations(12, 2)
    for i, group in enumerate(np.random.default_rng(1).integers(0, 2, 400)):
        equations.update(int(group), x[i : i + 1], y[i : i + 1])
    chosen = np.random.default_rng(1).integers(0, 2, 400) == 1
    system = equations.system(np.array([0.0, 1.0]))
    np.testing.assert_allclose(np.triu(system.gram), np.triu(x[chosen].T @ x[chosen]), rtol=1e-9, atol=1e-9)


def test_merge_is_a_single_pass():
    x, y = problem()
    one, two = NormalEquations(12, 3), NormalEquations(12, 3)
    for i in range(400):
        (one if i % 2 else two).update(i % 3, x[i : i + 1], y[i : i + 1])
    one.merge(two)
    for group in range(3):
        times = np.eye(3)[group]
        rows = np.arange(400) % 3 == group
        system = one.system(times)
        np.testing.assert_allclose(np.triu(system.gram), np.triu(x[rows].T @ x[rows]), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(system.moment, x[rows].T @ y[rows], rtol=1e-9)
        assert system.square == pytest.approx(y[rows] @ y[rows])
    assert one.rows == 400


def test_times_count_groups_as_repeated_rows():
    x, y = problem(90)
    times = np.array([2.0, 0.0, 3.0])
    parts = np.array_split(np.arange(90), 3)
    rows = np.concatenate([np.tile(part, int(n)) for part, n in zip(parts, times, strict=True)])
    system = accumulated(x, y, 3).system(times)
    np.testing.assert_allclose(np.triu(system.gram), np.triu(x[rows].T @ x[rows]), rtol=1e-9, atol=1e-9)
    assert system.loss(np.ones(12)) == pytest.approx(np.sum((y[rows] - x[rows] @ np.ones(12)) ** 2))


def test_repeated_rows_are_a_weight():
    x, y = problem(50)
    weights = np.random.default_rng(2).integers(1, 5, 50)
    repeated = accumulated(np.repeat(x, weights, axis=0), np.repeat(y, weights)).system().solve(1e-8)
    root = np.sqrt(weights)
    weighted = accumulated(x * root[:, None], y * root).system().solve(1e-8)
    np.testing.assert_allclose(repeated, weighted, rtol=1e-6)


def test_without_leaves_the_other_groups():
    x, y = problem()
    equations = accumulated(x, y, 4)
    rest = equations.system().without(equations.system(np.array([0.0, 1.0, 0.0, 0.0])))
    rows = np.r_[0:100, 200:400]
    assert rest.loss(np.ones(12)) == pytest.approx(np.sum((y[rows] - x[rows] @ np.ones(12)) ** 2))


# ---------------------------------------------------------------- what does not span


def test_column_of_zeros_has_no_coefficient():
    x, y = problem()
    x[:, 4] = 0.0
    theta = accumulated(x, y).system().solve(1e-10)
    assert theta[4] == 0.0
    rest = np.delete(np.arange(12), 4)
    np.testing.assert_allclose(theta[rest], dense(x[:, rest], y, 1e-10), rtol=1e-6)


@pytest.mark.parametrize("factor", [1.0, -1e3])
def test_equal_columns_share_their_coefficient(factor):
    x, y = problem()
    doubled = np.hstack([x, factor * x[:, :1]])
    alone = accumulated(x, y).system().solve(1e-9)
    theta = accumulated(doubled, y).system().solve(1e-9)
    assert theta[0] == pytest.approx(alone[0] / 2, rel=1e-5)
    assert factor * theta[-1] == pytest.approx(alone[0] / 2, rel=1e-5)


def test_ridge_has_no_units():
    x, y = problem()
    units = 10.0 ** np.random.default_rng(3).uniform(-6, 6, 12)
    theta = accumulated(x, y).system().solve(1e-3)
    np.testing.assert_allclose(accumulated(x * units, y).system().solve(1e-3) * units, theta, rtol=1e-9)
    np.testing.assert_allclose(accumulated(10 * x, 10 * y).system().solve(1e-3), theta, rtol=1e-9)


def test_rounding_errors_that_outweigh_the_ridge_are_noticed():
    x, y = problem(20, 3)
    with pytest.raises(LinAlgError):
        accumulated(np.hstack([x] * 30), y).system().solve(0.0)


# ---------------------------------------------------------------- the ridge


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    return np.vander(x, degree + 1, increasing=True)


def test_chosen_ridge_is_near_the_best_for_a_noisy_polynomial():
    """Degree 18 through 24 noisy points of sin 4x, 20 times: in the median, the error is below 1.5 times the least."""
    new = np.linspace(-0.9, 0.9, 200)
    chosen, smallest, largest = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, 24)
        equations = accumulated(powers(x, 18), np.sin(4 * x) + 0.1 * rng.normal(size=24), 10)
        thetas = {ridge: equations.system().solve(ridge) for ridge in RIDGES}
        errors = {ridge: np.std(powers(new, 18) @ theta - np.sin(4 * new)) for ridge, theta in thetas.items()}
        best = min(errors.values())
        chosen.append(errors[choose_ridge(equations)] / best)
        smallest.append(errors[RIDGES[0]] / best)
        largest.append(errors[RIDGES[-1]] / best)
    assert np.median(chosen) < 1.5
    assert np.median(smallest) > 10  # the choice matters
    assert np.median(largest) > 2


def test_clean_data_get_a_small_ridge_and_noise_a_large_one():
    x, clean = problem(200, noise=0.0)
    assert choose_ridge(accumulated(x, clean, 10)) < 1e-9
    few = np.random.default_rng(0).normal(size=(30, 25))
    noise = np.random.default_rng(1).normal(size=30)
    assert choose_ridge(accumulated(few, noise, 10)) == RIDGES[-1]


def test_ridge_agrees_with_cross_validation_by_hand():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, 40)
    rows, y = powers(x, 12), np.cos(3 * x) + 0.05 * rng.normal(size=40)
    group = np.repeat(np.arange(8), 5)
    scale = np.diag(np.linalg.norm(rows, axis=0))
    losses = []
    for ridge in RIDGES:
        loss = 0.0
        for fold in range(5):
            held = group % 5 == fold
            augmented = np.vstack([rows[~held], np.sqrt(ridge) * scale])
            theta = np.linalg.lstsq(augmented, np.concatenate([y[~held], np.zeros(13)]), rcond=None)[0]
            loss += np.sum((y[held] - rows[held] @ theta) ** 2)
        losses.append(loss)
    assert choose_ridge(accumulated(rows, y, 8)) == RIDGES[int(np.argmin(losses))]


def test_nothing_can_be_held_out_of_one_group():
    x, y = problem()
    assert choose_ridge(accumulated(x, y, 1)) == 1e-8


def test_a_column_that_hardly_shows_outside_one_group_does_no_harm():
    """Scaled by itself, a resample without that group would take rounding noise for a column like any other."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 10))
    group = np.repeat(np.arange(20), 100)
    x[:, 3] *= np.where(group == 7, 1.0, 1e-9)
    y = x @ np.ones(10) + 0.1 * rng.normal(size=2000)
    equations = accumulated(x, y, 20)
    ridge = choose_ridge(equations)
    without = np.ones(20)
    without[7] = 0.0
    assert np.abs(equations.system(without).solve(ridge)[3]) < 10
    np.testing.assert_allclose(equations.system().solve(ridge), np.ones(10), atol=0.05)
