"""SNAP rows: against finite differences, the laws of physics, and LAMMPS's own `pair_style snap`."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from assay.execution.workers import Failure, map_frames
from assay.frames.frame import Frame, FrameError
from assay.frames.reading import read_frames
from assay.linear.export import write_potential
from assay.linear.potential import LinearPotential
from assay.results.design import Design
from assay.sources.lammps import import_lammps, potentials_folder
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

pytestmark = pytest.mark.snap

ZBL = {"zbl": True, "zbl_inner": 1.9, "zbl_outer": 3.1}
SETTINGS = {
    "one species": Snap(SnapSettings(("Si",), twojmax=6, rcut=4.2)),
    "quadratic": Snap(SnapSettings(("Si",), twojmax=3, rcut=4.2, quadratic=True)),
    "no bzero": Snap(SnapSettings(("Si",), twojmax=4, rcut=4.2, bzero=False, quadratic=True)),
    "rfac0, rmin0": Snap(SnapSettings(("Si",), twojmax=4, rcut=4.2, rfac0=0.9, rmin0=0.4)),
    "zbl": Snap(SnapSettings(("Si",), twojmax=4, rcut=4.2, **ZBL)),
    "one species, chem": Snap(SnapSettings(("Si",), twojmax=4, rcut=4.2, chem=True)),
    "two species": Snap(SnapSettings(("Si", "C"), twojmax=3, rcut=4.0)),
    "two species, weights": Snap(SnapSettings(("Si", "C"), twojmax=4, rcut=4.0, chem=False)),
    "two species, radii": Snap(SnapSettings(("Si", "C"), twojmax=3, rcut=4.0, radelem=(0.5, 0.4), wj=(1.0, -0.3))),
    "two species, quadratic, zbl": Snap(SnapSettings(("Si", "C"), twojmax=2, rcut=4.0, quadratic=True, **ZBL)),
    "two species, no bzero": Snap(SnapSettings(("Si", "C"), twojmax=2, rcut=4.0, bzero=False)),
    "three species": Snap(SnapSettings(("Si", "C", "Ge"), twojmax=2, rcut=4.0)),
    "three species, weights, quadratic": Snap(
        SnapSettings(("Si", "C", "Ge"), twojmax=2, rcut=4.0, chem=False, quadratic=True)
    ),
}

CELLS = {
    "cubic": np.eye(3),
    "triclinic": np.array([[1.0, 0.1, 0.05], [0.15, 0.95, -0.1], [-0.2, 0.1, 1.05]]),
    "left-handed": np.array([[0.0, 1.0, 0.1], [1.0, 0.0, 0.0], [0.0, 0.1, 1.0]]),
}
FRAMES = (*CELLS, "primitive", "skewed", "very skewed", "slab x", "slab y", "slab z", "wire x", "wire y", "wire z")
FRAMES = (*FRAMES, "cluster", "molecule", "dimer", "atom")


def frame(name: str, species: tuple[str, ...] = ("Si",)) -> Atoms:
    """A rattled frame of about 8 atoms; the species take turns."""
    atoms = bulk("Si", cubic=True)
    kind, _, axis = name.partition(" ")
    if name in CELLS:
        atoms.set_cell(atoms.cell.array @ CELLS[name], scale_atoms=True)
    elif name in ("primitive", "skewed", "very skewed"):
        atoms = bulk("Si")
        lean = {"primitive": 0, "skewed": 2, "very skewed": 200}[name]
        atoms.cell[2] += lean * atoms.cell[0] - 2 * lean * atoms.cell[1]
    elif kind in ("slab", "wire"):
        periodic = np.arange(3) != "xyz".index(axis)
        atoms.set_cell(atoms.cell.array @ CELLS["triclinic"], scale_atoms=True)
        atoms.pbc = periodic if kind == "slab" else ~periodic
    elif name in ("cluster", "molecule", "dimer", "atom"):
        atoms.pbc = False
        atoms = atoms[: {"dimer": 2, "atom": 1}.get(name, 8)]
        if name != "cluster":
            atoms.cell[:] = 0.0
    atoms.positions += np.random.default_rng(7).normal(0, 0.12, (len(atoms), 3))
    atoms.symbols = [species[i % len(species)] for i in range(len(atoms))]
    return atoms


def theta(rows: Snap) -> np.ndarray:
    """Some coefficients; products of components, which are large, get small ones."""
    rng = np.random.default_rng(3)
    constants = rng.normal(size=len(rows.species))
    sizes = np.where(np.arange(rows.settings.components) < rows.settings.linear_components, 0.1, 1e-3)
    return np.concatenate([constants, *(sizes * rng.normal(size=rows.settings.components) for _ in rows.species)])


def predicted(rows: Snap, design: Design) -> tuple[float, np.ndarray, np.ndarray | None]:
    coefficients = theta(rows)
    stress = None if design.stress_rows is None else design.stress_rows @ coefficients + design.reference_stress
    forces = (design.force_rows @ coefficients).reshape(-1, 3) + design.reference_forces
    return float(design.energy_row @ coefficients + design.reference_energy), forces, stress


def energy(rows: Snap, atoms: Atoms) -> float:
    return predicted(rows, rows.design(atoms))[0]


def derivative(function: Any, step: float = 1e-4) -> float:
    """Central difference of fourth order; a step so short that few pairs cross the cut-off."""
    f = {k: function(k * step) for k in (-2, -1, 1, 2)}
    return (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * step)


@pytest.mark.parametrize("setting", SETTINGS)
def test_features_are_those_of_the_design(setting):
    rows = SETTINGS[setting]
    for name in ("triclinic", "slab y", "cluster", "atom"):
        atoms = frame(name, rows.species)
        features = rows.features(atoms)
        assert features.shape == (len(atoms), rows.settings.linear_components)
        assert features == pytest.approx(rows.design(atoms).features, rel=1e-12, abs=1e-12), name


# ---------------------------------------------------------------- finite differences


def pairs(frames: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every frame with one species and with two, and every setting on two frames."""
    settings = [(name, each) for name in SETTINGS for each in ("triclinic", "slab y")]
    return list(dict.fromkeys([*settings, *((s, each) for each in frames for s in ("zbl", "two species"))]))


