"""When a score flags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from copper import Says

from assay import Frame
from assay.gauge.batch import collect
from assay.gauge.scorer import FrameScorer
from assay.gauge.thresholds import thresholds, tukey_fence
from assay.results.batch import Batch
from assay.results.prediction import Prediction
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce, CommitteeForceMax
from assay.scores.rigidity.leverage import Leverage


def test_tukey_fence_by_hand():
    """Quartiles 2, 4 of 1 … 5: 4 + 1.5 · 2."""
    assert tukey_fence(np.array([5.0, 3.0, 1.0, 4.0, 2.0])) == 7.0


def test_tukey_fence_of_normal_errors():
    """|e| of a standard normal: quartiles 0.3186 and 1.1503, fence 2.398, of which 1.65 % are above. n = 10⁵."""
    errors = np.abs(np.random.default_rng(0).standard_normal(100_000))
    fence = tukey_fence(errors)
    assert fence == pytest.approx(2.398, rel=0.02)
    assert np.mean(errors > fence) == pytest.approx(0.0165, rel=0.1)


SCORES = (
    CommitteeForce(),
    CommitteeForceMax(),
    CommitteeEnergy(),
    ExtrapolationGrade({29: np.eye(2)}),
    Leverage({29: np.eye(2)}, {29: np.ones(2)}),
)
ERRORS = np.array([[1.0, 3.0], [2.0, 4.0], [5.0, 0.0], [0.5, 9.0]])  # norms of two atoms in each of four frames
ENERGY_ERRORS = np.array([0.2, -0.4, 0.6, -2.0])


def batch(features: np.ndarray) -> Batch:
    """Four dimers whose atoms are neighbours, with the errors above."""
    scorer = FrameScorer(Says(), SCORES, 3.0, ("committee_force",), ("Cu",))
    pairs = []
    for f in range(4):
        atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])
        forces = np.zeros((2, 3))
        forces[:, 1] = ERRORS[f]
        members = {"energy_members": np.arange(3.0), "forces_members": np.random.default_rng(f).normal(size=(3, 2, 3))}
        atoms.info["says"] = Prediction(ENERGY_ERRORS[f], forces, features=features[f], **members)
        frame = Frame(atoms, f"x:{f}", "", 0.0, np.zeros((2, 3)))
        pairs.append((frame, scorer(frame)))
    return collect(pairs)


def test_of_every_score_and_level():
    rng = np.random.default_rng(3)
    training, held_out = batch(rng.normal(size=(4, 2, 2))), batch(rng.normal(size=(4, 2, 2)))
    found = thresholds(SCORES, training, held_out)
    assert found.keys() == held_out.scores.keys()
    for name in ("committee_force", "committee_force_max"):
        assert found[name, "atom"] == pytest.approx(tukey_fence(ERRORS.ravel()), rel=1e-14)
        assert found[name, "neighbourhood"] == pytest.approx(tukey_fence(np.repeat(ERRORS.mean(axis=1), 2)), rel=1e-14)
        assert found[name, "frame"] == pytest.approx(tukey_fence(ERRORS.max(axis=1)), rel=1e-14)
    assert found["committee_energy", "frame"] == pytest.approx(tukey_fence(np.abs(ENERGY_ERRORS) / 2), rel=1e-14)
    assert found["gamma", "atom"] == found["gamma", "frame"] == 1.0
    for key in (("gamma", "neighbourhood"), ("leverage", "atom"), ("leverage", "neighbourhood"), ("leverage", "frame")):
        assert found[key] == np.quantile(held_out.scores[key], 0.95), key


def test_infinite_scores_do_not_move_the_quantile():
    features = np.random.default_rng(3).normal(size=(4, 2, 2))
    training, held_out = batch(features), batch(features)
    plain = thresholds(SCORES, training, held_out)["leverage", "atom"]
    held_out.scores["leverage", "atom"] = np.append(held_out.scores["leverage", "atom"], [np.inf, np.inf])
    assert thresholds(SCORES, training, held_out)["leverage", "atom"] == plain
    held_out.scores["leverage", "atom"][:] = np.inf
    assert thresholds(SCORES, training, held_out)["leverage", "atom"] == np.inf


@pytest.mark.parametrize("errors", [[1e-15, -3e-15, 0.0, 2e-15], [0.0, 0.0, 0.0, 0.0]])
def test_rounding_errors_of_an_exact_fit_make_no_threshold(errors: list[float]):
    training = batch(np.random.default_rng(3).normal(size=(4, 2, 2)))
    training = replace(training, energy=np.array(errors))
    found = thresholds(SCORES, training, None)
    assert ("committee_energy", "frame") not in found
    assert found["committee_force", "atom"] == pytest.approx(tukey_fence(ERRORS.ravel()))
