"""Relaxation: minima of known depth, symmetry that stays, and failures that say why and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from ase.spacegroup.symmetrize import check_symmetry

from assay.frames.frame import FrameError
from assay.propagation.properties import relaxation
from assay.propagation.properties.prototypes import crystal
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged

V0 = np.zeros(6)


class Says(Calculator):
    """Energy, forces and stress (eV, eV/Å, eV/Å³) of a function of the atoms; counts what it is asked for."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, law: Callable[[Atoms], tuple[float, Any, Any]]) -> None:
        super().__init__()
        self.law, self.count = law, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.count += 1
        energy, forces, stress = self.law(atoms)
        self.results = {
            "energy": energy,
            "forces": np.broadcast_to(np.asarray(forces, float), (len(atoms), 3)).copy(),
            "stress": np.asarray(stress, float),
        }


def pressed(pressure: float) -> Says:
    return Says(lambda a: (pressure * a.get_volume(), 0.0, [pressure] * 3 + [0.0] * 3))


def test_a_dimer_and_a_crystal_reach_their_minima() -> None:
    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 1.4]])
    state = relaxed(pair, LennardJones(sigma=1.0, epsilon=1.0, rc=50.0, smooth=False), "positions")
    assert state.energy == pytest.approx(-1, abs=1e-5)  # the shift at 50 σ is 2·10⁻¹⁰
    assert state.atoms.get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=1e-4)
    assert state.atoms.calc is None
    assert pair.get_distance(0, 1) == 1.4
    start = bulk("Cu", a=3.8)
    state = relaxed(start, EMT(), "volume")
    assert state.atoms.get_volume() == pytest.approx(3.59**3 / 4, rel=2e-3)  # Jacobsen, Stoltze & Nørskov 1996
    assert start.cell == pytest.approx(bulk("Cu", a=3.8).cell)


@pytest.mark.properties
@pytest.mark.parametrize("name", ["bcc", "hcp", "A15", "C14", "beta-Sn", "mu"])
def test_symmetry_stays_even_where_it_is_a_saddle(name: str) -> None:
    before = crystal(name, "Cu")
    after = relaxed(before, EMT()).atoms
    group = check_symmetry(before, symprec=1e-4).number
    assert check_symmetry(after, symprec=1e-4).number == group
    assert after.get_volume() != pytest.approx(before.get_volume(), rel=1e-3)


def test_the_volume_is_kept_while_the_shape_relaxes() -> None:
    long = crystal("hcp", "Cu")
    long.set_cell(long.cell.array * [[1], [1], [1.1]], scale_atoms=True)
    state = relaxed(long, EMT(), "cell", keep_volume=True)
    assert state.atoms.get_volume() == pytest.approx(long.get_volume(), rel=1e-9)
    state.atoms.calc = EMT()
    xx, yy, zz, *shear = state.atoms.get_stress()
    assert [yy, zz] == pytest.approx([xx, xx], abs=1e-3)
    assert shear == pytest.approx([0, 0, 0], abs=1e-3)
    assert abs(xx) > 5e-3  # the volume is 10 % too large


def test_a_large_and_a_small_cell_reach_the_same_minimum() -> None:
    rng = np.random.default_rng(3)
    per_atom = []
    for n in ((2, 2, 2), (5, 5, 3)):  # 8 and 75 atoms: dense and limited memory
        atoms = bulk("Cu", a=3.7) * n
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        state = relaxed(atoms, EMT())
        per_atom.append([state.energy / len(atoms), state.atoms.get_volume() / len(atoms)])
    assert per_atom[0] == pytest.approx(per_atom[1], abs=2e-4)


