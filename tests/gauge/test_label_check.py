"""Labels that contradict predictions, members that contradict labels, and none of either that is right."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

import assay
from assay.frames.compositions import per_atom
from assay.frames.frame import Frame
from assay.linear.label_check import LabelFold
from assay.results.design import Design
from assay.verbs.demo import demo_data

Change = Callable[[Atoms], object]


def changed(part: str, change: Change, some: Callable[[int], bool] = lambda i: True) -> list[Atoms]:
    frames = read(demo_data(part), ":")
    for i, atoms in enumerate(frames):
        if some(i):
            change(atoms)
    return frames


def energies(factor: Callable[[Atoms], float]) -> Change:
    return lambda atoms: atoms.info.update(REF_energy=atoms.info["REF_energy"] * factor(atoms))


def forces(factor: float) -> Change:
    return lambda atoms: atoms.arrays.update(REF_forces=factor * atoms.arrays["REF_forces"])


def stress(read_as: Callable[[np.ndarray, Atoms], np.ndarray]) -> Change:
    return lambda atoms: atoms.info.update(REF_stress=read_as(np.array(atoms.info["REF_stress"]), atoms))


def constrained(atoms: Atoms) -> None:
    atoms.arrays["REF_forces"][:2] = 0.0


WRONG: dict[str, tuple[Change, str, str]] = {
    "energies per atom": (energies(lambda a: 1 / len(a)), "energy", "per atom"),
    "energies in Ha": (energies(lambda a: 1 / 27.2114), "force or energy", "in Ha"),
    "gradients": (forces(-1.0), "force", "opposite sign"),
    "forces in Ha/Bohr": (forces(1 / 51.4221), "force", "in Ha/Bohr"),
    "forces in kcal/mol/Å": (forces(23.0605), "force", "in kcal/mol/Å"),
    "constraints": (constrained, "force", "constrained"),
    "VASP's sign": (stress(lambda s, a: -s), "stress", "opposite sign"),
    "GPa": (stress(lambda s, a: 160.2177 * s), "stress", "in GPa"),
    "virial": (stress(lambda s, a: -a.get_volume() * s), "stress", "virial"),
    "VASP's order": (stress(lambda s, a: s[[0, 1, 2, 5, 3, 4]]), "stress", "xx yy zz xy yz zx"),
    "LAMMPS's order": (stress(lambda s, a: s[[0, 1, 2, 5, 4, 3]]), "stress", "xx yy zz xy xz yz"),
    "VASP's kbar in its order": (stress(lambda s, a: -1602.177 * s[[0, 1, 2, 5, 3, 4]]), "stress", "in kbar"),
}


def build(train: list[Atoms], calibration: list[Atoms]) -> tuple[assay.Built, list[str]]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        built = assay.build(
            train, calibration=calibration, source="snap:twojmax=4", scores=["gamma", "committee_force"],
            linear_fit=assay.LinearFit(ensemble_size=8),
        )  # fmt: skip
    return built, [str(each.message) for each in heard]


@pytest.fixture(scope="module")
def gauge() -> assay.Gauge:
    """Of the demo's labels, which are right: nothing is said of them."""
    built, heard = build(changed("train", lambda a: None), changed("calibration", lambda a: None))
    assert built.label_check == ()
    assert not any("contradict" in each for each in heard)
    return built.gauge


@pytest.mark.snap
@pytest.mark.parametrize("name", WRONG)
def test_build_reads_wrong_labels(name):
    change, quantity, cause = WRONG[name]
    built, heard = build(changed("train", change), changed("calibration", change))
    assert [each.quantity in quantity and cause in each.cause for each in built.label_check] == [True]
    assert str(built.label_check[0]) in heard
    assert built.gauge.provenance["label_check"] == [each.summary() for each in built.label_check]


@pytest.mark.snap
@pytest.mark.parametrize("name", [name for name in WRONG if name != "LAMMPS's order"])  # too few frames to tell
def test_evaluate_reads_wrong_labels(gauge, name, tmp_path):
    change, quantity, cause = WRONG[name]
    with pytest.warns(UserWarning, match=r"contradict|constraints"):
        found = assay.evaluate(gauge, changed("test", change))
    assert [each.quantity in quantity and cause in each.cause for each in found.label_check] == [True]
    assert found.summary()["label_check"] == [each.summary() for each in found.label_check]


@pytest.mark.snap
def test_right_labels_are_left_alone(gauge):
    assert assay.evaluate(gauge, changed("test", lambda a: None)).label_check == ()
    assert assay.evaluate(gauge, changed("ood", lambda a: None)).label_check == ()


@pytest.mark.snap
def test_the_first_screen_of_a_report_says_so(gauge, tmp_path: Path):
    page = tmp_path / "page.html"
    with pytest.warns(UserWarning, match="contradict"):
        assay.evaluate(gauge, changed("test", forces(-1.0)), report=page)
    verdict = page.read_text().partition('id="verdict"')[2].partition("</section>")[0]
    assert "The labels contradict the predictions." in verdict
    assert "forces with the opposite sign" in verdict


@pytest.mark.snap
def test_another_zero_is_told_where_forces_are_right(gauge):
    def moved(atoms: Atoms) -> None:
        atoms.info["REF_energy"] += 3 * len(atoms)

    with pytest.warns(UserWarning, match="another zero"):
        found = assay.evaluate(gauge, changed("test", moved))
    assert [each.cause for each in found.label_check] == ["another zero"]