@pytest.mark.parametrize(("setting", "name"), pairs(FRAMES))
def test_forces_are_minus_the_gradient_of_the_energy(setting, name):
    rows = SETTINGS[setting]
    atoms = frame(name, rows.species)
    _, forces, _ = predicted(rows, rows.design(atoms))

    def moved(i, axis):
        def at(x):
            other = atoms.copy()
            other.positions[i, axis] += x
            return energy(rows, other)

        return at

    for i in {0, len(atoms) - 1}:
        gradient = [derivative(moved(i, axis)) for axis in range(3)]
        np.testing.assert_allclose(forces[i], -np.array(gradient), atol=1e-7 * max(1, np.abs(forces).max()))
    assert np.abs(forces.sum(axis=0)).max() < 1e-9 * max(1, np.abs(forces).max())
    assert np.abs(forces).max() > 1e-3 or name == "atom"


@pytest.mark.parametrize(("setting", "name"), pairs((*CELLS, "primitive", "skewed")))
def test_stress_is_the_strain_derivative_of_the_energy(setting, name):
    rows = SETTINGS[setting]
    atoms = frame(name, rows.species)
    _, _, stress = predicted(rows, rows.design(atoms))
    if not atoms.pbc.all():
        assert stress is None
        return

    def strained(i, j):
        def at(x):
            strain = np.eye(3)
            strain[i, j] += x / 2
            strain[j, i] += x / 2
            other = atoms.copy()
            other.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            return energy(rows, other) / atoms.get_volume()

        return at

    voigt = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    numerical = [derivative(strained(i, j)) for i, j in voigt]
    np.testing.assert_allclose(stress, numerical, atol=1e-7 * np.abs(stress).max())
    assert np.abs(stress).min() > 1e-8  # each component is seen


# ---------------------------------------------------------------- laws

Changed = tuple[Atoms, np.ndarray, np.ndarray]
"""The changed frame, which atom of the frame each of its atoms is, and how vectors turned."""


def permuted(atoms: Atoms, rng: np.random.Generator) -> Changed:
    order = rng.permutation(len(atoms))
    return atoms[order], order, np.eye(3)


