"""Energies of members on one scale: known shifts are found again, and a source that is shifted by them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from assay.ensembles.referenced import Referenced
from assay.ensembles.references import EnergyReferences, ReferenceFold
from assay.frames.compositions import foreign_zero
from assay.frames.frame import FrameError
from assay.frames.reading import read_frames
from assay.gauge.state import source_from_state, source_state
from assay.propagation.members import member_calculator
from assay.propagation.methods.choice import member_count
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee
from assay.sources.recorded.recorded import Recorded
from assay.storage.archive import load_state, save_state

MEMBERS = ("pbe", "corrected")
SHIFTS = np.array([[1.5, -2.25, 300.0], [-0.125, 7.0, 0.0]])
"""Of H, C, O, eV."""
MOLECULES = ("CH4", "H2O", "CO2", "CH3OH", "C2H6", "H2O2")


def fitted(names: Sequence[str], onto: str = "labels", noise: float = 0.0, wild: float = 0.0) -> EnergyReferences:
    """References of members whose energies are `SHIFTS` off the labels."""
    rng, fold = np.random.default_rng(0), ReferenceFold(MEMBERS, onto)
    for f, name in enumerate(names):
        numbers = molecule(name).numbers
        label = rng.normal(-50.0, 20.0)
        counts = np.array([(numbers == z).sum() for z in (1, 6, 8)])
        away = noise * len(numbers) * rng.normal(size=2)
        away[0] += wild * (f == 0)
        fold.update(numbers, label - SHIFTS @ counts + away, label)
    return fold.result()


def test_known_shifts_are_found():
    found = fitted(MOLECULES)
    assert found.species == ("H", "C", "O")
    assert found.undetermined == ()
    np.testing.assert_allclose(found.shifts, SHIFTS, atol=1e-10)
    assert found.after.max() < 1e-10
    assert found.before[0] > 10
    water = molecule("H2O")
    np.testing.assert_allclose(found.of(water.numbers), [303.0, -0.25], atol=1e-10)


def test_the_others_are_shifted_onto_one_member():
    found = fitted(MOLECULES, onto="corrected")
    np.testing.assert_allclose(found.shifts, [SHIFTS[0] - SHIFTS[1], [0, 0, 0]], atol=1e-10)
    assert found.onto == "corrected"


def test_residuals_are_of_energies_per_atom():
    """One species: the shift is the mean difference per atom, and the standard deviation is what is left."""
    fold, away = ReferenceFold(("k",)), np.array([0.1, 0.2, 0.6])
    for count, each in zip((1, 2, 7), away, strict=True):
        fold.update(np.full(count, 29), np.array([-3.0 * count]), (each - 3.0) * count)
    found = fold.result()
    assert found.shifts[0, 0] == pytest.approx(0.3, abs=1e-12)
    assert found.before[0] == pytest.approx(np.sqrt(np.mean(away**2)))
    assert found.after[0] == pytest.approx(away.std())


def test_shifts_that_compositions_do_not_tell_are_the_smallest_and_warned_of():
    with pytest.warns(UserWarning, match=r"compositions of 3 frames don't determine the shift of H, O;"):
        found = fitted(("H2O", "H2O", "H2O"))
    assert found.undetermined == ("H", "O")
    total = 2 * SHIFTS[0, 0] + SHIFTS[0, 2]
    np.testing.assert_allclose(found.shifts[0], np.array([2.0, 1.0]) * total / 5, atol=1e-9)


def test_a_species_is_determined_though_others_are_not():
    fold = ReferenceFold(("k",))
    for numbers in ([29, 29], [42, 74], [42, 74, 29]):
        fold.update(np.array(numbers), np.array([0.0]), 1.0 * numbers.count(29) + 5.0 * numbers.count(42))
    with pytest.warns(UserWarning, match=r"don't determine the shift of Mo, W;"):
        found = fold.result()
    np.testing.assert_allclose(found.shifts, [[1.0, 2.5, 2.5]], atol=1e-10)


def test_one_wild_energy_does_not_move_the_others():
    """Least squares would be off by about 1e6 / 30 eV; what noise does to it otherwise is left as it is."""
    names = MOLECULES * 5
    wild, plain = fitted(names, noise=0.01, wild=1e6), fitted(names, noise=0.01)
    np.testing.assert_allclose(wild.shifts[1], plain.shifts[1], atol=1e-12)
    assert np.abs(wild.shifts[0] - plain.shifts[0]).max() < 0.05
    assert plain.after[0] == pytest.approx(0.01, rel=0.4)


def test_frames_left_out_are_judged_by_the_others():
    """Brute force: every frame in turn is predicted by shifts fitted to the rest."""
    rng, rows, values = np.random.default_rng(3), [], rng_values(25)
    for _ in values:
        counts = rng.integers(1, 9, 2)
        rows.append(counts)

    def fold(without: int = -1) -> EnergyReferences:
        part = ReferenceFold(("k",))
        for f, (counts, value) in enumerate(zip(rows, values, strict=True)):
            if f != without:
                part.update(np.repeat([42, 74], counts), np.array([0.0]), value * counts.sum())
        return part.result()

    errors = [values[f] - fold(f).shifts[0] @ rows[f] / rows[f].sum() for f in range(25)]
    assert fold().left_out[0] == pytest.approx(np.median(np.abs(errors)))


def rng_values(count: int) -> np.ndarray:
    return 3.0 + np.random.default_rng(4).uniform(-1, 1, count)


def test_a_member_with_the_right_zeros_keeps_them():
    """Shifts of 20 species from 30 frames would only learn its noise; one that is off by 5 eV an atom is shifted."""
    rng, fold = np.random.default_rng(5), ReferenceFold(("right", "wrong"))
    for _ in range(30):
        numbers = rng.integers(21, 41, 6)
        fold.update(numbers, 6 * (np.array([0.0, 5.0]) + rng.normal(0, 0.02, 2)), 0.0)
    found = fold.result()
    assert found.left_out[0] > 0.02 * 0.67  # the median of the noise
    assert found.before[0] == found.after[0]
    assert not found.shifts[0].any()
    np.testing.assert_allclose(found.shifts[1], -5, atol=0.3)
    assert found.after[1] < found.left_out[1] < 0.1


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_frames_that_hardly_any_other_judges_do_not_shift(offset: float):
    """Oxides of 56 elements, one frame each, and four of copper: only those and no others are judged."""
    rng, fold = np.random.default_rng(6), ReferenceFold(("right", "exact"))
    for numbers in (*([z, z, 8] for z in range(30, 86)), *([29] * n + [8] for n in range(1, 5))):
        energy = len(numbers) * rng.normal(offset * (numbers[0] != 29), 0.2)
        fold.update(np.array(numbers), np.array([energy, 0.0]), 0.0)
    with pytest.warns(UserWarning, match=r": 4 of 60 frames .* too few to judge shifts of 58 .*energies of right stay"):
        found = fold.result()
    assert not found.shifts.any()
    assert found.after[0] == found.before[0] > 0.1
    assert found.judged.tolist() == [4, 4]
    assert found.summary()["members"]["right"]["judged_frames"] == 4
    np.testing.assert_array_equal(found.of(np.array([90])), [0, 0])  # no member is shifted, by whatever element


@pytest.mark.parametrize("seed", range(4))
def test_a_median_that_is_lower_by_chance_does_not_shift(seed: int):
    """Noise of the right zeros: with seed 2 it is, and shifts would be off by 0.85 eV an atom."""
    rng, fold = np.random.default_rng(seed), ReferenceFold(("right",))
    noise = rng.normal(0, 0.2, 60)
    for each in noise:
        fold.update(rng.choice(np.arange(1, 65), 3, replace=False), np.array([-3 * each]), 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of frames that can't be judged
        assert not fold.result().shifts.any()


def test_few_species_are_shifted_though_no_frame_judges_it():
    fold = ReferenceFold(("k",))
    for z in (29, 42, 74):
        fold.update(np.array([z]), np.array([0.0]), 300.0)
    found = fold.result()
    np.testing.assert_allclose(found.shifts, [[300.0] * 3])
    assert found.judged.tolist() == [0]


def test_many_undetermined_species_are_counted():
    fold, rng = ReferenceFold(("k",)), np.random.default_rng(2)
    for z in range(1, 41, 2):
        for _ in range(3):
            fold.update(np.array([z, z + 1]), np.array([2 * rng.normal(5.0, 0.01)]), 0.0)
    with pytest.warns(UserWarning, match="shift of 40 of 40 elements;"):
        fold.result()


@pytest.mark.parametrize(("offset", "told"), [(0.0, False), (0.2, False), (3.0, True)])
@pytest.mark.parametrize("frames", [8, 60])
def test_another_zero_is_told_from_errors(offset: float, told: bool, frames: int):
    """Noise of 0.1 eV/atom: an offset of twice that may be an error of the potential."""
    rng = np.random.default_rng(1)
    fractions = rng.dirichlet(np.ones(5), frames)
    assert foreign_zero(fractions, rng.normal(offset, 0.1, frames)) == told


def test_another_zero_of_each_species():
    """Offsets of both signs that cancel in the mean; with as few frames as species no composition tells."""
    fractions = np.random.default_rng(1).dirichlet(np.ones(2), 40)
    errors = fractions @ np.array([5.0, -5.0])
    assert foreign_zero(fractions, errors)
    assert not foreign_zero(fractions[:2], errors[:2])


def test_without_wild_energies_it_is_least_squares():
    rng, fold, fractions = np.random.default_rng(1), ReferenceFold(("k",)), []
    values = rng.uniform(2, 4, 40)  # no residual of a uniform distribution is 5 of its robust deviations away
    for value in values:
        counts = rng.integers(1, 9, 2)
        fractions.append(counts / counts.sum())
        fold.update(np.repeat([42, 74], counts), np.array([0.0]), value * counts.sum())
    expected = np.linalg.lstsq(np.array(fractions), values)[0]
    np.testing.assert_allclose(fold.result().shifts[0], expected, atol=1e-12)


def test_merged_is_all_at_once():
    def fold(indices: Sequence[int]) -> ReferenceFold:
        part = ReferenceFold(MEMBERS)
        for i in indices:
            rng = np.random.default_rng(i)
            part.update(molecule(MOLECULES[i]).numbers, rng.normal(size=2), rng.normal())
        return part

    parts, whole = fold([3, 4]), fold(range(6))
    parts.merge(fold([5, 0]))
    parts.merge(fold([1, 2]))
    np.testing.assert_allclose(parts.result().shifts, whole.result().shifts, atol=1e-12)
    assert parts.result().frames == 6


def test_what_can_not_be_fitted():
    with pytest.raises(ValueError, match="onto 'vasp': there are labels and pbe, corrected, and none"):
        ReferenceFold(MEMBERS, "vasp")
    fold = ReferenceFold(MEMBERS)
    with pytest.raises(FrameError, match="no frame"):
        fold.result()
    with pytest.raises(FrameError, match="no label of the energy"):
        fold.update(np.array([1]), np.zeros(2))
    with pytest.raises(FrameError, match="not finite"):
        fold.update(np.array([1]), np.array([0.0, np.nan]), 1.0)


# the source


def committee() -> Referenced:
    pairs = [("a", 0.4), ("b", 0.3)]
    arguments = {"sigma": 2.3, "rc": 4.0}
    source = AseCommittee(
        tuple(Member(name, "ase.calculators.lj.LennardJones", {**arguments, "epsilon": e}) for name, e in pairs)
    )
    shifts = np.array([[1.0, 10.0], [3.0, -20.0]])
    zeros = np.zeros(2)
    return Referenced(
        source, EnergyReferences(("a", "b"), ("Al", "Cu"), shifts, "labels", 5, zeros, zeros, zeros, zeros)
    )


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[0] = "Al"
    atoms.positions[0] += 0.1
    return atoms


def test_energies_are_shifted_and_nothing_else():
    source, atoms = committee(), alloy()
    plain, told = source.source.predict(atoms), source.predict(atoms)
    np.testing.assert_allclose(told.energy_members - plain.energy_members, [1 + 30, 3 - 60], atol=1e-10)
    assert told.energy == pytest.approx(told.energy_members.mean())
    for name in ("forces", "stress", "forces_members", "stress_members"):
        np.testing.assert_array_equal(getattr(told, name), getattr(plain, name))
    assert source.label == "committee of 2 calculators: a, b; energies shifted onto labels"


def test_a_species_without_references():
    with pytest.raises(FrameError, match=r"no reference energy of Ni: the references were fitted to Al, Cu\. Fit"):
        committee().predict(bulk("Ni"))


def test_its_calculators_are_shifted_as_its_members():
    source, atoms = committee(), alloy()
    assert member_count(source, None) == 2
    told = source.predict(atoms)
    for index, expected in [(0, told.energy_members[0]), (1, told.energy_members[1]), (None, told.energy)]:
        atoms.calc = pickle.loads(pickle.dumps(member_calculator(source, index)))
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-10)
    with pytest.raises(IndexError, match="member 2 of 2"):
        member_calculator(source, 2)


def test_saved_is_loaded_with_what_is_allowed_now(tmp_path: Path):
    source, atoms = committee(), alloy()
    save_state(tmp_path / "x", source_state(source))
    loaded = source_from_state(load_state(tmp_path / "x"), ("my_package",))
    assert isinstance(loaded, Referenced)
    assert loaded.source.allow_import == ("my_package",)
    assert loaded.references.undetermined == ()
    assert loaded.predict(atoms).energy == source.predict(atoms).energy


def test_recorded_members(tmp_path: Path):
    zeros, atoms = np.zeros(1), alloy()
    source = Referenced(
        Recorded(("m",)),
        EnergyReferences(("m",), ("Al", "Cu"), np.array([[1.0, 2.0]]), "labels", 1, zeros, zeros, zeros, zeros),
    )
    atoms.info["m_energy"], atoms.arrays["m_forces"] = 5.0, np.zeros((4, 3))
    save_state(tmp_path / "x", source_state(source))
    assert source_from_state(load_state(tmp_path / "x")).predict(atoms).energy == pytest.approx(12.0)
    with pytest.raises(ValueError, match="no potentials to run in this source: 1 recorded members: m"):
        member_calculator(source)


def test_references_are_of_the_members():
    zeros = np.zeros(1)
    with pytest.raises(ValueError, match="references of other for members m"):
        Referenced(
            Recorded(("m",)),
            EnergyReferences(("other",), ("Cu",), zeros[None], "labels", 1, zeros, zeros, zeros, zeros),
        )


@pytest.mark.data
def test_universal_potentials_of_tungsten(real_data: Path):
    """One species: what is left is the standard deviation of the differences per atom."""
    folder = real_data / "tungsten"
    frames = list(read_frames(next(folder.glob("umlip-committee.extxyz*"))))
    with np.load(folder / "umlip-committee.npz") as file:
        models, energies = tuple(map(str, file["models"])), file["energy"]
    fold = ReferenceFold(models)
    for frame, energy in zip(frames, energies.T, strict=True):
        fold.update(frame.atoms.numbers, energy, frame.energy)
    found = fold.result()
    difference = np.array([(f.energy - e) / len(f.atoms) for f, e in zip(frames, energies.T, strict=True)])
    assert (found.after < found.before).all()
    np.testing.assert_allclose(found.after, difference.std(axis=0), rtol=2e-3)
    np.testing.assert_allclose(found.shifts[:, 0], difference.mean(axis=0), atol=1e-3)


@pytest.mark.filterwarnings("ignore:energy references:UserWarning")
def test_another_zero_is_shifted_however_few_the_frames():
    """Ten species in six frames: no frame can be judged, and energies that stay are off by all of the zeros."""
    rng = np.random.default_rng(0)
    numbers = [rng.choice(np.arange(3, 13), size=8) for _ in range(6)]
    for zero, shifted in ((40.0, True), (0.05, False)):
        fold = ReferenceFold(["one"])
        for each in numbers:
            fold.update(each, np.array([zero * each.sum() / 7.5]), 0.0)
        found = fold.result()
        assert (found.after[0] < 1e-9) == shifted
        assert (found.shifts == 0).all() != shifted
