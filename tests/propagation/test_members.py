"""Members as ASE calculators: the numbers of the design rows, whatever the structures before, and what is refused."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from assay.frames.frame import FrameError
from assay.linear.potential import LinearPotential
from assay.propagation.members import member_calculator
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace
from assay.sources.ace.wheel import import_pyace
from assay.sources.capabilities import LinearSource
from assay.sources.committees.committee import AseCommittee
from assay.sources.frame_calculator import row_calculator
from assay.sources.recorded.recorded import Recorded
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

SI, SIC, SICGE = ("Si",), ("Si", "C"), ("Si", "C", "Ge")
ZBL = {"zbl": True, "zbl_inner": 1.9, "zbl_outer": 3.1}
SNAPS = {
    "linear": Snap(SnapSettings(SI, twojmax=6, rcut=4.2)),
    "quadratic, zbl": Snap(SnapSettings(SI, twojmax=3, rcut=4.2, quadratic=True, **ZBL)),
    "no bzero, rmin0": Snap(SnapSettings(SI, twojmax=4, rcut=4.2, bzero=False, rfac0=0.9, rmin0=0.4)),
    "chem, radii": Snap(SnapSettings(SIC, twojmax=3, rcut=4.0, radelem=(0.5, 0.4), wj=(1.0, -0.3))),
    "chem, quadratic, zbl": Snap(SnapSettings(SIC, twojmax=2, rcut=4.0, quadratic=True, **ZBL)),
    "weights, quadratic": Snap(SnapSettings(SICGE, twojmax=2, rcut=4.0, chem=False, quadratic=True)),
    "three species, chem": Snap(SnapSettings(SICGE, twojmax=2, rcut=4.0)),
}
LEAN = np.array([[1.0, 0.1, 0.05], [0.15, 0.95, -0.1], [-0.2, 0.1, 1.05]])


def frames(species: tuple[str, ...]) -> dict[str, Atoms]:
    """Rattled structures that differ in number, species, cell and periodicity; most have atoms outside of the cell."""
    cubic = bulk("Si", cubic=True)
    strained, left, slab, wire, cluster = (cubic.copy() for _ in range(5))
    strained.set_cell(cubic.cell.array @ LEAN, scale_atoms=True)
    left.set_cell(cubic.cell.array[[1, 0, 2]] @ LEAN)
    slab.pbc, wire.pbc, cluster.pbc = (True, False, True), (False, False, True), False
    cluster.cell[:] = 0.0
    skewed = bulk("Si")
    skewed.cell[2] += 3 * skewed.cell[0] - 5 * skewed.cell[1]
    far = cluster + Atoms("Si", [[2e3, 0.0, 1e3]])
    found = {
        "cubic": cubic,
        "strained": strained,
        "large": cubic * (2, 1, 1),
        "left-handed": left,
        "primitive": bulk("Si"),
        "skewed": skewed,
        "slab": slab,
        "wire": wire,
        "cluster": cluster,
        "cluster and a far atom": far,
        "atom": Atoms("Si"),
    }
    for i, atoms in enumerate(found.values()):
        atoms.positions += np.random.default_rng(i).normal(0, 0.12, (len(atoms), 3)) - 1.0
        atoms.symbols = [species[(i + k) % len(species)] for k in range(len(atoms))]
    return found


def theta(rows: LinearSource, seed: int = 3) -> np.ndarray:
    """Some coefficients; products of components, which are large, get small ones."""
    rng = np.random.default_rng(seed)
    values = 0.1 * rng.normal(size=rows.coefficients)
    if isinstance(rows, Snap):
        blocks = values[len(rows.species) :].reshape(len(rows.species), -1)
        blocks[:, rows.settings.linear_components :] *= 0.01
    return values


def potential(rows: LinearSource, members: int = 3) -> LinearPotential:
    return LinearPotential(rows, theta(rows), np.array([theta(rows, 10 + i) for i in range(members)]), 0.0)


def assert_same(ours: Calculator, reference: Calculator, atoms: Atoms, tolerance: float = 1e-10) -> None:
    ours.calculate(atoms)
    reference.calculate(atoms)
    assert ours.results["energy"] == ours.results["free_energy"]
    assert ours.results["energy"] == pytest.approx(reference.results["energy"], rel=tolerance)
    assert ours.results["energies"].sum() == pytest.approx(ours.results["energy"], rel=1e-12)
    assert ("stress" in ours.results) == ("stress" in reference.results) == bool(atoms.pbc.all())
    for name in ("forces", "stress") if atoms.pbc.all() else ("forces",):
        expected = reference.results[name]
        scale = np.abs(expected).max() or 1e-10
        np.testing.assert_allclose(ours.results[name], expected, rtol=0, atol=tolerance * scale)


# SNAP


@pytest.mark.snap
@pytest.mark.parametrize("name", SNAPS)
def test_pair_style_snap_gives_the_numbers_of_the_rows_from_any_frame_to_any_other(name):
    """One calculator all along: each frame twice, the second time strained, displaced and turned."""
    rows = SNAPS[name]
    ours, reference = rows.calculator(theta(rows)), row_calculator(rows, theta(rows))
    for i, atoms in enumerate(frames(rows.species).values()):
        assert_same(ours, reference, atoms)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * LEAN), scale_atoms=True)
        atoms.rotate(20 * i, (1, 2, 3), rotate_cell=True)
        atoms.positions += 0.1 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3) + 2.0
        assert_same(ours, reference, atoms)


@pytest.mark.snap
def test_small_steps_of_a_relaxation_do_not_pile_up():
    """Strain and positions walk far: what LAMMPS holds stays what the atoms are."""
    rows = SNAPS["chem, radii"]
    ours, reference = rows.calculator(theta(rows)), row_calculator(rows, theta(rows))
    rng = np.random.default_rng(1)
    atoms = frames(rows.species)["large"]
    for step in range(60):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.2, atoms.positions.shape)
        ours.calculate(atoms)
        if step % 15 == 14:
            assert_same(ours, reference, atoms)


@pytest.mark.snap
def test_atoms_that_fly_apart_do_not_stop_lammps():
    """By itself it refuses a box that has grown to too many bins of neighbours."""
    rows = SNAPS["linear"]
    ours, reference = rows.calculator(theta(rows)), row_calculator(rows, theta(rows))
    atoms = Atoms("Si3", [[0, 0, 0], [2.2, 0.3, 0.1], [4.0, 1.0, 0.5]])
    for distance in (4.0, 300.0, 1000.0, 5000.0, 3.0):
        atoms.positions[2] = distance
        assert_same(ours, reference, atoms)


@pytest.mark.snap
def test_energies_of_atoms_are_those_of_their_features():
    rows = SNAPS["linear"]
    atoms, coefficients = frames(SI)["strained"], theta(rows)
    ours = rows.calculator(coefficients)
    ours.calculate(atoms)
    expected = coefficients[0] + rows.features(atoms) @ coefficients[1:]
    np.testing.assert_allclose(ours.results["energies"], expected, rtol=1e-10)
    assert np.ptp(expected) > 1e-3


@pytest.mark.snap
def test_calculators_do_not_disturb_each_other():
    """Two members and the design rows in turn, each as if it were alone."""
    rows = SNAPS["chem, quadratic, zbl"]
    source = potential(rows)
    several = [member_calculator(source, i) for i in (0, 1)]
    for one, other in pairwise(frames(rows.species).values()):
        evaluation = source.predict(one)
        for i, calculator in enumerate(several):
            calculator.calculate(other if i else one)
        assert evaluation.energy_members is not None
        assert several[0].results["energy"] == pytest.approx(evaluation.energy_members[0], rel=1e-10)
        alone = member_calculator(source, 1)
        alone.calculate(other)
        assert several[1].results["energy"] == pytest.approx(alone.results["energy"], rel=1e-13)


@pytest.mark.snap
def test_what_is_asked_through_atoms():
    """ASE's own way: cached results, and no stress where a direction is not periodic."""
    found = frames(SI)
    rows = SNAPS["linear"]
    for name in ("cubic", "slab"):
        atoms = found[name]
        atoms.calc = rows.calculator(theta(rows))
        first = atoms.get_forces()
        atoms.positions[0] += 0.1
        assert np.abs(atoms.get_forces() - first).max() > 1e-3
    assert found["cubic"].get_stress().shape == (6,)
    with pytest.raises(PropertyNotImplementedError):
        found["slab"].get_stress()