def turned(atoms: Atoms, rng: np.random.Generator) -> Changed:
    rotation = Rotation.random(random_state=rng).as_matrix()
    other = atoms.copy()
    other.positions = atoms.positions @ rotation.T
    other.cell[:] = atoms.cell.array @ rotation.T
    return other, np.arange(len(atoms)), rotation


def mirrored(atoms: Atoms, rng: np.random.Generator) -> Changed:
    other, order, rotation = turned(atoms, rng)
    other.positions, other.cell[:] = -other.positions, -other.cell.array
    return other, order, -rotation


def shifted(atoms: Atoms, rng: np.random.Generator) -> Changed:
    other = atoms.copy()
    other.positions += rng.uniform(-20, 20, 3)
    return other, np.arange(len(atoms)), np.eye(3)


def elsewhere(atoms: Atoms, rng: np.random.Generator) -> Changed:
    """Each atom as another of its periodic images."""
    other = atoms.copy()
    other.positions += (rng.integers(-3, 4, (len(atoms), 3)) * atoms.pbc) @ atoms.cell.array
    return other, np.arange(len(atoms)), np.eye(3)


def other_basis(atoms: Atoms, rng: np.random.Generator) -> Changed:
    """Other vectors of the same lattice."""
    other = atoms.copy()
    periodic = np.flatnonzero(atoms.pbc)
    for i, j in pairwise(periodic):
        other.cell[j] += int(rng.integers(1, 4)) * other.cell[i]
    return other, np.arange(len(atoms)), np.eye(3)


