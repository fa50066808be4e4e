"""Reweighting of trajectories: the harmonic oscillator, for which all is known, errors of sampling, and a real run."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin

from assay.linear.potential import LinearPotential
from assay.propagation.methods.reweighting import along_trajectory, reweight
from assay.results.arrays import Array
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

T = 300.0
KT = units.kB * T
SPRINGS = np.array([0.8, 1.0, 1.3])  # over that of the best fit
SHIFTS = np.array([0.0, 0.4, -0.2])  # of the minimum, in standard deviations of x


def oscillator(frames: int, seed: int, springs: Array = SPRINGS, shifts: Array = SHIFTS) -> tuple[Array, Array, Array]:
    """x in standard deviations and its square, V = ½ kT x², and V_m = ½ kT s (x − c)²."""
    x = np.random.default_rng(seed).standard_normal(frames)
    return (
        np.column_stack([x, x**2]),
        0.5 * KT * x**2,
        0.5 * KT * springs * (x[:, None] - shifts) ** 2 + 7.0,  # a constant must not matter
    )


def test_oscillator_under_other_springs() -> None:
    told = reweight(*oscillator(20_000, 0), T)
    exact = np.column_stack([SHIFTS, 1 / SPRINGS + SHIFTS**2])
    assert (np.abs(told.members - exact) < 4 * told.sampling_error).all()
    assert np.abs(told.members - exact).max() < 0.05
    assert (np.abs(told.value - [0, 1]) < 4 * told.value_error).all()
    assert not told.scarce.any()
    assert told.notes == ()


def test_cumulant_is_exact_for_a_shifted_gaussian() -> None:
    """V_m − V is linear in x, so x and it are jointly Gaussian, and ⟨x⟩_m = c to any order."""
    told = reweight(*oscillator(20_000, 1, np.ones(2), np.array([0.3, 3.0])), T, estimator="cumulant")
    assert np.allclose(told.members[:, 0], [0.3, 3.0], atol=4 * told.sampling_error[:, 0].max())
    assert told.sampling_error[1, 0] < 0.1
    assert told.scarce.tolist() == [False, True]


def test_far_member_is_scarce_and_says_so() -> None:
    """Kish's number is T exp(−β² var ΔV) for Gaussian ΔV: T exp(−c²) for a shift by c standard deviations. For the last
    it is 0.2 of 50,000 frames, but Kish's is above 50, since no frame lies where the member does."""
    told = reweight(*oscillator(50_000, 2, np.ones(3), np.array([0.5, 1.0, 3.5])), T)
    assert np.allclose(told.effective[:2] / 50_000, np.exp([-0.25, -1.0]), rtol=0.05)
    assert told.scarce.tolist() == [False, False, True]
    assert "members 2" in told.notes[0]
    assert "cumulant" in told.notes[0]


def test_observables_of_the_members() -> None:
    """Equipartition: ⟨V_m⟩_m = kT/2 for any spring."""
    _, v, v_m = oscillator(20_000, 3)
    v_m -= 7.0
    for estimator, bias in (("exponential", 0.0), ("cumulant", 0.2)):  # the expansion is of second order in ΔV
        told = reweight(v[:, None], v, v_m, T, member_observables=v_m[:, None, :], estimator=estimator)
        assert np.allclose(told.members[:, 0], KT / 2, atol=4 * told.sampling_error.max() + bias * KT / 2)


def test_error_of_sampling_is_that_between_runs() -> None:
    """Jackknifes agree with the spread of 200 independent runs, also of correlated frames."""
    runs = [reweight(*each, T, blocks=10) for each in (_correlated(2000, seed) for seed in range(200))]
    for pick in (lambda r: r.members, lambda r: r.members - r.value):
        spread = np.std([pick(run) for run in runs], axis=0, ddof=1)
        error = _root_mean_square([run.sampling_error if pick(run) is run.members else run.shift_error for run in runs])
        assert np.allclose(error, spread, rtol=0.25)
    assert np.median([run.independent[0] / run.effective[0] for run in runs]) < 0.5  # frames are correlated


def _root_mean_square(values: list[Array]) -> Array:
    return np.sqrt(np.mean(np.square(values), axis=0))


