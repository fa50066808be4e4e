"""POPS: closed forms, the published implementation, laws, and degenerate rows."""

from __future__ import annotations

import numpy as np
import pytest

from assay.linear.normal_equations import Factor, NormalEquations, System
from assay.linear.posteriors.pops import Corrections, Hypercube
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.rows_file import RowsFile


def problem(seed: int = 0, n: int = 400, p: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Rows of different scales, and labels that no coefficients match."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, p)) * np.geomspace(0.01, 30, p)
    return rows, np.tanh(rows @ rng.normal(size=p)) + 0.1 * rows[:, 0] ** 2


def fitted(rows: np.ndarray, targets: np.ndarray, ridge: float = 1e-8) -> tuple[Factor, np.ndarray, System]:
    equations = NormalEquations(rows.shape[1], 1)
    equations.update(0, rows, targets)
    system = equations.system()
    factor = system.factor(ridge)
    return factor, factor.solve(system.moment), system


def corrections(rows: np.ndarray, targets: np.ndarray, ridge: float = 1e-8, **options: float) -> Corrections:
    factor, theta, _ = fitted(rows, targets, ridge)
    return Corrections.fit(rows, targets, factor, theta, **options)


def test_a_correction_matches_its_label_at_the_least_increase_of_the_loss():
    """Against `min ‖Θ − Θ*‖_G subject to x·Θ = y` as a dense system with a Lagrange multiplier."""
    rows, targets = problem()
    factor, theta, system = fitted(rows, targets)
    found = Corrections.fit(rows, targets, factor, theta).of(np.arange(20))
    gram = np.triu(system.gram) + np.triu(system.gram, 1).T + 1e-8 * np.diag(system.scale**-2.0)
    for i, delta in enumerate(found):
        kkt = np.block([[gram, rows[i, :, None]], [rows[i, None], np.zeros((1, 1))]])
        expected = np.linalg.solve(kkt, np.append(np.zeros(len(theta)), targets[i] - rows[i] @ theta))[:-1]
        np.testing.assert_allclose(delta, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
        assert rows[i] @ (theta + delta) == pytest.approx(targets[i], abs=1e-10)


@pytest.mark.parametrize("percentile", [0.0, 50.0])
@pytest.mark.parametrize("clipping", [0.0, 1.3, 30.0])
def test_the_same_numbers_as_popsregression(percentile: float, clipping: float):
    """popsregression 0.4.0 on columns of unit norm (it has one ridge for all of them)."""
    pops = pytest.importorskip("popsregression")
    rows, targets = problem(n=3000)
    rows /= np.linalg.norm(rows, axis=0)
    peer = pops.POPSRegression(leverage_percentile=percentile, percentile_clipping=clipping).fit(rows, targets)
    factor, theta, _ = fitted(rows, targets, ridge=peer.lambda_ / peer.alpha_)
    np.testing.assert_allclose(rows @ theta, rows @ peer.coef_, atol=1e-8 * np.abs(targets).max())
    ours = Corrections.fit(rows, targets, factor, theta, leverage_percentile=percentile, negligible=0.0)
    np.testing.assert_array_equal(ours.used, peer._leverage_mask)
    np.testing.assert_allclose(ours.leverage, peer._leverage_scores, rtol=1e-8)
    used = np.flatnonzero(ours.used)
    np.testing.assert_allclose(ours.of(used), peer._pointwise_correction[used], rtol=1e-8, atol=1e-10)
    box = Hypercube.fit(ours, percentile_clipping=clipping, metric="coefficients")
    axes, (low, high) = peer._hypercube_support.T, peer._hypercube_bounds
    sign = np.sign(np.sum(box.axes * axes, axis=1))
    np.testing.assert_allclose(box.axes, sign[:, None] * axes, atol=1e-8)
    np.testing.assert_allclose(box.lower, np.where(sign > 0, low, -high), rtol=1e-8)
    np.testing.assert_allclose(box.upper, np.where(sign > 0, high, -low), rtol=1e-8)
    drawn = box.draw(20_000, seed=1)
    covariance = axes.T @ np.diag((high - low) ** 2 / 12) @ axes  # of the peer's box, in closed form
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5 * (low + high) @ axes, atol=5 * drawn.std() / 20_000**0.5)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05 * covariance.max())