def repeated(atoms: Atoms, rng: np.random.Generator) -> Changed:
    """A supercell, twice as long along each periodic direction."""
    other = atoms.repeat(np.where(atoms.pbc, 2, 1))
    return other, np.tile(np.arange(len(atoms)), len(other) // len(atoms)), np.eye(3)


def other_free_vectors(atoms: Atoms, rng: np.random.Generator) -> Changed:
    """The cell vectors of free directions mean nothing."""
    other = atoms.copy()
    other.cell[~atoms.pbc] = rng.normal(size=(3, 3))[~atoms.pbc]
    return other, np.arange(len(atoms)), np.eye(3)


LAWS = (permuted, turned, mirrored, shifted, elsewhere, other_basis, repeated, other_free_vectors)


@cache
def base(setting: str, name: str) -> Design:
    return SETTINGS[setting].design(frame(name, SETTINGS[setting].species))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("setting", ["zbl", "two species"])
def test_laws(setting, name, law):
    rows, design = SETTINGS[setting], base(setting, name)
    e, forces, stress = predicted(rows, design)
    changed, order, rotation = law(frame(name, rows.species), np.random.default_rng(11))
    other = rows.design(changed)
    e_other, forces_other, stress_other = predicted(rows, other)
    copies = len(order) / len(forces)

    np.testing.assert_allclose(other.features, design.features[order], atol=1e-9 * np.abs(design.features).max())
    assert e_other == pytest.approx(copies * e, rel=1e-9)
    np.testing.assert_allclose(forces_other, forces[order] @ rotation.T, atol=1e-9 * max(1, np.abs(forces).max()))
    if stress is None:
        assert stress_other is None
    else:
        full = stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        expected = (rotation @ full @ rotation.T)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        np.testing.assert_allclose(stress_other, expected, atol=1e-9 * np.abs(stress).max())


@pytest.mark.parametrize("axis", range(3))
def test_atoms_do_not_see_each_other_across_free_directions(axis):
    """In a cell much shorter than the cut-off along its only free direction, nothing comes from images."""
    rows = SETTINGS["one species"]
    slab = frame(f"slab {'xyz'[axis]}")
    other = slab.copy()
    other.cell[axis] *= 0.1
    np.testing.assert_array_equal(rows.design(other).features, rows.design(slab).features)
    slab.pbc = True
    assert not np.allclose(rows.design(other).features, rows.design(slab).features)


# ---------------------------------------------------------------- one by one and together


def test_a_frame_does_not_depend_on_those_before_it():
    """All settings and frames share one LAMMPS."""
    rows = SETTINGS["two species"]
    alone = rows.design(frame("triclinic", rows.species))
    SETTINGS["three species, weights, quadratic"].design(frame("molecule", ("Si", "C", "Ge")))
    with pytest.raises(FrameError):
        rows.design(frame("cubic", ("Si", "W")))
    again = rows.design(frame("triclinic", rows.species))
    for field in ("energy_row", "force_rows", "stress_rows", "features"):
        np.testing.assert_array_equal(getattr(again, field), getattr(alone, field))


class Designs:
    def __call__(self, each: Frame) -> Design:
        return SETTINGS["zbl"].design(each.atoms)


def test_many_frames_give_what_each_gives_alone():
    frames = [Frame(frame(name), f"f:{i}") for i, name in enumerate(FRAMES)]
    for name, (_, design) in zip(FRAMES, map_frames(Designs(), frames), strict=True):
        np.testing.assert_array_equal(design.force_rows, base("zbl", name).force_rows)


def test_shapes_and_counts():
    for rows in SETTINGS.values():
        design = rows.design(frame("cubic", rows.species))
        p, s, k = rows.coefficients, len(rows.species), rows.settings.components
        assert p == s * (1 + k)
        assert design.energy_row.shape == (p,)
        assert design.force_rows.shape == (24, p)
        assert design.stress_rows.shape == (6, p)
        assert design.features.shape == (8, rows.settings.linear_components)
        counts = [sum(np.array(frame("cubic", rows.species).symbols) == each) for each in rows.species]
        assert design.energy_row[:s].tolist() == counts


def test_number_of_components_is_the_published_one():
    """Thompson et al. 2015: 2J = 6, 8, 10, 12 have 30, 55, 91, 140 components; Zuo et al. 2020: 1 + 55 + 1540."""
    assert [SnapSettings(("W",), twojmax=j).components for j in (6, 8, 10, 12)] == [30, 55, 91, 140]
    assert Snap(SnapSettings(("Si",), twojmax=8, quadratic=True)).coefficients == 1596
    assert SnapSettings(("In", "P"), twojmax=6).components == 240  # InP of Cusentino et al. 2020


def test_twins_are_equal_and_others_are_not():
    for rows in SETTINGS.values():
        features = rows.design(frame("triclinic", rows.species)).features
        first = np.unique(rows.settings.twins, return_index=True)[1]
        np.testing.assert_allclose(
            features, features[:, first][:, rows.settings.twins], atol=1e-12 * np.abs(features).max()
        )
        distinct = np.unique(np.round(features[:, first] / np.abs(features).max(), 9), axis=1)
        assert distinct.shape[1] == len(first)


# ---------------------------------------------------------------- what is refused


def test_unknown_species_is_named_with_its_atom():
    atoms = frame("cubic", ("Si", "Si", "Si", "Ge"))
    with pytest.raises(FrameError, match=r"atom 3 is Ge, which this potential does not know \(it knows Si, C\)"):
        SETTINGS["two species"].design(atoms)
    result = next(map_frames(Designs(), [Frame(atoms, "some.extxyz:12")]))[1]
    assert isinstance(result, Failure)
    assert result.origin == "some.extxyz:12"
    assert "atom 3 is Ge" in result.reason


def _nan(atoms):
    atoms.positions[5, 1] = np.nan


def _flat(atoms):
    atoms.cell[2] = atoms.cell[0] + atoms.cell[1]


def _far(atoms):
    atoms.pbc = False
    atoms.positions[2] += 1e8


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_nan, "atom 5: position is not finite"),
        (_flat, "span no volume"),
        (_far, r"extends over .*e\+08 Å .* exploded"),
    ],
)
def test_frames_that_would_mislead_or_end_lammps(spoil, words):
    atoms = frame("cubic")
    spoil(atoms)
    with pytest.raises(FrameError, match=words):
        SETTINGS["one species"].design(atoms)


