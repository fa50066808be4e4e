"""Members by name, what is kept of them, and the members verb: with ASE's own potentials, so in every environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

import assay
from assay.frames.frame import Frame, FrameError
from assay.frames.reading import read_frames
from assay.gauge.gauge import Gauge
from assay.results.prediction import Prediction
from assay.sources.committees.cache import EvaluationCache, frame_key, opened_cache
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.model_names import identity, needs_permission, parse_member
from assay.sources.committees.recording import record
from assay.sources.committees.worker import load, written
from assay.sources.committees.worker import predict as predict_frames
from assay.sources.committees.worker import read as read_message
from assay.sources.committees.worker_process import WorkerProcess
from assay.sources.recorded.members_file import attach_members
from assay.sources.recorded.recorded import Recorded
from assay.sources.registry import parse_spec, source_from_state

LENNARD_JONES = "ase.calculators.lj.LennardJones"
TWO = ("ase.calculators.emt.EMT", f"{LENNARD_JONES}(sigma=2.3, epsilon=0.4, rc=6.0)")


def copper(count: int = 5, seed: int = 0) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    cells = [bulk("Cu", cubic=True) * (1, 1, 1 + i % 2) for i in range(count)]
    for atoms in cells:
        atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
    return cells


def as_frames(structures: list[Atoms]) -> list[Frame]:
    return [Frame(atoms, f"made:{i}") for i, atoms in enumerate(structures)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of atoms of every frame that EMT was asked for."""
    seen: list[int] = []
    true = EMT.calculate

    def counted(self: EMT, atoms: Atoms, *rest: object, **more: object) -> None:
        seen.append(len(atoms))
        true(self, atoms, *rest, **more)

    monkeypatch.setattr(EMT, "calculate", counted)
    return iter([seen]).__next__()


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("chgnet:0.3.0", Member("chgnet-0.3.0", "chgnet", {"what": "0.3.0"})),
        (
            "sevennet:7net-mf-0(modal=PBE)",
            Member("sevennet-7net-mf-0-PBE", "sevennet", {"what": "7net-mf-0", "modal": "PBE"}),
        ),
        (" chgnet:r2scan@/opt/py", Member("chgnet-r2scan", "chgnet", {"what": "r2scan"}, "/opt/py")),
        ("a.b.Class", Member("Class", "a.b.Class")),
        (
            'a.b.make(x = 2, y=[1, 2], name="q,r")@~/p',
            Member("make", "a.b.make", {"x": 2, "y": [1, 2], "name": "q,r"}, str(Path.home() / "p")),
        ),
        ("a.b.make@env/bin/python", Member("make", "a.b.make", {}, str(Path.cwd() / "env/bin/python"))),
        ("a.b.make@python3", Member("make", "a.b.make", {}, "python3")),
        ('a.b.make(name="q@r")', Member("make", "a.b.make", {"name": "q@r"})),
    ],
)
def test_names(text: str, member: Member) -> None:
    assert parse_member(text) == member


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chgnet", "import path"),
        ("chgnet:", "which model of chgnet"),
        ("nequix:/no/such.nqx", "no file or folder /no/such.nqx"),
        ("chgnet:0.3.0(cpu)", "'cpu' is not key=value"),
        ("orb:v3", "give chgnet:"),
        ("chgnet:0.3.0(a=1", "write FAMILY"),
        ("chgnet:0.3.0@/p/python(a=1)", r"arguments come before @: chgnet:0\.3\.0\(a=1\)@/p/python$"),
        ("chgnet:0.9", r"'0\.9' is no model of chgnet; there are 0\.3\.0, 0\.2\.0, r2scan$"),
        ("sevennet:7net-9", "'7net-9' is no model of sevennet; there are 7net-0, .*, or the path of a checkpoint"),
    ],
)
def test_names_that_can_not_be_meant(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_member(text)


def test_models_may_be_named_as_their_package_names_them(tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine.pth"
    checkpoint.touch()
    for what in ("7net-0_22May2024", "SevenNet-0", str(checkpoint)):
        assert parse_member(f"sevennet:{what}").arguments == {"what": what}


def test_a_folder_that_is_no_matgl_model_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "model.json").touch()
    with pytest.raises(ValueError, match=r"not the folder of a matgl potential: no model\.pt, state\.pt in it"):
        load("matgl", {"what": str(tmp_path)})


def test_a_spec_lists_members() -> None:
    settings = parse_spec("ase_committee:chgnet:0.3.0,sevennet:7net-mf-0(modal=PBE, device=cpu),features=chgnet:0.3.0")
    committee = AseCommittee.from_toml(settings)
    assert [member.label for member in committee.members] == ["chgnet-0.3.0", "sevennet-7net-mf-0-PBE"]
    assert committee.members[1].arguments == {"what": "7net-mf-0", "modal": "PBE", "device": "cpu"}
    assert committee.featured == "chgnet-0.3.0"
    assert AseCommittee.from_state(committee.state()) == committee


def test_identity_is_of_version_arguments_and_weights(tmp_path: Path) -> None:
    weights = tmp_path / "w.dat"
    weights.write_bytes(b"one")
    member = Member("m", "ase.calculators.emt.EMT", {"nested": [{"file": str(weights)}]})
    first = identity(member)
    assert first is not None
    assert identity(replace(member, label="other", rmse=0.3)) == first
    assert identity(replace(member, arguments={**member.arguments, "more": 1})) != first
    weights.write_bytes(b"two")
    assert identity(member) != first
    assert identity(Member("m", "no_such_module.Calculator")) is None


def test_identity_in_another_interpreter_is_that_of_its_version(tmp_path: Path) -> None:
    here = Member("m", "ase.calculators.emt.EMT")
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert identity(replace(here, python=str(tmp_path / "none"))) is None
    script = tmp_path / "other"
    script.write_text("#!/bin/sh\necho ase 0.0.1\n")
    script.chmod(0o755)
    assert identity(replace(here, python=str(script))) not in (None, identity(here))


def test_what_a_gauge_may_not_start() -> None:
    committee = AseCommittee.from_toml(parse_spec("ase_committee:ase.calculators.emt.EMT@/no/python"))
    stored = AseCommittee.from_state(committee.state())
    with pytest.raises(PermissionError, match="--allow-import /no/python"):
        stored.predict(bulk("Cu"))
    assert stored.identity(0) is None  # not even asked for its version
    with pytest.raises(FileNotFoundError, match="/no/python can't be run"):
        committee.predict(bulk("Cu"))
    assert needs_permission(Member("m", "mace", {"what": "w.model"})) == ("mace",)
    assert needs_permission(Member("m", "chgnet", {"what": "0.3.0"})) == ()


def test_a_worker_says_the_same(cache: Path) -> None:
    here = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    there = AseCommittee.from_toml({"member": [{"model": f"{name}@{sys.executable}"} for name in TWO]})
    for atoms in [*copper(2), molecule("CO")]:  # EMT has C and O too, and no cell is given
        a, b = here.predict(atoms), there.predict(atoms)
        np.testing.assert_array_equal(a.forces_members, b.forces_members)
        np.testing.assert_array_equal(a.energy_members, b.energy_members)
    with pytest.raises(FrameError, match="member 'EMT' failed: NotImplementedError"):
        there.predict(bulk("W"))
    assert there.predict(copper(1)[0]).energy is not None


def test_nothing_is_computed_twice(cache: Path, calls: list[int]) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    frames = as_frames(copper())
    assert record(committee, lambda: [*frames[:2], *frames[:2]]) == []
    assert len(calls) == 2
    assert record(committee, lambda: frames) == []
    assert len(calls) == len(frames)
    fresh = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    kept = [fresh.predict(frame.atoms) for frame in frames]
    assert len(calls) == len(frames)
    atoms = frames[3].atoms.copy()
    atoms.calc = EMT()
    assert kept[3].energy_members[0] == atoms.get_potential_energy()
    np.testing.assert_array_equal(kept[3].forces_members[0], atoms.get_forces())
    np.testing.assert_array_equal(kept[3].stress_members[0], atoms.get_stress())


def test_an_interrupted_run_goes_on(cache: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    frames = as_frames(copper(6))

    def interrupted() -> Iterator[Frame]:
        yield from frames[:4]
        raise KeyboardInterrupt

    monkeypatch.setattr("assay.sources.committees.recording.BATCH_ATOMS", 1)
    with pytest.raises(KeyboardInterrupt):
        record(committee, interrupted)
    assert len(calls) == 3  # the fourth waits for a fifth that is not of its batch
    record(committee, lambda: frames)
    assert len(calls) == len(frames)


def test_two_processes_share_a_cache(cache: Path) -> None:
    """No transaction is open while a potential computes."""
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    other = EvaluationCache(cache)
    other._file.execute("PRAGMA busy_timeout = 0")

    def frames() -> Iterator[Frame]:
        for i, frame in enumerate(as_frames(copper(40))):
            other.put("another", str(i), Prediction(0.0, np.zeros((1, 3))))  # locked: raises
            other.commit()
            yield frame

    assert record(committee, frames) == []
    assert other.count(["another", str(committee.identity(0))]) == 80


def test_single_evaluations_are_not_kept(cache: Path) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    committee.predict(copper(1)[0])
    opened = opened_cache()
    assert opened is not None
    assert opened.count([str(committee.identity(0))]) == 0


def test_a_failure_is_a_gap_and_is_tried_again(cache: Path, calls: list[int]) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    frames = as_frames([copper(1)[0], bulk("W"), copper(2)[1]])
    for asked in (4, 1):  # all three together and then one by one; afterwards the one that failed
        calls.clear()
        gaps = record(committee, lambda: frames)
        assert [(gap.member, gap.origin) for gap in gaps] == [("EMT", "made:1")]
        assert "NotImplementedError" in gaps[0].reason
        assert calls.count(1) >= 1
        assert len(calls) <= asked + 1
    assert committee.predict(frames[0].atoms).energy_members is not None


def test_charges_and_spin_are_part_of_a_frame(tmp_path: Path) -> None:
    plain, charged, spun = bulk("Cu"), bulk("Cu"), bulk("Cu")
    charged.set_initial_charges([1.0])
    spun.info["spin"] = 3
    assert len({frame_key(atoms) for atoms in (plain, charged, spun)}) == 3
    zero = bulk("Cu")
    zero.set_initial_magnetic_moments([0.0])
    assert frame_key(zero) == frame_key(plain)


def test_cache_of_features(tmp_path: Path) -> None:
    cache = EvaluationCache(tmp_path)
    result = Prediction(-1.5, np.arange(6.0).reshape(2, 3))
    cache.put("m", "f", result)
    assert cache.has("m", "f")
    assert not cache.has("m", "f", features=True)
    assert cache.get("m", "f", features=True) is None
    cache.put("m", "f", replace(result, features=np.ones((2, 4), np.float32)))
    again = EvaluationCache(tmp_path)
    cache.commit()
    found = again.get("m", "f", features=True)
    assert found is not None
    assert found.energy == -1.5
    np.testing.assert_array_equal(found.forces, result.forces)
    assert found.features is not None
    assert (found.features.shape, found.features.dtype) == ((2, 4), np.float32)
    assert found.stress is None
    again.forget("m")
    assert not again.has("m", "f")


@pytest.mark.parametrize("workers", [1, 2])
def test_members_file(tmp_path: Path, cache: Path, workers: int) -> None:
    structures = copper()
    write(tmp_path / "a.extxyz", structures)
    made = assay.members(TWO, tmp_path / "a.extxyz", tmp_path / "m.npz", run=assay.Run(f"local:{workers}"))
    assert (made.models, made.frames, made.computed, made.gaps) == (("EMT", "LennardJones"), 5, 10, ())
    frames = list(attach_members(read_frames(tmp_path / "a.extxyz"), tmp_path / "m.npz"))
    committee, recorded = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]}), Recorded(made.models)
    for frame in frames:
        told = recorded.predict(frame.atoms)
        bare = Atoms(frame.atoms.numbers, frame.atoms.positions, cell=frame.atoms.cell, pbc=True)
        expected = committee.predict(bare)
        np.testing.assert_allclose(told.forces_members, expected.forces_members, atol=1e-12)
        np.testing.assert_allclose(told.stress_members, expected.stress_members, atol=1e-14)
    again = assay.members(TWO, tmp_path / "a.extxyz", tmp_path / "m.npz", run=assay.Run(f"local:{workers}"))
    assert again.computed == 0