def _correlated(frames: int, seed: int) -> tuple[Array, Array, Array]:
    """An oscillator whose x forgets itself in about five frames."""
    noise = np.random.default_rng(seed).standard_normal(frames + 100)
    x, memory = np.zeros(frames + 100), 0.8
    for t in range(1, len(x)):
        x[t] = memory * x[t - 1] + np.sqrt(1 - memory**2) * noise[t]
    x = x[100:]
    return np.column_stack([x, x**2]), 0.5 * KT * x**2, 0.5 * KT * SPRINGS * (x[:, None] - SHIFTS) ** 2


def test_model_error_leaves_out_the_error_of_sampling() -> None:
    """Members that are all the best fit, up to noise of sampling: their spread is not a model error."""
    rng = np.random.default_rng(4)
    shifts = 0.02 * rng.standard_normal(40)
    short = reweight(*oscillator(400, 5, np.ones(40), shifts), T)
    assert short.model_error[0] == pytest.approx(0.02, rel=0.35)
    assert (short.sampling_error[:, 0] > 0.03).all()  # of each average; it is the same for all members


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, v, m: (a[:, 0], v, m, T), "needed observables"),
        (lambda a, v, m: (a, v[1:], m, T), "needed observables"),
        (lambda a, v, m: (a[:30], v[:30], m[:30], T), "30 frames are too few for 20 blocks"),
        (lambda a, v, m: (a, v, m * np.nan, T), "finite"),
        (lambda a, v, m: (a, v, m, 0.0), "above 0 K"),
    ],
)
def test_what_is_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        reweight(*change(*oscillator(100, 6)))


@pytest.mark.snap
def test_a_member_sampled_itself() -> None:
    """Mean energy of a silicon crystal: reweighted from the best fit's run, as the member's own run has it."""
    rows = Snap(SnapSettings(species=("Si",), twojmax=2, rcut=4.0))
    crystal = bulk("Si", cubic=True)
    theta = _springs(rows)
    member = theta * 1.1

    def run(coefficients: Array, seed: int) -> list[object]:
        atoms, rng = crystal.copy(), np.random.default_rng(seed)
        atoms.calc = rows.calculator(coefficients)
        dynamics = Langevin(atoms, 2 * units.fs, temperature_K=T, friction=0.02 / units.fs, fixcm=False, rng=rng)
        dynamics.run(300)
        frames: list[object] = []
        dynamics.attach(lambda: frames.append(atoms.copy()), interval=5)
        dynamics.run(2000)
        return frames

    def spread(atoms) -> Array:  # type: ignore[no-untyped-def]
        moved = atoms.positions - crystal.positions
        return np.array([((moved - moved.mean(axis=0)) ** 2).sum(axis=1).mean()])

    potential = LinearPotential(rows, theta, member[None], 0.0)
    told = reweight(*along_trajectory(potential, run(theta, 0), spread, member[None]), T)
    own = reweight(*along_trajectory(potential, run(member, 1), spread, member[None]), T)
    error = np.hypot(told.shift_error[0, 0], own.value_error[0])
    assert told.members[0, 0] == pytest.approx(
        own.value[0], abs=4 * np.hypot(told.sampling_error[0, 0], own.value_error[0])
    )
    assert told.members[0, 0] - told.value[0] < -2 * told.shift_error[0, 0]  # stiffer: it moves less
    assert error > 0


def _springs(rows: Snap) -> Array:
    """Coefficients with which the diamond crystal is stable: a fit to harmonic forces on rattled crystals."""
    crystal = bulk("Si", cubic=True)
    rng, a, b = np.random.default_rng(0), [], []
    for _ in range(40):
        atoms = crystal.copy()
        u = 0.1 * rng.standard_normal(atoms.positions.shape)
        u -= u.mean(axis=0)
        atoms.positions += u
        design = rows.design(atoms)
        a += [design.force_rows, 3 * design.energy_row[None]]
        b += [-5.0 * u.ravel(), [3 * 2.5 * (u**2).sum()]]
    return np.linalg.lstsq(np.vstack(a), np.concatenate(b), rcond=1e-8)[0]