@pytest.mark.parametrize("distance", [30.0, 1e3, 6e3])
def test_far_apart_is_no_hindrance(distance):
    """LAMMPS by itself stops with `Too many neighbor bins`."""
    rows = SETTINGS["one species"]
    dimer = frame("dimer")
    three = dimer + Atoms("Si", [[distance] * 3])
    alone = predicted(rows, rows.design(Atoms("Si")))[0]
    assert energy(rows, three) == pytest.approx(energy(rows, dimer) + alone, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"species": ("Si", "Xx")}, "unknown species Xx"),
        ({"species": ("Si",), "twojmax": -1}, "twojmax >= 0"),
        ({"species": ("Si",), "rcut": 0.0}, "rcut > 0"),
        ({"species": ("Si", "C"), "radelem": (0.5,)}, "1 values of radelem for 2 species"),
        ({"species": ("Si", "C"), "wj": (1.0, 1.0, 1.0)}, "3 values of wj for 2 species"),
        ({"species": ("Si", "C"), "quadratic": True}, "coefficients are more than the 20000"),
        ({"color": "red"}, "unknown setting color; known are species, twojmax"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        Snap.from_state(settings)


def test_species_and_state():
    assert Snap(SnapSettings(twojmax=2)).for_species(("C", "O")).species == ("C", "O")
    assert Snap(SnapSettings(("W",), twojmax=2)).for_species(("C", "O")).species == ("W",)
    for rows in SETTINGS.values():
        assert Snap.from_state({k: list(v) if isinstance(v, tuple) else v for k, v in rows.state().items()}) == rows


# ---------------------------------------------------------------- pair_style snap


class Lammps:
    """LAMMPS as a user runs it, on frames whose cell is lower triangular."""

    def __init__(self, atoms: Atoms, species: tuple[str, ...], use: str) -> None:
        self.lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        cell, boundary = atoms.cell.array, " ".join("p" if p else "f" for p in atoms.pbc)
        assert np.allclose(cell, np.tril(cell))
        (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell.tolist()
        self.lmp.commands_string(
            f"units metal\natom_style atomic\natom_modify map array sort 0 0\nboundary {boundary}\nbox tilt large\n"
            f"region box prism 0 {xx!r} 0 {yy!r} 0 {zz!r} {xy!r} {xz!r} {yz!r}\ncreate_box {len(species)} box"
        )
        types = [species.index(symbol) + 1 for symbol in atoms.symbols]
        ids = list(range(1, len(atoms) + 1))
        assert self.lmp.create_atoms(len(atoms), ids, types, atoms.positions.ravel().tolist()) == len(atoms)
        self.lmp.commands_string(f"mass * 1.0\n{use}\nrun 0 post no")
        self.energy = self.lmp.get_thermo("pe")
        self.forces = np.array(self.lmp.numpy.extract_atom("f")[: len(atoms)])
        bar = 1 / self.lmp.extract_global("nktv2p")
        self.stress = -bar * np.array([self.lmp.get_thermo(f"p{ab}") for ab in ("xx", "yy", "zz", "yz", "xz", "xy")])

    def __enter__(self) -> Lammps:
        return self

    def __exit__(self, *_: object) -> None:
        self.lmp.close()


def lower_triangular(name: str, species: tuple[str, ...]) -> Atoms:
    atoms = frame("cubic", species)
    if name != "cubic":
        atoms.set_cell(atoms.cell.array @ [[1, 0, 0], [0.2, 0.95, 0], [-0.1, 0.15, 1.05]], scale_atoms=True)
    if name in ("slab", "cluster"):
        atoms.positions += [1.0, 1.0, 1.0]
        atoms.set_cell(np.diag([12.0, 12.0, 12.0]) if name == "cluster" else np.diag([5.4, 5.4, 12.0]))
        atoms.pbc = (name == "slab", name == "slab", False)
    return atoms


def compare(rows: Snap, potential: LinearPotential, atoms: Atoms, use: str, tolerance: float = 1e-10) -> None:
    ours = potential.predict(atoms)
    with Lammps(atoms, rows.species, use) as theirs:
        assert ours.energy == pytest.approx(theirs.energy, rel=tolerance)
        np.testing.assert_allclose(ours.forces, theirs.forces, atol=tolerance * np.abs(theirs.forces).max())
        if atoms.pbc.all():
            np.testing.assert_allclose(ours.stress, theirs.stress, atol=tolerance * np.abs(theirs.stress).max())
        assert np.abs(theirs.forces).max() > 1e-2


@pytest.mark.parametrize("name", ["cubic", "triclinic", "slab", "cluster"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_exported_files_run_to_the_same_numbers(setting, name, tmp_path, monkeypatch):
    rows = SETTINGS[setting]
    potential = LinearPotential(rows, theta(rows), np.zeros((0, rows.coefficients)), 0.0)
    written = write_potential(potential.rows, potential.theta, tmp_path / "my.potential")
    assert [path.name for path in written] == [f"my.potential.snap{end}" for end in ("coeff", "param", "")]
    monkeypatch.chdir(tmp_path)
    compare(rows, potential, lower_triangular(name, rows.species), "include my.potential.snap")


PUBLISHED = {
    "Si_Zuo_JPCA2020.quadratic": Snap(SnapSettings(("Si",), twojmax=8, rcut=4.8, quadratic=True, bzero=False)),
    "Mo_Chen_PRM2017": Snap(SnapSettings(("Mo",), twojmax=6, rcut=4.615858)),
    "WBe_Wood_PRB2019": Snap(SnapSettings(
        ("W", "Be"), 8, 4.8123, chem=False, radelem=(0.5, 0.417932), wj=(1.0, 0.959049), zbl=True, zbl_inner=4.0,
        zbl_outer=4.8,
    )),
    "InP_JCPA2020": Snap(SnapSettings(
        ("In", "P"), 6, 1.0, radelem=(3.81205, 3.82945), wj=(1.0, 0.929316), zbl=True, zbl_inner=4.0, zbl_outer=4.2
    )),
}  # fmt: skip
"""Settings as in the files; the tests read the coefficients from them."""


def published(name: str) -> LinearPotential:
    rows = PUBLISHED[name]
    values: list[float] = []
    for line in (potentials_folder() / f"{name}.snapcoeff").read_text().splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 1:
            values.append(float(words[0]))
    constants, *blocks = np.split(np.array(values).reshape(len(rows.species), -1), [1], axis=1)
    return LinearPotential(
        rows, np.concatenate([constants.ravel(), blocks[0].ravel()]), np.zeros((0, rows.coefficients)), 0.0
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_potentials(name, monkeypatch):
    rows = PUBLISHED[name]
    element = {"Si": bulk("Si", cubic=True), "Mo": bulk("Mo", cubic=True) * 2, "W": bulk("W", cubic=True) * 2}
    atoms = element.get(rows.species[0], bulk("InP", "zincblende", 5.83, cubic=True))
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, (len(atoms), 3))
    if name.startswith("WBe"):
        atoms.symbols[:3] = "Be"
    monkeypatch.chdir(potentials_folder())
    compare(rows, published(name), atoms, f"include {name}.snap")


@pytest.mark.data
def test_published_silicon_is_right_about_silicon(real_data):
    """On labels of 0.9 eV/Å rms that it was not fitted to; coefficients in a wrong order would be far worse."""
    potential = published("Si_Zuo_JPCA2020.quadratic")
    frames = list(read_frames(real_data / "silicon/test.extxyz.gz", labels="needed"))[::4]
    evaluations = [potential.predict(f.atoms) for f in frames]
    forces = np.concatenate([e.forces - f.forces for e, f in zip(evaluations, frames, strict=True)])
    energies = [(e.energy - f.energy) / len(f.atoms) for e, f in zip(evaluations, frames, strict=True)]
    assert np.sqrt(np.mean(forces**2)) < 0.25
    assert np.sqrt(np.mean(np.square(energies))) < 0.01


@pytest.mark.data
def test_real_alloys_through_the_exported_files(real_data, tmp_path, monkeypatch):
    rows = Snap(SnapSettings(("Mo", "W"), twojmax=4, rcut=4.7, zbl=True))
    potential = LinearPotential(rows, theta(rows), np.zeros((0, rows.coefficients)), 0.0)
    write_potential(potential.rows, potential.theta, Path(tmp_path) / "MoW")
    monkeypatch.chdir(tmp_path)
    read = read_frames(real_data / "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz")
    mixed = [f.atoms for f in read if len(set(f.atoms.symbols)) == 2]
    for atoms in mixed[:: len(mixed) // 4]:
        atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)  # as LAMMPS wants it: lower triangular
        compare(rows, potential, atoms, "include MoW.snap")