@pytest.mark.parametrize("metric", ["loss", "coefficients"])
def test_the_box_bounds_every_correction_and_no_more(metric: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("assay.linear.posteriors.pops.BLOCK", 8)  # axes finish after different numbers of blocks
    rows, targets = problem(n=5000)
    ours = corrections(rows, targets)
    box = Hypercube.fit(ours, metric=metric)
    along = ours.of(np.flatnonzero(ours.used)) @ np.linalg.pinv(box.axes)
    np.testing.assert_allclose(along.min(axis=0), box.lower, rtol=1e-7)
    np.testing.assert_allclose(along.max(axis=0), box.upper, rtol=1e-7)


def test_axes_of_the_loss_do_not_know_how_features_were_combined():
    rows, targets = problem()
    mixing = np.random.default_rng(1).normal(size=(12, 12))
    spread = []
    for features in (rows, rows @ mixing):
        box = Hypercube.fit(corrections(features, targets, ridge=1e-13))
        spread.append(np.sort(box.upper - box.lower))
    np.testing.assert_allclose(*spread, rtol=1e-3)


def test_the_weight_of_a_row_cancels_in_its_own_correction():
    rows, targets = problem()
    factor, theta, _ = fitted(rows, targets)
    plain = Corrections.fit(rows, targets, factor, theta).of(np.arange(9))
    heavy = Corrections.fit(7 * rows, 7 * targets, factor, theta).of(np.arange(9))
    np.testing.assert_allclose(heavy, plain, rtol=1e-12)


def ends(box: Hypercube) -> np.ndarray:
    """How far the box reaches along each axis, the farther end first, `(2, K)`: the sign of an axis is arbitrary."""
    return np.sort([box.upper, -box.lower], axis=0)[::-1]


def test_rows_that_say_nothing_take_no_part():
    """Zero rows, rows of rounding errors with noise as labels, and exactly fitted rows leave the box as it was."""
    rows, targets = problem()
    theta = np.linalg.lstsq(rows, targets)[0]
    extra = np.concatenate([np.zeros((3, 12)), 1e-12 * rows[:5], rows[:2]])
    labels = np.concatenate([np.full(3, 0.1), np.full(5, 0.1), rows[:2] @ theta])
    factor, best, _ = fitted(rows, targets)
    plain = Hypercube.fit(Corrections.fit(rows, targets, factor, best))
    more = Corrections.fit(np.vstack([rows, extra]), np.append(targets, labels), factor, best)
    assert more.used.tolist() == [True] * 400 + [False] * 8 + [True] * 2
    np.testing.assert_allclose(ends(Hypercube.fit(more)), ends(plain), rtol=1e-6)


def test_columns_that_are_zero_or_repeated():
    rows, targets = problem()
    wide = np.hstack([rows, np.zeros((len(rows), 1)), rows[:, :2]])
    box = Hypercube.fit(corrections(wide, targets))
    members = box.draw(50)
    assert np.isfinite(members).all()
    assert (members[:, 12] == 0).all()
    narrow = Hypercube.fit(corrections(rows, targets))
    np.testing.assert_allclose(np.sort(box.upper - box.lower)[-12:], np.sort(narrow.upper - narrow.lower), rtol=1e-4)


def test_a_perfect_fit_has_no_posterior():
    rows, _ = problem()
    with pytest.raises(ValueError, match="no misspecification"):
        Hypercube.fit(corrections(rows, np.zeros(len(rows))))
    with pytest.raises(ValueError, match="has a correction"):
        corrections(np.zeros((5, 3)), np.ones(5))


@pytest.mark.parametrize("sampling", ["uniform", "sobol", "latin"])
def test_members_fill_the_box(sampling: str):
    box = Hypercube(np.eye(4), np.array([-1.0, 0.0, 2.0, -3.0]), np.array([1.0, 0.5, 3.0, 9.0]))
    drawn = box.draw(1024, seed=3, sampling=sampling)
    np.testing.assert_array_equal(drawn, box.draw(1024, seed=3, sampling=sampling))
    assert (drawn >= box.lower).all()
    assert (drawn <= box.upper).all()
    t = (drawn - box.lower) / (box.upper - box.lower)
    np.testing.assert_allclose(t.mean(axis=0), 0.5, atol=0.04)
    np.testing.assert_allclose(t.var(axis=0), 1 / 12, rtol=0.1)
    if sampling != "uniform":  # one member in every one of 1024 slices, along each axis
        assert all(len(np.unique((column * 1024).astype(int))) == 1024 for column in t.T)


def test_the_ensemble_is_made_of_corrections_of_single_labels():
    rows, targets = problem()
    ours = corrections(rows, targets)
    drawn = ours.drawn(30, seed=0)
    matched = np.abs((rows @ drawn.T) - ours.residual[:, None]) < 1e-9
    assert matched.any(axis=0).all()


def test_settings_are_checked():
    for bad in ({"form": "cube"}, {"sampling": "halton"}, {"metric": "l2"}, {"leverage_percentile": 100}):
        with pytest.raises(ValueError, match="pops"):
            Pops(**bad)
    with pytest.raises(ValueError, match="percentile"):
        Hypercube.fit(corrections(*problem()), percentile_clipping=50)


def test_as_a_posterior_from_a_file_of_rows():
    """500 members enclose the labels of misspecified training data that a bootstrap would not."""
    rows, targets = problem(n=2000)
    equations, kept = NormalEquations(12, 5), RowsFile(12)
    for g in range(5):
        equations.update(g, rows[g::5], targets[g::5])
        kept.append(rows[g::5], targets[g::5])
    fit = Pops(members=500).fit(equations, kept, seed=0)
    told = rows @ fit.members.T
    outside = (targets < told.min(axis=1)) | (targets > told.max(axis=1))
    assert outside.mean() < 0.02
    np.testing.assert_allclose(fit.theta, np.linalg.lstsq(rows, targets)[0], rtol=1e-2, atol=1e-3)
