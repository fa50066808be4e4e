"""Committees of ASE calculators: numbers, failures, what may be imported, and LAMMPS through LAMMPSlib."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc110, bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.constraints import FixAtoms
from scipy.spatial.transform import Rotation

from assay.frames.frame import FrameError
from assay.results.prediction import Prediction
from assay.sources.committees import committee as ase_committee
from assay.sources.committees.committee import AseCommittee
from assay.storage.archive import load_state, save_state

LJ = {"sigma": 2.3, "epsilon": 0.4, "rc": 6.0}
MORSE = {"epsilon": 0.35, "r0": 2.6, "rho0": 4.0}
COMMITTEE = {
    "source": "ase_committee",
    "member": [
        {"label": "emt", "calculator": "ase.calculators.emt.EMT"},
        {"label": "lj", "calculator": "ase.calculators.lj.LennardJones", "arguments": LJ},
        {"label": "morse", "calculator": "ase.calculators.morse.MorsePotential", "arguments": MORSE},
    ],
}
LAMMPSLIB = "ase.calculators.lammpslib.LAMMPSlib"


def one(calculator: str, arguments: dict[str, Any] | None = None, *, label: str = "it", **options: Any) -> AseCommittee:
    member = {"label": label, "calculator": calculator, "arguments": arguments or {}}
    return AseCommittee.from_toml({"member": [member]}, **options)


def rattled(atoms: Atoms, seed: int = 0) -> Atoms:
    atoms.rattle(0.1, seed=seed)
    return atoms


def copper() -> dict[str, Atoms]:
    """Bulk, triclinic, slab, molecule without cell, one atom."""
    triclinic = rattled(bulk("Cu") * (3, 3, 2), 1)
    triclinic.set_cell(triclinic.cell.array @ [[1, 0.1, 0], [0, 1.05, -0.2], [0.1, 0, 0.95]], scale_atoms=True)
    cluster = rattled(bulk("Cu", cubic=True) * (2, 2, 2), 2)
    cluster.pbc, cluster.cell[:] = False, 0.0
    return {
        "bulk": rattled(bulk("Cu", cubic=True) * (2, 2, 2)),
        "triclinic": triclinic,
        "slab": rattled(fcc111("Cu", (2, 2, 3), vacuum=6.0), 3),
        "molecule": cluster,
        "atom": Atoms("Cu"),
    }


def assert_same(a: Prediction, b: Prediction, tolerance: float = 0.0) -> None:
    for name in ("energy", "forces", "stress", "energy_members", "forces_members", "stress_members"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", copper())
def test_members_are_what_the_calculators_say(name: str) -> None:
    frame = copper()[name]
    result = AseCommittee.from_toml(COMMITTEE).predict(frame)
    for k, calculator in enumerate((EMT(), LennardJones(**LJ), MorsePotential(**MORSE))):
        atoms = frame.copy()
        atoms.calc = calculator
        assert result.energy_members[k] == atoms.get_potential_energy()
        np.testing.assert_array_equal(result.forces_members[k], atoms.get_forces())
        if frame.pbc.all():
            np.testing.assert_array_equal(result.stress_members[k], atoms.get_stress())
    assert result.energy_members.shape == (3,)
    assert result.forces_members.shape == (3, len(frame), 3)
    assert result.energy == pytest.approx(sum(result.energy_members) / 3, abs=1e-12)
    np.testing.assert_allclose(result.forces, sum(result.forces_members) / 3, atol=1e-12)
    assert result.features is None
    if frame.pbc.all():
        assert result.stress_members.shape == (3, 6)
        np.testing.assert_allclose(result.stress, sum(result.stress_members) / 3, atol=1e-15)
    else:
        assert result.stress is None
        assert result.stress_members is None


def test_dimer_has_the_closed_form() -> None:
    r, committee = 2.6, AseCommittee.from_toml({"member": COMMITTEE["member"][1:]})
    result = committee.predict(Atoms("Cu2", [[0, 0, 0], [0, 0, r]]))
    pair = [4 * 0.4 * ((2.3 / x) ** 12 - (2.3 / x) ** 6) for x in (r, 6.0)]
    np.testing.assert_allclose(result.energy_members, [pair[0] - pair[1], -0.35], atol=1e-12)
    slope = 4 * 0.4 * (12 * (2.3 / r) ** 12 - 6 * (2.3 / r) ** 6) / r
    np.testing.assert_allclose(result.forces_members[:, 1, 2], [slope, 0.0], atol=1e-12)


def test_the_same_frame_gives_the_same_numbers_whatever_came_between() -> None:
    committee = AseCommittee.from_toml(COMMITTEE)
    first = {name: committee.predict(frame) for name, frame in copper().items()}
    for name, frame in reversed([*copper().items()]):
        assert_same(committee.predict(frame), first[name])
        assert_same(AseCommittee.from_toml(COMMITTEE).predict(frame), first[name])


@pytest.mark.parametrize("name", ["bulk", "triclinic"])
def test_laws(name: str) -> None:
    frame, committee = copper()[name], AseCommittee.from_toml(COMMITTEE)
    rng, reference = np.random.default_rng(0), committee.predict(frame)

    moved = frame.copy()
    moved.positions += [0.3, -7.0, 11.0]
    assert_same(committee.predict(moved), reference, 1e-9)

    imaged = frame.copy()
    imaged.positions += rng.integers(-2, 3, (len(frame), 3)) @ frame.cell.array
    assert_same(committee.predict(imaged), reference, 1e-9)

    order = rng.permutation(len(frame))
    permuted = committee.predict(frame[order])
    assert permuted.energy == pytest.approx(reference.energy, abs=1e-9)
    np.testing.assert_allclose(permuted.forces_members, reference.forces_members[:, order], atol=1e-9)

    turn = Rotation.random(random_state=1).as_matrix()
    turned = Atoms(frame.numbers, frame.positions @ turn, cell=frame.cell.array @ turn, pbc=True)
    rotated = committee.predict(turned)
    np.testing.assert_allclose(rotated.energy_members, reference.energy_members, atol=1e-9)
    np.testing.assert_allclose(rotated.forces_members, reference.forces_members @ turn, atol=1e-9)


def test_the_frame_is_left_alone_and_constraints_do_not_act() -> None:
    frame, committee = copper()["bulk"], AseCommittee.from_toml(COMMITTEE)
    free = committee.predict(frame)
    frame.set_constraint(FixAtoms(range(10)))
    before = frame.copy()
    assert_same(committee.predict(frame), free)
    assert frame == before
    assert frame.calc is None
    assert len(frame.constraints) == 1


OWN = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

made = 0

class Own(Calculator):
    implemented_properties = ["energy", "forces"]

    def __init__(self, mode="fine"):
        global made
        made += 1
        super().__init__()
        self.mode, self.usable = mode, True

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        print("hello from a calculator")
        n = len(atoms)
        forces = np.zeros((n, 3))
        if atoms.info.get("bad"):
            if self.mode == "raises":
                self.usable = False
                raise RuntimeError("lost my mind")
            if self.mode == "nan":
                forces[1, 2] = np.nan
            if self.mode == "shape":
                forces = np.zeros((n + 1, 3))
        if not self.usable:
            raise RuntimeError("unusable after a failure")
        self.results = {"energy": -float(n), "forces": forces}

def factory(mode):
    return Own(mode)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_calculators.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_calculators", raising=False)
    return "own_calculators"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("raises", "RuntimeError: lost my mind"),
        ("nan", "ValueError: forces with 1 of 12 values not finite"),
        ("shape", "ValueError: forces of shape (5, 3), needed (4, 3)"),
    ],
)
def test_a_failing_member_is_named_and_the_next_frame_works(own: str, mode: str, reason: str) -> None:
    committee = one(f"{own}.Own", {"mode": mode}, label="mine", allow_import=[own])
    frame = bulk("Cu", cubic=True)
    good = committee.predict(frame)
    bad = frame.copy()
    bad.info["bad"] = True
    with pytest.raises(FrameError) as caught:
        committee.predict(bad)
    assert str(caught.value) == f"member 'mine' failed: {reason}"
    assert_same(committee.predict(frame), good)
    assert sys.modules[own].made == 2, "one calculator, and one more after the failure"


def test_an_element_that_a_calculator_does_not_know_costs_only_its_frame() -> None:
    committee = AseCommittee.from_toml(COMMITTEE)
    before = committee.predict(copper()["bulk"])
    with pytest.raises(FrameError, match=r"member 'emt' failed: NotImplementedError: .*W"):
        committee.predict(bulk("W", cubic=True))
    assert_same(committee.predict(copper()["bulk"]), before)


def test_a_calculator_is_made_once_and_its_prints_stay_out_of_stdout(
    own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    committee = one(f"{own}.factory", {"mode": "fine"}, allow_import=[own])
    for frame in copper().values():
        committee.predict(frame)
    assert sys.modules[own].made == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello from a calculator" in captured.err


def test_without_stress_from_every_member_there_is_none(own: str) -> None:
    table = {"member": [*COMMITTEE["member"], {"label": "mine", "calculator": f"{own}.Own"}], "allow": [own]}
    result = AseCommittee.from_toml(table).predict(copper()["bulk"])
    assert result.stress is None
    assert result.stress_members is None
    assert result.energy_members.shape == (4,)


REFUSED = [
    ("subprocess.Popen", "subprocess"),
    ("os.system", "os"),
    ("ase.calculators.lammpsrun.Popen", "ase.calculators.lammpsrun"),
    ("ase.calculators.vasp.Vasp", "ase.calculators.vasp"),
    ("ase.calculators.eam.os", "ase.calculators.eam"),  # a module that a known one imports
    ("ase.calculators.eam.spline", "scipy.interpolate"),  # a class that a known module imports
    ("assay.frames.frame.content_hash", "assay.frames.frame"),  # a function
    ("assayer.Calculator", "assayer"),
]


@pytest.mark.parametrize(("path", "hint"), REFUSED)
def test_unknown_code_is_refused(path: str, hint: str) -> None:
    committee = one(path, label="odd")
    with pytest.raises(PermissionError, match=rf"member 'odd': .*--allow-import {hint}"):
        committee.predict(copper()["atom"])


def test_refused_code_is_not_imported(own: str) -> None:
    with pytest.raises(PermissionError, match="--allow-import own_calculators"):
        one(f"{own}.Own").predict(copper()["atom"])
    with pytest.raises(PermissionError):
        one(f"{own}.Own", allow_import=["own_calc"]).predict(copper()["atom"])
    assert own not in sys.modules
    one(f"{own}.Own", allow_import=[own]).predict(copper()["atom"])
    assert own in sys.modules


@pytest.mark.parametrize(
    "arguments",
    [
        {"lmpcmds": ["shell touch here"]},
        {"lmpcmds": ['"shell" touch here']},
        {"lmpcmds": ["pair_style eam", "python f input 1 here 'print(1)'"]},
        {"lmpcmds": ["pair_style python 5.0"]},
        {"lmpcmds": ["pair_style mliap unified model.pt 0"]},
        {"lmpcmds": ["pair_style $(python)"]},
        {"lmpcmds": ["fix 1 all print 1 text file here"]},
        {"lmpcmds": [], "amendments": ["include here"]},
        {"lmpcmds": [], "post_changebox_cmds": ["write_data here"]},
        {"lmpcmds": [], "log_file": "here"},
        {"lmpcmds": [], "lammps_name": "other"},
    ],
)
def test_lammps_commands_beyond_a_potential_are_refused(arguments: dict[str, Any]) -> None:
    committee = one(LAMMPSLIB, {"atom_types": {"Cu": 1}, **arguments})
    with pytest.raises(PermissionError, match=r"--allow-import ase\.calculators\.lammpslib"):
        committee.predict(copper()["atom"])


def test_what_is_missing_or_can_not_be_made_is_no_fault_of_the_frame(tmp_path: Path) -> None:
    atom = copper()["atom"]
    with pytest.raises(ModuleNotFoundError, match=r"'it': never_installed\.Some needs the module never_installed"):
        one("never_installed.Some", allow_import=["never_installed"]).predict(atom)
    for committee, message in (
        (one("ase.calculators.emt.Missing"), "'it': .*no attribute 'Missing'"),
        (one("ase.calculators.tersoff.Tersoff", {"skin": 1}), "'it': ase.calculators.tersoff.Tersoff can't be made"),
        (one("ase.calculators.eam.EAM", {"potential": str(tmp_path / "no.alloy")}), "FileNotFoundError"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            committee.predict(atom)
        assert not isinstance(caught.value, FrameError)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, r"one \[\[member\]\] or more"),
        ({"member": [{"label": "a", "calculator": "m.C"}] * 2}, "different labels"),
        ({"member": [{"label": "a", "calculator": "m.C"}], "source": "snap"}, "source is 'snap'"),
        ({"members": []}, "unknown members; known are allow, features, member, source"),
        ({"member": {"label": "a"}}, "two brackets"),
        ({"member": ["a"]}, "member 'a': give chgnet"),
        ({"member": [{"calculator": "m.C"}]}, "member 0: needs a label"),
        ({"member": [{"label": "a"}]}, r"member 0 \(a\): calculator is an import path"),
        ({"member": [{"label": "a", "calculator": "m.C()"}]}, "import path"),
        ({"member": [{"label": "a", "calculator": "m.C", "argument": {}}]}, "unknown argument"),
        ({"member": [{"label": "a", "calculator": "m.C", "arguments": []}]}, "arguments is a table"),
        ({"member": [{"label": "a", "calculator": "m.C", "arguments": {"x": float("nan")}}]}, "can't be saved"),
        ({"member": [{"label": "a", "calculator": "m.C"}], "allow": "m"}, "allow is a list"),
        ({"member": [{"label": "a", "calculator": LAMMPSLIB}]}, "needs atom_types"),
        (
            {
                "member": [
                    {"label": "a", "calculator": LAMMPSLIB, "arguments": {"atom_types": {"W": 1}, "keep_alive": False}}
                ]
            },
            "keep_alive",
        ),
    ],
)
def test_a_table_that_can_not_be_meant_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AseCommittee.from_toml(table)


def test_a_toml_file_and_its_content_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "committee.toml"
    path.write_text(
        'source = "ase_committee"\nallow = ["mine"]\n[[member]]\nlabel = "lj"\n'
        'calculator = "ase.calculators.lj.LennardJones"\narguments = { sigma = 2.3, epsilon = 0.4, rc = 6.0 }\n'
    )
    read = AseCommittee.from_toml(path, allow_import=["yours"])
    assert read == AseCommittee.from_toml({"member": [COMMITTEE["member"][1]]}, ["yours", "mine"])
    assert read.label == "committee of 1 calculators: lj"
    path.write_text("[[member]\n")
    with pytest.raises(ValueError, match=r"committee\.toml: not TOML"):
        AseCommittee.from_toml(path)


def test_saved_and_loaded_it_is_the_same_without_what_was_allowed(tmp_path: Path) -> None:
    committee = AseCommittee.from_toml(COMMITTEE, allow_import=["mine"])
    frame = copper()["slab"]
    before = committee.predict(frame)
    save_state(tmp_path / "it.gauge", committee.state())
    loaded = AseCommittee.from_state(load_state(tmp_path / "it.gauge"))
    assert loaded.members == committee.members
    assert loaded.allow_import == ()
    assert "mine" not in json.dumps(committee.state())
    assert_same(loaded.predict(frame), before)
    assert AseCommittee.from_state(committee.state(), allow_import=("mine",)) == committee


def test_a_used_committee_can_be_pickled_and_used_in_another_process() -> None:
    committee = AseCommittee.from_toml(COMMITTEE)
    frame = copper()["triclinic"]
    before = committee.predict(frame)
    assert pickle.loads(pickle.dumps(committee)) == committee
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert_same(pool.submit(committee.predict, frame).result(timeout=120), before)


def test_loading_imports_nothing() -> None:
    member = {"label": "a", "calculator": "ase.calculators.morse.MorsePotential", "arguments": {}}
    lammps = {"label": "b", "calculator": LAMMPSLIB, "arguments": {"atom_types": {"W": 1}}}
    other = {"label": "c", "calculator": "chgnet.model.CHGNetCalculator", "arguments": {}}
    script = f"""
