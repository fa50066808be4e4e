"""The ACE source: against finite differences, pacemaker's own calculator and its own active sets."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import assay.sources.ace.engine
import assay.sources.ace.wheel
from assay.frames.frame import FrameError
from assay.frames.reading import read_frames
from assay.gauge.gauge import Gauge
from assay.linear.export import write_potential
from assay.linear.potential import LinearPotential
from assay.results.design import LARGEST
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.features.training import TrainingFeatures
from assay.sources.ace.active_sets import by_atomic_number, by_symbol, read_asi, write_asi
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import FEW, Ace
from assay.sources.corrector import Corrector
from assay.sources.features.axes import FeatureAxes
from assay.sources.registry import source_from_state
from assay.verbs.build import build
from assay.verbs.export import export

pytestmark = pytest.mark.ace

SPECIES = ("Mo", "W")
TRIPLE = np.array([[1.0, 0.1, 0.05], [0.15, 0.95, -0.1], [-0.2, 0.1, 1.05]])
FRAMES = ("cubic", "triclinic", "left-handed", "primitive", "slab", "wire", "cluster", "dimer", "atom", "far apart")


def frame(name: str, seed: int = 3) -> Atoms:
    """A rattled frame of up to 16 atoms, Mo and W mixed; some atoms lie outside of the cell."""
    atoms = bulk("W", cubic=True) * (2, 2, 2)
    if name == "triclinic":
        atoms.set_cell(atoms.cell.array @ TRIPLE, scale_atoms=True)
    elif name == "left-handed":
        atoms.set_cell(atoms.cell.array[[1, 0, 2]] @ TRIPLE)
    elif name == "primitive":
        atoms = bulk("W")
    elif name in ("slab", "wire", "cluster"):
        atoms.pbc = {"slab": (True, True, False), "wire": (False, True, False), "cluster": False}[name]
        atoms.cell[~atoms.pbc] = 0.0 if name == "cluster" else atoms.cell[~atoms.pbc]
    elif name == "dimer":
        atoms = Atoms("W2", [[0, 0, 0], [2.1, 0.5, -0.7]])
    elif name == "atom":
        atoms = Atoms("W", [[1.0, 2.0, 3.0]])
    elif name == "far apart":
        atoms = Atoms("W2", [[0, 0, 0], [9.0, 0, 0]], cell=[30, 30, 30], pbc=True)
    atoms.rattle(0.15, seed=seed)
    atoms.positions += 5.0
    atoms.symbols[::3] = "Mo"
    return atoms


@cache
def alloy() -> Ace:
    return Ace(AceBasis(("W", "Mo"), number_of_functions_per_element=40, rcut=4.5))


@cache
def uneven() -> str:
    """A pacemaker potential with two densities, a core repulsion and more functions on W than on Mo, as YAML."""
    pyace = assay.sources.ace.wheel.import_pyace()
    few = {"nradmax_by_orders": [4, 2], "lmax_by_orders": [0, 1]}
    embedding = {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1, 1, 0.5], "ndensity": 2}
    bond = {"radbase": "ChebExpCos", "radparameters": [5.25], "rcut": 4.4, "dcut": 0.01, "NameOfCutoffFunction": "cos"}
    configuration = pyace.create_multispecies_basis_config(
        {
            "deltaSplineBins": 0.001,
            "elements": ["W", "Mo"],
            "embeddings": {"ALL": embedding},
            "bonds": {"ALL": {**bond, "core-repulsion": [80.0, 1.5], "inner_cutoff_type": "density"}},
            "functions": {
                "UNARY": few,
                "BINARY": few,
                "W": {"nradmax_by_orders": [6, 3, 2], "lmax_by_orders": [0, 2, 1]},
            },
        }
    )
    coefficients = np.random.default_rng(5).normal(size=len(configuration.get_func_coeffs()))
    configuration.set_func_coeffs(coefficients.tolist())
    return assay.sources.ace.wheel._saved(configuration.save)


@pytest.fixture
def uneven_yaml(tmp_path: Path) -> Path:
    path = tmp_path / "uneven.yaml"
    path.write_text(uneven())
    return path


def pacemaker(yaml: Path, asi: Path | None = None):
    """pacemaker's calculator of a potential, with an active set."""
    calculator = assay.sources.ace.wheel.import_pyace().PyACECalculator(str(yaml))
    if asi is not None:
        calculator.set_active_set(str(asi))
    return calculator


