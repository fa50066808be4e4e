"""Spreads of committees against the published equations, written as loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.members.committee import (
    CommitteeEnergy,
    CommitteeEnergyMax,
    CommitteeForce,
    CommitteeForceMax,
    largest_deviation,
)
from assay.scores.protocol import FittedScore

M, A = 5, 7
NUMBERS = np.full(A, 29)


@pytest.fixture
def committee() -> Prediction:
    rng = np.random.default_rng(0)
    return Prediction(
        energy=123.0,  # the best fit, not the mean of the members: it must not enter
        forces=np.full((A, 3), 45.0),
        energy_members=rng.normal(-3.5 * A, 0.2, M),
        forces_members=rng.normal(0, 1.0, (A, 3)) + rng.normal(0, 0.1, (M, A, 3)),
    )


def test_largest_deviation_of_energies(committee: Prediction):
    """Shuang et al., Eq. 1: max_k |E^k - ⟨E⟩|, here per atom."""
    energies = committee.energy_members.tolist()
    mean = sum(energies) / M
    expected = max(abs(e - mean) for e in energies) / A
    np.testing.assert_allclose(CommitteeEnergyMax().values(committee, NUMBERS), [expected], rtol=1e-12)


def test_largest_deviation_of_forces(committee: Prediction):
    """Shuang et al., Eq. 2: max_k ‖F_i^k - ⟨F_i⟩‖ for atom i; Eq. 3, of a frame, is the largest of them."""
    expected = []
    for i in range(A):
        mean = sum(committee.forces_members[k, i] for k in range(M)) / M
        expected.append(max(np.sqrt(sum((committee.forces_members[k, i] - mean) ** 2)) for k in range(M)))
    values = CommitteeForceMax().values(committee, NUMBERS)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_standard_deviations(committee: Prediction):
    """With M - 1 in the denominator."""
    energies, forces = committee.energy_members, committee.forces_members
    expected = np.sqrt(sum((e - energies.mean()) ** 2 for e in energies) / (M - 1)) / A
    np.testing.assert_allclose(CommitteeEnergy().values(committee, NUMBERS), [expected], rtol=1e-12)
    mean = forces.mean(axis=0)
    variance = sum((forces[k] - mean) ** 2 for k in range(M)) / (M - 1)
    np.testing.assert_allclose(CommitteeForce().values(committee, NUMBERS), np.sqrt(variance.sum(axis=1)), rtol=1e-12)


def test_by_hand():
    """Two members that differ by the vector (3, 4, 0): each is 2.5 from the mean, and s² sums to 25/2."""
    two = Prediction(
        energy=0.0,
        forces=np.zeros((1, 3)),
        energy_members=np.array([1.0, 2.0]),
        forces_members=np.array([[[0.0, 0.0, 1.0]], [[3.0, 4.0, 1.0]]]),
    )
    one = np.array([13])
    assert CommitteeForceMax().values(two, one).tolist() == [2.5]
    assert CommitteeForce().values(two, one) == pytest.approx(5 / np.sqrt(2), rel=1e-15)
    assert CommitteeEnergyMax().values(two, one).tolist() == [0.5]
    assert CommitteeEnergy().values(two, one) == pytest.approx(1 / np.sqrt(2), rel=1e-15)


def test_the_largest_of_a_committee_is_bounded_by_its_spread(committee: Prediction):
    """Samuelson: no value is farther than (M - 1)/√M standard deviations, and the farthest at least √((M - 1)/M)."""
    largest, spread = CommitteeEnergyMax(), CommitteeEnergy()
    for seed in range(50):
        drawn = replace(committee, energy_members=np.random.default_rng(seed).standard_cauchy(M))
        ratio = largest.values(drawn, NUMBERS) / spread.values(drawn, NUMBERS)
        assert np.sqrt((M - 1) / M) <= ratio <= (M - 1) / np.sqrt(M)


def test_agreement_is_zero():
    members = np.tile(np.arange(6.0).reshape(1, 2, 3), (4, 1, 1))
    assert largest_deviation(members).tolist() == [0.0, 0.0]


SCORES = [CommitteeEnergy(), CommitteeEnergyMax(), CommitteeForce(), CommitteeForceMax()]


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
@pytest.mark.parametrize("members", [None, 0, 1])
def test_fewer_than_two_members_are_refused(score: FittedScore, members: int | None):
    evaluation = Prediction(
        energy=0.0,
        forces=np.zeros((A, 3)),
        energy_members=None if members is None else np.zeros(members),
        forces_members=None if members is None else np.zeros((members, A, 3)),
    )
    with pytest.raises(ValueError, match=f"{score.name} needs at least two members; this source has {members or 0}$"):
        score.values(evaluation, NUMBERS)