def test_members_files_are_combined_and_gaps_are_told(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "a.extxyz", [*copper(2), bulk("W")])
    first = assay.members(TWO[:1], tmp_path / "a.extxyz", tmp_path / "1.npz")
    assert [(gap.member, gap.origin) for gap in first.gaps] == [("EMT", f"{tmp_path}/a.extxyz:2")]
    both = assay.members([str(tmp_path / "1.npz"), TWO[1]], tmp_path / "a.extxyz", tmp_path / "2.npz")
    assert both.models == ("EMT", "LennardJones")
    with np.load(tmp_path / "2.npz") as file:
        assert np.isnan(file["energy"]).tolist() == [[False, False, True], [False, False, False]]
        assert np.isnan(file["forces"][0, -1]).all()
        assert np.isfinite(file["forces"][1]).all()
    skipped: list[tuple[str, str]] = []
    left = list(attach_members(read_frames(tmp_path / "a.extxyz"), tmp_path / "2.npz", skipped=skipped))
    assert len(left) == 2
    assert "not finite" in skipped[0][1]
    write(tmp_path / "b.extxyz", copper(3, seed=1))
    with pytest.raises(FrameError, match="none of the 3 frames"):
        assay.members([str(tmp_path / "1.npz"), TWO[1]], tmp_path / "b.extxyz", tmp_path / "3.npz")
    with pytest.raises(ValueError, match="different labels"):
        assay.members([TWO[0], TWO[0]], tmp_path / "b.extxyz", tmp_path / "3.npz")


