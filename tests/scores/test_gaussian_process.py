"""Gaussian processes against scikit-learn's, closed forms, and the laws of conditional variances."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RationalQuadratic
from sklearn.preprocessing import StandardScaler

from assay.scores.features.training import TrainingFeatures
from assay.scores.features.whitening import FLOOR, Whitening
from assay.scores.rigidity.gaussian_process import (
    DISTINCT,
    ENTRIES,
    MOST,
    NOISE,
    GaussianProcess,
    Process,
    ProcessFold,
    fit_process,
    inducing,
    kernel,
)

W, MO = 74, 42
RNG = np.random.default_rng(5)
TRAIN = RNG.normal(size=(120, 4)) @ RNG.normal(size=(4, 4)) + 3.0
NEW = RNG.normal(size=(40, 4)) @ RNG.normal(size=(4, 4)) + 3.0


def in_units_of_length(process: Process, features: np.ndarray) -> np.ndarray:
    return (features - process.mean) @ process.transform


def fold(features: np.ndarray, inducing_atoms: np.ndarray, whitening: Whitening | None = None) -> ProcessFold:
    made = ProcessFold(whitening or Whitening.fit(TRAIN), inducing_atoms)
    made.update(features)
    return made


def test_the_exact_process_is_that_of_scikit_learn():
    process = fit_process(TRAIN)
    assert len(process.points) == len(TRAIN)
    peer = GaussianProcessRegressor(RationalQuadratic(1.0, 1.0), alpha=NOISE**2, optimizer=None)
    peer.fit(in_units_of_length(process, TRAIN), np.zeros(len(TRAIN)))
    probes = np.concatenate([TRAIN, NEW, 10.0 * NEW])
    _, expected = peer.predict(in_units_of_length(process, probes), return_std=True)
    np.testing.assert_allclose(process.std(probes), expected, rtol=1e-6)


def test_few_inducing_atoms_are_the_equation_of_fitc():
    """Eq. 23 of Quiñonero-Candela and Rasmussen, by explicit inverses."""
    process = fit_process(TRAIN, 15)
    f, x = in_units_of_length(process, TRAIN), in_units_of_length(process, NEW)
    kuu, kuf, kux = (kernel(process.points, each) for each in (process.points, f, x))
    noise = 1.0 - np.einsum("uf,uf->f", kuf, np.linalg.solve(kuu, kuf)) + NOISE**2
    difference = np.linalg.inv(kuu) - np.linalg.inv(kuu + kuf / noise @ kuf.T)
    np.testing.assert_allclose(process.std(NEW) ** 2, 1.0 - np.einsum("ux,uv,vx->x", kux, difference, kux), rtol=1e-8)


def test_more_inducing_atoms_come_closer_to_the_exact_process():
    exact = fit_process(TRAIN).std(NEW)
    errors = [np.abs(fit_process(TRAIN, most).std(NEW) - exact).max() for most in (5, 40, 110, 120)]
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] == 0.0


def test_one_atom_is_the_closed_form():
    """`σ² = 1 − k² / (1 + σ_n²)`, and at the atom itself, copied n times, `σ_n² / (n + σ_n²)`."""
    whitening = Whitening(np.zeros(1), np.eye(1), np.ones(1), 1, 1.0)  # ℓ = √2
    process = fold(np.zeros((1, 1)), np.zeros((1, 1)), whitening).result()
    k = 1.0 / (1.0 + np.array([0.0, 1.0, 2.0]) ** 2 / 4.0)
    np.testing.assert_allclose(process.std(np.array([[0.0], [1.0], [2.0]])) ** 2, 1.0 - k**2 / (1.0 + NOISE**2))
    copies = fold(np.zeros((1000, 1)), np.zeros((1, 1)), whitening).result()
    assert copies.std(np.zeros((1, 1)))[0] ** 2 == pytest.approx(NOISE**2 / (1000 + NOISE**2), rel=1e-5)


@pytest.mark.parametrize("most", [10, 200])
def test_more_atoms_never_raise_a_variance(most: int):
    whitening = Whitening.fit(TRAIN)
    points = TRAIN[inducing(whitening(TRAIN), most)]
    probes = np.concatenate([TRAIN, NEW, 5.0 * NEW])
    before = np.full(len(probes), np.inf)
    for n in (1, 2, 30, 31, 90, 120):
        after = fold(TRAIN[:n], points, whitening).result().std(probes)
        assert np.all(after <= before + 1e-12)
        before = after
    assert before.max() < 1.0


def test_chunks_and_merges_are_one_pass():
    points = TRAIN[::9]
    first, second = fold(TRAIN[:70], points), fold(TRAIN[70:90], points)
    second.update(TRAIN[90:])
    first.merge(second)
    np.testing.assert_allclose(first.result().std(NEW), fold(TRAIN, points).result().std(NEW), rtol=1e-9)


def test_far_away_is_the_prior_and_farther_is_more():
    """Also far from all inducing atoms of a sparse process, where Nyström features alone would vanish."""
    for most in (5, 200):
        far = fit_process(TRAIN, most).std(TRAIN.mean(axis=0) + np.outer([3.0, 10.0, 100.0, 1000.0], np.ones(4)))
        assert np.all(np.diff(far) > 0)
        assert 0.999999 < far[-1] < 1.0


def test_any_invertible_combination_of_the_features_says_the_same():
    mix = RNG.normal(size=(4, 4)) * [0.1, 1.0, 1e3, 10.0]
    for most in (20, 200):
        plain = fit_process(TRAIN, most).std(NEW)
        np.testing.assert_allclose(fit_process(TRAIN @ mix, most).std(NEW @ mix), plain, rtol=1e-5)


def test_whitened_training_atoms_have_unit_covariance_and_a_constant_counts_by_its_floor():
    rows = np.column_stack([TRAIN, TRAIN[:, 0] + TRAIN[:, 1], np.full(len(TRAIN), 7.0)])
    whitening = Whitening.fit(rows)
    assert whitening.rank == pytest.approx(4.0, abs=1e-3)
    t = whitening(rows)
    np.testing.assert_allclose(np.linalg.eigvalsh(t.T @ t / len(t)), [0, 0, 1, 1, 1, 1], atol=1e-6)
    moved = rows[:1].copy()
    moved[0, 5] += 0.07  # 1 % of a constant
    assert np.linalg.norm(whitening(moved) - whitening(rows[:1])) == pytest.approx(0.01 / FLOOR, rel=1e-6)


@pytest.mark.parametrize(
    ("rows", "rank"), [(np.full((9, 3), 2.0), 0), (TRAIN[:1], 0), (np.repeat(TRAIN[:2], 5, axis=0), 1)]
)
def test_fewer_kinds_of_atoms_than_features(rows: np.ndarray, rank: int):
    assert Whitening.fit(rows).rank == pytest.approx(rank, abs=1e-3)
    process = fit_process(rows)
    assert len(process.points) == len(np.unique(rows, axis=0))
    assert process.std(rows).max() < NOISE
    assert process.std(1.001 * rows).min() > 0.99


def test_inducing_atoms_are_the_pivots_of_a_cholesky_factorisation():
    """The variance of each given those before, by explicit conditioning; copies are left out."""
    points = Whitening.fit(TRAIN)(TRAIN)
    chosen = inducing(np.concatenate([points, points]), 12)
    k = kernel(points, points)
    for m in range(1, 12):
        u = chosen[:m]
        variance = 1.0 - np.einsum("ui,ui->i", k[u], np.linalg.solve(k[np.ix_(u, u)], k[u]))
        assert variance[chosen[m]] == pytest.approx(variance.max(), rel=1e-9)
    assert len(inducing(np.concatenate([points, points]), 500)) == len(points)


def test_no_atom_is_chosen_twice_though_its_distance_to_itself_is_rounded():
    """Far from the mean, `|x|² + |y|² − 2 xy` of an atom and itself is not 0, nor is the variance that it leaves."""
    points = 1e6 + 0.1 * RNG.normal(size=(50, 4))
    assert 1.0 - kernel(points, points).diagonal().min() > DISTINCT
    chosen = inducing(points, 50)
    assert len(np.unique(chosen)) == len(chosen)


def test_principal_components_come_first():
    """As scikit-learn's of standardised columns; the constant column is not spanned."""
    rows = np.column_stack([TRAIN * [1e-3, 1.0, 30.0, 1e4], np.full(len(TRAIN), 7.0)])
    whitening = Whitening.fit(rows)
    assert whitening.spanned == 4
    expected = PCA(whiten=True).fit_transform(StandardScaler().fit_transform(rows[:, :4]))
    cosines = whitening(rows)[:, :4].T @ expected / len(rows)
    np.testing.assert_allclose(np.abs(cosines), np.eye(4), atol=0.01)


def test_many_species_share_the_memory():
    training = TrainingFeatures()
    for z in range(1, 81):
        training.append(RNG.normal(size=(200, 8)), np.full(200, z))
    processes = GaussianProcess.fit(training).processes
    assert sum(process.root.size for process in processes.values()) <= ENTRIES
    assert min(len(process.points) for process in processes.values()) > 100
    assert max(len(process.points) for process in processes.values()) < MOST


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="features of training atoms are not finite"):
        fit_process(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="no training atoms"):
        fit_process(np.empty((0, 3)))
