"""Growth of energy errors: replicated cells, independent cells, and what is in between."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

from assay.metrics.extensivity import ensemble_growth, error_growth, size_growth


def test_the_error_of_assembled_cells_is_what_single_ones_tell() -> None:
    rng = np.random.default_rng(0)
    error = rng.normal(0.5, 2.0, size=20_000)  # eV: bias 0.5, residual 2
    growth = error_growth(error)
    assert growth.common == pytest.approx(0.25, abs=0.06)
    assert growth.independent == pytest.approx(4.0, rel=0.05)
    for k in (1, 10, 100):
        assembled = error.reshape(-1, k).sum(axis=1)
        assert growth.std(k) == pytest.approx(np.sqrt(np.mean(assembled**2)), rel=0.15)
        assert growth.replicated(k) == pytest.approx(k * np.sqrt(np.mean(error**2)))


def test_the_bias_is_not_that_of_noise() -> None:
    rng = np.random.default_rng(1)
    common = [error_growth(rng.normal(size=5)).common for _ in range(4000)]
    assert abs(np.mean(common)) < 4 * np.std(common) / np.sqrt(4000) < 0.03  # ⟨e⟩² would be 1/5


def test_members_that_share_an_error_per_cell_grow_linearly_and_others_as_the_root() -> None:
    rng = np.random.default_rng(2)
    shared = np.repeat(rng.normal(size=(200, 1)), 50, axis=1)
    growth = ensemble_growth(shared)
    assert growth.correlation == pytest.approx(1)
    assert growth.std(50) == pytest.approx(shared.sum(axis=1).std(ddof=1))
    own = ensemble_growth(rng.normal(size=(200, 50)))
    assert abs(own.correlation) < 0.01
    assert own.std(49) == pytest.approx(7 * own.std(1), rel=0.1)


def test_all_cells_together_have_the_spread_of_their_sum() -> None:
    rng = np.random.default_rng(3)
    members = rng.normal(size=(8, 30)) + 2 * rng.normal(size=(8, 1))
    assert ensemble_growth(members).std(30) == pytest.approx(members.sum(axis=1).std(ddof=1))  # exact, any F


@pytest.mark.parametrize(("p", "q"), [(1.0, 0.5), (1.0, 1.0), (0.5, 0.5)])
def test_exponents_are_found_again(p: float, q: float) -> None:
    rng = np.random.default_rng(4)
    natoms = np.exp(rng.uniform(np.log(2), np.log(200), size=1500)).astype(int)
    error = 0.02 * natoms**p + 0.01 * natoms**q * rng.normal(size=len(natoms))
    growth = size_growth(error, natoms, resamples=100)
    assert growth.bias_interval[0] < p < growth.bias_interval[1]
    assert growth.residual_interval[0] < q < growth.residual_interval[1]
    assert growth.bias_exponent == pytest.approx(p, abs=0.08)
    assert growth.residual_exponent == pytest.approx(q, abs=0.08)
    assert growth.counts.sum() == 1500
    where = list(growth.sizes).index(7)
    assert growth.bias[where] == pytest.approx(error[natoms == 7].mean())
    assert growth.residual[where] == pytest.approx(error[natoms == 7].std(ddof=1))


def test_a_bias_far_above_its_noise_is_found_again_in_few_frames() -> None:
    """Eight frames of 2 to 1000 atoms, 20 meV/atom with a scatter of 20 meV √N: at 100 atoms a tenth of the bias.

    The likelihood has other maxima, where nothing grows and two frames of like size are explained by chance.
    """
    for seed in range(40):
        rng = np.random.default_rng(seed)
        natoms = np.exp(rng.uniform(np.log(2), np.log(1000), size=8)).astype(int)
        error = 0.02 * natoms + 0.02 * np.sqrt(natoms) * rng.normal(size=8)
        assert size_growth(error, natoms, resamples=2).bias_exponent == pytest.approx(1, abs=0.3), seed


def test_units_change_no_exponent() -> None:
    rng = np.random.default_rng(5)
    natoms = rng.integers(2, 100, size=60)
    error = natoms * rng.normal(0.1, 1.0, size=60)
    one, other = size_growth(error, natoms, resamples=5), size_growth(1000 * error, 10 * natoms, resamples=5)
    assert one.bias_exponent == pytest.approx(other.bias_exponent, abs=1e-3)
    assert one.residual_exponent == pytest.approx(other.residual_exponent, abs=1e-3)


def test_one_size_has_no_exponent() -> None:
    growth = size_growth([0.1, 0.2, 0.4], [8, 8, 8], resamples=5)
    assert np.isnan([growth.bias_exponent, growth.residual_exponent, *growth.bias_interval]).all()
    assert growth.bias == pytest.approx([0.7 / 3])


def test_a_bias_alone_has_an_exponent() -> None:
    natoms = np.array([2, 2, 4, 8, 16, 16, 100])
    assert size_growth(0.02 * natoms, natoms, resamples=20).bias_exponent == pytest.approx(1, abs=1e-3)
    assert np.isnan(size_growth(0.0 * natoms, natoms, resamples=2).bias_exponent)


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        error_growth([1.0])
    with pytest.raises(ValueError, match="2 members and 2 cells"):
        ensemble_growth([[1.0, 2.0, 3.0, 4.0]])
    with pytest.raises(ValueError, match="fewer than 1 atom"):
        size_growth([1.0, 2.0, 3.0], [1, 0, 1])


def test_copies_of_a_crystal_have_a_spread_that_grows_as_their_number() -> None:
    committee = [LennardJones(sigma=sigma, epsilon=0.1, rc=4.0) for sigma in (2.48, 2.50, 2.53)]

    def members(atoms: Atoms) -> np.ndarray:
        return np.array([atoms.get_potential_energy() for atoms.calc in committee])

    def rattled(seed: int) -> Atoms:
        atoms = bulk("Ar", a=3.9, cubic=True)
        atoms.rattle(0.15, seed=seed)
        return atoms

    copies = ensemble_growth(np.transpose([members(rattled(0))] * 8))
    assert copies.independent == pytest.approx(0, abs=1e-12)
    assert copies.std(8) == pytest.approx(members(rattled(0).repeat(2)).std(ddof=1), rel=1e-6)
    different = ensemble_growth(np.transpose([members(rattled(seed)) for seed in range(8)]))
    assert np.sqrt(8) * different.std(1) < different.std(8) < different.replicated(8)