def theta(source: Ace, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=source.coefficients) / np.sqrt(source.coefficients)


def potential(source: Ace, seed: int = 0) -> LinearPotential:
    return LinearPotential(source, theta(source, seed), theta(source, 1)[None], 1e-8)


# Rows


@pytest.mark.parametrize("core", [False, True], ids=["by numbers", "file with core repulsion"])
@pytest.mark.parametrize("name", FRAMES)
def test_rows_are_the_derivatives_of_the_energy(name, core, uneven_yaml):
    source = Ace(AceBasis(potential=str(uneven_yaml))) if core else alloy()
    atoms, beta, h = frame(name), theta(source), 1e-4
    design = source.design(atoms)

    def energy(changed: Atoms) -> float:
        rows = source.design(changed)
        return float(rows.energy_row @ beta + rows.reference_energy)

    forces = (design.force_rows @ beta).reshape(-1, 3) + design.reference_forces
    for atom, axis in {(0, 0), (len(atoms) // 2, 1), (len(atoms) - 1, 2)}:
        pair = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * h
            pair.append(energy(moved))
        assert forces[atom, axis] == pytest.approx(-(pair[0] - pair[1]) / (2 * h), rel=1e-6, abs=1e-6)
    if not atoms.pbc.all():
        assert design.stress_rows is None
        return
    stress = design.stress_rows @ beta + design.reference_stress
    for component, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        pair = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h / 2
            strain[b, a] += sign * h / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            pair.append(energy(strained))
        slope = (pair[0] - pair[1]) / (2 * h) / atoms.get_volume()
        assert stress[component] == pytest.approx(slope, rel=1e-5, abs=1e-7), component


def test_the_core_repulsion_is_a_reference_without_coefficients(uneven_yaml):
    close = Atoms("W2", [[0, 0, 0], [1.4, 0, 0]])
    design = Ace(AceBasis(potential=str(uneven_yaml))).design(close)
    assert design.reference_energy > 0.1
    assert design.reference_forces[1, 0] > 0.1
    assert alloy().design(close).reference_energy == 0


@pytest.mark.parametrize("name", ["cubic", "triclinic", "cluster", "atom"])
def test_predictions_are_those_of_pacemaker(name, tmp_path):
    """The same coefficients in its calculator, which has no constants of the species."""
    fitted, atoms = potential(alloy()), frame(name)
    yaml, yace, _ = write_potential(fitted.rows, fitted.theta, tmp_path / "mow")
    told = fitted.predict(atoms)
    atoms.calc = pacemaker(yaml)
    constants = sum(fitted.theta[fitted.rows.species.index(symbol)] for symbol in atoms.symbols)
    assert told.energy - constants == pytest.approx(atoms.get_potential_energy(), rel=1e-12, abs=1e-12)
    assert told.forces == pytest.approx(atoms.get_forces(), rel=1e-10, abs=1e-12)
    if atoms.pbc.all():
        assert told.stress == pytest.approx(atoms.get_stress(), rel=1e-10, abs=1e-13)
    atoms.calc = pacemaker(yace)
    assert told.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12, abs=1e-12), "constants included"
    assert told.forces == pytest.approx(atoms.get_forces(), rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("core", [False, True], ids=["by numbers", "file with core repulsion"])
@pytest.mark.parametrize("name", ["left-handed", "primitive", "slab", "dimer", "atom"])
def test_predictions_by_evaluation_are_those_by_rows(name, core, uneven_yaml):
    source = Ace(AceBasis(potential=str(uneven_yaml))) if core else alloy()
    atoms, coefficients = frame(name), np.stack([theta(source, seed) for seed in range(3)])
    rows, told = source.design(atoms).predictions(coefficients), source.predictions(atoms, coefficients)
    assert told.energy_members == pytest.approx(rows.energy_members, rel=1e-11, abs=1e-11)
    assert told.forces_members == pytest.approx(rows.forces_members, rel=1e-10, abs=1e-11)
    assert (told.stress_members is None) == (rows.stress_members is None) == (not atoms.pbc.all())
    if told.stress_members is not None:
        assert told.stress_members == pytest.approx(rows.stress_members, rel=1e-10, abs=1e-12)


def test_many_predictions_go_by_the_rows_and_few_by_evaluations(monkeypatch):
    """The same numbers both ways."""
    linear, evaluated = assay.sources.ace.engine.Engine.linear, []

    def counted(self, atoms, coefficients):
        evaluated.append(len(coefficients))
        return linear(self, atoms, coefficients)

    monkeypatch.setattr(assay.sources.ace.engine.Engine, "linear", counted)
    source, atoms = alloy(), frame("triclinic")
    coefficients = np.array([theta(source, seed) for seed in range(FEW + 1)])
    many, few = source.predictions(atoms, coefficients), source.predictions(atoms, coefficients[:FEW])
    assert evaluated == [0, FEW]
    assert many.energy_members[:FEW] == pytest.approx(few.energy_members, rel=1e-11)
    assert many.forces_members[:FEW] == pytest.approx(few.forces_members, rel=1e-10, abs=1e-11)
    assert many.stress_members[:FEW] == pytest.approx(few.stress_members, rel=1e-10, abs=1e-12)
    assert np.array_equal(many.features, few.features)


def test_rows_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    whole = alloy().design(frame("triclinic"))
    monkeypatch.setattr(assay.sources.ace.engine, "BLOCK", 5)
    blocks = alloy().design(frame("triclinic"))
    assert blocks.force_rows == pytest.approx(whole.force_rows, rel=1e-10, abs=1e-11)
    assert blocks.stress_rows == pytest.approx(whole.stress_rows, rel=1e-10, abs=1e-12)
    assert blocks.features == pytest.approx(whole.features, rel=1e-11, abs=1e-12)
    assert blocks.energy_row == pytest.approx(whole.energy_row, rel=1e-11, abs=1e-12)


# Features


@pytest.mark.parametrize("name", FRAMES)
def test_features_are_those_of_the_design(name):
    atoms = frame(name)
    features = alloy().features(atoms)
    assert features == pytest.approx(alloy().design(atoms).features, rel=1e-11, abs=1e-12)
    assert features.shape == (len(atoms), max(alloy().basis.functions))


def test_features_are_pacemakers_projections(uneven_yaml):
    """Of the potential as it is in the file, two densities and all; a species with fewer functions ends in zeros."""
    atoms = frame("triclinic")
    source = Ace(AceBasis(potential=str(uneven_yaml)))
    few, many = source.basis.functions
    assert 0 < few < many
    features = source.features(atoms)
    atoms.calc = pacemaker(uneven_yaml)
    atoms.get_forces()
    for i, (symbol, theirs) in enumerate(zip(atoms.symbols, atoms.calc.projections, strict=True)):
        own = dict(zip(source.species, source.basis.functions, strict=True))[symbol]
        assert len(theirs) == own
        assert features[i, :own] == pytest.approx(theirs, rel=1e-10, abs=1e-11)
        assert not features[i, own:].any()


def test_features_obey_the_laws_of_physics():
    atoms = frame("triclinic")
    features = alloy().features(atoms)
    turn = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = atoms.positions @ turn.T
    order = np.random.default_rng(0).permutation(len(atoms))
    moved = atoms.copy()
    moved.positions += [0.3, -7.0, 11.0]
    moved.positions[2] += moved.cell.array[0] - 3 * moved.cell.array[2]
    for other in (turned, moved):
        assert alloy().features(other) == pytest.approx(features, rel=1e-7, abs=1e-8)
    assert alloy().features(atoms[order]) == pytest.approx(features[order], rel=1e-9, abs=1e-10)
    assert alloy().features(atoms * (2, 1, 1)) == pytest.approx(np.tile(features, (2, 1)), rel=1e-9, abs=1e-10)


def test_nothing_beyond_the_cutoff_has_a_part_in_features():
    source, atoms = alloy(), Atoms("W2", [[0, 0, 0], [4.4, 0, 0]])
    alone = source.features(Atoms("W", [[0, 0, 0]]))
    assert source.cutoff == potential(source).cutoff == 4.5
    assert np.abs(source.features(atoms)[0] - alone[0]).max() > 1e-9
    atoms.positions[1, 0] = 4.5 + 1e-6
    assert source.features(atoms)[0].tolist() == alone[0].tolist()


# Settings and states


def test_the_basis_of_the_paper_has_761_functions():
    source = Ace(
        AceBasis(
            ("W",),
            number_of_functions_per_element=945,
            nradmax_by_orders=(15, 6, 4, 3, 2, 2),
            lmax_by_orders=(0, 4, 3, 2, 1, 0),
        )
    )
    assert (source.basis.functions, source.coefficients, source.cutoff) == ((761,), 762, 6.0)


def test_species_come_from_the_frames_and_are_sorted():
    settings = Ace.from_state({"number_of_functions_per_element": 10, "rcut": 4})
    made = settings.for_species(["W", "Mo"])
    assert (made.species, made.basis.functions, made.coefficients) == (SPECIES, (10, 10), 22)
    assert made.for_species(["Cu"]) is made
    assert made.label == "ACE, 10/10 functions, 4 Å, Mo-W, P = 22"


@pytest.mark.parametrize("kind", ["numbers", "file"])
def test_a_state_holds_the_whole_basis(kind, uneven_yaml):
    source = alloy() if kind == "numbers" else Ace.from_state({"potential": str(uneven_yaml)})
    uneven_yaml.unlink()
    again = source_from_state({"kind": "ace", **source.state()})
    copied = pickle.loads(pickle.dumps(source))
    rows = source.design(frame("cubic"))
    for other in (again, copied):
        assert other.species == SPECIES
        assert other.coefficients == source.coefficients
        assert other.design(frame("cubic")).force_rows.tolist() == rows.force_rows.tolist()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"species": ["W", "Xx"]}, "ace: unknown species Xx; give chemical symbols"),
        ({"rcut": -1.0}, "ace: needs rcut > 0"),
        ({"number_of_functions_per_element": 0}, "number_of_functions_per_element >= 1"),
        ({"number_of_functions_per_element": 2.5}, "number_of_functions_per_element must be a whole number, got 2.5"),
        ({"radbase": "Bessel"}, "unknown radbase 'Bessel'; there are SBessel"),
        ({"nradmax_by_orders": [4, 2]}, "2 orders of nradmax_by_orders for 0 of lmax_by_orders"),
        ({"cutoff": 5.0}, "ace: unknown setting cutoff; known are potential, species"),
        ({"potential": "x.yaml", "rcut": 5.0}, "ace: beside potential: unknown setting rcut; known are potential"),
        ({"species": ["W"], "functions": [LARGEST], "rcut": 5.0, "configuration": "-"}, "lower number_of_functions"),
    ],
)
def test_settings_that_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        Ace.from_state(state)