import sys, pickle
from assay.sources.committees.committee import AseCommittee
committee = AseCommittee.from_state({{"members": {[member, lammps, other]!r}}})
committee = pickle.loads(pickle.dumps(committee))
committee.state(), committee.label
late = {{"ase.calculators.morse", "ase.calculators.lammpslib", "lammps", "chgnet"}}
assert not late & set(sys.modules), late & set(sys.modules)
first = AseCommittee.from_state({{"members": [{member!r}]}})
from ase import Atoms
first.predict(Atoms("Cu"))
assert "ase.calculators.morse" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


TUNGSTEN = {
    "member": [
        {
            "label": "zhou",
            "calculator": LAMMPSLIB,
            "arguments": {
                "lmpcmds": ["pair_style eam/alloy", "pair_coeff * * {lammps_potentials}/W_zhou.eam.alloy W"],
                "atom_types": {"W": 1},
            },
        },
        {
            "label": "meam",
            "calculator": LAMMPSLIB,
            "arguments": {
                "lmpcmds": [
                    "pair_style meam",
                    "pair_coeff * * {lammps_potentials}/library.meam W NULL W",
                ],
                "atom_types": {"W": 1},
            },
        },
        {
            "label": "snap",
            "calculator": LAMMPSLIB,
            "arguments": {
                "lmpcmds": [
                    "pair_style hybrid/overlay zbl 4.0 4.8 snap",
                    "pair_coeff 1 1 zbl 74 74",
                    "pair_coeff * * snap {lammps_potentials}/W_2940_2017_2.snapcoeff "
                    "{lammps_potentials}/W_2940_2017_2.snapparam W",
                ],
                "atom_types": {"W": 1},
            },
        },
        {
            "label": "ase-zhou",
            "calculator": "ase.calculators.eam.EAM",
            "arguments": {"potential": "{lammps_potentials}/W_zhou.eam.alloy"},
        },
    ]
}