def test_a_molecule_or_a_member_without_stress_costs_no_other_its_own(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "a.extxyz", [copper(1)[0], molecule("CO", vacuum=5.0), bulk("W")])
    assay.members(TWO[0], tmp_path / "a.extxyz", tmp_path / "1.npz")
    with np.load(tmp_path / "1.npz") as file:
        assert np.isfinite(file["stress"]).all(axis=2).tolist() == [[True, False, False]]
        without = {key: file[key] for key in file.files if key != "stress"} | {"models": np.array(["other"])}
    np.savez(tmp_path / "2.npz", **without)
    assay.members([str(tmp_path / "2.npz"), TWO[0]], tmp_path / "a.extxyz", tmp_path / "3.npz")
    with np.load(tmp_path / "3.npz") as file:
        assert np.isfinite(file["stress"]).all(axis=2).tolist() == [[False] * 3, [True, False, False]]


def test_a_member_without_any_evaluation_is_an_error(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "w.extxyz", [bulk("W"), bulk("W"), bulk("W", a=3.3)])
    with pytest.raises(FrameError, match="member 'EMT' failed on every frame; the first reason: NotImplementedError"):
        assay.members(TWO, tmp_path / "w.extxyz", tmp_path / "m.npz")
    assert not (tmp_path / "m.npz").exists()