def test_files_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml: no such file"):
        Ace(AceBasis(potential=str(tmp_path / "none.yaml")))
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with pytest.raises(ValueError, match=r"other\.yaml: not a pacemaker potential \.yaml"):
        Ace(AceBasis(potential=str(tmp_path / "other.yaml")))


def test_a_file_that_crashes_python_ace_is_refused_and_this_process_goes_on(tmp_path):
    """A block whose type has a species too many: python-ace reads beyond an array, signal 11."""
    text = AceBasis(species=("Si",), number_of_functions_per_element=12).configuration
    (path := tmp_path / "damaged.yaml").write_text(text.replace("{type: Si Si,", "{type:  Si,", 1))
    with pytest.raises(ValueError, match=r"damaged\.yaml: not a pacemaker potential \.yaml, or damaged \(python-ace"):
        AceBasis(potential=str(path))
    path.write_text(text)
    assert AceBasis(potential=str(path)).configuration == text


def test_frames_that_are_refused():
    with pytest.raises(FrameError, match=r"atom 1 is Cu, which this potential does not know \(it knows Mo, W\)"):
        alloy().features(Atoms("WCu", [[0, 0, 0], [2, 0, 0]]))
    lost = frame("cubic")
    lost.positions[4, 1] = np.nan
    for method in (alloy().features, alloy().design, potential(alloy()).predict):
        with pytest.raises(FrameError, match="atom 4: position is not finite"):
            method(lost)
        with pytest.raises(FrameError, match="very small distance"):
            method(Atoms("W2", np.zeros((2, 3))))
        with pytest.raises(FrameError, match=r"the frame extends over 1e\+05 Å"):
            method(Atoms("W2", [[0, 0, 0], [1e5, 0, 0]]))


