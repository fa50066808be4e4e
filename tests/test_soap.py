"""SOAP through featomic: invariances, boundary conditions, columns, and silicon without labels or LAMMPS."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.io import write

import assay
from assay.frames.frame import FrameError
from assay.sources.features.soap import Soap, import_featomic
from assay.storage.archive import load_state, save_state
from assay.verbs.demo import demo_data

pytestmark = pytest.mark.soap

ALLOY = Soap(("Al", "Cu"), cutoff=4.5, max_radial=3, max_angular=2)


def features(atoms: Atoms, source: Soap = ALLOY) -> np.ndarray:
    found = source.predict(atoms).features
    assert found is not None
    return found


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.symbols[[1, 6]] = "Al"
    atoms.rattle(0.1, seed=1)
    return atoms


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() < 1e-12 * np.abs(b).max())


def test_invariances():
    atoms = alloy()
    reference = features(atoms)
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    moved = atoms.copy()
    moved.positions += [0.3, -1.7, 5.9]
    image = atoms.copy()
    image.positions[3] += 2 * image.cell[0] - image.cell[2]
    for other in (turned, moved, image):
        assert same(features(other), reference)
    order = np.random.default_rng(0).permutation(len(atoms))
    assert same(features(atoms[order]), reference[order])
    assert same(features(atoms.repeat(2))[: len(atoms)], reference), "a cell below the cut-off counts its images"
    strained = atoms.copy()
    strained.set_cell(1.02 * strained.cell[:], scale_atoms=True)
    assert not same(features(strained), reference)


def boxed(atoms: Atoms, axes: list[int]) -> Atoms:
    """The same atoms in a cell that is periodic along all directions, with room along `axes`."""
    atoms = atoms.copy()
    atoms.center(vacuum=8.0, axis=axes)
    atoms.pbc = True
    return atoms


def test_slabs_wires_and_molecules_are_what_they_are_in_a_large_cell():
    slab = fcc111("Cu", (1, 2, 3))
    slab.symbols[2] = "Al"
    assert slab.cell.rank == 2, "no vector at all along the normal"
    assert same(features(slab), features(boxed(slab, [2])))
    slab.center(vacuum=0.5, axis=2)
    assert same(features(slab), features(boxed(slab, [2]))), "a cell that is too short where it is not periodic"
    wire = Atoms("CuAl", positions=[[0, 0, 0], [0.4, 0, 2.2]], cell=[0, 0, 4.4], pbc=[False, False, True])
    assert same(features(wire), features(boxed(wire, [0, 1])))
    dimer = Atoms("CuAl", positions=[[0, 0, 0], [0, 0, 2.2]])
    assert same(features(dimer), features(boxed(dimer, [0, 1, 2])))
    caged = dimer.copy()
    caged.set_cell([3.0, 3.0, 3.0])
    assert same(features(caged), features(dimer)), "a cell without periodicity means nothing"


def test_columns_are_the_same_in_every_frame():
    """D = (L + 1) (S N (N + 1) + S (S - 1) N²) / 2 with L = 2, N = 4, S = 2."""
    assert ALLOY.columns == 3 * (2 * 4 * 5 + 2 * 16) // 2
    pairs = 3 * 4 * 5 // 2
    only_copper = features(bulk("Cu"))
    assert only_copper.shape == (1, ALLOY.columns)
    assert not only_copper[:, :-pairs].any(), "pairs with Al come first, by atomic number"
    assert only_copper[:, -pairs:].any()
    assert same(features(bulk("Cu"), Soap(("Cu",), 4.5, 3, 2)), only_copper[:, -pairs:])
    assert same(features(alloy(), Soap(("Cu", "Al"), 4.5, 3, 2)), features(alloy())), "whatever the order of species"


def test_a_lone_atom_is_round():
    """Only l = 0 is there: the first N (N + 1) / 2 columns of its own pair."""
    alone = features(Atoms("Cu"), Soap(("Cu",), 4.5, 3, 2))[0]
    assert alone[:10].any()
    assert np.abs(alone[10:]).max() < 1e-12 * np.abs(alone).max()


def test_products_of_rows_are_those_of_whole_spectra():
    """featomic's own power spectrum of the alloy, with every column twice that is there twice."""
    calculator = import_featomic().SoapPowerSpectrum(
        cutoff={"radius": 4.5, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density={"type": "Gaussian", "width": 0.5, "center_atom_weight": 1.0},
        basis={"type": "TensorProduct", "max_angular": 2, "radial": {"type": "Gto", "max_radial": 3}},
    )
    atoms = alloy()
    whole = calculator.compute(atoms).keys_to_samples("center_type")
    whole = whole.keys_to_properties(["neighbor_1_type", "neighbor_2_type"])
    spectrum = np.empty((len(atoms), len(whole[0].properties)))
    spectrum[whole[0].samples["atom"]] = whole[0].values
    ours = features(atoms)
    assert ours.shape[1] < spectrum.shape[1]
    np.testing.assert_allclose(ours @ ours.T, spectrum @ spectrum.T, rtol=1e-12)


def test_a_strange_species_and_impossible_settings():
    with pytest.raises(FrameError, match="atom 1 is O; this source has Al, Cu"):
        ALLOY.predict(Atoms("CuO", positions=[[0, 0, 0], [0, 0, 2]]))
    for settings, message in (
        ({"cutof": 5.0}, "unknown setting cutof; known are species"),
        ({"max_radial": 2.5}, "max_radial must be a whole number"),
        ({"max_angular": -1}, "max_angular >= 0"),
        ({"smoothing": 6.0}, "smoothing <= cutoff"),
        ({"cutoff": 0.0, "smoothing": 0}, "cutoff, density_width > 0"),
        ({"species": ["Xx1"]}, "unknown species Xx1"),
    ):
        with pytest.raises(ValueError, match=message):
            Soap.from_state(settings)


def test_state(tmp_path):
    save_state(tmp_path / "state", ALLOY.state())
    assert Soap.from_state(load_state(tmp_path / "state")) == ALLOY
    assert not same(features(alloy(), Soap(("Al", "Cu"), 4.5, 3, 2, smoothing=0.0)), features(alloy()))


def test_silicon(tmp_path):
    """Without labels or LAMMPS: what is unlike the training frames is flagged, by γ and by leverage."""
    built = assay.build(
        demo_data("train"), source="soap:", calibration=demo_data("calibration"), out=tmp_path / "si.gauge"
    )
    gauge = assay.Gauge.load(tmp_path / "si.gauge")
    assert gauge.source == built.gauge.source == Soap(("Si",))
    assert built.held_out is not None
    for name, most, least in (("gamma", 0.4, 0.9), ("leverage", 0.2, 0.9)):
        test, ood = (assay.predict(gauge, demo_data(part)).scores[name, "frame"] for part in ("test", "ood"))
        assert test.flagged.mean() < most
        assert ood.flagged.mean() > least
        assert np.median(ood.values) > 5 * np.median(test.values)


def test_molecules_of_several_species_get_scores(tmp_path):
    write(tmp_path / "train.xyz", [molecule(name) for name in ("CH4", "C2H6", "H2O", "CH3OH", "C2H4")])
    gauge = assay.build(tmp_path / "train.xyz", source="soap:max_radial=3,max_angular=2").gauge
    assert gauge.species == ("H", "C", "O")
    score = gauge.assess([molecule("CH3CH2OH"), molecule("CO2")]).scores["gamma", "frame"]
    assert (score.values > 1).all()