@pytest.mark.parametrize(("pressure", "factor"), [(10.0, r"0\.\d+"), (-10.0, r"[3-9]\.\d+")])
def test_a_collapse_and_an_explosion_of_the_cell_end_at_once(pressure: float, factor: str) -> None:
    calculator = pressed(pressure)
    with pytest.raises(NotConverged, match=rf"fcc: the volume changed by a factor of {factor}"):
        relaxed(bulk("Cu"), calculator, label="fcc")
    assert calculator.count < 50


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_cell_goes_in_small_steps(repeats: int) -> None:
    """Larger ones leave the basin of a soft crystal: 3 % of strain is 9 % of volume."""
    volumes = []

    def law(a: Atoms) -> tuple[float, Any, Any]:
        volumes.append(a.get_volume())
        return 10.0 * volumes[-1], 0.0, [10.0] * 3 + [0.0] * 3

    with pytest.raises(NotConverged, match="the volume changed"):
        relaxed(bulk("Cu") * (repeats, repeats, repeats), Says(law))
    assert np.abs(np.diff(np.log(volumes))).max() < 0.0901


def test_atoms_that_fall_onto_each_other_are_noticed() -> None:
    def attraction(a: Atoms) -> tuple[float, Any, Any]:
        r = a.positions[1] - a.positions[0]
        distance = np.linalg.norm(r)
        return -1 / distance, np.array([r, -r]) / distance**3, V0

    with pytest.raises(NotConverged, match=r"H2: atoms came closer than 1\.00 Å"):
        relaxed(Atoms("H2", [[0, 0, 0], [0, 0, 2.0]]), Says(attraction), "positions")


def test_what_does_not_end_or_is_no_number_is_said() -> None:
    repelled = Says(lambda a: (1 / a.get_distance(0, 1), np.outer([-1, 1], [0, 0, 1]) / a.get_distance(0, 1) ** 2, V0))
    with pytest.raises(NotConverged, match=r"H2: not relaxed to 0\.001 eV/Å after 20 steps"):
        relaxed(Atoms("H2", [[0, 0, 0], [0, 0, 2.0]]), repelled, "positions", steps=20)
    assert repelled.count == 21
    downhill = Says(lambda a: (float(-a.positions[0, 2]), [[0, 0, 1], [0, 0, -1]], V0))
    with pytest.raises(NotConverged, match="H2: the energy has no curvature"):
        relaxed(Atoms("H2", [[0, 0, 10.0], [0, 0, 0]]), downhill, "positions")
    with pytest.raises(NotConverged, match="forces are not finite"):
        relaxed(bulk("Cu"), Says(lambda a: (0.0, np.nan, V0)), "positions")
    with pytest.raises(NotConverged, match="Cu: the energy is nan"):
        relaxed(bulk("Cu"), Says(lambda a: (np.nan, 0.0, V0)), "nothing")


def test_a_potential_that_refuses_is_not_converged() -> None:
    def refuse(a: Atoms) -> tuple[float, Any, Any]:
        raise FrameError("too far from home")

    with pytest.raises(NotConverged, match="bcc: the potential failed: too far from home"):
        relaxed(bulk("Cu"), Says(refuse), label="bcc")


class Circling(BFGS):
    """Steps to and fro."""

    def step(self, forces: Any = None) -> None:
        moved = self.optimizable.get_x().copy()
        moved[0] += 0.1 * (-1) ** self.nsteps
        self.optimizable.set_x(moved)


def test_steps_that_run_in_circles_end_and_others_take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaxation, "BFGS", Circling)
    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 1.3]])
    state = relaxed(pair, LennardJones(sigma=1.0, epsilon=1.0, rc=50.0, smooth=False), "positions")
    assert state.energy == pytest.approx(-1, abs=1e-5)


def test_forces_without_an_end_cost_less_than_all_steps() -> None:
    rng = np.random.default_rng(0)
    noise = Says(lambda a: (0.0, rng.normal(0, 0.1, (2, 3)), V0))
    with pytest.raises(NotConverged, match="not relaxed to"):
        relaxed(Atoms("H2", [[0, 0, 0], [0, 2.0, 0]]), noise, "positions")
    assert noise.count < 300


def test_a_free_cell_of_many_atoms_gives_no_warning_of_its_logarithm() -> None:
    atoms = bulk("Cu", cubic=True) * (2, 2, 3)
    rng = np.random.default_rng(0)
    for _ in range(3):  # scipy's logm of 47 times a deformation is off by 10⁻¹³, and says so
        strain = rng.normal(0, 0.01, (3, 3))
        defect = atoms[1:]
        defect.set_cell(defect.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        assert relaxed(defect, EMT(), fmax=0.05).energy < 3
