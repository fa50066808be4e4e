"""Energy bars that are calibrated on small cells and asked for large ones, with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from assay.calibration.extensive import Extensive

SMALL, LARGE = (2, 4, 8, 16, 32), 1000


def frames(
    rng: np.random.Generator, natoms: np.ndarray, alpha: float, a: float, b: float
) -> tuple[np.ndarray, np.ndarray]:
    """Errors and spreads of energies per atom with σ² = α² s² + a/N + b."""
    spread = rng.uniform(0.002, 0.02, size=len(natoms))
    return rng.normal(size=len(natoms)) * np.sqrt(alpha**2 * spread**2 + a / natoms + b), spread


@pytest.mark.parametrize(
    ("alpha", "a", "b"), [(0, 4e-4, 0), (0, 0, 4e-4), (0, 4e-4, 4e-5), (2, 0, 0), (2, 1e-3, 0), (1, 1e-3, 1e-4)]
)
def test_large_cells_are_covered_after_small_ones(alpha: float, a: float, b: float) -> None:
    rng = np.random.default_rng(1)
    natoms = rng.choice(SMALL, size=3000)
    error, spread = frames(rng, natoms, alpha, a, b)
    fitted = Extensive.fit(error, natoms, spread)
    large = np.full(3000, LARGE)
    new_error, new_spread = frames(rng, large, alpha, a, b)
    bar = fitted.bar(np.zeros(3000), large, new_spread)
    assert np.mean(np.abs(new_error) < bar.half_width(0.68)) == pytest.approx(0.68, abs=0.06)


def test_a_constant_bar_per_atom_is_far_too_wide_where_errors_are_independent() -> None:
    rng = np.random.default_rng(2)
    natoms = rng.choice(SMALL, size=3000)
    error, _ = frames(rng, natoms, 0, 4e-4, 0)
    large = np.full(3000, 100)
    new_error, _ = frames(rng, large, 0, 4e-4, 0)
    assert np.mean(np.abs(new_error) < error.std()) > 0.99
    bar = Extensive.fit(error, natoms).bar(np.zeros(3000), large)
    assert np.mean(np.abs(new_error) < bar.std) == pytest.approx(0.68, abs=0.06)


def test_the_estimate_is_the_most_likely_one() -> None:
    rng = np.random.default_rng(3)
    natoms = rng.choice(SMALL, size=200)
    error, spread = frames(rng, natoms, 1.5, 5e-4, 5e-5)
    fitted = Extensive.fit(error, natoms, spread)

    def log_likelihood(alpha: float, a: float, b: float) -> float:
        v = alpha**2 * spread**2 + a / natoms + b
        return float(-0.5 * np.sum(np.log(v) + error**2 / v))

    best = log_likelihood(fitted.alpha, fitted.independent, fitted.common)
    for factors in np.random.default_rng(4).uniform(0.5, 2, size=(300, 3)):
        parts = np.array([fitted.alpha, fitted.independent, fitted.common]) * factors + [0.02, 1e-6, 1e-7]
        assert log_likelihood(*parts) <= best + 1e-6


def test_units_only_scale() -> None:
    rng = np.random.default_rng(5)
    natoms = rng.choice(SMALL, size=100)
    error, spread = frames(rng, natoms, 1, 1e-4, 1e-5)
    one, other = Extensive.fit(error, natoms, spread), Extensive.fit(1e3 * error, natoms, 1e6 * spread)
    sizes, here = np.array([2, 500]), np.array([0.01, 0.003])
    narrow, wide = one.bar(np.zeros(2), sizes, here), other.bar(np.zeros(2), sizes, 1e6 * here)
    assert 1e3 * narrow.std == pytest.approx(wide.std, rel=1e-3)


def test_cells_of_one_size_are_taken_for_replicas() -> None:
    fitted = Extensive.fit([0.1, -0.2, 0.3], [8, 8, 8])
    assert (fitted.alpha, fitted.independent) == (0, 0)
    assert fitted.bar(np.zeros(1), [8000]).std == pytest.approx(np.sqrt(0.14 / 3))


def test_state_gives_the_same_bars() -> None:
    fitted = Extensive.fit([0.1, -0.2, 0.3, 0.05], [2, 8, 8, 4], [0.1, 0.1, 0.2, 0.3])
    assert Extensive.from_state(fitted.state()) == fitted


@pytest.mark.parametrize(
    ("error", "natoms", "spread", "message"),
    [
        ([0.1, 0.2], [1, 2], None, "at least 3"),
        ([0.0, 0.0, 0.0], [1, 2, 3], None, "are 0"),
        ([0.1, 0.2, np.nan], [1, 2, 3], None, "NaN or infinite"),
        ([0.1, 0.2, 0.3], [1, 2, 0], None, "fewer than 1 atom"),
        ([0.1, 0.2, 0.3], [1, 2], None, "shape"),
        ([0.1, 0.2, 0.3], [1, 2, 3], [1, 1, np.inf], "infinite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(error: list, natoms: list, spread: list | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Extensive.fit(error, natoms, spread)