# Active sets


def environments(source: Ace) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    frames = [frame(name, seed) for name in ("cubic", "triclinic", "slab", "cluster") for seed in range(10)]
    features = np.concatenate([source.features(atoms) for atoms in frames])
    return features, np.concatenate([atoms.numbers for atoms in frames])


@pytest.mark.parametrize("kind", ["equal", "uneven"])
def test_the_grade_of_an_asi_of_pacemaker_is_pacemakers(kind, tmp_path, uneven_yaml):
    activelearning = pytest.importorskip("pyace.activelearning")
    source = alloy() if kind == "equal" else Ace(AceBasis(potential=str(uneven_yaml)))
    frames = [frame(name, seed) for name in ("cubic", "triclinic") for seed in range(10)]
    yaml, asi = tmp_path / "basis.yaml", tmp_path / "theirs.asi"
    yaml.write_text(source.basis.configuration)
    projections = activelearning.compute_B_projections(pacemaker(yaml), frames)
    inverses = activelearning.compute_A_active_inverse(activelearning.compute_active_set(projections))
    activelearning.save_active_inverse_set(str(asi), inverses, elements_name=list(SPECIES))

    grade = ExtrapolationGrade(by_atomic_number(read_asi(asi), max(source.basis.functions)))
    calculator = pacemaker(yaml, asi)
    for seed in (50, 51):
        atoms = frame("left-handed", seed)[:9]
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
        atoms.calc = calculator
        atoms.get_forces()
        gamma = grade.grades(source.features(atoms), atoms.numbers)
        assert gamma == pytest.approx(calculator.results["gamma"], rel=1e-9)
        assert gamma.max() > 1