@pytest.mark.snap
def test_one_wild_energy_among_twenty_is_named(gauge):
    frames = changed("calibration", energies(lambda a: -1000.0), lambda i: i == 3)[:20]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = assay.calibrate(gauge, frames)
    (wild,) = found.provenance["label_check"]
    assert (wild["cause"], wild["frames"]) == ("wild labels", ["atoms:3"])
    assert any("it alone sets the scale" in str(each.message) and "atoms:3" in str(each.message) for each in heard)


@pytest.mark.snap
def test_energies_per_atom_in_half_of_a_file_are_named(gauge):
    change, odd = energies(lambda a: 1 / len(a)), lambda i: i % 2 == 1
    built, _ = build(changed("train", change, odd), changed("calibration", lambda a: None))
    (found,) = built.label_check
    assert "per atom" in found.cause
    assert found.frames == tuple(f"atoms:{i}" for i in range(1, 112, 2))
    with pytest.warns(UserWarning, match="per atom"):
        (told,) = assay.evaluate(gauge, changed("test", change, odd)).label_check
    assert told.frames == tuple(f"atoms:{i}" for i in range(1, 38, 2))


def test_compositions_tell_energies_per_atom_and_leave_right_ones_alone():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, size=(40, 2))
    right = counts @ [-110.0, -60.0] * (1 + 0.001 * rng.normal(size=40))
    assert not per_atom(right, counts).any()
    assert not per_atom(rng.normal(0, 0.1, 40) * counts.sum(axis=1), counts).any()
    wrong = np.zeros(40, dtype=bool)
    wrong[[2, 7, 30]] = True
    assert (per_atom(np.where(wrong, right / counts.sum(axis=1), right), counts) == wrong).all()


def members(part: str, change: Callable[[Atoms], object] = lambda a: None) -> list[Atoms]:
    frames = read(demo_data(part), ":")
    for i, atoms in enumerate(frames):
        rng = np.random.default_rng([len(atoms), i])
        right = atoms.arrays["REF_forces"]
        size = 0.1 * (0.3 + np.linalg.norm(right, axis=1, keepdims=True))
        for k in range(4):
            atoms.arrays[f"m{k}_forces"] = right + size * rng.normal(size=right.shape)
            atoms.info[f"m{k}_energy"] = atoms.info["REF_energy"] + len(atoms) * 0.01 * rng.normal()
        change(atoms)
    return frames


def m1_forces(factor: float) -> Change:
    return lambda atoms: atoms.arrays.update(m1_forces=factor * atoms.arrays["m1_forces"])


def shuffled(atoms: Atoms) -> None:
    rng = np.random.default_rng(int(1e6 * abs(atoms.positions[0, 0])))
    atoms.arrays["m1_forces"] = rng.normal(size=(len(atoms), 3))


MEMBERS: dict[str, tuple[Change, list[tuple[str, str]]]] = {
    "right": (lambda a: None, []),
    "gradients": (m1_forces(-1.0), [("m1", "opposite sign")]),
    "Ha/Bohr": (m1_forces(1 / 51.4221), [("m1", "Ha/Bohr")]),
    "energies per atom": (lambda a: a.info.update(m1_energy=a.info["m1_energy"] / len(a)), [("m1", "per atom")]),
    "twins": (lambda a: a.arrays.update(m3_forces=a.arrays["m0_forces"].copy()), [("m3", "identical")]),
    "broken": (shuffled, [("m1", "broken")]),
    "labels are gradients": (forces(-1.0), [("", "opposite sign")]),
    "labels in Ha/Bohr": (forces(1 / 51.4221), [("", "Ha/Bohr")]),
    "labels per atom": (energies(lambda a: 1 / len(a)), [("", "per atom")]),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_build_says_which_member_or_label_contradicts(name):
    change, expected = MEMBERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = assay.build(members("train", change), calibration=members("calibration", change), source="recorded")
    assert [each.member for each in built.label_check] == [member for member, _ in expected]
    assert all(cause in each.cause for each, (_, cause) in zip(built.label_check, expected, strict=True))


def test_members_of_other_frames_are_refused():
    frames = [atoms for atoms in members("train") if len(atoms) == 8]
    kept = [{k: atoms.arrays[f"m{k}_forces"] for k in range(4)} for atoms in frames]
    for atoms, other in zip(frames, kept[1:] + kept[:1], strict=True):
        atoms.arrays.update({f"m{k}_forces": each for k, each in other.items()})
    with pytest.raises(ValueError, match="do not belong to the frames that they stand beside"):
        assay.build(frames, source="recorded")


def test_two_members_are_told_to_be_few():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        source = {"source": "recorded", "models": ["m0", "m1"]}
        assay.build(members("train"), calibration=members("calibration"), source=source)
    assert any("two members" in str(each.message) for each in heard)


@pytest.mark.parametrize("lacking", [0, 1])
def test_the_sample_is_of_frames_that_have_energies_and_forces(lacking: int) -> None:
    """Every second of 240 frames lacks forces; every second one falls due for the sample of 120, or the one after."""
    fold = LabelFold(total=240, coefficients=3)
    row, rows, zeros = np.ones(3), np.ones((6, 3)), np.zeros((2, 3))
    for i in range(240):
        forces = None if i % 2 == lacking else zeros
        frame = Frame(Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.4]]), f"f:{i}", energy=-1.0, forces=forces)
        fold.update(frame, Design(row, rows, None, np.ones((2, 3)), 0.0, zeros, np.zeros(6)))
    kept = [int(each.frame.origin.removeprefix("f:")) for each in fold._kept]
    assert len(kept) >= 119
    assert {i % 2 for i in kept} == {1 - lacking}
    assert kept[-1] - kept[0] > 230, "from the first to the last"