def tungsten() -> dict[str, Atoms]:
    """Every way of being periodic, and cells that LAMMPS does not take as they are."""
    slab = rattled(bcc110("W", (3, 3, 3), vacuum=8.0), 3)
    slab.pbc = True, True, False
    frames = {"bulk": rattled(bulk("W", cubic=True) * (3, 3, 3), 1), "two atoms": bulk("W", cubic=True), "slab": slab}
    frames["slab, atoms below the cell"] = slab.copy()
    frames["slab, atoms below the cell"].positions[:, 2] -= 20.0
    frames["slab without third vector"] = slab.copy()
    frames["slab without third vector"].cell[2] = 0.0
    frames["slab along a"] = Atoms(slab.numbers, slab.positions, cell=slab.cell.array[[2, 1, 0]], pbc=[0, 1, 1])
    frames["slab along b"] = Atoms(slab.numbers, slab.positions, cell=slab.cell.array[[0, 2, 1]], pbc=[1, 0, 1])
    frames["slab, slanted"] = slab.copy()
    frames["slab, slanted"].cell[2] += 3.0
    frames["wire"] = slab.copy()
    frames["wire"].pbc = False, True, False
    cluster = rattled(bulk("W", cubic=True) * (2, 2, 2), 4)
    cluster.pbc, cluster.cell[:] = False, 0.0
    frames |= {"cluster": cluster, "cluster beyond its cell": cluster.copy(), "atom": Atoms("W", [[1, 2, 3]])}
    frames["cluster beyond its cell"].cell[:] = 4.0 * np.eye(3)
    frames["molecule of two, flat"] = Atoms("W2", [[0, 0, 0], [2.5, 0, 0]])
    return frames


