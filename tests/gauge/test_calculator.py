"""A gauge as an ASE calculator: its results, relaxations, dynamics, and frames written and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from copper import Says, copper, heat

import assay
from assay import FrameError, Gauge
from assay.calibration.conformal import Conformal
from assay.gauge.calculator import GaugeCalculator
from assay.results.error_bars import Interval
from assay.results.prediction import Prediction
from assay.scores.members.committee import CommitteeForce


@pytest.mark.snap
def test_the_keys_of_the_design(gauge: Gauge, new: list[Atoms]):
    calculator = GaugeCalculator(gauge)
    calculator.calculate(new[2])
    shapes = {key: np.shape(value) for key, value in calculator.results.items()}
    of_atoms = ("committee_force", "committee_force_max", "gamma", "leverage", "gamma_local")
    predicted = {"energy": (), "forces": (7, 3), "stress": (6,)}
    assert shapes == {
        "energy": (),
        "free_energy": (),
        "forces": (7, 3),
        "stress": (6,),
        "energy_uncertainty": (),
        "forces_uncertainty": (7, 3),
        "stress_uncertainty": (6,),
        "energy_ensemble": (8,),
        "forces_ensemble": (8, 7, 3),
        **{f"{name}_{end}": shape for name, shape in predicted.items() for end in ("std", "min", "max")},
        **dict.fromkeys(of_atoms, (7,)),
        **{f"{name}_neighbourhood": (7,) for name in of_atoms},
        "gamma_cluster": (7,),
        "emptiness": (7,),
    }
    assert set(calculator.implemented_properties) == set(shapes)


def test_the_old_name_says_the_new_one(any_gauge: Gauge, new: list[Atoms]):
    with pytest.warns(FutureWarning, match=r"gauge.calculator\(…\) is now assay.calculator\(gauge, …\)"):
        old = any_gauge.calculator(label="old")
    assert isinstance(old, GaugeCalculator)
    assert old.label == "old"
    assert old.get_potential_energy(new[0]) == GaugeCalculator(any_gauge).get_potential_energy(new[0])


def test_results_are_the_assessment(any_gauge: Gauge, new: list[Atoms]):
    for atoms in new:
        said = any_gauge.assess([atoms])
        atoms.calc = GaugeCalculator(any_gauge)
        assert atoms.get_potential_energy() == said.batch.energy[0]
        np.testing.assert_array_equal(atoms.get_forces(), said.batch.forces)
        results = atoms.calc.results
        assert results["free_energy"] == results["energy"]
        np.testing.assert_allclose(results["forces_uncertainty"], said.bars.force.std, rtol=1e-12)
        # The error bar of an assessment is per atom, that of a calculator of the total energy.
        assert results["energy_uncertainty"] == pytest.approx(len(atoms) * said.bars.energy.std[0], rel=1e-12)
        for (name, level), score in said.scores.items():
            key = {"atom": name, "neighbourhood": f"{name}_neighbourhood"}.get(level)
            if key:
                np.testing.assert_array_equal(results[key], score.values)
        if atoms.pbc.all():
            np.testing.assert_array_equal(atoms.get_stress(), said.batch.stress[0])
            np.testing.assert_allclose(results["stress_uncertainty"], said.bars.stress.std[0], rtol=1e-12)


def test_members_have_the_mean_and_spread_of_the_committee(committee: Gauge, new: list[Atoms]):
    """Here the prediction is the mean of the members (a fitted potential predicts with its best fit)."""
    calculator = GaugeCalculator(committee)
    energies = calculator.get_property("energy_ensemble", new[0])
    forces = calculator.get_property("forces_ensemble", new[0])
    assert energies.mean() == pytest.approx(calculator.results["energy"], rel=1e-12)
    np.testing.assert_allclose(forces.mean(axis=0), calculator.results["forces"], atol=1e-12)
    spread = np.sqrt(forces.var(axis=0, ddof=1).sum(axis=1))
    np.testing.assert_allclose(calculator.results["committee_force"], spread, rtol=1e-12)


@pytest.mark.snap
def test_the_envelope_is_of_best_fit_and_members(gauge: Gauge, new: list[Atoms]):
    """Of the last frames only the energies and forces: they have no volume."""
    for atoms in new:
        atoms.calc = GaugeCalculator(gauge)
        atoms.get_potential_energy()
        results = atoms.calc.results
        told = gauge.source.predict(atoms)
        assert ("stress_min" in results) == bool(atoms.pbc.all())
        for name in ("energy", "forces", "stress")[: 2 + atoms.pbc.all()]:
            members, best = getattr(told, f"{name}_members"), getattr(told, name)
            every = np.concatenate([members, [best]])
            np.testing.assert_allclose(results[f"{name}_std"], np.std(members, axis=0, ddof=1), rtol=1e-12)
            np.testing.assert_array_equal(results[f"{name}_min"], every.min(axis=0))
            np.testing.assert_array_equal(results[f"{name}_max"], every.max(axis=0))


def test_no_stress_without_a_volume(any_gauge: Gauge, new: list[Atoms]):
    new[3].calc = GaugeCalculator(any_gauge)
    with pytest.raises(PropertyNotImplementedError):
        new[3].get_stress()
    assert "stress_uncertainty" not in new[3].calc.results


def test_what_a_frame_is_at_fault_for_is_told(any_gauge: Gauge):
    aluminium = bulk("Al")
    aluminium.calc = GaugeCalculator(any_gauge)
    with pytest.raises(FrameError, match=r"Al, which was not in the training frames|no reference energy of Al"):
        aluminium.get_potential_energy()


@pytest.mark.snap
def test_forces_are_the_derivative_of_the_energy(gauge: Gauge, new: list[Atoms]):
    """Central differences of 10⁻³ Å, whose error is of the order of 10⁻⁶ of the third derivative."""
    atoms = new[2]
    atoms.calc = GaugeCalculator(gauge)
    forces, h = atoms.get_forces(), 1e-3
    for i, axis in ((0, 0), (3, 1), (6, 2)):
        energies = []
        for step in (h, -h):
            moved = atoms.copy()
            moved.positions[i, axis] += step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(forces[i, axis], abs=1e-4)


@pytest.mark.snap
@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
def test_relaxation(gauge: Gauge, optimizer: type[BFGS]):
    """A rattled crystal goes back to the perfect one, whose forces vanish by symmetry."""
    atoms = bulk("Cu", cubic=True)
    perfect = atoms.copy()
    perfect.calc = GaugeCalculator(gauge)
    atoms.rattle(0.08, seed=3)
    atoms.calc = GaugeCalculator(gauge)
    start = atoms.get_potential_energy()
    assert optimizer(atoms, logfile=None).run(fmax=0.005, steps=200)
    assert atoms.get_potential_energy() < start
    assert atoms.get_potential_energy() == pytest.approx(perfect.get_potential_energy(), abs=1e-4)


@pytest.mark.snap
def test_relaxation_of_the_cell(gauge: Gauge):
    atoms = bulk("Cu", a=3.68)
    atoms.calc = GaugeCalculator(gauge)
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.005, steps=100)
    assert abs(atoms.get_stress()).max() < 1e-3


def largest_deviation(gauge: Gauge, time_step: float, steps: int) -> float:
    """Of the total energy per atom from its start, over `steps` of velocity Verlet, eV."""
    atoms = bulk("Cu", cubic=True)
    heat(atoms, 600)
    atoms.calc = GaugeCalculator(gauge)
    energies: list[float] = []
    dynamics = VelocityVerlet(atoms, time_step * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy() / len(atoms)))
    dynamics.run(steps)
    return float(np.abs(np.array(energies) - energies[0]).max())


@pytest.mark.snap
def test_dynamics_conserves_the_energy_to_second_order(gauge: Gauge):
    """Forces are the derivative of one smooth energy: with half the step, a quarter of the error (here 3 to 5.5)."""
    coarse, fine = largest_deviation(gauge, 4.0, 30), largest_deviation(gauge, 2.0, 60)
    assert 1e-7 < fine < 1e-3
    assert 3.0 < coarse / fine < 5.5


class Counting(GaugeCalculator):
    """Counts evaluations."""

    count = 0

    def calculate(self, *arguments: object, **options: object) -> None:
        self.count += 1
        super().calculate(*arguments, **options)  # type: ignore[arg-type]


def test_one_evaluation_serves_all_properties(committee: Gauge, new: list[Atoms]):
    atoms = new[0]
    atoms.calc = Counting(committee)
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc.get_property("forces_uncertainty", atoms)
    atoms.calc.get_property("committee_force", atoms)
    atoms.calc.annotate(atoms)
    assert atoms.calc.count == 1
    atoms.positions[0, 0] += 0.01
    atoms.get_forces()
    assert atoms.calc.count == 2


def test_conformal_uncertainties_are_half_widths_of_68_per_cent(committee: Gauge, new: list[Atoms]):
    calibrators = committee.calibrators.map(lambda _: Conformal(np.array([1.0, 2.0, 3.0])))
    conformal = replace(committee, bar="committee_force:conformal", calibrators=calibrators)
    calculator = GaugeCalculator(conformal)
    bar = conformal.assess([new[0]]).bars.force
    assert isinstance(bar, Interval)
    got = calculator.get_property("forces_uncertainty", new[0])
    np.testing.assert_array_equal(got, 3.0 * bar.spread)  # ⌈4 · 0.683⌉ = 3


@pytest.mark.parametrize("structure", range(5))
def test_annotated_frames_survive_extended_xyz(any_gauge: Gauge, new: list[Atoms], tmp_path: Path, structure: int):
    atoms = new[structure]
    atoms.calc = GaugeCalculator(any_gauge)
    annotated = atoms.calc.annotate(atoms)
    assert annotated.calc is None
    assert atoms.info.keys() <= annotated.info.keys()
    ase.io.write(tmp_path / "x.extxyz", annotated, format="extxyz")
    read = ase.io.read(tmp_path / "x.extxyz")
    assert isinstance(read, Atoms)
    found = {**read.info, **read.arrays, **(read.calc.results if read.calc else {})}
    for key, value in atoms.calc.results.items():
        expected = np.swapaxes(value, 0, 1).reshape(len(atoms), -1) if key == "forces_ensemble" else value
        assert np.shape(found[key]) == np.shape(expected), key
        np.testing.assert_allclose(found[key], expected, rtol=1e-6, atol=1e-7, err_msg=key)
    if "gamma" in atoms.calc.results:
        assert found["max_gamma"] == pytest.approx(atoms.calc.results["gamma"].max(), rel=1e-7)


def saying(natoms: int, members: int) -> Atoms:
    """As many atoms as Voigt components, or as members: shapes alone do not tell what a result belongs to."""
    rng = np.random.default_rng(0)
    atoms = Atoms(f"Cu{natoms}", positions=2.5 * np.eye(natoms, 3, 0) + 3.0 * np.arange(natoms)[:, None], pbc=True)
    atoms.cell = [30, 30, 30]
    atoms.info["says"] = Prediction(
        energy=1.0,
        forces=rng.normal(size=(natoms, 3)),
        stress=rng.normal(size=6),
        energy_members=rng.normal(size=members),
        forces_members=rng.normal(size=(members, natoms, 3)),
        stress_members=rng.normal(size=(members, 6)),
    )
    return atoms


@pytest.mark.parametrize(("natoms", "members"), [(6, 4), (6, 6), (4, 4), (1, 4)])
def test_stress_and_members_are_not_taken_for_arrays_of_atoms(natoms: int, members: int):
    gauge = Gauge(Says(), (CommitteeForce(),), 3.0, "committee_force:scale", ("Cu",))
    atoms = saying(natoms, members)
    annotated = GaugeCalculator(gauge).annotate(atoms)
    assert {"stress", "energy", "energy_ensemble"} <= annotated.info.keys()
    assert {"forces", "forces_ensemble", "committee_force"} <= annotated.arrays.keys()
    assert annotated.arrays["forces_ensemble"].shape == (natoms, 3 * members)
    np.testing.assert_array_equal(
        annotated.arrays["forces_ensemble"][0], atoms.info["says"].forces_members[:, 0].ravel()
    )


def test_annotate_does_not_touch_the_frame(committee: Gauge):
    atoms = copper("rattled", 1)
    before = atoms.copy()
    GaugeCalculator(committee).annotate(atoms)
    assert atoms == before
    assert atoms.info.keys() == before.info.keys()
    assert atoms.arrays.keys() == before.arrays.keys()


def test_a_calculator_is_made_of_a_gauge_or_its_file(committee: Gauge, tmp_path: Path):
    committee.save(tmp_path / "x.gauge")
    forces = []
    for gauge in (committee, tmp_path / "x.gauge", str(tmp_path / "x.gauge")):
        atoms = copper("rattled", 3)
        atoms.calc = assay.calculator(gauge, label="mine")
        assert isinstance(atoms.calc, GaugeCalculator)
        assert atoms.calc.label == "mine"
        forces.append(atoms.get_forces())
    np.testing.assert_array_equal(forces[0], forces[1])
    np.testing.assert_array_equal(forces[0], forces[2])
    with pytest.raises(assay.GaugeFileError):
        assay.calculator(__file__)
