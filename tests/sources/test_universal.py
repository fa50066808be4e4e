"""Ensembles of universal potentials: names, the cache, gaps, what a file may make run, and real weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import assay
from assay import Run
from assay.results.prediction import Prediction
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.model_names import _asked, identity, parse_member
from assay.verbs.demo import demo_data
from assay.verbs.members import members

EMT = "ase.calculators.emt.EMT"
COUNTING = """
import os
from pathlib import Path
from ase.calculators.emt import EMT

LIMIT = 10**9

class Counting(EMT):
    \"\"\"Notes each evaluation in a file; after LIMIT of them, ends like a run that is interrupted.\"\"\"

    note = Path(os.environ["COUNTING_NOTE"])

    def __init__(self, weights=""):
        super().__init__()

    def calculate(self, atoms=None, *args, **kwargs):
        count = len(self.note.read_text().splitlines()) if self.note.exists() else 0
        if count >= LIMIT:
            os._exit(1)
        if len(atoms) == 2:
            raise RuntimeError("no pairs")
        super().calculate(atoms, *args, **kwargs)
        with self.note.open("a") as file:
            file.write(f"{len(atoms)}\\n")
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def counting(tmp_path: Path) -> str:
    """An interpreter with a distribution `counting` 1.0, whose calculator notes its evaluations."""
    home = tmp_path / "site"
    (home / "counting-1.0.dist-info").mkdir(parents=True)
    (home / "counting.py").write_text(COUNTING)
    (home / "counting-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (home / "counting-1.0.dist-info" / "RECORD").write_text("counting.py,,\ncounting-1.0.dist-info/METADATA,,\n")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nCOUNTING_NOTE={tmp_path}/note PYTHONPATH={home} exec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


def copper(tmp_path: Path, count: int = 6) -> Path:
    from ase.io import write

    frames = []
    for seed in range(count):
        frames.append(bulk("Cu", cubic=True) * (1, 1, 1 + seed % 2))
        frames[-1].rattle(0.05, seed=seed)
    write(tmp_path / "copper.extxyz", frames)
    return tmp_path / "copper.extxyz"


def counted(note: Path) -> int:
    return len(note.read_text().splitlines()) if note.exists() else 0


def test_nothing_is_computed_twice(cache: Path, counting: str, tmp_path: Path) -> None:
    frames, note = copper(tmp_path), tmp_path / "note"
    model = f"counting.Counting@{counting}"
    first = members([model, EMT], frames, tmp_path / "a.npz", run=Run(allow_import=("counting",)))
    assert counted(note) == 6
    again = members([EMT, model], frames, tmp_path / "b.npz", run=Run(allow_import=("counting",)))
    assert counted(note) == 6
    assert (first.computed, again.computed) == (12, 0)
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        np.testing.assert_array_equal(a["forces"], b["forces"][::-1])
        np.testing.assert_array_equal(a["forces"][0], a["forces"][1])  # a worker's numbers are those of this process


def test_an_interrupted_run_goes_on_where_it_was(cache: Path, counting: str, tmp_path: Path) -> None:
    frames, note = copper(tmp_path), tmp_path / "note"
    script = f"""
from assay import Run
from assay.sources.committees import recording
recording.BATCH_ATOMS = 1
from assay.verbs.members import members
import sys
made = members([sys.argv[1]], {str(frames)!r}, {str(tmp_path / "m.npz")!r}, run=Run(allow_import=("counting",)))
print(made.computed, len(made.gaps))
"""

    def run(limit: str) -> list[str]:
        (tmp_path / "site" / "counting.py").write_text(COUNTING.replace("10**9", limit))
        command = [sys.executable, "-c", script, f"counting.Counting@{counting}"]
        return subprocess.run(command, capture_output=True, text=True).stdout.split()

    assert run("4") == ["4", "2"]  # a worker that dies costs the frames that it had, and no others
    assert counted(note) == 4
    assert run("10**9") == ["2", "0"]
    assert counted(note) == 6


def test_other_weights_or_another_version_are_another_model(cache: Path, counting: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    model = f"counting.Counting(weights={weights})@{counting}"
    weights.write_bytes(b"one")
    before = identity(parse_member(model))
    weights.write_bytes(b"two")
    assert identity(parse_member(model)) != before
    weights.write_bytes(b"one")
    assert identity(parse_member(model)) == before
    metadata = tmp_path / "site" / "counting-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    _asked.cache_clear()
    assert identity(parse_member(model)) != before


def test_a_member_that_fails_on_a_frame_leaves_a_gap(cache: Path, counting: str, tmp_path: Path) -> None:
    from ase.io import write

    frames = [bulk("Cu", cubic=True), molecule("CO"), bulk("Cu", cubic=True) * (2, 1, 1)]
    write(tmp_path / "some.extxyz", frames)
    made = members(
        [f"counting.Counting@{counting}", EMT], tmp_path / "some.extxyz", tmp_path / "m.npz",
        run=Run(allow_import=("counting",)),
    )  # fmt: skip
    (gap,) = made.gaps
    assert gap.member == "Counting"
    assert "no pairs" in gap.reason
    assert gap.origin.endswith("some.extxyz:1")
    with np.load(tmp_path / "m.npz") as file:
        np.testing.assert_array_equal(np.isnan(file["energy"]), [[False, True, False], [False, False, False]])


def test_a_gauge_file_alone_starts_no_interpreter(counting: str, tmp_path: Path) -> None:
    committee = AseCommittee.from_toml({"member": [{"model": f"{EMT}@{counting}", "label": "there"}, {"model": EMT}]})
    frame = bulk("Cu")
    assert np.isfinite(committee.predict(frame).energy)  # the user named it
    state = json.loads(json.dumps(committee.state()))
    with pytest.raises(PermissionError, match=f"--allow-import {counting}"):
        AseCommittee.from_state(state).predict(frame)
    allowed = AseCommittee.from_state(state, allow_import=(counting,))
    assert allowed.predict(frame).energy == committee.predict(frame).energy


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("chgnet", "chgnet:"),
        ("chgnet:", "which model"),
        ("unknown:model", "import path"),
        ("mace:no/such/file.model", "no file or folder"),
        ("chgnet:0.3.0(device)", "not key=value"),
    ],
)
def test_names_that_are_none(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_member(name)


def silicon(part: str, every: int = 1) -> list[Atoms]:
    return [frame.atoms for frame in assay.read_frames(demo_data(part))][::every]


def assert_alike(here: AseCommittee, there: AseCommittee, frames: list[Atoms], tolerance: float) -> None:
    for frame in frames:
        a, b = here.predict(frame), there.predict(frame)
        np.testing.assert_allclose(a.energy_members, b.energy_members, rtol=0, atol=tolerance * len(frame))
        np.testing.assert_allclose(a.forces_members, b.forces_members, rtol=0, atol=tolerance)
        np.testing.assert_allclose(a.stress_members, b.stress_members, rtol=0, atol=tolerance)


FAMILIES = [
    pytest.param("chgnet:0.3.0", marks=pytest.mark.chgnet),
    pytest.param("sevennet:7net-0", marks=pytest.mark.sevennet),
    pytest.param("sevennet:7net-mf-0(modal=PBE)", marks=pytest.mark.sevennet),
    pytest.param("matgl:M3GNet-MP-2021.2.8-PES", marks=[pytest.mark.matgl, pytest.mark.models]),
]


@pytest.mark.parametrize("name", FAMILIES)
def test_real_weights_say_the_same_in_a_worker_and_in_a_batch(name: str, request: pytest.FixtureRequest) -> None:
    """Single precision: 10⁻⁵ eV/Å between batches; forces are minus the slope of the energy to 10⁻³."""
    if name.startswith("matgl"):
        name = name.replace(":", f":{request.getfixturevalue('models')}/")
    frames = silicon("test", 13)
    here = AseCommittee.from_toml({"member": [{"model": name}]})
    there = AseCommittee.from_toml({"member": [{"model": name, "python": sys.executable}]})
    assert_alike(here, there, frames, 1e-6)
    together = here.compute(0, frames)
    for frame, result in zip(frames, together, strict=True):
        alone = here.predict(frame)
        assert isinstance(result, Prediction)
        np.testing.assert_allclose(result.forces, alone.forces, atol=1e-4)
        assert result.energy == pytest.approx(alone.energy, abs=1e-5 * len(frame))
    frame, step = frames[0], 0.01
    energies = []
    for sign in (1, -1):
        moved = frame.copy()
        moved.positions[0, 0] += sign * step
        energies.append(here.predict(moved).energy)
    slope = (energies[0] - energies[1]) / (2 * step)
    assert -slope == pytest.approx(here.predict(frame).forces[0, 0], abs=0.02)


@pytest.mark.parametrize("name", FAMILIES)
def test_real_weights_know_molecules_and_single_atoms(name: str, request: pytest.FixtureRequest) -> None:
    """A frame without a cell has a finite energy, or is an error of its own; the others of the batch are not hurt."""
    if name.startswith("matgl"):
        name = name.replace(":", f":{request.getfixturevalue('models')}/")
    committee = AseCommittee.from_toml({"member": [{"model": name}]})
    frames = [bulk("Si"), molecule("CH3CH2OH"), Atoms("Si"), bulk("NaCl", "rocksalt", a=5.64)]
    results = committee.compute(0, frames)
    for which in (0, 3):
        crystal = results[which]
        assert isinstance(crystal, Prediction)
        np.testing.assert_allclose(crystal.forces, 0, atol=1e-3)
    for frame, result in zip(frames, results, strict=True):
        if isinstance(result, Prediction):
            assert np.isfinite(result.energy)
            assert result.forces.shape == (len(frame), 3)
    assert getattr(results[1], "stress", None) is None


@pytest.mark.matgl
@pytest.mark.models
def test_weights_of_another_version_are_refused(models: Path) -> None:
    name = f"matgl:{models}/TensorNet-MatPES-PBE-v2025.1-PES"
    with pytest.raises(ValueError, match="made for another version of matgl"):
        AseCommittee.from_toml({"member": [{"model": name}]}).predict(bulk("Si"))
    taken = AseCommittee.from_toml({"member": [{"model": f"{name}(incompatible=true)"}]})
    assert np.isfinite(taken.predict(bulk("Si")).energy)


@pytest.mark.mace
@pytest.mark.sevennet
def test_packages_that_can_not_share_an_environment_make_one_ensemble(
    mace_model: Path, mace_python: Path, tmp_path: Path, cache: Path
) -> None:
    """MACE (another e3nn) beside SevenNet: members → build → predict → evaluate, by the command line."""
    assay_command = [sys.executable, "-c", "from assay.cli.main import main; main()"]

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([*assay_command, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    spec = f"ase_committee:sevennet:7net-0,mace:{mace_model}@{mace_python}"
    gauge, told = tmp_path / "mixed.gauge", tmp_path / "told.extxyz"
    for part in ("train", "calibration", "test"):
        shutil.copy(demo_data(part), tmp_path)
    run("build", "-t", tmp_path / "train.extxyz.gz", "-c", tmp_path / "calibration.extxyz.gz", "--source", spec,
        "--error-bar", "heterogeneous_force:scale", "-o", gauge)  # fmt: skip
    refused = subprocess.run(
        [*assay_command, "predict", str(gauge), str(tmp_path / "test.extxyz.gz"), "-o", str(told)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode != 0
    assert f"--allow-import {mace_python}" in refused.stdout + refused.stderr
    allow = ["--allow-import", mace_python, "--allow-import", "mace"]
    run("predict", gauge, tmp_path / "test.extxyz.gz", "-o", told, *allow)
    predicted = assay.read_frames(told, keys=assay.LabelKeys())
    assert len(list(predicted)) == 38
    run("evaluate", gauge, tmp_path / "test.extxyz.gz", "--json", tmp_path / "evaluated.json", *allow)
    figures = json.loads((tmp_path / "evaluated.json").read_text())
    assert figures["members"] == 2
    assert figures["errors"]["force_rmse_eV_per_A"] < 0.6  # of forces whose own root mean square is 1.1 eV/Å
    assert figures["errors"]["energy_rmse_meV_per_atom"] < 200  # after the shift of references; 10⁵ before
    assert 0.4 < figures["error_bars"]["force"]["coverage"]["0.68"] < 0.9