@pytest.mark.parametrize("kind", ["equal", "uneven"])
def test_pacemaker_takes_an_asi_of_ours(kind, tmp_path, uneven_yaml):
    source = alloy() if kind == "equal" else Ace(AceBasis(potential=str(uneven_yaml)))
    grade = ExtrapolationGrade.fit(TrainingFeatures.of([environments(source)]))
    fitted = potential(source)
    *_, asi = write_potential(fitted.rows, fitted.theta, tmp_path / "mow", grade.inverses)
    assert asi.name == "mow.asi"
    assert {symbol: len(inverse) for symbol, inverse in read_asi(asi).items()} == dict(
        zip(SPECIES, source.basis.functions, strict=True)
    )
    calculator = pacemaker(tmp_path / "mow.yaml", asi)
    atoms = frame("triclinic", 77)
    atoms.calc = calculator
    atoms.get_forces()
    gamma = grade.grades(source.features(atoms), atoms.numbers)
    assert calculator.results["gamma"] == pytest.approx(gamma, rel=1e-8)
    again = ExtrapolationGrade(by_atomic_number(read_asi(asi)))
    assert again.grades(source.features(atoms), atoms.numbers) == pytest.approx(gamma, rel=1e-8)


def test_an_asi_holds_the_arrays_as_they_are(tmp_path):
    """In C order: pacemaker's reader does not look at the flag of the other."""
    rng, path = np.random.default_rng(0), tmp_path / "x.asi"
    inverses = {"W": np.asfortranarray(rng.normal(size=(3, 3))), "Mo": rng.normal(size=(2, 2))}
    write_asi(path, inverses)
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == ["Mo", "W"]
        assert archive["W"].flags.c_contiguous
    assert {k: v.tolist() for k, v in read_asi(path).items()} == {k: v.tolist() for k, v in inverses.items()}


def test_the_text_of_gpumd(tmp_path):
    """As its tool writes it: the symbol and the shape, then the columns of A⁻¹, a number a line."""
    rng, path = np.random.default_rng(0), tmp_path / "active_set.asi"
    sets = {"W": rng.normal(size=(3, 3)), "Te": rng.normal(size=(2, 2))}
    inverses = {symbol: np.linalg.inv(rows) for symbol, rows in sets.items()}
    with path.open("w") as file:
        for symbol, inverse in inverses.items():
            print(symbol, *inverse.shape, *(repr(float(number)) for number in inverse.T.ravel()), sep="\n", file=file)
    read = read_asi(path)
    assert {s: inverse.tolist() for s, inverse in read.items()} == {s: v.tolist() for s, v in inverses.items()}
    grade = ExtrapolationGrade(by_atomic_number({"W": read["W"]}))  # rows of an active set have grade 1
    assert grade.grades(sets["W"], np.full(3, 74)) == pytest.approx(np.ones(3))
    assert grade.grades(2.5 * sets["W"][1:2], np.array([74])) == pytest.approx([2.5])


