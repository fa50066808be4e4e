"""Elastic constants: published ones, LAMMPS's own stresses, and the laws of symmetry and of averages."""

from __future__ import annotations

import pickle
from pathlib import Path

import ase.io
import numpy as np
import published
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from assay.propagation.properties.elastic import STRAIN, SYSTEMS, Elastic, averages, elastic_constants, standard
from assay.propagation.properties.prototypes import PROTOTYPES, crystal
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged

pytestmark = pytest.mark.properties


def numbers(spec: str, calculator: Calculator, *species: str) -> dict[str, float]:
    property = property_from_spec(spec, species)
    found = property.quantities(calculator, property.start(calculator))
    return {name: float(quantity.value) for name, quantity in found.items()}


@pytest.mark.snap
def test_published_constants() -> None:
    """Silicon: Cowley 1988, doi:10.1103/PhysRevLett.60.2379, and the log of LAMMPS's examples/ELASTIC; ions relax:
    without, C44 is 117 GPa. Copper: Foiles, Baskes & Daw 1986, doi:10.1103/PhysRevB.33.7983."""
    found = numbers("elastic:diamond", published.calculator("Si.sw"), "Si")
    assert [found[f"diamond C{ij}"] for ij in (11, 12, 44)] == pytest.approx([151.4, 76.4, 56.4], abs=0.1)
    found = numbers("elastic:fcc", published.calculator("Cu_u3.eam"), "Cu")
    assert [found[f"fcc C{ij}"] for ij in (11, 12, 44)] == pytest.approx([167, 124, 76], abs=0.5)


@pytest.mark.snap
@pytest.mark.parametrize("name", ["hcp", "sigma", "mu"])
def test_constants_as_lammps_strains_its_boxes(name: str) -> None:
    """As LAMMPS's examples/ELASTIC: relax, strain the box both ways, minimise, read the pressure."""
    file = "W_zhou.eam.alloy"
    atoms, system = standard(crystal(name, "W"))
    atoms = relaxed(atoms, published.calculator(file), fmax=1e-4).atoms
    ours = elastic_constants(atoms, published.calculator(file), system)
    for column in (0, 2, 3):
        stresses = []
        for sign in (-1, 1):
            voigt = np.zeros(6)
            voigt[column] = sign * STRAIN
            xx, yy, zz, yz, xz, xy = voigt
            strain = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            stresses.append(published.lammps_stress(file, strained))
        theirs = (stresses[1] - stresses[0]) / (2 * STRAIN)
        assert ours[:, column] == pytest.approx(theirs, abs=0.01 * abs(ours).max())


@pytest.mark.parametrize("name", ["A15", "hcp", "beta-Sn", "mu"])
def test_fewer_strains_give_what_all_strains_give(name: str) -> None:
    """Independent constants and those that the symmetry sets, against the fit without symmetry."""
    atoms, system = standard(crystal(name, "Cu"))
    atoms = relaxed(atoms, EMT(), fmax=1e-4).atoms
    all_strains = elastic_constants(atoms, EMT(), "triclinic")
    assert elastic_constants(atoms, EMT(), system) == pytest.approx(all_strains, abs=0.005 * abs(all_strains).max())
    assert all_strains == pytest.approx(all_strains.T)


def test_a_file_in_any_orientation_gives_the_same(tmp_path: Path) -> None:
    turned = bulk("Cu", a=3.6, cubic=True)
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned.set_cell(turned.cell.array @ rotation.T, scale_atoms=True)
    ase.io.write(tmp_path / "turned.extxyz", turned)
    found = numbers(f"elastic:fcc,{tmp_path / 'turned.extxyz'}", EMT(), "Cu")
    for ij in (11, 12, 44):
        assert found[f"turned C{ij}"] == pytest.approx(found[f"fcc C{ij}"], rel=2e-3)
    assert found["fcc C11"] > found["fcc C12"] > found["fcc C44"] > 0


