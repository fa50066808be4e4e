"""The scale by maximum likelihood, and its correction for small ensembles (Grasselli et al., Eqs. 26 and 27)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from held_values import held

from assay.calibration import fit_calibrator
from assay.calibration.scale import Scale

ALPHA = 2.5


def test_by_hand():
    """e/s = 1, 2, 3: α² = (1 + 4 + 9) / 3."""
    fitted = Scale.fit(held(np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0])))
    assert fitted.alpha == pytest.approx(np.sqrt(14 / 3), rel=1e-15)


@pytest.mark.parametrize(
    ("members", "square"), [(4, 14 / 9 - 1 / 4), (5, 14 / 6 - 1 / 5), (10, 7 / 9 * 14 / 3 - 1 / 10)]
)
def test_correction_by_hand(members: int, square: float):
    """-1/M + (M - 3)/(M - 1) ⟨e²/s²⟩ with the same ⟨e²/s²⟩ = 14/3."""
    fitted = Scale.fit(held(np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0]), members=members))
    assert fitted.alpha == pytest.approx(np.sqrt(square), rel=1e-14)


def test_correction_of_pooled_spreads_by_hand():
    """Spreads pooled over the three components of a vector have ν = 3 (M - 1) degrees of freedom: (ν - 2)/ν = 7/9."""
    fitted = Scale.fit(held(np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0]), members=4, components=3))
    assert fitted.alpha == pytest.approx(np.sqrt(7 / 9 * 14 / 3 - 1 / 4), rel=1e-14)


def test_it_maximises_the_likelihood():
    rng = np.random.default_rng(0)
    spread = rng.lognormal(size=400)
    error = spread * rng.standard_t(4, 400)

    def nll(alpha: float) -> float:
        return float(np.mean(np.log(alpha * spread) + 0.5 * (error / (alpha * spread)) ** 2))

    best = Scale.fit(held(np.abs(error), spread)).alpha
    assert nll(best) < min(nll(best * 1.001), nll(best / 1.001))


def test_many_members_need_no_correction():
    error, spread = np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0])
    assert Scale.fit(held(error, spread, members=10**9)).alpha == pytest.approx(
        Scale.fit(held(error, spread)).alpha, rel=1e-8
    )


def test_units_do_not_count():
    error, spread = np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0])
    assert Scale.fit(held(1e3 * error, 1e3 * spread, members=8)) == Scale.fit(held(error, spread, members=8))


@pytest.mark.parametrize("members", [1, 2, 3])
def test_fewer_than_four_members_warn_and_use_eq_26(members: int):
    error, spread = np.array([0.5, 2.0, 6.0]), np.array([0.5, 1.0, 2.0])
    with pytest.warns(UserWarning, match=f"α from {members} members is biased.*needs at least 4"):
        fitted = Scale.fit(held(error, spread, members=members))
    assert fitted == Scale.fit(held(error, spread))


@pytest.mark.parametrize("members", [None, 4])
def test_four_members_or_no_ensemble_do_not_warn(members: int | None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = Scale.fit(held(np.full(3, 2.0), np.ones(3), members=members))
    assert (fitted.alpha == pytest.approx(2.0)) == (members is None)  # Eq. 27 corrects for M, Eq. 26 does not


def test_errors_below_the_noise_of_the_mean_use_eq_26():
    """⟨e²/s²⟩ = 1/9 for M = 4: Eq. 27 gives 1/27 - 1/4 < 0."""
    assert Scale.fit(held(np.ones(5), np.full(5, 3.0), members=4)).alpha == pytest.approx(1 / 3, rel=1e-15)


def test_the_bar_is_the_spread_times_alpha():
    bar = Scale(ALPHA).bar(np.array([[1.0, 2.0]]), np.array([[0.5, 0.0]]), "eV/Å")
    assert bar.std.tolist() == [[1.25, 0.0]]
    assert bar.mean.tolist() == [[1.0, 2.0]]
    assert bar.unit == "eV/Å"
    assert Scale.from_state(Scale(ALPHA).state()) == Scale(ALPHA)


def draws(members: int, n: int, seed: int, components: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the mean of M members for n vectors, and the members' pooled spreads, from first principles.

    Members are normal with mean μ and standard deviation σ, the truth with μ and α σ, σ different for each of n.
    """
    rng = np.random.default_rng(seed)
    sigma = rng.lognormal(0.0, 0.5, (n, 1))
    predicted = sigma * rng.standard_normal((members, n, components))
    truth = ALPHA * sigma * rng.standard_normal((n, components))
    error = np.abs(truth - predicted.mean(axis=0))
    pooled = np.sqrt(predicted.var(axis=0, ddof=1).mean(axis=1, keepdims=True))
    return error, np.broadcast_to(pooled, error.shape)


@pytest.mark.parametrize(
    ("members", "bound"),
    # ⟨e²/s²⟩ has the tail index (M - 1)/2: its mean over n is off by about n^(-1/3) for M = 4 (no variance),
    # √(log n / n) for 5, and 1/√n times the tabulated standard deviation of an F variable for 10. Bounds are about four
    # times that at n = 10⁶, in units of α².
    [(4, 0.06), (5, 0.03), (10, 0.01)],
)
def test_eq_27_removes_the_bias(members: int, bound: float):
    """Eq. 26 tends to α² = (M - 1)/(M - 3) (α² + 1/M): three times too large for four members. Eq. 27 to α²."""
    error, spread = draws(members, 1_000_000, seed=members)
    biased = (members - 1) / (members - 3) * (ALPHA**2 + 1 / members)
    assert Scale.fit(held(error, spread)).alpha ** 2 == pytest.approx(biased, rel=bound)
    assert Scale.fit(held(error, spread, members=members)).alpha ** 2 == pytest.approx(ALPHA**2, rel=bound)


@pytest.mark.parametrize(("members", "components", "bound"), [(4, 3, 0.02), (5, 3, 0.015), (4, 6, 0.01)])
def test_the_correction_of_pooled_spreads_removes_the_bias(members: int, components: int, bound: float):
    """300 000 vectors; the standard error of α² is about a quarter of the bound."""
    error, spread = draws(members, 300_000, seed=members, components=components)
    nu = components * (members - 1)
    biased = nu / (nu - 2) * (ALPHA**2 + 1 / members)
    assert biased > (1 + 2 * bound) * ALPHA**2
    assert Scale.fit(held(error, spread)).alpha ** 2 == pytest.approx(biased, rel=bound)
    corrected = Scale.fit(held(error, spread, members=members, components=components))
    assert corrected.alpha**2 == pytest.approx(ALPHA**2, rel=bound)


@pytest.mark.parametrize("members", [10, 20])
def test_eq_27_has_no_bias_on_small_held_out_sets(members: int):
    """400 sets of 100 values: the mean of α² is α² within four standard errors, and that of Eq. 26 is not."""
    corrected, plain = [], []
    for seed in range(400):
        error, spread = draws(members, 100, seed=seed)
        corrected.append(Scale.fit(held(error, spread, members=members)).alpha ** 2)
        plain.append(Scale.fit(held(error, spread)).alpha ** 2)
    standard_error = np.std(corrected, ddof=1) / np.sqrt(400)
    assert abs(np.mean(corrected) - ALPHA**2) < 4 * standard_error
    assert np.mean(plain) - ALPHA**2 > 8 * standard_error


def test_the_name():
    assert fit_calibrator("scale", held(np.ones(3), np.ones(3))) == Scale(1.0)