@pytest.mark.snap
def test_after_a_frame_that_it_can_not_take_a_calculator_goes_on():
    rows = SNAPS["linear"]
    ours, reference, found = rows.calculator(theta(rows)), row_calculator(rows, theta(rows)), frames(SI)
    lost, alien = found["strained"].copy(), found["strained"].copy()
    lost.positions[3, 1] = np.nan
    alien.symbols[2] = "Ge"
    for bad, words in ((lost, "atom 3: position is not finite"), (alien, "atom 2 is Ge")):
        assert_same(ours, reference, found["strained"])
        with pytest.raises(FrameError, match=words):
            ours.calculate(bad)
    assert_same(ours, reference, found["strained"])


@pytest.mark.snap
def test_after_an_error_of_lammps_a_calculator_goes_on():
    rows, atoms = SNAPS["linear"], frames(SI)["primitive"]
    ours, reference = rows.calculator(theta(rows)), row_calculator(rows, theta(rows))
    assert_same(ours, reference, atoms)
    collapsed = atoms.copy()
    collapsed.set_cell(0.05 * atoms.cell.array, scale_atoms=True)
    with pytest.raises(FrameError, match=r"^LAMMPS: Neighbor list overflow, boost neigh_modify one$"):
        ours.calculate(collapsed)
    assert_same(ours, reference, atoms)


