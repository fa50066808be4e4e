"""Local D-optimality and its clusters, on points whose grades can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.d_optimality.maxvol import active_set
from assay.scores.d_optimality.partition import partition
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FitOptions
from assay.scores.registry import fit_scores, score_from_state, score_state

W, MO = 74, 42


def blob(centre: tuple[float, float], seed: int, n: int = 40) -> np.ndarray:
    return np.array(centre) + 0.3 * np.random.default_rng(seed).normal(size=(n, 2))


BLOBS = {"along x": blob((10, 0), 0), "along y": blob((0, 10), 1), "diagonal": blob((4, 4), 2)}


def training(frames_of_each: int = 5) -> TrainingFeatures:
    features = TrainingFeatures()
    for kind, points in BLOBS.items():
        for part in np.array_split(points, frames_of_each):
            features.append(part, np.full(len(part), W), kind)
    return features


def of_frames(partition_of: np.ndarray, features: TrainingFeatures) -> list[set[str]]:
    """The kinds in each cluster."""
    frames = features.frames_of(W)
    return [{features.kinds[f] for f in frames[partition_of == k]} for k in np.unique(partition_of)]


def test_the_least_of_the_grades_in_each_cluster():
    """Against one active set for each blob, made here."""
    local = LocalGrade.fit(training(), FitOptions("config_type"))
    new = np.array([[6.0, 6.0], [4.1, 3.9], [0.0, 9.9], [-3.0, 1.0]])
    scale = np.abs(np.concatenate(list(BLOBS.values()))).max(axis=0)
    names = sorted(BLOBS)
    each = np.array(
        [np.abs(new @ active_set(np.concatenate([BLOBS[k], np.diag(1e-3 * scale)])).inverse).max(axis=1) for k in names]
    )
    gamma, cluster = local.grades(new, np.full(4, W))
    assert local.names == tuple(names)
    np.testing.assert_allclose(gamma, each.min(axis=0), rtol=1e-9)
    assert cluster.tolist() == each.argmin(axis=0).tolist()


def test_a_gap_between_clusters_is_foreign_though_one_active_set_knows_it():
    """The half-way point of two blobs has γ < 1 in the set of all, and γ_local > 1."""
    features = training()
    gamma, local = fit_scores(["gamma", "gamma_local"], features, FitOptions("config_type"))
    gap = Prediction(features=np.array([[5.0, 2.0]]))
    assert gamma.values(gap, np.array([W]))[0] < 0.9
    assert local.values(gap, np.array([W]))[0] > 1.2


@pytest.mark.parametrize(
    "how", ["config_type", "kmeans", "kmeans:3", "birch", "birch:3", "kmeans:atoms", "birch:atoms"]
)
def test_well_separated_blobs_are_found(how: str):
    features = training()
    parts = partition(features, how)
    assert [len(kinds) for kinds in of_frames(parts.labels[W], features)] == [1, 1, 1]
    assert len(parts.names) == 3


@pytest.mark.parametrize("how", ["kmeans", "kmeans:atoms", "birch"])
def test_one_blob_is_one_cluster(how: str):
    features = TrainingFeatures()
    for part in np.array_split(np.random.default_rng(3).normal(size=(300, 5)), 30):
        features.append(part, np.full(len(part), W))
    assert partition(features, how).names == ("0",)


def test_by_default_the_kinds_that_files_name_else_kmeans():
    assert partition(training()).names == tuple(sorted(BLOBS))
    nameless = TrainingFeatures()
    for points in BLOBS.values():
        for part in np.array_split(points, 5):
            nameless.append(part, np.full(len(part), W))
    assert partition(nameless).names == ("0", "1", "2")


@pytest.mark.parametrize("how", ["k-means", "kmeans:0", "kmeans:two", "config_type:3", "kmeans:3:4", "birch:-1"])
def test_anything_else_is_refused(how: str):
    with pytest.raises(ValueError, match="give config_type, kmeans, birch"):
        partition(training(), how)


def test_more_clusters_than_frames_and_equal_frames():
    features = TrainingFeatures()
    for _ in range(4):
        features.append(np.ones((3, 2)), np.full(3, W))
    for how in ("kmeans:7", "birch", "birch:7", "birch:atoms"):
        assert len(partition(features, how).names) == 1
    local = LocalGrade.fit(features, FitOptions("kmeans:7"))
    gamma, _ = local.grades(np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([W, W]))
    assert gamma[0] <= 1.0
    assert gamma[1] > 100, "a direction that training does not span"


def test_species_have_clusters_of_their_own_and_unknown_ones_are_infinitely_far(tmp_path):
    features = TrainingFeatures()
    for kind, points in BLOBS.items():
        features.append(points, np.where(np.arange(len(points)) % 2 == 0, W, MO), kind)
    local = LocalGrade.fit(features, FitOptions("config_type"))
    assert set(local.inverses) == {MO, W}
    gamma, cluster = local.grades(np.array([[10.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), np.array([W, 29, MO]))
    assert gamma[1] == np.inf
    assert cluster.tolist() == [0, -1, 1]
    again = score_from_state(score_state(local))
    np.testing.assert_array_equal(again.grades(np.array([[1.0, 2.0]]), np.array([W]))[0],
                                  local.grades(np.array([[1.0, 2.0]]), np.array([W]))[0])  # fmt: skip


def test_atoms_that_are_left_out_are_not_known():
    """Without the blob along y its points are foreign; with it they are not."""
    features = training()
    kept = training()
    kinds = np.repeat(features.kinds, [len(n) for n in features.numbers])
    kept.keep_only(kinds != "along y")
    assert set(kinds) == set(BLOBS)
    point = Prediction(features=np.array([[0.0, 10.0]]))
    for name in ("gamma", "gamma_local", "leverage", "outlier_factor"):
        with_all, without = (fit_scores([name], f)[0].values(point, np.array([W]))[0] for f in (features, kept))
        assert without > 2 * with_all, name
    assert len(kept.rows(W)) == len(kept.frames_of(W)) == len(features.rows(W)) - len(BLOBS["along y"])