@pytest.mark.snap
@pytest.mark.snap
@pytest.mark.parametrize("name", tungsten())
def test_lammps_and_ase_agree_on_the_same_file(name: str) -> None:
    # The two interpolate the last interval of the table, up to the cut-off, differently.
    result = AseCommittee.from_toml(TUNGSTEN).predict(tungsten()[name])
    assert result.energy_members[0] == pytest.approx(result.energy_members[3], abs=1e-7)
    np.testing.assert_allclose(result.forces_members[0], result.forces_members[3], rtol=0, atol=1e-5)
    if result.stress_members is not None:
        np.testing.assert_allclose(result.stress_members[0], result.stress_members[3], atol=1e-7)


@pytest.mark.snap
@pytest.mark.snap
def test_lammps_gives_the_same_numbers_whatever_came_between() -> None:
    committee, frames = AseCommittee.from_toml(TUNGSTEN), tungsten()
    names = np.random.default_rng(0).permutation([*frames] * 2)
    fresh = {name: AseCommittee.from_toml(TUNGSTEN).predict(frame) for name, frame in frames.items()}
    for name in names:
        assert_same(committee.predict(frames[name]), fresh[name])


@pytest.mark.snap
@pytest.mark.snap
@pytest.mark.parametrize("handedness", ["right", "left"])
def test_lammps_has_the_closed_form_in_any_cell(handedness: str) -> None:
    rng, rc = np.random.default_rng(5), 6.0
    lammps = {
        "lmpcmds": [f"pair_style lj/cut {rc}", "pair_coeff * * 0.4 2.3", "pair_modify shift yes"],
        "atom_types": {"Cu": 1},
    }
    member = {"label": "lammps", "calculator": LAMMPSLIB, "arguments": lammps}
    committee = AseCommittee.from_toml({"member": [member, COMMITTEE["member"][1]]})
    for _ in range(10):
        frame = rattled(bulk("Cu") * tuple(rng.integers(1, 4, 3)), int(rng.integers(100)))
        frame.set_cell(frame.cell.array @ (np.eye(3) + 0.1 * rng.normal(size=(3, 3))), scale_atoms=True)
        if handedness == "left":
            frame.set_cell(frame.cell.array[[1, 0, 2]])
        frame.positions += 30.0
        result = committee.predict(frame)
        np.testing.assert_allclose(result.energy_members[0], result.energy_members[1], rtol=1e-9)
        np.testing.assert_allclose(*result.forces_members, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(*result.stress_members, rtol=1e-7, atol=1e-8)


@pytest.mark.snap
@pytest.mark.snap
def test_the_example_in_the_documentation_runs() -> None:
    text = ase_committee.__doc__.split("```toml\n")[1].split("```")[0]
    committee = AseCommittee.from_toml(tomllib.loads(text))
    assert committee.allow_import == ("my_package",)
    assert committee.predict(tungsten()["bulk"]).stress_members.shape == (2, 6)


@pytest.mark.snap
@pytest.mark.snap
def test_lammps_goes_on_after_a_failure() -> None:
    committee, frame = AseCommittee.from_toml({"member": TUNGSTEN["member"][:1]}), tungsten()["bulk"]
    before = committee.predict(frame)
    with pytest.raises(FrameError, match="member 'zhou' failed: KeyError: 'Cu'"):
        committee.predict(bulk("Cu"))
    assert_same(committee.predict(frame), before)
    missing = one(LAMMPSLIB, {"lmpcmds": ["pair_style eam/alloy", "pair_coeff * * no W"], "atom_types": {"W": 1}})
    with pytest.raises(FrameError, match=r"member 'it' failed: .*cannot open.* no"):
        missing.predict(frame)


@pytest.mark.snap
@pytest.mark.snap
def test_charges_do_not_stay_in_lammps() -> None:
    coulomb = {
        "lammps_header": ["units metal", "atom_style charge", "atom_modify map array sort 0 0"],
        "lmpcmds": ["pair_style coul/cut 10.0", "pair_coeff * *"],
        "atom_types": {"Cu": 1},
    }
    committee, r = one(LAMMPSLIB, coulomb), 2.5
    frame = Atoms("Cu2", [[0, 0, 0], [0, 0, r]])
    charged = frame.copy()
    charged.set_initial_charges([1.0, -1.0])
    assert committee.predict(charged).energy == pytest.approx(-14.399645 / r, abs=1e-5)
    assert committee.predict(frame).energy == 0.0
