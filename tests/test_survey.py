"""What one pass over the labels notices: columns, references, held-out blocks, duplicates, outliers."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, LabelKeys
from assay.frames.reading import read_frames


def frame(symbols: str, energy: float = 0.0, *, kind: str = "", index: int = 0, force: float = 0.0, x: float = 0.0):
    atoms = Atoms(symbols, np.arange(len(Atoms(symbols)))[:, None] * [2.0, 0.0, 0.0] + x)
    forces = np.zeros((len(atoms), 3))
    forces[0] = np.array([2.0, -1.0, 2.0]) / 3 * force
    return Frame(atoms, f"f:{index}", kind, energy, forces)


def of_kinds(*kinds: str) -> Survey:
    return Survey.fit([frame("H", kind=kind, index=i, x=i) for i, kind in enumerate(kinds)])


def runs(mask) -> int:
    """Blocks of consecutive True."""
    return int(np.sum(np.diff([False, *mask]) & np.array(mask)))


def test_columns():
    forces = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 12.0]])
    stress = np.array([1.0, -1.0, 2.0, 0.0, 0.0, 0.0])
    survey = Survey.fit([Frame(Atoms("OSi", [[0, 0, 0], [2, 0, 0]]), "f:0", "x", -5.0, forces, stress)], b=10.0)
    assert survey.species == ("O", "Si")
    assert survey.counts.tolist() == [[1, 1]]
    assert survey.largest_force.tolist() == [12.0]
    assert survey.force_square.tolist() == [(9 + 16 + 144) / 6]
    assert survey.stress_square.tolist() == [1.0]
    assert survey.force_decay == pytest.approx([(np.exp(-0.5) + np.exp(-1.2)) / 2])
    assert [has.tolist() for _, has in survey.labelled.items()] == [[True]] * 3
    assert survey.natoms.tolist() == [2]


def test_no_frames():
    with pytest.raises(FrameError, match="no usable frames"):
        Survey.fit([])


# ---------------------------------------------------------------- reference energies


def test_reference_energies_of_an_alloy():
    e = {"Mo": -10.5, "W": -12.25}
    formulas = ["Mo4", "W4", "Mo3W", "MoW7", "W2"]
    survey = Survey.fit([frame(f, sum(e[s] for s in Atoms(f).symbols)) for f in formulas])
    assert survey.species == ("Mo", "W")
    np.testing.assert_allclose(survey.reference_energies(), [-10.5, -12.25])


def test_reference_energies_weigh_frames_not_atoms():
    survey = Survey.fit([frame("Si2", -10.0), frame("Si8", -48.0)])
    np.testing.assert_allclose(survey.reference_energies(), [(-5.0 - 6.0) / 2])


def test_reference_energies_with_weights():
    survey = Survey.fit([frame("Si2", -10.0), frame("Si8", -48.0)])
    np.testing.assert_allclose(survey.reference_energies(np.array([3.0, 1.0])), [(3 * -5.0 - 6.0) / 4])
    np.testing.assert_allclose(survey.reference_energies(np.array([0.0, 0.2])), [-6.0])


def test_one_composition_shares_its_energy():
    """OH₂ alone does not tell O from H: of all e with e_O + 2 e_H = -9, the shortest is -9 (1, 2) / 5."""
    survey = Survey.fit([frame("OH2", -9.0), frame("O2H4", -18.0)])
    assert survey.species == ("H", "O")
    np.testing.assert_allclose(survey.reference_energies(), [-9 * 2 / 5, -9 / 5])


def test_species_absent_from_the_chosen_frames_has_no_energy():
    survey = Survey.fit([frame("Si2", -10.0), frame("C", -9.0)])
    np.testing.assert_allclose(survey.reference_energies(np.array([1.0, 0.0])), [0.0, -5.0], atol=1e-12)


def test_energy_above_lowest_is_per_composition():
    frames = [("MoW", -20.0), ("Mo2W2", -44.0), ("MoW2", -30.0), ("Mo", -9.0), ("Mo3", -30.0), ("Mo2W4", -63.0)]
    survey = Survey.fit([frame(symbols, energy) for symbols, energy in frames])
    chosen = np.ones(6, dtype=bool)
    np.testing.assert_allclose(survey.energy_above_lowest(chosen), [1.0, 0.0, 0.5, 1.0, 0.0, 0.0], atol=1e-12)
    chosen[1] = chosen[3] = chosen[4] = False
    nan = np.nan
    np.testing.assert_allclose(survey.energy_above_lowest(chosen), [0.0, nan, 0.5, nan, nan, 0.0], atol=1e-12)


# ---------------------------------------------------------------- held-out blocks


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
def test_held_out_is_the_share_of_each_config_type_in_two_blocks(share):
    kinds = ["a"] * 100 + ["b"] * 40 + ["a"] * 60 + ["c"] * 23
    held = of_kinds(*kinds).held_out(share)
    assert held.sum() == pytest.approx(share * len(kinds), abs=0.5)
    for kind in "abc":
        own = held[np.array(kinds) == kind]
        assert own.sum() == pytest.approx(share * len(own), abs=1)
        assert 1 <= runs(own) <= 2


def test_blocks_lie_around_the_quarters():
    assert np.flatnonzero(of_kinds(*["a"] * 40).held_out(0.1)).tolist() == [9, 10, 29, 30]


def test_many_small_config_types_make_their_share_together():
    kinds = [f"{i:03}" for i in range(100) for _ in range(4)]
    held = of_kinds(*kinds).held_out(0.1)
    assert held.sum() == 40
    assert held.reshape(100, 4).sum(axis=1).max() == 1


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_at_least_one_frame_is_held_out(frames):
    assert of_kinds(*["a"] * frames).held_out().sum() == 1


# ---------------------------------------------------------------- duplicates


def test_duplicates_within_and_between():
    first = Survey.fit([frame("Si2", x=x, index=i) for i, x in enumerate([0.0, 1.0, 0.0, 2.0, 0.0])])
    assert first.duplicates() == [("f:0", "f:2"), ("f:0", "f:4")]
    other = Survey.fit([frame("Si2", x=x, index=10 + i) for i, x in enumerate([3.0, 1.0, 1.0, 0.0])])
    assert first.duplicates(other) == [("f:1", "f:11"), ("f:1", "f:12"), ("f:0", "f:13")]
    assert Survey.fit([frame("Si2"), frame("C2")]).duplicates() == []


def test_labels_do_not_make_a_frame_new():
    assert len(Survey.fit([frame("Si2", -1.0), frame("Si2", -2.0, kind="x", force=3.0)]).duplicates()) == 1


# ---------------------------------------------------------------- outliers


def test_outliers_in_force_and_in_energy_of_either_sign():
    rng = np.random.default_rng(0)
    frames = [
        frame("Si2", 2 * e, force=f, index=i)
        for i, (e, f) in enumerate(zip(rng.normal(-5, 0.1, 60), rng.uniform(1, 2, 60), strict=True))
    ]
    frames[7] = frame("Si2", -10.0, force=328.0, index=7)
    frames[20] = frame("Si2", 30.0, force=1.5, index=20)
    frames[33] = frame("Si2", -60.0, force=1.5, index=33)
    reasons = dict(Survey.fit(frames).outliers())
    assert set(reasons) == {"f:7", "f:20", "f:33"}
    assert reasons["f:7"].startswith("largest force 328 eV/Å, beyond Q3 + 3 IQR = ")
    assert "energy +20.1 eV/atom, beyond Q3 + 3 IQR" in reasons["f:20"]
    assert "energy -24.9 eV/atom, below Q1 - 3 IQR" in reasons["f:33"]


def test_outlier_bound_is_that_of_tukey():
    """Largest forces 0, 1, …, 100: quartiles 25 and 75, so the bound is 75 + 3 · 50 = 225."""
    forces = [*range(101)]
    for last, found in ((224.0, 0), (230.0, 1)):  # one more value moves the quartiles by less than one
        survey = Survey.fit([frame("Si", force=f, index=i) for i, f in enumerate([*forces, last])])
        assert len(survey.outliers()) == found


def test_energies_of_underdetermined_compositions_are_no_outliers():
    """Elements that no other frame has are fitted exactly: where most frames have some, none is judged."""

    def survey(alone: int) -> list[tuple[str, str]]:
        kinds = [*(("Cu",) * (40 - alone)), *chemical_symbols[1 : alone + 1]]
        energies = np.random.default_rng(0).normal(size=40)
        energies[0] += 100
        return Survey.fit(
            Frame(Atoms(kind, positions=[[0, 0, f]]), f"x:{f}", "", energy, np.zeros((1, 3)))
            for f, (kind, energy) in enumerate(zip(kinds, energies, strict=True))
        ).outliers()

    assert survey(26) == survey(33) == survey(40) == []
    assert [origin for origin, _ in survey(2)] == ["x:0"]


def test_rounding_errors_of_equal_labels_are_no_outliers():
    energies, forces = np.full(50, -0.3), np.full(50, 1.0)
    energies[3], forces[5] = np.nextafter(-0.3, 0), np.nextafter(1.0, 2.0)
    frames = [frame("Si3", e, force=f, index=i) for i, (e, f) in enumerate(zip(energies, forces, strict=True))]
    assert Survey.fit(frames).outliers() == []


# ---------------------------------------------------------------- real data


@pytest.mark.data
def test_spheres_of_tungsten_reach_328_ev_per_angstrom(real_data):
    keys = LabelKeys(stress="none")
    files = [real_data / f"tungsten/{name}.extxyz.gz" for name in ("A-elastic", "D-spheres")]
    survey = Survey.fit(read_frames(files, labels="needed", keys=keys))
    assert survey.largest_force.max() == pytest.approx(328, abs=1)
    worst = survey.origins[int(survey.largest_force.argmax())]
    assert "D-spheres" in worst
    assert any(origin == worst and "largest force 328 eV/Å" in reason for origin, reason in survey.outliers())
