"""Bayesian ridge: scikit-learn's evidence maximum, and moments of the members."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge as Peer

from assay.linear.normal_equations import NormalEquations
from assay.linear.posteriors.bayesian_ridge import BayesianRidge


def equations(rows: np.ndarray, targets: np.ndarray) -> NormalEquations:
    found = NormalEquations(rows.shape[1], 1)
    found.update(0, rows, targets)
    return found


def problem(n: int = 300, p: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, p))
    rows /= np.linalg.norm(rows, axis=0)
    return rows, rows @ rng.normal(size=p) + 0.05 * rng.normal(size=n)


def test_the_evidence_maximum_of_scikit_learn():
    rows, targets = problem()
    options = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    peer = Peer(fit_intercept=False, tol=1e-12, max_iter=3000, **options).fit(rows, targets)
    ours = BayesianRidge(20_000).fit(equations(rows, targets), None, seed=0)
    assert ours.ridge == pytest.approx(peer.lambda_ / peer.alpha_, rel=1e-6)
    np.testing.assert_allclose(ours.theta, peer.coef_, rtol=1e-8)
    np.testing.assert_allclose(np.cov(ours.members.T), peer.sigma_, atol=0.05 * peer.sigma_.max())
    np.testing.assert_allclose(ours.members.mean(axis=0), peer.coef_, atol=5 * np.sqrt(peer.sigma_.max() / 20_000))


def test_units_of_columns_change_nothing():
    rows, targets = problem()
    scale = np.geomspace(1e-3, 1e3, 6)
    plain, scaled = (BayesianRidge(5).fit(equations(x, targets), None, seed=1) for x in (rows, rows * scale))
    np.testing.assert_allclose(scaled.theta * scale, plain.theta, rtol=1e-9)
    assert scaled.ridge == pytest.approx(plain.ridge, rel=1e-6)


def test_it_narrows_with_data_however_wrong_the_model():
    rng = np.random.default_rng(2)
    spread = []
    for n in (200, 20_000):
        rows = rng.normal(size=(n, 4))
        fit = BayesianRidge(400).fit(equations(rows, rows[:, 0] ** 3), None, seed=0)
        spread.append((fit.members - fit.theta).std())
    assert spread[1] == pytest.approx(spread[0] / 10, rel=0.35)


def test_collinear_columns_and_labels_of_zero():
    rows, targets = problem()
    doubled = BayesianRidge(10).fit(equations(np.hstack([rows, rows]), targets), None, seed=0)
    assert np.isfinite(doubled.members).all()
    with pytest.raises(ValueError, match="no evidence"):
        BayesianRidge().fit(equations(rows, np.zeros(len(rows))), None, seed=0)