def test_a_frame_left_out_is_told_once(tmp_path: Path, cache: Path) -> None:
    good, bad = copper(2)
    bad.positions[:] = 0.0
    write(tmp_path / "a.extxyz", [good, bad])
    made = assay.members(TWO, tmp_path / "a.extxyz", tmp_path / "m.npz", run=assay.Run(skip_bad=True))
    assert [origin for origin, _ in made.skipped] == [f"{tmp_path}/a.extxyz:1"]


def test_without_a_cache_all_is_computed(tmp_path: Path, calls: list[int]) -> None:
    write(tmp_path / "a.extxyz", copper(3))
    for round_ in (1, 2):
        assert assay.members(TWO[0], tmp_path / "a.extxyz", tmp_path / "m.npz").computed == 3
        assert len(calls) == 3 * round_


@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")  # of few frames
def test_build_and_predict_compute_each_frame_once(tmp_path: Path, cache: Path, calls: list[int]) -> None:
    structures = copper(24)
    for atoms in structures:
        atoms.calc = EMT()
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
    write(tmp_path / "train.extxyz", structures[:16])
    write(tmp_path / "new.extxyz", structures[16:])
    others = [
        {"label": f"lj-{i}", "calculator": LENNARD_JONES, "arguments": {"sigma": 2.2 + 0.05 * i, "rc": 6.0}}
        for i in range(3)
    ]
    source = {"source": "ase_committee", "member": [{"model": TWO[0]}, *others]}
    calls.clear()
    assay.build(tmp_path / "train.extxyz", source=source, out=tmp_path / "g.gauge")
    assert len(calls) == 16
    for _ in range(2):
        gauge = Gauge.load(tmp_path / "g.gauge")
        assert len(assay.predict(gauge, tmp_path / "new.extxyz").batch.names) == 8
    assert len(calls) == 24


def test_command_line(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "a.extxyz", [*copper(2), bulk("W")])
    command = [str(Path(sys.executable).with_name("assay")), "members", ",".join(TWO), str(tmp_path / "a.extxyz")]
    ran = subprocess.run(
        [*command, "-o", str(tmp_path / "m.npz"), "--json", "-"], capture_output=True, text=True, check=True
    )
    summary = json.loads(ran.stdout)
    assert summary["models"] == ["EMT", "LennardJones"]
    assert [gap["member"] for gap in summary["gaps"]] == ["EMT"]
    assert "No EMT-potential for W" in ran.stderr
    assert "5 evaluations computed now, 1 failed\n" in ran.stderr


