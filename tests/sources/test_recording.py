"""Members by name, what is kept of them, and the members verb: with ASE's own potentials, so in every environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

import assay
from assay.frames import Frame, FrameError, read_frames
from assay.gauge import Gauge
from assay.sources.ase_committee import AseCommittee
from assay.sources.calculators import Member
from assay.sources.evaluation_cache import EvaluationCache, frame_key
from assay.sources.members_file import attach_members
from assay.sources.model_names import identity, needs_permission, parse_member
from assay.sources.recorded import Recorded
from assay.sources.recording import opened_cache, record
from assay.sources.registry import parse_spec

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
            Member("make", "a.b.make", {"x": 2, "y": [1, 2], "name": "q,r"}, "~/p"),
        ),
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
    ],
)
def test_names_that_can_not_be_meant(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_member(text)


def test_a_spec_lists_members() -> None:
    settings = parse_spec("ase_committee:chgnet:0.3.0,sevennet:7net-mf-0(modal=PBE, device=cpu),features=chgnet:0.3.0")
    committee = AseCommittee.from_toml(settings)
    assert [member.label for member in committee.members] == ["chgnet-0.3.0", "sevennet-7net-mf-0-PBE"]
    assert committee.members[1].arguments == {"what": "7net-mf-0", "modal": "PBE", "device": "cpu"}
    assert committee.features == "chgnet-0.3.0"
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
        stored.evaluate(bulk("Cu"))
    assert stored.identity(0) is None  # not even asked for its version
    with pytest.raises(FileNotFoundError, match="/no/python can't be run"):
        committee.evaluate(bulk("Cu"))
    assert needs_permission(Member("m", "mace", {"what": "w.model"})) == ("mace",)
    assert needs_permission(Member("m", "chgnet", {"what": "0.3.0"})) == ()


def test_a_worker_says_the_same(cache: Path) -> None:
    here = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    there = AseCommittee.from_toml({"member": [{"model": f"{name}@{sys.executable}"} for name in TWO]})
    for atoms in [*copper(2), molecule("CO")]:  # EMT has C and O too, and no cell is given
        a, b = here.evaluate(atoms), there.evaluate(atoms)
        np.testing.assert_array_equal(a.forces_members, b.forces_members)
        np.testing.assert_array_equal(a.energy_members, b.energy_members)
    with pytest.raises(FrameError, match="member 'EMT' failed: NotImplementedError"):
        there.evaluate(bulk("W"))
    assert there.evaluate(copper(1)[0]).energy is not None


def test_nothing_is_computed_twice(cache: Path, calls: list[int]) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    frames = as_frames(copper())
    assert record(committee, lambda: [*frames[:2], *frames[:2]]) == []
    assert len(calls) == 2
    assert record(committee, lambda: frames) == []
    assert len(calls) == len(frames)
    fresh = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]})
    kept = [fresh.evaluate(frame.atoms) for frame in frames]
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

    monkeypatch.setattr("assay.sources.recording.BATCH_ATOMS", 1)
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
            other.put("another", str(i), {"energy": 0.0, "forces": np.zeros((1, 3))})  # locked: raises
            other.commit()
            yield frame

    assert record(committee, frames) == []
    assert other.count(["another", str(committee.identity(0))]) == 80


def test_single_evaluations_are_not_kept(cache: Path) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": TWO[0]}]})
    committee.evaluate(copper(1)[0])
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
    assert committee.evaluate(frames[0].atoms).energy_members is not None


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
    result = {"energy": -1.5, "forces": np.arange(6.0).reshape(2, 3)}
    cache.put("m", "f", result)
    assert cache.has("m", "f")
    assert not cache.has("m", "f", features=True)
    assert cache.get("m", "f", features=True) is None
    cache.put("m", "f", {**result, "features": np.ones((2, 4), np.float32)})
    again = EvaluationCache(tmp_path)
    cache.commit()
    found = again.get("m", "f", features=True)
    assert found is not None
    assert found["features"].shape == (2, 4)
    assert "stress" not in found
    again.forget("m")
    assert not again.has("m", "f")


@pytest.mark.parametrize("workers", [1, 2])
def test_members_file(tmp_path: Path, cache: Path, workers: int) -> None:
    structures = copper()
    write(tmp_path / "a.extxyz", structures)
    made = assay.members(TWO, tmp_path / "a.extxyz", tmp_path / "m.npz", workers=workers)
    assert (made.models, made.frames, made.computed, made.gaps) == (("EMT", "LennardJones"), 5, 10, ())
    frames = list(attach_members(read_frames(tmp_path / "a.extxyz"), tmp_path / "m.npz"))
    committee, recorded = AseCommittee.from_toml({"member": [{"model": name} for name in TWO]}), Recorded(made.models)
    for frame in frames:
        told = recorded.evaluate(frame.atoms)
        bare = Atoms(frame.atoms.numbers, frame.atoms.positions, cell=frame.atoms.cell, pbc=True)
        expected = committee.evaluate(bare)
        np.testing.assert_allclose(told.forces_members, expected.forces_members, atol=1e-12)
        np.testing.assert_allclose(told.stress_members, expected.stress_members, atol=1e-14)
    again = assay.members(TWO, tmp_path / "a.extxyz", tmp_path / "m.npz", workers=workers)
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


def test_without_a_cache_all_is_computed(tmp_path: Path, calls: list[int]) -> None:
    write(tmp_path / "a.extxyz", copper(3))
    for round_ in (1, 2):
        assert assay.members(TWO[0], tmp_path / "a.extxyz", tmp_path / "m.npz").computed == 3
        assert len(calls) == 3 * round_


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
        assert len(assay.predict(gauge, tmp_path / "new.extxyz").names) == 8
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
