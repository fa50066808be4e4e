"""Leverages against the diagonal of the hat matrix, and the laws of that diagonal."""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.rigidity.leverage import RIDGE, Leverage, LeverageFold

CU, AL = 29, 13


def of(leverage: Leverage, features: np.ndarray) -> np.ndarray:
    return leverage.of(features, np.full(len(features), CU))


def fold(*chunks: np.ndarray) -> LeverageFold:
    fold = LeverageFold()
    for chunk in chunks:
        fold.update(chunk, np.full(len(chunk), CU))
    return fold


RNG = np.random.default_rng(11)
FULL = {
    "square": RNG.normal(size=(5, 5)),
    "tall": RNG.normal(size=(80, 5)),
    "units far apart": RNG.normal(size=(80, 5)) * [1e-2, 1.0, 1e3, 30.0, 0.1],
    "correlated": RNG.normal(size=(80, 5)) @ (np.eye(5) + 3.0),
}
DEFICIENT = {
    "one atom": RNG.normal(size=(1, 5)),
    "fewer than features": RNG.normal(size=(3, 5)),
    "duplicated rows": np.repeat(RNG.normal(size=(2, 5)), 20, axis=0),
    "zero column": RNG.normal(size=(40, 5)) * [1, 1, 0, 1, 1],
    "two equal columns": RNG.normal(size=(40, 4))[:, [0, 1, 2, 3, 3]],
    "only constants": np.ones((30, 5)),
    "collinear columns": RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 5)),
    "rounding errors in a column": np.column_stack([RNG.normal(size=(40, 4)), 1e-16 * RNG.normal(size=40)]),
}


