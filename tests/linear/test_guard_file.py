"""γ and the guard in LAMMPS: the same numbers as here, a run that stops, a frame that is kept or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.linear.export import write_potential
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.features.training import TrainingFeatures
from assay.sources.lammps import import_lammps
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

pytestmark = pytest.mark.snap

ROWS = {
    "one species": Snap(SnapSettings(("Si",), twojmax=6, rcut=4.2)),
    "quadratic": Snap(SnapSettings(("Si",), twojmax=3, rcut=4.2, quadratic=True)),
    "two species": Snap(SnapSettings(("Si", "C"), twojmax=2, rcut=4.0, radelem=(0.5, 0.45))),
    "two species, weights": Snap(SnapSettings(("Si", "C"), twojmax=4, rcut=4.0, chem=False)),
    "fewer environments than features": Snap(SnapSettings(("Si",), twojmax=10, rcut=4.2)),
}


def frame(species: tuple[str, ...], seed: int, rattle: float) -> Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.positions += np.random.default_rng(seed).normal(0, rattle, (8, 3))
    atoms.symbols = [species[i % len(species)] for i in range(8)]
    return atoms


def graded(rows: Snap, frames: int = 10) -> ExtrapolationGrade:
    training = [frame(rows.species, seed, 0.1) for seed in range(frames)]
    return ExtrapolationGrade.fit(
        TrainingFeatures.of((rows.design(atoms).features, atoms.numbers) for atoms in training)
    )


@pytest.fixture
def lammps(tmp_path, monkeypatch):
    """Starts LAMMPS in an empty folder on a frame, with a potential that exerts no forces, and the guard."""
    monkeypatch.chdir(tmp_path)
    running = []

    def start(rows: Snap, grade: ExtrapolationGrade, atoms: Atoms, settings: str = "") -> Any:
        write_potential(rows, np.zeros(rows.coefficients), "my", grade.inverses)
        lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        running.append(lmp)
        a = atoms.cell.lengths()[0]
        lmp.commands_string(
            f"units metal\natom_style atomic\natom_modify map array sort 0 0\nregion box block 0 {a} 0 {a} 0 {a}\n"
            f"create_box {len(rows.species)} box"
        )
        types = [rows.species.index(symbol) + 1 for symbol in atoms.symbols]
        lmp.create_atoms(8, list(range(1, 9)), types, atoms.positions.ravel().tolist())
        lmp.commands_string(f"mass * 28.0\ninclude my.snap\n{settings}\ninclude my.guard\nfix move all nve")
        return lmp

    yield start
    for lmp in running:
        lmp.close()


@pytest.mark.parametrize("name", ROWS)
def test_grades_in_lammps_are_ours(lammps, name):
    rows = ROWS[name]
    grade = graded(rows, 2 if name.startswith("fewer") else 10)
    for rattle in (0.0, 0.1, 0.3):
        atoms = frame(rows.species, 77, rattle)
        ours = grade.grades(rows.design(atoms).features, atoms.numbers)
        lmp = lammps(rows, grade, atoms)
        lmp.command("run 0 post no")
        columns = [
            lmp.numpy.extract_variable(f"guard_{t}_{j + 1}", "all", 1)
            for t in range(1, len(rows.species) + 1)
            for j in range(rows.settings.linear_components)
        ]
        np.testing.assert_allclose(np.max(columns, axis=0), ours, rtol=1e-6)
        assert lmp.extract_variable("guard_gamma") == pytest.approx(ours.max(), rel=1e-6)
    assert ours.max() > 1.5


FAST = "velocity all create 6000 1"
DUMP = Path("my.caught.dump")


def test_run_stops_and_the_frame_is_kept(lammps):
    rows = ROWS["one species"]
    grade = graded(rows)
    atoms = frame(rows.species, 3, 0.1)  # of the training set
    lmp = lammps(rows, grade, atoms, f"{FAST}\nvariable guard_every index 5\nvariable guard_threshold index 2.0")
    lmp.command("run 2000 post no")
    step = lmp.extract_global("ntimestep")
    assert step in range(5, 2000, 5)
    lmp.command("include my.guard-after")
    caught = ase.io.read(DUMP, format="lammps-dump-text", specorder=["Si"])
    assert int(DUMP.read_text().splitlines()[1]) == step
    gamma = grade.grades(rows.design(caught).features, caught.numbers).max()
    assert gamma > 2.0
    assert lmp.extract_variable("guard_gamma") == pytest.approx(gamma, rel=1e-6)


def test_first_step_beyond_the_threshold_is_the_one(lammps):
    """Free flight is known exactly: γ of the positions five steps earlier was still below."""
    rows = ROWS["one species"]
    grade = graded(rows)
    atoms = frame(rows.species, 3, 0.1)
    lmp = lammps(rows, grade, atoms, f"{FAST}\nvariable guard_every index 5\nvariable guard_threshold index 2.0")
    velocities = np.array(lmp.numpy.extract_atom("v")[:8])
    lmp.command("run 2000 post no")
    steps = lmp.extract_global("ntimestep")

    def gamma(step: int) -> float:
        flown = atoms.copy()
        flown.positions += 0.001 * step * velocities
        return float(grade.grades(rows.design(flown).features, flown.numbers).max())

    assert [gamma(step) > 2.0 for step in range(5, steps + 1, 5)] == [False] * (steps // 5 - 1) + [True]


def test_exploded_frames_are_not_kept(lammps):
    rows = ROWS["one species"]
    settings = (
        f"{FAST}\nvariable guard_every index 5\nvariable guard_threshold index 2.0\nvariable guard_cap index 2.01"
    )
    lmp = lammps(rows, graded(rows), frame(rows.species, 3, 0.1), settings)
    lmp.command("run 2000 post no")
    assert lmp.extract_global("ntimestep") < 2000
    lmp.command("include my.guard-after")
    assert lmp.extract_variable("guard_gamma") > 2.01
    assert not DUMP.exists()


def test_run_at_home_goes_on_to_its_end(lammps):
    rows = ROWS["one species"]
    lmp = lammps(rows, graded(rows), frame(rows.species, 3, 0.05), "variable guard_every index 5")
    lmp.command("velocity all create 1 1")
    lmp.command("run 50 post no")
    lmp.command("include my.guard-after")
    assert lmp.extract_global("ntimestep") == 50
    assert 0.1 < lmp.extract_variable("guard_gamma") < 1.0
    assert not DUMP.exists()


def test_species_without_environments_stops_at_once(lammps):
    rows = ROWS["two species"]
    atoms = frame(("Si",), 3, 0.1)
    grade = ExtrapolationGrade.fit(TrainingFeatures.of([(rows.design(atoms).features, atoms.numbers)]))
    lmp = lammps(rows, grade, frame(("Si", "C"), 3, 0.1), "variable guard_every index 5")
    lmp.command("run 50 post no")
    assert lmp.extract_global("ntimestep") == 5
    lmp.command("include my.guard-after")
    assert not DUMP.exists()


def test_too_many_features_for_a_guard():
    rows = Snap(SnapSettings(("Si", "C"), twojmax=6))
    assert rows.settings.linear_components == 240
    assert rows.grade_files({}, "my", {}) == {}