SLOW = """
import time
from ase.calculators.emt import EMT

class Slow(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        if len(atoms) > 4:
            print("chatter", flush=True)
            open("{mark}", "w").close()
            time.sleep(60)
        super().calculate(atoms, *args, **kwargs)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_is_one_line_and_keeps_what_was_computed(tmp_path: Path, workers: str) -> None:
    """As a terminal sends it: to the worker too."""
    mark = tmp_path / "slow"
    (tmp_path / "odd.py").write_text(SLOW.format(mark=mark))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    write(tmp_path / "a.extxyz", [*copper(4), copper(1)[0] * (4, 4, 4)])
    assay_ = str(Path(sys.executable).with_name("assay"))
    models, allow = f"{TWO[0]},odd.Slow@{python}", ["--allow-import", "odd"]
    ran = subprocess.Popen(
        [assay_, "members", models, *allow, "a.extxyz", "-o", "m.npz", "--workers", workers],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "ASSAY_CACHE": str(tmp_path / "cache")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )  # fmt: skip
    limit = time.monotonic() + 100
    while not mark.exists() and ran.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(ran.pid, signal.SIGINT)
    try:
        told = ran.communicate(timeout=40)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(ran.pid, signal.SIGKILL)
    assert ran.returncode == 1
    assert "interrupted: no members file is written" in told
    assert "the same command goes on from there" in told
    assert told.count("\n") == 1, told
    assert not (tmp_path / "m.npz").exists()


EVIL = "#!/bin/sh\ntouch {mark}\n"


def evil(folder: Path) -> tuple[Path, Path]:
    """A program, and the file that it makes when it runs."""
    program, mark = folder / "evil.sh", folder / "it-ran"
    program.write_text(EVIL.format(mark=mark))
    program.chmod(0o755)
    return program, mark


def test_a_corrector_in_a_gauge_starts_no_program(tmp_path: Path) -> None:
    program, mark = evil(tmp_path)
    state = {"model": f"chgnet:0.3.0@{program}", "components": 1}
    for named in ({"kind": "corrector"}, {"kind": "corrector", "source": "corrector"}):
        with pytest.raises((PermissionError, ValueError)):
            source_from_state({**named, **state}).told(bulk("Cu"))
    assert not mark.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gauge_starts_no_program_through_a_class_that_is_no_calculator(
    tmp_path: Path, cache: Path, workers: int
) -> None:
    program, mark = evil(tmp_path)
    arguments = {"python": str(program), "calculator": "chgnet", "arguments": {}}
    member = {
        "label": "x",
        "calculator": "assay.sources.committees.worker_process.WorkerProcess",
        "arguments": arguments,
    }
    committee = AseCommittee.from_state({"members": [member]})
    with pytest.raises(PermissionError, match="no class of calculators"):
        record(committee, lambda: as_frames(copper(2)), identities=("x",), workers=workers)
    assert not mark.exists()


@pytest.mark.parametrize(
    "member",
    [
        Member("m", "mace.calculators.MACECalculator", {"model_paths": "w.model"}),
        Member("m", "sevenn.calculator.SevenNetCalculator", {"model": "w.pth"}),
    ],
)
def test_weights_that_may_be_code_are_not_loaded_for_a_gauge(member: Member) -> None:
    committee = AseCommittee.from_state(AseCommittee((member,)).state())
    with pytest.raises(PermissionError, match=f"--allow-import {member.calculator.partition('.')[0]}"):
        committee.predict(bulk("Cu"))


def test_other_weights_are_another_model(tmp_path: Path, cache: Path) -> None:
    """Also where they are overwritten between two uses of one committee."""
    settings = tmp_path / "lj.json"
    settings.write_text("one")
    member = Member("m", "ase.calculators.emt.EMT", {"label": str(settings)})
    committee = AseCommittee((member,))
    frames = as_frames(copper(1))
    record(committee, lambda: frames)
    first = committee.identity(0)
    settings.write_text("two")
    record(committee, lambda: frames)
    assert committee.identity(0) != first


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_not_finite_is_a_gap_and_is_not_kept(tmp_path: Path, cache: Path, workers: int) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": TWO[1]}]})
    twice = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0]], cell=[9, 9, 9], pbc=True)
    with np.errstate(all="ignore"):
        gaps = record(committee, lambda: as_frames([twice, *copper(1)]), workers=workers)
    assert [gap.origin for gap in gaps] == ["made:0"]
    opened = opened_cache()
    assert opened is not None
    assert opened.count([str(committee.identity(0))]) == 1


def test_a_cache_that_can_not_be_used_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "file"))
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    with pytest.warns(UserWarning, match="can't be used"):
        assert committee.predict(bulk("Cu")).energy is not None
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/evaluations.sqlite").write_bytes(b"not a database, by far" * 100)
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "damaged"))
    with pytest.warns(UserWarning, match="can't be used"):
        assert committee.predict(bulk("Cu")).energy is not None


def test_charges_reach_a_worker() -> None:
    atoms = bulk("Cu")
    atoms.info |= {"charge": np.int64(1), "spin": 2.0, "other": 3}
    assert read_message(json.loads(json.dumps(written(atoms)))).info == {"charge": 1, "spin": 2.0}


def test_a_gauge_is_not_even_asked_for_the_version_of_its_program(tmp_path: Path) -> None:
    program, mark = evil(tmp_path)
    committee = AseCommittee.from_toml(parse_spec(f"ase_committee:{TWO[0]}@{program}"))
    assert AseCommittee.from_state(committee.state()).identity(0) is None
    assert not mark.exists()
    committee.identity(0)
    assert mark.exists()


def test_a_checkpoint_of_sevennet_needs_permission(tmp_path: Path) -> None:
    (tmp_path / "own.pth").write_bytes(b"")
    assert needs_permission(Member("m", "sevennet", {"what": str(tmp_path / "own.pth")})) == ("sevennet",)
    assert needs_permission(Member("m", "sevennet", {"what": "7net-0"})) == ()


DIES = """
import os
from ase.calculators.lj import LennardJones