# ACE


def with_core(folder: Path) -> Ace:
    """More functions on Si than on C, and pacemaker's core repulsion, which has no coefficients."""
    pyace = import_pyace()
    few = {"nradmax_by_orders": [4, 2], "lmax_by_orders": [0, 1]}
    bond = {"radbase": "ChebExpCos", "radparameters": [5.25], "rcut": 4.4, "dcut": 0.01, "NameOfCutoffFunction": "cos"}
    configuration = pyace.create_multispecies_basis_config(
        {
            "deltaSplineBins": 0.001,
            "elements": ["Si", "C"],
            "embeddings": {"ALL": {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1}},
            "bonds": {"ALL": {**bond, "core-repulsion": [80.0, 1.5], "inner_cutoff_type": "density"}},
            "functions": {
                "UNARY": few,
                "BINARY": few,
                "Si": {"nradmax_by_orders": [6, 3, 2], "lmax_by_orders": [0, 2, 1]},
            },
        }
    )
    configuration.save(str(folder / "core.yaml"))
    return Ace(AceBasis(potential=str(folder / "core.yaml")))


@pytest.mark.ace
@pytest.mark.parametrize("kind", ["Si", "Si-C", "core"])
def test_the_recursive_evaluator_gives_the_numbers_of_the_rows(kind, tmp_path):
    if kind == "core":
        rows = with_core(tmp_path)
    else:
        rows = Ace(AceBasis(tuple(kind.split("-")), number_of_functions_per_element=60, rcut=4.2))
    ours, by_evaluation = rows.calculator(theta(rows)), row_calculator(rows, theta(rows))
    found = frames(rows.species)
    for name, atoms in found.items():
        if name != "cluster and a far atom":
            assert_same(ours, by_evaluation, atoms)
    design = rows.design(found["strained"])
    ours.calculate(found["strained"])
    told = design.predictions(theta(rows)[None])
    assert ours.results["energy"] == pytest.approx(told.energy_members[0], rel=1e-10)
    expected = told.member(0).forces
    np.testing.assert_allclose(ours.results["forces"], expected, atol=1e-10 * np.abs(expected).max())
    assert (design.reference_energy > 0) == (kind == "core")


@pytest.mark.ace
def test_members_of_ace_are_not_mixed_up_in_the_engine_that_they_share():
    rows = Ace(AceBasis(SIC, number_of_functions_per_element=30, rcut=4.0))
    source, atoms = potential(rows), frames(rows.species)["strained"]
    several = [member_calculator(source, i) for i in range(3)]
    for _ in range(2):
        expected = source.predict(atoms)
        for i, calculator in enumerate(several):
            calculator.calculate(atoms)
            assert expected.energy_members is not None
            assert calculator.results["energy"] == pytest.approx(expected.energy_members[i], rel=1e-10)
        atoms.rattle(0.1, seed=4)
    atoms.symbols[1] = "Ge"
    with pytest.raises(FrameError, match="atom 1 is Ge"):
        several[0].calculate(atoms)