def test_the_bulk_modulus_is_that_of_the_equation_of_state() -> None:
    """Stresses here, energies there; under pressure the modulus of a single crystal is Reuss's."""
    for name in ("fcc", "hcp", "C15"):
        modulus = numbers(f"elastic:{name}", EMT(), "Cu")[f"{name} bulk modulus{' (Reuss)' * (name == 'hcp')}"]
        assert modulus == pytest.approx(numbers(f"crystals:{name}", EMT(), "Cu")[f"{name} bulk modulus"], rel=1e-2)


def test_averages_of_an_isotropic_and_of_a_cubic_solid() -> None:
    k, g = 100.0, 40.0
    isotropic = np.diag([2 * g] * 3 + [g] * 3)
    isotropic[:3, :3] += k - 2 * g / 3
    found = averages(isotropic)
    assert [v for name, v in found.items() if name.startswith("bulk")] == pytest.approx([k] * 3)
    assert [v for name, v in found.items() if name.startswith("shear")] == pytest.approx([g] * 3)
    assert found["Young's modulus"] == pytest.approx(9 * k * g / (3 * k + g))
    assert found["Poisson's ratio"] == pytest.approx(0.5 - found["Young's modulus"] / (6 * k))
    # copper, C11 168.4, C12 121.4, C44 75.4 GPa: 54.6 by Voigt, 40.0 by Reuss (Hirth & Lothe, Theory of Dislocations)
    cubic = np.diag([168.4 - 121.4] * 3 + [75.4] * 3)
    cubic[:3, :3] += 121.4
    found = averages(cubic)
    assert found["shear modulus (Voigt)"] == pytest.approx(54.6, abs=0.1)
    assert found["shear modulus (Reuss)"] == pytest.approx(40.0, abs=0.2)
    with pytest.raises(NotConverged, match="singular"):
        averages(np.zeros((6, 6)))


def test_a_cubic_crystal_has_one_bulk_modulus_and_is_stable_or_not() -> None:
    """EMT's copper as simple cubic is not (C44 < 0), as fcc it is."""
    found = numbers("elastic:fcc,sc", EMT(), "Cu")
    assert [name for name in found if "bulk" in name] == ["fcc bulk modulus", "sc bulk modulus"]
    for name in ("fcc", "sc"):
        c11, c12, c44 = (found[f"{name} C{ij}"] for ij in (11, 12, 44))
        assert found[f"{name} bulk modulus"] == pytest.approx((c11 + 2 * c12) / 3)
        assert found[f"{name} mechanically stable"] == (min(c11 - c12, c11 + 2 * c12, c44) > 0)
    assert (found["fcc mechanically stable"], found["sc mechanically stable"]) == (1, 0)


def test_every_laue_class_has_its_number_of_constants() -> None:
    counts = [len(constants.split()) for _, constants in SYSTEMS.values()]
    assert counts == [21, 9, 7, 6, 7, 6, 5, 3]  # Nye 1957
    expected = {"bcc": "cubic", "hcp": "hexagonal", "beta-Sn": "tetragonal_high", "mu": "trigonal_high"}
    assert {name: standard(crystal(name, "W"))[1] for name in expected} == expected
    assert {standard(crystal(name, "W"))[1] for name in PROTOTYPES} == {*expected.values()}


def test_it_travels_and_refuses() -> None:
    property = pickle.loads(pickle.dumps(Elastic.from_words(["fcc"], {}, ["Cu"])))
    assert property.name == "elastic:fcc"
    with pytest.raises(ValueError, match="needs one structure or more"):
        property_from_spec("elastic", ["Cu"])
    with pytest.raises(ValueError, match="no such option: strain="):
        property_from_spec("elastic:fcc,strain=1", ["Cu"])
    with pytest.raises(NotConverged, match="fcc: the volume changed"):
        property.quantities(EMT(), {"fcc": bulk("Cu", a=5.4)})
