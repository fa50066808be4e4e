"""Members as files: each is a potential that LAMMPS runs to the member's own numbers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from copper import copper

from assay import Gauge, export
from assay.linear.potential import LinearPotential
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace
from assay.sources.lammps import import_lammps

SNAP_FILES = ["snapcoeff", "snapparam", "snap"]


def lammps(atoms: Atoms, use: str) -> tuple[float, np.ndarray]:
    """Energy and forces of a cubic frame with a potential of LAMMPS input `use`, by LAMMPS as a user runs it."""
    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    a = float(atoms.cell[0, 0])
    lmp.commands_string(f"units metal\natom_modify map array\nregion box block 0 {a} 0 {a} 0 {a}\ncreate_box 1 box")
    n = len(atoms)
    lmp.create_atoms(n, list(range(1, n + 1)), [1] * n, atoms.get_positions(wrap=True).ravel().tolist())
    lmp.commands_string(f"mass * 1.0\n{use}\nrun 0 post no")
    forces = np.empty((n, 3))
    forces[lmp.numpy.extract_atom("id")[:n] - 1] = lmp.numpy.extract_atom("f")[:n]
    energy = float(lmp.get_thermo("pe"))
    lmp.close()
    return energy, forces


@pytest.mark.snap
def test_lammps_runs_every_member_to_its_own_numbers(gauge: Gauge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = export(gauge, tmp_path / "cu", members="all")
    expected = [f"cu-{i:03d}.{end}" for i in range(8) for end in SNAP_FILES]
    assert [path.name for path in paths[5:]] == expected
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    monkeypatch.chdir(tmp_path)
    atoms = copper("rattled", 99)
    told = gauge.source.predict(atoms)
    assert told.energy_members is not None
    assert told.forces_members is not None
    assert np.ptp(told.energy_members) > 1e-4
    for i in range(8):
        energy, forces = lammps(atoms, f"include cu-{i:03d}.snap")
        assert energy == pytest.approx(told.energy_members[i], rel=1e-10)
        np.testing.assert_allclose(forces, told.forces_members[i], atol=1e-10 * np.abs(forces).max())
    energy, _ = lammps(atoms, "include cu.snap")
    assert energy == pytest.approx(told.energy, rel=1e-10), "the best fit, beside its members"


@pytest.mark.snap
def test_some_members_none_and_too_many(gauge: Gauge, tmp_path: Path):
    assert len(export(gauge, tmp_path / "none")) == 5
    assert len(export(gauge, tmp_path / "two", members=2)) == 11
    for count in (9, -1):
        with pytest.raises(ValueError, match=rf"{count} members of an ensemble of 8: give 0 to 8"):
            export(gauge, tmp_path / "many", members=count)
    assert not list(tmp_path.glob("many*"))


@pytest.mark.ace
def test_members_of_ace_are_pacemaker_potentials(gauge: Gauge, tmp_path: Path):
    rows = Ace(AceBasis(("Cu",), number_of_functions_per_element=20, rcut=4.5))
    members = np.random.default_rng(0).normal(size=(2, rows.coefficients))
    source = LinearPotential(rows, members.mean(axis=0), members, 0.0)
    paths = export(replace(gauge, source=source, scores=gauge.scores[:1], bar=""), tmp_path / "cu", members=1)
    names = [f"{stem}.{end}" for stem in ("cu", "cu-000") for end in ("yaml", "yace", "pace")]
    assert [path.name for path in paths] == names

    from pyace import PyACECalculator

    atoms = copper("rattled", 99)
    theirs = PyACECalculator(str(tmp_path / "cu-000.yaml")).get_potential_energy(atoms)
    told = source.predict(atoms)
    assert told.energy_members is not None
    assert theirs + members[0, 0] * len(atoms) == pytest.approx(told.energy_members[0], rel=1e-10)


@pytest.mark.snap
def test_the_command_takes_all_members_or_a_number(gauge: Gauge, tmp_path: Path):
    gauge.save(tmp_path / "cu.gauge")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "assay", "export", "cu.gauge", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)

    assert len(run("-o", "a").stdout.split()) == 5
    assert len(run("--members", "-o", "b").stdout.split()) == 5 + 8 * 3
    assert run("-o", "c", "--members", "1").stdout.split()[5:] == [f"c-000.{end}" for end in SNAP_FILES]
    wrong = run("--members", "x", "-o", "d")
    assert wrong.returncode == 2
    assert "'x' is not a number of members: give a number or all" in wrong.stderr