@pytest.mark.parametrize("name", FULL)
def test_the_diagonal_of_the_hat_matrix(name: str):
    """h = diag F (FᵀF)⁻¹ Fᵀ = row norms of an orthonormal basis of F's columns, here from a QR decomposition."""
    features = FULL[name]
    q, _ = np.linalg.qr(features)
    np.testing.assert_allclose(of(fold(features).result(), features), (q**2).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", FULL)
def test_of_new_environments_with_a_large_ridge(name: str):
    """`f (FᵀF + r diag FᵀF)⁻¹ f`, by solving the augmented least squares with `numpy.linalg.pinv`."""
    features, ridge = FULL[name], 0.05
    new = features[:3] * [2.0, -1.0, 0.5, 3.0, 1.0]
    gram = features.T @ features
    scale = 1 / np.sqrt(np.diag(gram))
    scaled = gram * scale * scale[:, None] + ridge * np.eye(5)
    expected = [f * scale @ np.linalg.pinv(scaled) @ (f * scale) for f in new]
    np.testing.assert_allclose(of(fold(features).result(ridge), new), expected, rtol=1e-10)


@pytest.mark.parametrize("name", FULL | DEFICIENT)
def test_the_sum_over_training_is_the_rank(name: str):
    features = (FULL | DEFICIENT)[name]
    scaled = features / np.maximum(np.abs(features).max(axis=0), 1e-9)
    rank = np.linalg.matrix_rank(scaled, tol=1e-6)
    h = of(fold(features).result(), features)
    assert h.sum() == pytest.approx(rank, abs=1e-5)
    assert np.all((h >= 0) & (h <= 1 + 1e-9))


def test_the_rows_of_a_square_set_have_leverage_one():
    features = FULL["square"]
    np.testing.assert_allclose(of(fold(features).result(), features), 1.0, rtol=1e-6)


def test_equal_environments_share_their_leverage():
    """n copies of each of two environments: 1/n each."""
    features = DEFICIENT["duplicated rows"]
    np.testing.assert_allclose(of(fold(features).result(), features), 1 / 20, rtol=1e-6)


@pytest.mark.parametrize("name", DEFICIENT)
def test_a_direction_that_is_not_spanned_gets_a_large_leverage(name: str):
    features = DEFICIENT[name]
    leverage = fold(features).result()
    _, s, vt = np.linalg.svd(features)
    basis = vt[: np.sum(s > 1e-9 * s[0])]
    for step in RNG.normal(size=(20, 5)):
        outside = step - basis.T @ (basis @ step)
        if np.linalg.norm(outside) > 1e-3:
            new = features[:1] + 0.01 * np.abs(features).max() * outside / np.linalg.norm(outside)
            assert 1e2 < of(leverage, new)[0] < np.inf


def test_rounding_errors_are_not_far_from_home():
    """In columns that are zero or rounding errors in training, a thousand times larger rounding errors."""
    for name in ("zero column", "rounding errors in a column"):
        features = DEFICIENT[name]
        leverage = fold(features).result()
        noisy = features + 1e-13 * RNG.normal(size=features.shape)
        np.testing.assert_allclose(of(leverage, noisy), of(leverage, features), rtol=1e-3)


def test_all_zero_features_are_no_division_by_zero():
    leverage = fold(np.zeros((4, 3))).result()
    assert of(leverage, np.zeros((1, 3))).tolist() == [0.0]
    assert of(leverage, np.ones((1, 3)))[0] > 1e6


GROWTH = {
    **{name: np.array_split(RNG.permutation(rows), 8) for name, rows in (FULL | DEFICIENT).items()},
    "a column wakes up, small": [RNG.normal(size=(10, 3)) * [1, 1, size] for size in (0, 0, 1e-7, 1e-5, 1e-2, 3.0)],
    "columns wake up one by one": [RNG.normal(size=(10, 3)) * row for row in np.tri(3)],
    "the smallest column shrinks the others' scale": [np.diag([1.0, 0, 0]), np.diag([0, 1e-4, 0]), np.eye(3)],
}


@pytest.mark.parametrize("ridge", [RIDGE, 1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("name", GROWTH)
def test_more_data_never_raises_a_leverage(name: str, ridge: float):
    """For the same relative ridge r: FᵀF + r diag(FᵀF) only grows, so no leverage of whatever environment rises."""
    chunks = [chunk for chunk in GROWTH[name] if len(chunk)]
    d = chunks[0].shape[1]
    probes = np.vstack([*chunks, np.eye(d), 1e-5 * np.eye(d), RNG.normal(size=(10, d)) * np.abs(chunks[0]).max()])
    before = np.full(len(probes), np.inf)
    for end in range(1, len(chunks) + 1):
        after = of(fold(*chunks[:end]).result(ridge), probes)
        # Rounding: the condition number of the scaled Gram matrix is up to D / ridge.
        assert np.all(after <= before * (1 + 1e-14 * d / ridge) + 1e-12)
        before = after


def test_chunks_do_not_count():
    features = FULL["tall"]
    whole = of(fold(features).result(), features)
    np.testing.assert_allclose(of(fold(*np.array_split(features, 9)).result(), features), whole, rtol=1e-8)


@pytest.mark.parametrize("name", FULL | DEFICIENT)
def test_merge_is_one_pass(name: str):
    features = (FULL | DEFICIENT)[name]
    a, b = fold(features[::2]), fold(features[1::2])
    b.update(RNG.normal(size=(9, 5)), np.full(9, AL))
    a.merge(b)
    merged = a.result()
    assert sorted(merged.factors) == [AL, CU]
    np.testing.assert_allclose(of(merged, features), of(fold(features).result(), features), rtol=1e-7)


@pytest.mark.parametrize("name", [*FULL, "collinear columns", "two equal columns", "fewer than features"])
def test_units_of_the_features_do_not_count(name: str):
    """Over eight orders of magnitude; at ten a column counts as rounding errors."""
    features = (FULL | DEFICIENT)[name]
    factor = np.array([1e-2, 7.0, 0.2, 1e2, 1.0])
    probes = np.vstack([features, features.mean(axis=0), RNG.normal(size=(3, 5)) * np.abs(features).max(axis=0)])
    plain, scaled = of(fold(features).result(), probes), of(fold(features * factor).result(), probes * factor)
    near = plain < 10.0
    np.testing.assert_allclose(scaled[near], plain[near], rtol=1e-4)
    np.testing.assert_allclose(scaled[~near], plain[~near], rtol=0.05)  # these are large because of the ridge


def test_species_have_their_own_matrices():
    features = RNG.normal(size=(60, 4)) * np.repeat([[1.0], [10.0]], 30, axis=0)
    numbers = np.repeat([CU, AL], 30)
    p = RNG.permutation(60)
    h = Leverage.fit(TrainingFeatures.of([(features[p], numbers[p])])).of(features, numbers)
    for part in (slice(0, 30), slice(30, 60)):
        q, _ = np.linalg.qr(features[part])
        np.testing.assert_allclose(h[part], (q**2).sum(axis=1), rtol=1e-6)


def test_an_unknown_species_is_infinitely_far():
    leverage = Leverage.fit(TrainingFeatures.of([(np.eye(3), np.full(3, CU))]))
    assert leverage.of(np.zeros((3, 3)), np.array([CU, AL, CU])).tolist() == [0.0, np.inf, 0.0]


def test_a_source_without_features_is_told_so():
    with pytest.raises(ValueError, match="leverage needs per-atom features, which this source does not have"):
        fold(np.eye(3)).result().values(Prediction(0.0, np.zeros((1, 3))), np.array([CU]))


def test_state_round_trip():
    leverage = fold(FULL["tall"]).result()
    again = Leverage.from_state(leverage.state())
    np.testing.assert_array_equal(of(again, FULL["correlated"]), of(leverage, FULL["correlated"]))