def test_active_sets_by_number_and_by_symbol():
    inverses = {"W": np.arange(9.0).reshape(3, 3), "Mo": np.arange(4.0).reshape(2, 2)}
    padded = by_atomic_number(inverses)
    assert {z: inverse.shape for z, inverse in padded.items()} == {74: (3, 3), 42: (3, 3)}
    assert by_atomic_number(inverses, 5)[42].shape == (5, 5)
    back = by_symbol({74: padded[74], 42: np.pad(inverses["Mo"] + 1, (0, 1))}, {"W": 3, "Mo": 2})
    assert back["W"].tolist() == inverses["W"].tolist()
    assert back["Mo"].tolist() == (inverses["Mo"] + 1).tolist()
    with pytest.raises(ValueError, match="the active set of W has 3 functions, and the source has only 2 features"):
        by_atomic_number(inverses, 2)
    with pytest.raises(ValueError, match="the active set of Mo has 3 members for 2 functions"):
        by_symbol({42: np.ones((3, 3))}, {"Mo": 2})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "not an .asi file"),
        ({"W": np.ones((2, 3))}, r"the inverse of W is not square but \(2, 3\)"),
        ({"Xx": np.eye(2)}, "'Xx' is not an element"),
        ({"W": np.array([object()])}, "not an .asi file"),
        ({}, "there is none"),
        ({"X": np.eye(2)}, "'X' is not an element"),
        ({"Mo": np.eye(2), "W": np.diag([1, np.nan, np.inf])}, "inverse of W has 2 numbers .* row 1, column 1: nan"),
        (b"W 2 2 1 2 3", "truncated: 3 of 4 numbers of W"),
        (b"W 2 3 1 2 3 4 5 6", r"the inverse of W is not square but \(2, 3\)"),
        (b"W 1 1 nan", "inverse of W has 1 numbers that are not finite, the first in row 0, column 0"),
        (b"W 1 1 one", "W: could not convert string to float: 'one'"),
        (b"W 1 1 1 W 1 1 1", "W stands twice"),
        (b"W 1 1 1 2 3", "not an .asi file, got '2 3'"),
    ],
)
def test_active_sets_that_are_refused(content, message, tmp_path):
    path = tmp_path / "x.asi"
    with pytest.raises(FileNotFoundError, match=r"x\.asi: no such file"):
        read_asi(path)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            np.savez(file, **content)
    with pytest.raises(ValueError, match=message):
        read_asi(path)


# The whole path


def test_a_potential_of_another_kind_is_not_exported(tmp_path):
    corrector = Corrector("chgnet:0.3.0", species=("W",), axes=FeatureAxes(np.eye(2), np.zeros((1, 2))))
    gauge = Gauge(LinearPotential(corrector, np.zeros(3), np.zeros((2, 3)), 1e-8), (), 5.0, "", ("W",))
    with pytest.raises(ValueError, match=r"only a fitted SNAP or ACE potential can be exported; this gauge has"):
        export(gauge, tmp_path / "x")


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")  # of few frames
def test_a_gauge_of_tungsten_from_fit_to_files(real_data, tmp_path):
    """Force errors of held-out defects far below the forces, and the exported potential is the one that was fitted."""
    folder = real_data / "tungsten"
    frames = [
        *list(read_frames(folder / "A-elastic.extxyz.gz"))[::20],
        *list(read_frames(folder / "B-bulk-and-defects.extxyz.gz"))[::20],
    ]
    write(tmp_path / "train.extxyz", [f.atoms for f in frames if len(f.atoms) < 80])
    built = build(tmp_path / "train.extxyz", source="ace:number_of_functions_per_element=60", out=tmp_path / "w.gauge")
    gauge = Gauge.load(tmp_path / "w.gauge")
    assessment = gauge.assessment(built.held_out)
    errors = assessment.batch.forces - assessment.batch.labels.forces
    assert np.sqrt(np.mean(errors**2)) < 0.3 * np.sqrt(np.mean(assessment.batch.labels.forces**2))

    names = [path.name for path in export(gauge, tmp_path / "w")]
    assert names == ["w.yaml", "w.yace", "w.pace", "w.asi"]
    atoms = frames[-1].atoms.copy()
    atoms.rattle(0.05)
    told = gauge.source.predict(atoms)
    atoms.calc = pacemaker(tmp_path / "w.yaml", tmp_path / "w.asi")
    assert atoms.get_forces() == pytest.approx(told.forces, rel=1e-9, abs=1e-10)
    (grade,) = (score for score in gauge.scores if isinstance(score, ExtrapolationGrade))
    gamma = grade.grades(gauge.source.features(atoms), atoms.numbers)
    assert atoms.calc.results["gamma"] == pytest.approx(gamma, rel=1e-7)