# Sources


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(SNAPS["chem, quadratic, zbl"], marks=pytest.mark.snap, id="snap"),
        pytest.param(None, marks=pytest.mark.ace, id="ace"),
    ],
)
def test_a_member_is_the_one_of_the_evaluation(rows):
    """Best fit and every member; and again after a way to another process."""
    source = potential(rows or Ace(AceBasis(SIC, number_of_functions_per_element=20, rcut=4.0)))
    atoms = frames(source.rows.species)["strained"]
    told = source.predict(atoms)
    assert told.energy_members is not None
    assert told.forces_members is not None
    assert told.stress_members is not None
    assert np.ptp(told.energy_members) > 1e-2
    for index in (None, 0, 1, 2):
        expected = (
            (told.energy, told.forces, told.stress)
            if index is None
            else (told.energy_members[index], told.forces_members[index], told.stress_members[index])
        )
        calculator = member_calculator(source, index)
        calculator.calculate(atoms)
        for each in (calculator, pickle.loads(pickle.dumps(calculator))):
            each.calculate(atoms)
            for name, value in zip(("energy", "forces", "stress"), expected, strict=True):
                np.testing.assert_allclose(each.results[name], value, rtol=1e-9, atol=1e-9)


@pytest.mark.snap
def test_a_relaxation_finds_a_minimum_of_the_member():
    """Where its calculator stops, the design rows say that the stress is minus the pressure outside."""
    rows = Snap(SnapSettings(SI, twojmax=2, rcut=4.0, zbl=True, zbl_inner=1.0, zbl_outer=3.5))
    atoms = bulk("Si", "fcc", a=3.6)
    atoms.rattle(0.05, seed=2)
    atoms.calc = rows.calculator(np.zeros(rows.coefficients))
    target = FrechetCellFilter(atoms, scalar_pressure=0.5)
    assert BFGS(target, logfile=None).run(fmax=1e-4, steps=200)
    reference = row_calculator(rows, np.zeros(rows.coefficients))
    reference.calculate(atoms)
    np.testing.assert_allclose(reference.results["stress"], [-0.5, -0.5, -0.5, 0, 0, 0], atol=1e-4)


def test_a_committee_has_its_calculators_and_their_mean():
    lennard = "ase.calculators.lj.LennardJones"
    source = AseCommittee.from_toml(
        {
            "member": [
                {"label": "emt", "calculator": "ase.calculators.emt.EMT"},
                {"label": "lj", "calculator": lennard, "arguments": {"sigma": 2.3, "epsilon": 0.4, "rc": 6.0}},
            ]
        }
    )
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    told = source.predict(atoms)
    assert told.energy_members is not None
    assert told.stress_members is not None
    assert np.ptp(told.energy_members) > 1.0
    alone = EMT()
    alone.calculate(atoms)
    emt, lj, mean = (member_calculator(source, index) for index in (0, 1, None))
    assert emt.get_potential_energy(atoms) == pytest.approx(alone.results["energy"], rel=1e-12)
    assert lj.get_potential_energy(atoms) == pytest.approx(told.energy_members[1], rel=1e-12)
    assert mean.get_potential_energy(atoms) == pytest.approx(told.energy_members.mean(), rel=1e-12)
    np.testing.assert_allclose(emt.get_stress(atoms), told.stress_members[0], rtol=1e-12)
    np.testing.assert_allclose(mean.get_forces(atoms), told.forces, rtol=1e-12)
    again = pickle.loads(pickle.dumps(emt))
    assert again.get_potential_energy(atoms) == pytest.approx(alone.results["energy"], rel=1e-12)


def test_sources_without_potentials_and_members_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"no potentials to run in this source: 2 recorded members: a, b"):
        member_calculator(Recorded(("a", "b")))
    source = potential(SNAPS["linear"])
    for index in (3, -1):
        with pytest.raises(IndexError, match=rf"member {index} of 3 \(the first is 0\)"):
            member_calculator(source, index)
    with pytest.raises(ValueError, match=r"got coefficients of shape \(30,\)"):
        SNAPS["linear"].calculator(np.zeros(30))