class Dies(LennardJones):
    def calculate(self, atoms, *rest):
        if atoms.symbols[0] == "W":
            os._exit(3)
        super().calculate(atoms, *rest)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_frame_that_kills_the_worker_costs_itself_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    (tmp_path / "deadly.py").write_text(DIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    member = Member("m", "deadly.Dies", python=sys.executable)
    committee = AseCommittee((member,), ("deadly", sys.executable))
    frames = as_frames([copper(1)[0], bulk("W"), copper(2)[1]])
    gaps = record(committee, lambda: frames, identities=("deadly",), workers=workers)
    assert [gap.origin for gap in gaps] == ["made:1"]
    assert "ended with exit code 3" in gaps[0].reason
    opened = opened_cache()
    assert opened is not None
    assert opened.count(["deadly"]) == 2


def test_one_by_one_as_together() -> None:
    class Fussy:
        def predict(
            self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
        ) -> list[dict[str, object]]:
            if len(frames) > 1:
                raise RuntimeError("one at a time")
            return [{"energy": 0.0, "features": features, "feature_forces": feature_forces}]

    assert (
        predict_frames(Fussy(), copper(2), True, True)
        == [{"energy": 0.0, "features": True, "feature_forces": True}] * 2
    )


def test_without_a_cache_no_program_is_asked_for_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", "off")
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    committee.predict(bulk("Cu"))
    assert committee._identities == {}


def test_a_cache_that_takes_no_more_says_so(cache: Path) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    full = EvaluationCache(cache)
    full._file.execute("PRAGMA max_page_count = 1")
    with pytest.raises(OSError, match=r"can't be kept \(database or disk is full\).*ASSAY_CACHE"):
        record(committee, lambda: as_frames(copper(40)), cache=full)


def test_paths_of_interpreters_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = {"member": [{"model": TWO[0], "python": "here/python"}]}
    committee = AseCommittee.from_toml(table)
    assert committee.members[0].python == str(tmp_path / "here/python") == committee.allow_import[-1]


def test_what_a_worker_says_is_looked_at(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Families of potentials give back NaN where ASE's calculators are stopped before."""
    true = WorkerProcess.predict

    def broken(self: WorkerProcess, frames: list[Atoms], *rest: bool) -> list[dict[str, Any]]:
        told = true(self, frames, *rest)
        return [{**one, "energy": np.nan} if len(frame) == 8 else one for one, frame in zip(told, frames, strict=True)]

    monkeypatch.setattr(WorkerProcess, "predict", broken)
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    gaps = record(committee, lambda: as_frames(copper(2)), workers=2)
    assert [(gap.origin, gap.reason) for gap in gaps] == [
        ("made:1", "values that are not finite, or of the wrong shape")
    ]
    opened = opened_cache()
    assert opened is not None
    assert opened.count([str(committee.identity(0))]) == 1
