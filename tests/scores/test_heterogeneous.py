"""The metric U against its equation written as loops, and on the recorded ensemble of tungsten; weights and choice."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from assay.ensembles.choice import choose_members, still_frames
from assay.ensembles.weights import MemberErrors, weights_of_rmse
from assay.frames.reading import read_frames
from assay.metrics import spearman
from assay.regions.neighbourhoods import frame_max
from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import CommitteeForce
from assay.scores.members.deviations import member_deviations
from assay.scores.members.heterogeneous import (
    Heterogeneous,
    HeterogeneousEnergy,
    HeterogeneousForce,
)
from assay.scores.protocol import FitOptions, FittedScore
from assay.scores.registry import SCORES, fit_scores, score_from_state, score_state
from assay.storage.archive import load_state, save_state

OF_WEIGHTED_MEMBERS = (Heterogeneous, HeterogeneousForce, HeterogeneousEnergy)
M, A = 4, 6
WEIGHTS = (0.4, 0.3, 0.2, 0.1)
NUMBERS = np.array([42, 42, 74, 74, 42, 74])
PUBLISHED_RMSE = (0.23719, 0.243286, 0.24351, 0.253712, 0.2643, 0.27751, 0.350226, 0.48766, 0.49757, 0.50635, 0.5111)


def metric(members: np.ndarray, weights: tuple[float, ...]) -> float:
    """U of one frame, as the equation reads."""
    total = 0.0
    for k, w in enumerate(weights):
        largest = 0.0
        for i in range(members.shape[1]):
            mean = sum(members[m, i] for m in range(len(weights))) / len(weights)
            largest = max(largest, float(np.sqrt(sum((members[k, i] - mean) ** 2))))
        total += w * largest**2
    return float(np.sqrt(total))


@pytest.fixture
def ensemble() -> Prediction:
    rng = np.random.default_rng(1)
    return Prediction(
        energy=7.0,  # a shifted or best energy: it must not enter
        forces=np.full((A, 3), 45.0),
        energy_members=rng.normal(-8.0, 0.3, M),
        forces_members=rng.normal(size=(A, 3)) + rng.normal(0, 0.2, (M, A, 3)),
    )


# the scores


def test_the_equations(ensemble: Prediction):
    members, energies = ensemble.forces_members, ensemble.energy_members
    found = Heterogeneous(WEIGHTS).values(ensemble, NUMBERS)
    np.testing.assert_allclose(found, [metric(members, WEIGHTS)], rtol=1e-12)
    mean = members.mean(axis=0)
    of_atoms = [np.sqrt(sum(w * sum((members[k, i] - mean[i]) ** 2) for k, w in enumerate(WEIGHTS))) for i in range(A)]
    np.testing.assert_allclose(HeterogeneousForce(WEIGHTS).values(ensemble, NUMBERS), of_atoms, rtol=1e-12)
    of_energy = np.sqrt(sum(w * (e - sum(energies) / M) ** 2 for w, e in zip(WEIGHTS, energies, strict=True))) / A
    np.testing.assert_allclose(HeterogeneousEnergy(WEIGHTS).values(ensemble, NUMBERS), [of_energy], rtol=1e-12)


def test_by_hand():
    """Two members, (3, 4, 0) apart on the first atom and (0, 0, 12) on the second: 2.5 and 6 from their mean."""
    members = np.array([[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [[3.0, 4.0, 1.0], [0.0, 0.0, 12.0]]])
    two = Prediction(0.0, np.zeros((2, 3)), energy_members=np.array([1.0, 2.0]), forces_members=members)
    numbers = np.array([13, 13])
    assert Heterogeneous((0.9, 0.1)).values(two, numbers) == pytest.approx(6.0, rel=1e-15)
    assert HeterogeneousForce((0.9, 0.1)).values(two, numbers) == pytest.approx([2.5, 6.0], rel=1e-15)
    assert HeterogeneousEnergy((0.9, 0.1)).values(two, numbers) == pytest.approx([0.25], rel=1e-15)


def test_each_member_has_its_own_worst_atom():
    """U is not the largest of the atoms: three members, of which one is off on one atom and one on another."""
    members = np.zeros((3, 2, 3))
    members[0, 0, 0], members[1, 1, 0] = 3.0, 6.0
    told = Prediction(0.0, np.zeros((2, 3)), forces_members=members)
    assert Heterogeneous().values(told, NUMBERS[:2]) == pytest.approx(np.sqrt((2**2 + 4**2 + 2**2) / 3))
    assert HeterogeneousForce().values(told, NUMBERS[:2]) == pytest.approx([np.sqrt(2.0), np.sqrt(8.0)])


def test_equal_weights_are_those_of_a_committee(ensemble: Prediction):
    spread = CommitteeForce().values(ensemble, NUMBERS)
    np.testing.assert_allclose(
        HeterogeneousForce().values(ensemble, NUMBERS), np.sqrt((M - 1) / M) * spread, rtol=1e-12
    )
    equal = (1 / M,) * M
    for kind in OF_WEIGHTED_MEMBERS:
        np.testing.assert_allclose(kind(equal).values(ensemble, NUMBERS), kind().values(ensemble, NUMBERS), rtol=1e-14)


every = pytest.mark.parametrize("score", [kind(WEIGHTS) for kind in OF_WEIGHTED_MEMBERS], ids=lambda score: score.name)


@every
def test_laws(score: FittedScore, ensemble: Prediction, tmp_path: Path):
    """Rotation, order of atoms and (with their weights) of members, save and load; a frame twice over."""
    numbers, members, energies = NUMBERS, ensemble.forces_members, ensemble.energy_members
    before = score.values(ensemble, numbers)
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    np.testing.assert_allclose(score.values(replace(ensemble, forces_members=members @ q), numbers), before, rtol=1e-12)
    p = np.random.default_rng(4).permutation(A)
    after = score.values(replace(ensemble, forces_members=members[:, p]), numbers[p])
    np.testing.assert_allclose(after, before[p] if score.home == "atom" else before, rtol=1e-12)
    turned = type(score)(WEIGHTS[::-1])
    reverse = replace(ensemble, forces_members=members[::-1], energy_members=energies[::-1])
    np.testing.assert_allclose(turned.values(reverse, numbers), before, rtol=1e-12)
    twice = replace(ensemble, forces_members=np.tile(members, (1, 2, 1)), energy_members=2 * energies)
    after = score.values(twice, np.tile(numbers, 2))
    np.testing.assert_allclose(after, np.tile(before, 2) if score.home == "atom" else before, rtol=1e-12)
    save_state(tmp_path / "score", score_state(score))
    assert score_from_state(load_state(tmp_path / "score")) == score


@every
def test_what_is_refused(score: FittedScore, ensemble: Prediction):
    one = replace(ensemble, forces_members=ensemble.forces_members[:1], energy_members=ensemble.energy_members[:1])
    with pytest.raises(ValueError, match=f"{score.name} needs at least two members; this source has 1$"):
        score.values(one, NUMBERS)
    fewer = replace(ensemble, forces_members=ensemble.forces_members[:3], energy_members=ensemble.energy_members[:3])
    with pytest.raises(ValueError, match="4 weights of members came, but there are 3 members"):
        score.values(fewer, NUMBERS)
    with pytest.raises(ValueError, match="a sum of 1"):
        type(score).fit(TrainingFeatures(), FitOptions(weights=(0.5, 0.6)))


def test_weights_reach_only_scores_that_have_them():
    of_members = [score for score in SCORES if score.facts.reads == ("members",)]
    scores, plain = (fit_scores(of_members, TrainingFeatures(), FitOptions(weights=w)) for w in (WEIGHTS, ()))
    assert [each.name for each in scores if getattr(each, "weights", None) == WEIGHTS] == [
        "heterogeneous",
        "heterogeneous_force",
        "heterogeneous_energy",
    ]
    assert scores[:4] == plain[:4]


# whole arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("atoms_at_once", [1, 3, 7, 1000])
def test_frames_across_chunks(dtype: type, atoms_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Frames of 1 to 9 atoms in chunks that end anywhere, from a file, by the loops of one frame."""
    rng = np.random.default_rng(5)
    natoms = rng.integers(1, 10, size=20)
    offsets = np.concatenate([[0], np.cumsum(natoms)])
    np.save(tmp_path / "m.npy", rng.normal(size=(M, offsets[-1], 3)).astype(dtype))
    members = np.load(tmp_path / "m.npy", mmap_mode="r")
    monkeypatch.setattr("assay.scores.members.deviations.CHUNK_BYTES", atoms_at_once * 3 * M * np.dtype(dtype).itemsize)
    found = member_deviations(members, offsets, WEIGHTS, with_mean=True)
    expected = [metric(np.asarray(members[:, a:b], float), WEIGHTS) for a, b in pairwise(offsets)]
    rtol = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(found.frames(WEIGHTS), expected, rtol=rtol)
    np.testing.assert_allclose(found.mean, np.asarray(members, float).mean(axis=0), rtol=rtol, atol=1e-6)
    some = member_deviations(members, offsets, which=[2, 0])
    np.testing.assert_allclose(some.largest, member_deviations(members[[2, 0]], offsets).largest, rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agreement_is_zero_but_for_rounding(dtype: type):
    """The mean of large equal forces must not look like disagreement: a few units in the last place."""
    members = np.tile(np.random.default_rng(6).normal(0, 100, (1, 50, 3)).astype(dtype), (11, 1, 1))
    assert member_deviations(members, [0, 20, 50]).frames().max() < 300 * 8 * np.finfo(dtype).eps


def test_a_gap_makes_its_frame_nan():
    members = np.random.default_rng(7).normal(size=(3, 6, 3))
    members[1, 3, 2], members[0, 5, 0] = np.nan, np.inf
    found = member_deviations(members, [0, 2, 4, 5, 6])
    assert np.isnan(found.frames()).tolist() == [False, True, False, True]
    assert np.isnan(found.atoms).tolist() == [False, False, False, True, False, True]


def test_memory_is_that_of_a_chunk(tmp_path: Path):
    """Beside the result, 0.8 MB, at most a few chunks of 1 MiB, of an array of 26 MB on disk."""
    members = np.lib.format.open_memmap(tmp_path / "m.npy", mode="w+", dtype=np.float32, shape=(22, 100_000, 3))
    tracemalloc.start()
    member_deviations(members, np.arange(0, 100_001, 100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6


@pytest.mark.parametrize(
    ("shape", "offsets", "message"),
    [
        ((2, 3), [0, 3], r"needed \(M, A, 3\)"),
        ((2, 3, 3), [0, 2], "from 0 to the number of atoms, 3"),
        ((2, 3, 3), [0, 2, 2, 3], "an atom in every frame"),
        ((1, 3, 3), [0, 3], "1 member: deviations from the mean need at least two"),
    ],
)
def test_arrays_that_do_not_fit(shape: tuple[int, ...], offsets: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        member_deviations(np.zeros(shape), offsets)


# weights


def test_weights_by_hand():
    assert weights_of_rmse([1.0, 2.0, 4.0]) == pytest.approx((4 / 7, 2 / 7, 1 / 7))
    assert weights_of_rmse([0.001, 0.002, 0.004]) == pytest.approx((4 / 7, 2 / 7, 1 / 7))


@pytest.mark.parametrize(
    ("rmse", "message"),
    [
        ([0.1], "at least two members"),
        ([], "at least two members"),
        ([0.1, 0.0], "RMSE of member 1 .* is 0.0"),
        ([np.nan, 0.1], "RMSE of member 0 .* is nan"),
        ([0.1, -0.2], "RMSE of member 1 .* is -0.2"),
        ([0.1, np.inf], "RMSE of member 1 .* is inf"),
    ],
)
def test_rmse_without_a_weight(rmse: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        weights_of_rmse(rmse)


def test_member_errors_are_a_fold():
    rng = np.random.default_rng(8)
    labels = rng.normal(size=(9, 3))
    members = labels + rng.normal(size=(3, 9, 3))
    expected = np.sqrt(np.mean((members - labels) ** 2, axis=(1, 2)))
    first, second = MemberErrors(), MemberErrors()
    first.update(members[:, :1], labels[:1])
    first.update(members[:, 1:4], labels[1:4])
    second.update(members[:, 4:], labels[4:])
    first.merge(second)
    first.merge(MemberErrors())
    np.testing.assert_allclose(first.rmse, expected, rtol=1e-12)
    assert first.weights == pytest.approx(weights_of_rmse(expected))


def test_member_errors_that_are_refused():
    errors = MemberErrors()
    with pytest.raises(ValueError, match="no labelled frames"):
        _ = errors.rmse
    with pytest.raises(ValueError, match=r"needed \(M, A, 3\) and \(A, 3\)"):
        errors.update(np.zeros((2, 4, 3)), np.zeros((3, 3)))
    gap = np.zeros((2, 3, 3))
    gap[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"forces of members \[1\], or labels, are not finite"):
        errors.update(gap, np.zeros((3, 3)))
    errors.update(np.ones((2, 3, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="3 members, but 2 in frames before"):
        errors.update(np.ones((3, 3, 3)), np.zeros((3, 3)))


# choice


def noisy(
    members: int, noisy_members: int, frames: int = 120, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members whose spread is the scale of a frame's errors, and others whose errors have nothing to do with it."""
    rng = np.random.default_rng(seed)
    natoms = rng.integers(1, 6, size=frames)
    offsets = np.concatenate([[0], np.cumsum(natoms)])
    scale = np.repeat(np.geomspace(0.05, 1.0, frames)[rng.permutation(frames)], natoms)[:, None]
    labels = rng.normal(size=(offsets[-1], 3))
    shared = scale * rng.normal(size=labels.shape)
    good = labels + 0.3 * shared + scale * rng.normal(size=(members, *labels.shape))
    bad = labels + 4.0 * rng.normal(size=(noisy_members, *labels.shape))
    return np.concatenate([bad, good]), labels, offsets


def test_noisy_members_are_left_out():
    """Three members without any sense stand first in the file; the six others are chosen, in every fold."""
    found = choose_members(*noisy(6, 3))
    assert found.members == (3, 4, 5, 6, 7, 8)
    assert set(found.counts) == {6}
    assert found.weights == pytest.approx(weights_of_rmse(np.array(found.rmse)[3:]))
    assert found.gain_95[0] > 0.05
    assert "the best 6 rank better than all 9 members" in found.note
    assert [row.count for row in found.table] == list(range(2, 10))


def test_the_best_of_noise_is_no_gain():
    """Members that are all alike: whichever K is highest by chance, other frames do not confirm it."""
    found = choose_members(*noisy(8, 0, frames=60, seed=2))
    assert found.gain_95[0] <= 0
    assert len(found.members) == 8 or "do not rank significantly better than all 8 members" in found.note
    assert found.cross_validated < 1


@pytest.mark.parametrize("seed", range(4))
def test_cross_validation_as_loops(seed: int):
    """Order, weights and K of every fold from the other folds alone: members are alike, so each fold has its own."""
    members, labels, offsets = noisy(4, 0, frames=20, seed=seed)
    kinds = ["a", "b"] * 10
    found = choose_members(members, labels, offsets, config_types=kinds, folds=2)
    places = [slice(*each) for each in pairwise(offsets)]
    of_kind = {kind: [f for f in range(20) if kinds[f] == kind] for kind in "ab"}
    folds = [sorted(of_kind["a"][:5] + of_kind["b"][:5]), sorted(of_kind["a"][5:] + of_kind["b"][5:])]

    def judge(K: int, known: list[int], frames: list[int]) -> tuple[list[float], list[float]]:
        atoms = np.concatenate([np.arange(offsets[-1])[places[f]] for f in known])
        rmse = [np.sqrt(np.mean((members[k, atoms] - labels[atoms]) ** 2)) for k in range(4)]
        best = sorted(range(4), key=lambda k: rmse[k])[:K]
        weights = tuple((1 / rmse[k]) / sum(1 / rmse[m] for m in best) for k in best)
        away = members[best].mean(axis=0) - labels
        error = [np.linalg.norm(away[places[f]], axis=1).max() for f in frames]
        return [metric(members[best][:, places[f]], weights) for f in frames], error

    pooled, counts, of_two = ([], []), [], ([], [])
    for fold in folds:
        others = [f for f in range(20) if f not in fold]
        K = max((2, 3, 4), key=lambda K, others=others: (spearman(*judge(K, others, others)), K))
        counts.append(K)
        for columns, each in ((pooled, judge(K, others, fold)), (of_two, judge(2, others, fold))):
            for column, values in zip(columns, each, strict=True):
                column.extend(values)
    assert list(found.counts) == counts
    assert found.cross_validated == pytest.approx(spearman(*pooled), rel=1e-12)
    assert found.table[0].cross_validated == pytest.approx(spearman(*of_two), rel=1e-12)


def test_given_rmse_decide_the_order():
    members, labels, offsets = noisy(4, 0)
    found = choose_members(members, labels, offsets, rmse=[4.0, 3.0, 2.0, 1.0])
    assert found.order == (3, 2, 1, 0)
    assert found.rmse == (4.0, 3.0, 2.0, 1.0)


def test_frames_that_rank_nothing():
    """Labels and members that all are zero: no correlation, all members, and JSON without NaN."""
    with pytest.raises(ValueError, match=r"RMSE of member 0 .* is 0\.0"):
        choose_members(np.zeros((3, 8, 3)), np.zeros((8, 3)), np.arange(9))
    same = np.zeros((3, 8, 3))
    same[:, :, 0] = np.array([1.0, 2.0, 3.0])[:, None]
    found = choose_members(same, np.zeros((8, 3)), np.arange(9))
    assert found.members == (0, 1, 2)
    assert found.told()["cross_validated"] is None
    with pytest.raises(ValueError, match="1 labelled frames in 5 folds"):
        choose_members(same, np.zeros((8, 3)), [0, 8])


def test_still_frames_may_have_one_member_that_breaks_the_symmetry():
    members = np.zeros((3, 4, 3))
    members[0, 0] = 0.01  # a potential that predicts forces directly
    members[:2, 1] = 0.01
    labels = np.zeros((4, 3))
    labels[2] = 0.02
    assert still_frames(members, labels, np.arange(5)).tolist() == [True, False, False, True]


# tungsten


@pytest.mark.data
def test_recorded_ensemble_of_tungsten(real_data: Path):
    """11 universal potentials and DFT of 678 frames: see the README of the data."""
    with np.load(real_data / "tungsten/umlip-committee.npz", allow_pickle=False) as file:
        members, offsets = file["forces"][:11], np.concatenate([[0], np.cumsum(file["natoms"])])
    labels = np.concatenate([frame.forces for frame in read_frames(real_data / "tungsten/umlip-committee.extxyz.gz")])
    found = member_deviations(members, offsets, with_mean=True)
    U = found.frames(weights_of_rmse(PUBLISHED_RMSE))
    error = frame_max(np.linalg.norm(found.mean - labels, axis=1), offsets)
    still = still_frames(members, labels, offsets)
    assert (np.count_nonzero(U < 0.1), np.count_nonzero(U < 0.5)) == (182, 677)
    assert np.median(U) == pytest.approx(0.1934, abs=5e-5)
    assert spearman(U, error) == pytest.approx(0.959, abs=5e-4)
    assert still.sum() == 121
    assert spearman(U[~still], error[~still]) == pytest.approx(0.928, abs=5e-4)
