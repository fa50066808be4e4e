"""Energies of given frames: differences that mean something, beside ASE's own evaluation."""

from __future__ import annotations

import pickle
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from assay.propagation.properties.energies import Energies
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import OfStationaryPoints, State


@pytest.fixture
def phases(tmp_path: Path) -> Path:
    """fcc and bcc copper, and fcc in a cell four times as large."""
    frames = [bulk("Cu", "fcc", a=3.6), bulk("Cu", "bcc", a=2.9), bulk("Cu", "fcc", a=3.7, cubic=True)]
    ase.io.write(tmp_path / "phases.extxyz", frames)
    return tmp_path / "phases.extxyz"


def energy(atoms: Atoms) -> float:
    atoms = atoms.copy()
    atoms.calc = EMT()
    return float(atoms.get_potential_energy())


def values(spec: str) -> dict[str, tuple[float, str]]:
    energies = pickle.loads(pickle.dumps(property_from_spec(spec, ["Cu"])))
    found = energies.quantities(EMT(), energies.start(EMT()))
    return {name: (float(quantity.value), quantity.unit) for name, quantity in found.items()}


def test_energies_above_the_first_frame(phases: Path) -> None:
    fcc, bcc, large = (energy(atoms) for atoms in ase.io.read(phases, ":"))
    found = values(f"energies:{phases},per=atom")
    assert found == {
        "energy of frame 1 above frame 0": (pytest.approx(bcc - fcc, abs=1e-9), "eV/atom"),
        "energy of frame 2 above frame 0": (pytest.approx(large / 4 - fcc, abs=1e-9), "eV/atom"),
    }


def test_energies_as_they_are(phases: Path) -> None:
    expected = [energy(atoms) for atoms in ase.io.read(phases, ":")]
    found = values(f"energies:{phases},zero=none")
    assert list(found) == [f"energy of frame {index}" for index in range(3)]
    assert [value for value, _ in found.values()] == pytest.approx(expected, abs=1e-9)
    assert {unit for _, unit in found.values()} == {"eV"}


def test_frames_are_stationary_points_where_nothing_is_free(phases: Path) -> None:
    energies = property_from_spec(f"energies:{phases},per=atom", ["Cu"])
    assert isinstance(energies, OfStationaryPoints)
    points = energies.stationary(energies.start(EMT()))
    assert {point.free for point in points.values()} == {"nothing"}
    states = {name: State(point.atoms, 10.0 * len(point.atoms) + float(name)) for name, point in points.items()}
    found = [quantity.value for quantity in energies.of_states(states).values()]
    assert found == pytest.approx([1.0, 0.5])  # ten eV an atom are in no difference


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "frame 2 .* another number of atoms of each element than frame 0 .*per=atom or zero=none"),
        (",per=cell", "per=cell: needs one of frame, atom"),
        (",relative=yes", "known are per=, zero="),
    ],
)
def test_what_means_nothing_is_an_error(phases: Path, options: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        property_from_spec(f"energies:{phases}{options}", ["Cu"])


def test_other_elements_are_an_error(phases: Path) -> None:
    with pytest.raises(ValueError, match="Cu; the potential knows W"):
        property_from_spec(f"energies:{phases}", ["W"])
    with pytest.raises(ValueError, match="another composition"):
        Energies("energies", (Atoms("CuW"), Atoms("Cu2W")), per="atom")
    with pytest.raises(ValueError, match="two frames or more"):
        Energies("energies", (Atoms("Cu", np.zeros((1, 3))),))
