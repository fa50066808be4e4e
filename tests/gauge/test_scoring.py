"""One frame through source, scores and aggregation, and frames into columns."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from copper import Says

from assay import Frame, FrameError
from assay.gauge.batch import collect
from assay.gauge.scorer import FrameScorer
from assay.regions.neighbourhoods import neighbourhood_mean
from assay.results.envelope import PREDICTED
from assay.results.prediction import Prediction
from assay.results.symmetry import STILL
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.members.heterogeneous import Heterogeneous, HeterogeneousForce
from assay.scores.rigidity.leverage import Leverage

R_CUT = 2.6
GRADE = ExtrapolationGrade({29: np.eye(2)})  # γ is the largest absolute feature
SCORER = FrameScorer(Says(), (CommitteeForce(), CommitteeEnergy(), GRADE), R_CUT, ("committee_force",), ("Cu", "Zr"))


def chain(seed: int = 0, stress: bool = True) -> tuple[Atoms, Prediction]:
    """Three atoms in a row, of which the middle one is within `R_CUT` of both ends, and what a committee says."""
    rng = np.random.default_rng(seed)
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [0, 0, 2.5], [0, 0, 5.0]], cell=[9, 9, 9], pbc=stress)
    said = Prediction(
        energy=rng.normal(),
        forces=rng.normal(size=(3, 3)),
        stress=rng.normal(size=6) if stress else None,
        energy_members=rng.normal(size=5),
        forces_members=rng.normal(size=(5, 3, 3)),
        stress_members=rng.normal(size=(5, 6)) if stress else None,
        features=rng.normal(size=(3, 2)),
    )
    atoms.info["says"] = said
    return atoms, said


def test_levels():
    atoms, said = chain()
    scores = SCORER(Frame(atoms, "x:0")).scores
    gamma = np.abs(said.features).max(axis=1)
    assert set(scores) == {
        *((name, level) for name in ("committee_force", "gamma") for level in ("atom", "neighbourhood", "frame")),
        ("committee_energy", "frame"),
    }
    np.testing.assert_allclose(scores["gamma", "atom"], gamma, rtol=1e-15)
    by_hand = [gamma[:2].mean(), gamma.mean(), gamma[1:].mean()]
    np.testing.assert_allclose(scores["gamma", "neighbourhood"], by_hand, rtol=1e-14)
    assert scores["gamma", "frame"].tolist() == [gamma.max()]
    assert scores["committee_energy", "frame"] == pytest.approx(said.energy_members.std(ddof=1) / 3, rel=1e-14)


def test_error_of_the_neighbourhood():
    atoms, said = chain()
    labels = np.random.default_rng(9).normal(size=(3, 3))
    scored = SCORER(Frame(atoms, "x:0", forces=labels))
    error = np.linalg.norm(said.forces - labels, axis=1)
    np.testing.assert_allclose(scored.neighbourhood_error, neighbourhood_mean(error, atoms, R_CUT), rtol=1e-14)
    assert ("", "atom") not in scored.scores
    assert SCORER(Frame(atoms, "x:0")).neighbourhood_error is None


def test_spreads_of_a_score_without_members():
    """γ/√3 along x, y and z, so that a vector has γ; energy and stress get the mean."""
    atoms, said = chain()
    spread = replace(SCORER, bars=("gamma",))(Frame(atoms, "x:0")).spreads["gamma"]
    gamma = np.abs(said.features).max(axis=1)
    np.testing.assert_allclose(np.linalg.norm(spread.force, axis=1), gamma, rtol=1e-14)
    assert np.ptp(spread.force, axis=1).tolist() == [0.0, 0.0, 0.0]
    assert spread.energy == pytest.approx(gamma.mean(), rel=1e-14)
    np.testing.assert_allclose(spread.stress, np.full((1, 6), gamma.mean()), rtol=1e-14)


def test_errors_go_as_the_square_root_of_a_leverage():
    """A label that is fitted twice as often has half the variance: h and σ² halve together."""
    atoms, said = chain()
    leverage = Leverage({29: np.eye(2)}, {29: np.ones(2)})  # h is the squared length of the features
    scored = replace(SCORER, scores=(leverage,), bars=("leverage",))(Frame(atoms, "x:0"))
    length = np.linalg.norm(said.features, axis=1)
    np.testing.assert_allclose(scored.scores["leverage", "atom"], length**2, rtol=1e-14)
    spread = scored.spreads["leverage"]
    np.testing.assert_allclose(np.linalg.norm(spread.force, axis=1), length, rtol=1e-14)
    assert spread.energy == pytest.approx(length.mean(), rel=1e-14)


def test_spreads_of_a_score_of_frames():
    atoms, said = chain()
    spread = replace(SCORER, bars=("committee_energy",))(Frame(atoms, "x:0")).spreads["committee_energy"]
    value = said.energy_members.std(ddof=1) / 3
    np.testing.assert_allclose(spread.force, np.full((3, 3), value / np.sqrt(3)), rtol=1e-14)
    assert spread.energy == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("kind", [Heterogeneous, HeterogeneousForce])
def test_weights_of_members_reach_energy_and_stress(kind: type[Heterogeneous | HeterogeneousForce]):
    """Weighted deviations from the plain mean, of the energies and of the tensor; U is the same for all atoms."""
    atoms, said = chain()
    w = np.array([0.4, 0.3, 0.2, 0.05, 0.05])
    spread = replace(SCORER, scores=(kind(tuple(w)),), bars=(kind.name,))(Frame(atoms, "x:0")).spreads[kind.name]
    energies, stresses, forces = said.energy_members, said.stress_members, said.forces_members
    assert spread.energy == pytest.approx(np.sqrt(w @ (energies - energies.mean()) ** 2) / 3, rel=1e-12)
    variance = w @ (stresses - stresses.mean(axis=0)) ** 2
    assert spread.stress == pytest.approx(np.sqrt((variance @ [1, 1, 1, 2, 2, 2]) / 9), rel=1e-12)
    square = ((forces - forces.mean(axis=0)) ** 2).sum(axis=2)
    expected = w @ square if kind is HeterogeneousForce else np.full(3, w @ square.max(axis=1))
    np.testing.assert_allclose((spread.force**2).sum(axis=1), expected, rtol=1e-12)


@pytest.mark.parametrize("bar", ["committee_force", "gamma"])
def test_no_stress_no_spread_of_it(bar: str):
    atoms, _ = chain(stress=False)
    assert replace(SCORER, bars=(bar,))(Frame(atoms, "x:0")).spreads[bar].stress is None


def test_members_and_features_stay_behind_unless_asked_for():
    atoms, said = chain()
    light, heavy = (SCORER(Frame(atoms, "x:0"), keep_members=keep) for keep in (False, True))
    for name in ("energy_members", "forces_members", "stress_members", "features"):
        assert getattr(light.prediction, name) is None
        assert getattr(heavy.prediction, name) is getattr(said, name)
    assert (light.prediction.energy, light.members) == (said.energy, 5)


def test_a_component_is_still_where_the_best_fit_and_every_member_say_so():
    atoms, said = chain()
    forces, members = np.zeros((3, 3)), np.zeros((5, 3, 3))
    forces[0, 0] = 2 * STILL
    members[3, 1, 1] = -2 * STILL
    members[:, 2, 2] = 0.5 * STILL
    atoms.info["says"] = replace(said, forces=forces, forces_members=members)
    still = SCORER(Frame(atoms, "x:0")).still
    assert np.argwhere(~still).tolist() == [[0, 0], [1, 1]]


def test_the_envelope_of_a_frame():
    atoms, said = chain()
    found = SCORER(Frame(atoms, "x:0")).envelopes
    assert {quantity: one.std.shape for quantity, one in found.items()} == {
        "energy": (1,),
        "force": (3, 3),
        "stress": (1, 6),
    }
    for quantity, one in found.items():
        name = PREDICTED[quantity]
        best, members = getattr(said, name), getattr(said, f"{name}_members")
        np.testing.assert_allclose(np.squeeze(one.std), members.std(axis=0, ddof=1), rtol=1e-13)
        np.testing.assert_array_equal(np.squeeze(one.low), np.minimum(best, members.min(axis=0)))
        np.testing.assert_array_equal(np.squeeze(one.high), np.maximum(best, members.max(axis=0)))


@pytest.mark.parametrize("count", [0, 1])
def test_no_envelope_of_fewer_than_two_members(count: int):
    atoms, said = chain()
    few = {f"{name}_members": getattr(said, f"{name}_members")[:count] for name in ("energy", "forces", "stress")}
    atoms.info["says"] = replace(said, **(few if count else dict.fromkeys(few)))
    scorer = replace(SCORER, scores=(GRADE,), bars=("gamma",))
    scored = scorer(Frame(atoms, "x:0"))
    assert not scored.envelopes
    assert not collect([(Frame(atoms, "x:0"), scored)]).envelopes


def test_members_that_are_not_finite_are_told():
    atoms, said = chain()
    members = said.forces_members.copy()
    members[2, 1, 0] = np.inf
    atoms.info["says"] = replace(said, forces_members=members)
    with pytest.raises(FrameError, match="predicted forces_members not finite"):
        SCORER(Frame(atoms, "x:0"))


def test_the_scorer_goes_to_other_processes():
    atoms, _ = chain()
    again = pickle.loads(pickle.dumps(SCORER))(Frame(atoms, "x:0"))
    np.testing.assert_array_equal(again.scores["gamma", "atom"], SCORER(Frame(atoms, "x:0")).scores["gamma", "atom"])


def test_an_unknown_species_is_named_with_its_atom():
    atoms, _ = chain()
    atoms.symbols[1] = "Al"
    with pytest.raises(FrameError, match=r"atom 1 is Al, which was not in the training frames \(Cu, Zr\)"):
        SCORER(Frame(atoms, "x:0"))


def test_a_species_without_environments_is_infinitely_far():
    """Zirconium may be known (it was in a held-out block) and have no active set."""
    atoms, _ = chain()
    atoms.symbols[0] = "Zr"
    scores = SCORER(Frame(atoms, "x:0")).scores
    assert np.isinf(scores["gamma", "atom"]).tolist() == [True, False, False]
    assert np.isinf(scores["gamma", "neighbourhood"]).tolist() == [True, True, False]
    assert np.isinf(scores["gamma", "frame"]).tolist() == [True]


def scored(seed: int, stress: bool = True, **labels: object) -> tuple[Frame, object]:
    atoms, _ = chain(seed, stress)
    frame = Frame(atoms, f"file:{seed}", f"kind{seed}", **labels)  # type: ignore[arg-type]
    return frame, SCORER(frame)


LABELS = {"energy": 1.0, "forces": np.ones((3, 3))}


def test_columns_of_a_batch():
    pairs = [scored(seed, **LABELS) for seed in range(3)]
    batch = collect(pairs)
    assert batch.names == ("file:0", "file:1", "file:2")
    assert batch.config_types == ("kind0", "kind1", "kind2")
    assert batch.offsets.tolist() == [0, 3, 6, 9]
    assert batch.natoms.tolist() == [3, 3, 3]
    assert batch.members == 5
    assert batch.numbers.tolist() == [29] * 9
    for i, (frame, result) in enumerate(pairs):
        atoms = slice(3 * i, 3 * i + 3)
        assert batch.energy[i] == frame.atoms.info["says"].energy
        np.testing.assert_array_equal(batch.forces[atoms], frame.atoms.info["says"].forces)
        np.testing.assert_array_equal(batch.stress[i], frame.atoms.info["says"].stress)
        force, of_frame = batch.spreads["committee_force"].force, result.spreads["committee_force"].force
        np.testing.assert_array_equal(force[atoms], of_frame)
        assert batch.scores["gamma", "frame"][i] == batch.scores["gamma", "atom"][atoms].max()
    assert batch.labels.energy.tolist() == [1.0, 1.0, 1.0]
    assert batch.labels.forces.shape == (9, 3)
    assert batch.labels.stress is None
    assert batch.neighbourhood_error.shape == (9,)


def test_stress_of_the_frames_that_have_one():
    batch = collect([scored(0), scored(1, stress=False)])
    whole = collect([scored(0)])
    for found, alone in (
        (batch.stress, whole.stress),
        (batch.spreads["committee_force"].stress, whole.spreads["committee_force"].stress),
    ):
        np.testing.assert_array_equal(found[:1], alone)
        assert np.isnan(found[1]).all()
    assert batch.counted.stress.tolist() == [[True] * 6, [False] * 6]
    none = collect([scored(1, stress=False)])
    assert none.stress is None
    assert none.spreads["committee_force"].stress is None


def test_envelopes_of_a_batch_have_a_gap_where_a_frame_has_none():
    batch = collect([scored(0), scored(1, stress=False), scored(2)])
    assert {n: one.low.shape for n, one in batch.envelopes.items()} == {
        "energy": (3,),
        "force": (9, 3),
        "stress": (3, 6),
    }
    for i in (0, 1, 2):
        said = scored(i, stress=i != 1)[0].atoms.info["says"]
        assert batch.envelopes.energy.std[i] == pytest.approx(said.energy_members.std(ddof=1), rel=1e-13)
        lowest = np.minimum(said.forces, said.forces_members.min(axis=0))
        np.testing.assert_array_equal(batch.envelopes.force.low[3 * i : 3 * i + 3], lowest)
    stress = batch.envelopes.stress
    for column in (stress.std, stress.low, stress.high):
        assert np.isnan(column).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("missing", ["energy", "forces"])
def test_a_label_that_a_frame_lacks_is_nan_there(missing: str):
    partly = {name: value for name, value in LABELS.items() if name != missing}
    labels = collect([scored(0, **LABELS), scored(1, **partly)]).labels
    assert labels is not None
    for name in ("energy", "forces"):
        first, second = np.split(getattr(labels, name), 2)
        np.testing.assert_array_equal(first.squeeze(), np.squeeze(LABELS[name]))
        assert np.isnan(second).all() == (name == missing)


def test_no_frames():
    with pytest.raises(ValueError, match="no frame could be evaluated"):
        collect([])
