"""A fitted linear potential: members, the file, worker processes, and real silicon."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, LabelKeys
from assay.frames.reading import read_frames
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.potential import LinearPotential
from assay.sources.lammps import import_lammps, potentials_folder
from assay.sources.registry import source_from_state
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings
from assay.storage.archive import load_state, save_state

pytestmark = pytest.mark.snap

ROWS = Snap(SnapSettings(("Si",), twojmax=4, rcut=4.5, zbl=True))


def stillinger_weber(atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces of the Stillinger-Weber potential by LAMMPS, for a cubic cell."""
    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    a = atoms.cell.lengths()[0]
    lmp.commands_string(f"units metal\natom_modify map array\nregion box block 0 {a} 0 {a} 0 {a}\ncreate_box 1 box")
    lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), [1] * len(atoms), atoms.positions.ravel().tolist())
    lmp.commands_string(f"mass * 28.0\npair_style sw\npair_coeff * * {potentials_folder() / 'Si.sw'} Si\nrun 0 post no")
    energy, forces = lmp.get_thermo("pe"), np.array(lmp.numpy.extract_atom("f")[: len(atoms)])
    order = np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
    lmp.close()
    return energy, forces[order]


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    made = []
    for seed in range(48):
        atoms = bulk("Si", cubic=True, a=5.43 * (0.97 + 0.0015 * seed))
        atoms.positions += np.random.default_rng(seed).normal(0, 0.03 + 0.002 * (seed % 24), (8, 3))
        made.append(Frame(atoms, f"sw:{seed}", "", *stillinger_weber(atoms)))
    return made


@pytest.fixture(scope="module")
def potential(frames) -> LinearPotential:
    return fit_linear(frames, Survey.fit(frames), ROWS, chosen=np.arange(48) % 4 > 0, posterior=Bootstrap())


def test_fit_learns_stillinger_weber(potential, frames):
    """On frames that were left out, the errors are small beside the labels."""
    new = frames[::4]
    evaluations = [potential.predict(f.atoms) for f in new]
    errors = np.concatenate([e.forces - f.forces for e, f in zip(evaluations, new, strict=True)])
    labels = np.concatenate([f.forces for f in new])
    assert errors.std() < 0.1 * labels.std()
    energies = np.array([e.energy - f.energy for e, f in zip(evaluations, new, strict=True)]) / 8
    assert np.abs(energies).max() < 0.01


def test_members_are_potentials_of_their_own(potential, frames):
    """One evaluation gives what M potentials with the members' coefficients give one by one."""
    atoms = frames[0].atoms
    together = potential.predict(atoms)
    assert together.forces_members.shape == (16, 8, 3)
    for k in (0, 7, 15):
        alone = LinearPotential(ROWS, potential.members[k], np.zeros((0, ROWS.coefficients)), 0.0).predict(atoms)
        assert together.energy_members[k] == pytest.approx(alone.energy, rel=1e-12)
        np.testing.assert_allclose(together.forces_members[k], alone.forces, atol=1e-12)
        np.testing.assert_allclose(together.stress_members[k], alone.stress, atol=1e-14)
        assert alone.energy_members.shape == (0,)


def test_no_stress_without_a_volume(potential, frames):
    atoms = frames[0].atoms.copy()
    atoms.pbc = (True, True, False)
    evaluation = potential.predict(atoms)
    assert evaluation.stress is None
    assert evaluation.stress_members is None


def test_file_and_back(potential, frames, tmp_path):
    save_state(tmp_path / "a.state", potential.state())
    state = load_state(tmp_path / "a.state")
    loaded = LinearPotential.from_state(state, source_from_state(state["rows"]))
    assert loaded.rows == ROWS
    assert loaded.ridge == potential.ridge
    assert loaded.label == potential.label
    one, two = potential.predict(frames[5].atoms), loaded.predict(frames[5].atoms)
    assert one.energy == two.energy
    np.testing.assert_array_equal(one.forces_members, two.forces_members)


def test_two_workers_are_as_good_as_one(potential, frames):
    seen: list[str] = []
    progress: list[tuple[int, int]] = []
    chosen = np.arange(48) % 4 > 0
    other = fit_linear(
        iter(frames), Survey.fit(frames), ROWS, chosen=chosen, workers=2, posterior=Bootstrap(),
        on_design=lambda frame, design: seen.append(frame.origin), progress=lambda f, a: progress.append((f, a)),
    )  # fmt: skip
    np.testing.assert_array_equal(other.theta, potential.theta)
    np.testing.assert_array_equal(other.members, potential.members)
    assert other.ridge == potential.ridge
    assert seen == [f.origin for f, use in zip(frames, chosen, strict=True) if use]
    assert progress == [(i, 8 * i) for i in range(1, 37)]


@pytest.mark.data
def test_real_silicon(real_data):
    """A small SNAP, fitted to a fifth of the training set, is better than half wrong about the test set."""
    keys = LabelKeys(stress="none")
    training = list(read_frames(real_data / "silicon/training.extxyz.gz", labels="needed", keys=keys))[::5]
    fitted = fit_linear(
        training,
        Survey.fit(training),
        Snap(SnapSettings(("Si",), twojmax=4, rcut=4.8)),
        chosen=np.ones(len(training), dtype=bool),
        posterior=Bootstrap(),
    )
    test = list(read_frames(real_data / "silicon/test.extxyz.gz", labels="needed", keys=keys))[::3]
    errors = np.concatenate([fitted.predict(f.atoms).forces - f.forces for f in test])
    labels = np.concatenate([f.forces for f in test])
    assert np.sqrt(np.mean(errors**2)) < 0.5 * np.sqrt(np.mean(labels**2))
