"""Prediction rigidities against their definition, scikit-matter's numbers, and what energies can't tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.rigidity.prediction_rigidity import (
    ComponentPredictionRigidity,
    Information,
    LocalPredictionRigidity,
    energy_rows,
    prediction_rigidity,
)

W, MO, TA = 74, 42, 73
D = 3
RNG = np.random.default_rng(12)
FRAMES = [
    (RNG.normal(size=(n, D)) + 1.0, RNG.permutation(np.r_[W, MO, RNG.choice([W, MO], size=n - 2)]))
    for n in RNG.integers(2, 9, size=40)
]


def training(frames: list[tuple[np.ndarray, np.ndarray]]) -> TrainingFeatures:
    made = TrainingFeatures()
    for features, numbers in frames:
        made.append(features, numbers)
    return made


def columns(features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Features in the columns of their species (Mo before W), `(A, 2 D)`."""
    return np.hstack([features * (numbers == z)[:, None] for z in (MO, W)])


def rows(frames: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return np.array([columns(*frame).mean(axis=0) for frame in frames])


def test_the_rows_are_those_of_energies_per_atom():
    np.testing.assert_allclose(energy_rows(training(FRAMES)), rows(FRAMES), rtol=1e-12)


def test_local_and_component_wise_by_the_pseudoinverse():
    inverse = np.linalg.pinv(rows(FRAMES).T @ rows(FRAMES))
    local = LocalPredictionRigidity.fit(training(FRAMES))
    component = ComponentPredictionRigidity.fit(training(FRAMES))
    for features, numbers in FRAMES[:9]:
        g = columns(features, numbers)
        found = local.values(Prediction(features=features), numbers)
        np.testing.assert_allclose(found, np.einsum("ip,pq,iq->i", g, inverse, g), rtol=1e-6)
        shares = {z: g[numbers == z].sum(axis=0) / len(g) for z in (MO, W)}
        expected = {z: x @ inverse @ x for z, x in shares.items()}
        assert component.of_species(features, numbers) == pytest.approx(expected, rel=1e-6)
        assert component.values(Prediction(features=features), numbers)[0] == pytest.approx(max(expected.values()))


@pytest.mark.parametrize("count", [1, 3, 6, 40])
@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
def test_fewer_frames_than_columns_by_the_equation(count: int, ridge: float):
    """`H = XᵀX + ridge diag(XᵀX)`, whole and its block of a species."""
    x = RNG.normal(size=(count, 6)) + 1.0
    g = RNG.normal(size=(8, 6))
    inverse = np.linalg.inv(x.T @ x + ridge * np.diag((x**2).sum(axis=0)))
    information = Information.fit(x, ridge)
    np.testing.assert_allclose(information.inverse_rigidity(g), np.einsum("ip,pq,iq->i", g, inverse, g), rtol=1e-8)
    upper = information.block(slice(2, 5))
    assert upper.shape == (3, 3)
    np.testing.assert_allclose(upper.T @ upper, inverse[2:5, 2:5], rtol=1e-7, atol=1e-9 * inverse.max())


def test_rigidity_is_what_a_change_costs():
    """The least `½ Σ (x_Fᵀ v)²` over the changes v of the coefficients with `gᵀ v = ε`, by its Lagrange equations."""
    x, epsilon = rows(FRAMES), 0.1
    g = columns(*FRAMES[0])
    hessian = x.T @ x
    for one, rigidity in zip(g, prediction_rigidity(x, g), strict=True):
        system = np.block([[hessian, one[:, None]], [one[None], np.zeros((1, 1))]])
        v = np.linalg.solve(system, np.r_[np.zeros(2 * D), epsilon])[: 2 * D]
        assert one @ v == pytest.approx(epsilon)
        assert 0.5 * v @ hessian @ v == pytest.approx(0.5 * rigidity * epsilon**2, rel=1e-6)


def test_it_is_the_variance_of_what_energies_predict():
    """Least squares on energies with unit noise, drawn often: `1 / R` to 5 standard errors."""
    x, g = rows(FRAMES), columns(*FRAMES[0])
    draws = 20_000
    predicted = np.linalg.lstsq(x, RNG.normal(size=(len(x), draws)), rcond=None)[0].T @ g.T
    ratio = predicted.var(axis=0, ddof=1) * prediction_rigidity(x, g)
    assert np.abs(ratio - 1.0).max() < 5 * np.sqrt(2 / draws)


LOCAL = [0.05856736, 0.2851123676, 0.265403086, 0.0515463138, 0.0040716027, 0.012306441, 0.0196941177, 0.003634637]
COMPONENTS = [[0.1951467837, 0.2072839457], [0.2243571243, 0.2587590115]]


def test_the_numbers_of_scikit_matter():
    """`local_prediction_rigidity(X, X[:2], 0.0)` and `componentwise_prediction_rigidity(X, X[:2], 0.0, [2, 2])` of
    skmatter 0.4.1, X the arrays below (six frames of four atoms, two components of two columns)."""
    frames = [np.sin(1.7 * np.arange(16) * (f + 1) + f).reshape(4, 4) + 0.5 for f in range(6)]
    x = np.array([f.mean(axis=0) for f in frames])
    local = prediction_rigidity(x, np.concatenate(frames[:2]))
    np.testing.assert_allclose(local, LOCAL, rtol=1e-6)
    of_component = [prediction_rigidity(x, x[:2] * mask) for mask in ([1, 1, 0, 0], [0, 0, 1, 1])]
    np.testing.assert_allclose(np.transpose(of_component), COMPONENTS, rtol=1e-6)


def test_rigidities_of_parts_add_up_with_their_covariance():
    """`1/R(a + b) + 1/R(a − b) = 2/R(a) + 2/R(b)`, and `1/R(c a) = c²/R(a)`: 1/R is a quadratic form."""
    x = rows(FRAMES)
    whole = columns(*FRAMES[3]).mean(axis=0)
    a, b = whole * (np.arange(2 * D) < D), whole * (np.arange(2 * D) >= D)
    plus, minus, of_a, of_b, of_3a = 1.0 / prediction_rigidity(x, np.array([a + b, a - b, a, b, 3.0 * a]))
    assert plus + minus == pytest.approx(2.0 * (of_a + of_b), rel=1e-9)
    assert of_3a == pytest.approx(9.0 * of_a, rel=1e-9)
    assert plus <= 1.0  # a training frame


def test_training_frames_share_the_rank():
    """`Σ_F x_Fᵀ H⁻¹ x_F = rank`; with one species that is the component-wise score of frames."""
    one = [(features, np.full(len(features), W)) for features, _ in FRAMES]
    score = ComponentPredictionRigidity.fit(training(one))
    assert sum(score.values(Prediction(features=f), z)[0] for f, z in one) == pytest.approx(D, abs=1e-6)


def test_a_frame_of_equal_atoms_knows_their_energy():
    crystal = [(np.tile(f[:1], (4, 1)), np.full(4, W)) for f, _ in FRAMES]
    score = LocalPredictionRigidity.fit(training(crystal))
    assert max(score.values(Prediction(features=f), z).max() for f, z in crystal) <= 1.0


def test_species_in_one_proportion_have_no_energy_of_their_own():
    """W and Mo of one kind each, always 1 : 1: their sum is known, neither of them is. Another proportion tells."""
    w, mo = np.array([[1.0, 0.2]]), np.array([[0.3, 1.0]])
    same = [(np.concatenate([w] * n + [mo] * n), np.repeat([W, MO], n)) for n in (1, 2, 3)]
    other = (np.concatenate([w, w, mo]), np.array([W, W, MO]))
    pair = Prediction(features=np.concatenate([w, mo]))
    blind = LocalPredictionRigidity.fit(training(same)).values(pair, np.array([W, MO]))
    seen = LocalPredictionRigidity.fit(training([*same, other])).values(pair, np.array([W, MO]))
    assert blind.min() > 1e6
    assert seen.max() < 100.0
    x = energy_rows(training(same))
    assert prediction_rigidity(x, np.array([[0.3, 1.0, 1.0, 0.2]]))[0] > 0.5


def test_more_frames_never_raise_a_score():
    probes = Prediction(features=np.concatenate([f for f, _ in FRAMES]))
    numbers = np.concatenate([z for _, z in FRAMES])
    before = np.full(len(numbers), np.inf)
    for count in (2, 5, 6, 20, 40):
        after = LocalPredictionRigidity.fit(training(FRAMES[:count])).values(probes, numbers)
        assert np.all(after <= before * (1 + 1e-5))
        before = after


def test_a_species_that_is_only_in_other_frames():
    """Columns of Ta are not those of Mo and W, which stay as they are."""
    tantalum = [(RNG.normal(size=(4, D)), np.full(4, TA)) for _ in range(9)]
    features, numbers = FRAMES[0]
    alone, together = (LocalPredictionRigidity.fit(training(each)) for each in (FRAMES, [*FRAMES, *tantalum]))
    frame = Prediction(features=features)
    np.testing.assert_allclose(together.values(frame, numbers), alone.values(frame, numbers), rtol=1e-6)
    assert np.isfinite(together.values(frame, np.full(len(features), TA))).all()


def test_what_is_zero_is_rigid():
    assert prediction_rigidity(rows(FRAMES), np.zeros((1, 2 * D)))[0] == np.inf
