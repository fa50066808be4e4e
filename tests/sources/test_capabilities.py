"""What each source says that it can do, and that a wrapper can do what it wraps can."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.ensembles.referenced import Referenced
from assay.ensembles.references import EnergyReferences
from assay.linear.potential import LinearPotential
from assay.results.prediction import Prediction
from assay.sources import capabilities
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace
from assay.sources.capabilities import HasMembers, LinearSource, OnlyFeatures, Source, keeps_forces, running
from assay.sources.committees.committee import AseCommittee
from assay.sources.corrector import Corrector
from assay.sources.features.callable import PythonCallable
from assay.sources.features.file import Features
from assay.sources.features.soap import Soap
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.recorded.recorded import Recorded
from assay.sources.registry import SOURCES, given_source, parse_spec, source_from_settings, source_from_state
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

NAMES = (
    *("Source", "HasMembers", "Runs", "Prepares", "IsRecorded", "NamedByFrames", "HasFeatures", "OnlyFeatures"),
    *("ByOrder", "HasDerivatives", "LinearSource", "Corrects", "Exports", "HasCoefficients"),
)
LJ = "ase.calculators.lj.LennardJones"
COMMITTEE = AseCommittee.from_toml(
    {"member": [{"label": f"lj{s}", "calculator": LJ, "arguments": {"sigma": s}} for s in (2.0, 2.2)]}
)
RECORDED = Recorded(COMMITTEE.member_names)
SNAP = Snap(SnapSettings(("Cu",), twojmax=2))


def references(onto: str = "labels") -> EnergyReferences:
    none = np.zeros(2)
    return EnergyReferences(
        COMMITTEE.member_names, ("Cu",), np.array([[1.0], [-3.0]]), onto, 5, none, none, none, np.array([5, 5])
    )


CAN = {
    "snap": (SNAP, {"LinearSource", "Exports"}),
    "ace": (Ace(AceBasis()), {"LinearSource", "Exports"}),
    "corrector": (Corrector("chgnet:0.3.0"), {"LinearSource", "Corrects", "Prepares"}),
    "ase_committee": (COMMITTEE, {"Source", "HasMembers", "Runs", "Prepares", "IsRecorded", "HasDerivatives"}),
    "recorded": (RECORDED, {"Source", "HasMembers", "IsRecorded", "NamedByFrames"}),
    "features": (Features("x.npz"), {"Source", "HasFeatures", "OnlyFeatures", "ByOrder", "IsRecorded"}),
    "callable": (PythonCallable("a:b"), {"Source", "HasFeatures", "OnlyFeatures"}),
    "soap": (Soap(("Cu",)), {"Source", "HasFeatures", "OnlyFeatures"}),
    "linear": (
        LinearPotential(SNAP, np.zeros(6), np.zeros((3, 6)), 0.0),
        {"Source", "Runs", "HasFeatures", "HasCoefficients"},
    ),
    "referenced": (
        Referenced(COMMITTEE, references()),
        {"Source", "HasMembers", "Runs", "Prepares", "IsRecorded", "HasDerivatives"},
    ),
}


@pytest.mark.parametrize("kind", CAN)
def test_a_source_can_do_what_it_says_and_nothing_else(kind: str) -> None:
    source, can = CAN[kind]
    assert source.kind == kind
    assert {name for name in NAMES if isinstance(source, getattr(capabilities, name))} == can


@pytest.mark.parametrize("source", [Snap(SnapSettings()), Ace(AceBasis()), Soap(), Recorded(())], ids=lambda s: s.kind)
def test_what_it_can_do_is_known_before_the_frames_are(source: object) -> None:
    assert isinstance(source, LinearSource | OnlyFeatures | HasMembers)


def test_every_source_of_the_registry_is_in_this_table() -> None:
    assert {each.kind for each in SOURCES} == CAN.keys() - {"linear", "referenced"}


def test_energies_alone_keep_forces() -> None:
    corrector = CAN["corrector"][0]
    assert isinstance(corrector, Corrector)
    assert keeps_forces(corrector)
    assert keeps_forces(LinearPotential(corrector, np.zeros(20), np.zeros((3, 20)), 0.0))
    assert not any(keeps_forces(source) for source in (SNAP, COMMITTEE, CAN["linear"][0]))


def wrapped(source: HasMembers) -> Referenced:
    return Referenced(source, references())


def frame() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    said = COMMITTEE.predict(atoms)
    for k, name in enumerate(COMMITTEE.member_names):
        one = said.member(k)
        atoms.info[f"{name}_energy"], atoms.arrays[f"{name}_forces"] = one.energy, np.array(one.forces)
    return atoms


def test_a_wrapper_passes_on_what_it_wraps() -> None:
    runs, read = wrapped(COMMITTEE), wrapped(RECORDED)
    atoms = frame()
    assert (running(runs), running(read)) == (2, 0)
    assert (runs.is_read(atoms), read.is_read(atoms)) == (False, True)
    assert runs.member_names == read.member_names == COMMITTEE.member_names
    with pytest.raises(ValueError, match="no potentials to run"):
        read.calculator(0)
    for source in (runs, read):
        with pytest.raises(ValueError, match="derivatives"):
            source.with_derivatives()
    shifted = runs.predict(atoms)
    assert shifted.energy_members is not None
    for k, shift in enumerate((4.0, -12.0)):
        alone = runs.calculator(k)
        alone.calculate(atoms)
        assert alone.results["energy"] == pytest.approx(COMMITTEE.predict(atoms).energy_members[k] + shift)
        np.testing.assert_allclose(alone.results["forces"], shifted.forces_members[k])
    one = read.only(COMMITTEE.member_names[1:])
    assert one.predict(atoms).energy == pytest.approx(shifted.energy_members[1])


def test_wrapped_evaluations_are_prepared_and_then_read(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    from assay.frames.frame import Frame

    source, atoms = wrapped(COMMITTEE), frame()
    assert not source.is_read(atoms)
    before = source.predict(atoms)
    source.prepare(lambda: [Frame(atoms, "f:0")], total=1)
    if not source.is_read(atoms):
        pytest.skip("ASE is installed in place: nothing tells its version")
    assert source.predict(atoms).energy == before.energy


def test_settings_and_states_give_the_same_sources() -> None:
    for spec in ('snap:twojmax=2,species=["Cu"]', "soap:cutoff=4.0", "features:x.npz", "callable:function=a:b"):
        source = source_from_settings(parse_spec(spec))
        assert isinstance(source, Source) or source.kind == "snap"
        assert source_from_state({"kind": source.kind, **source.state()}) == source
    with pytest.raises(ValueError, match=r"unknown source 'x' in the gauge file; there are snap, ace, corrector"):
        source_from_state({"kind": "x"})


def test_an_object_a_function_and_a_spec_are_given_alike() -> None:
    assert given_source(COMMITTEE) == (COMMITTEE, {"source": "ase_committee"})
    assert given_source(SNAP) == (SNAP, {"source": "snap"})
    assert given_source("snap:twojmax=2")[0] == Snap(SnapSettings(twojmax=2))
    function, settings = given_source(bulk)
    assert isinstance(function, PythonCallable)
    assert settings == {"source": "callable", "function": "ase.build.bulk:bulk"}
    with pytest.raises(ValueError, match="an object that predicts, not 3"):
        given_source(3)  # type: ignore[arg-type]


def test_predictions_are_read_only_and_calculators_hand_out_arrays_to_write_into() -> None:
    forces = np.ones((2, 3))
    said = Prediction(1.0, forces, energy_members=np.array([0.0, 2.0]), forces_members=np.stack([forces, 3 * forces]))
    assert said.forces is not None
    with pytest.raises(ValueError, match="read-only"):
        said.forces[0] = 0.0
    forces[0] = 5.0  # of whoever made it
    calculator = FrameCalculator(lambda atoms: said)
    calculator.calculate(Atoms("H2"))
    calculator.results["forces"] += 1.0
    assert said.forces[0, 0] == 5.0
    assert calculator.results["forces"][0, 0] == 6.0


def test_members_of_a_prediction() -> None:
    forces = np.ones((1, 3))
    said = Prediction(0.5, forces, energy_members=np.array([0.0, 1.0, 2.0]), features=np.zeros((1, 2)))
    second = said.member(1)
    assert (second.energy, second.energy_members) == (1.0, None)
    np.testing.assert_array_equal(second.forces, forces)
    kept = said.only(slice(1, None))
    assert kept.energy == 0.5
    np.testing.assert_array_equal(kept.energy_members, [1.0, 2.0])
    assert kept.forces_members is None
