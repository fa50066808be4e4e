"""Active sets and extrapolation grades: against every possible active set, and on input that is rank-deficient."""

from __future__ import annotations

import numpy as np
import pytest

from assay.results.prediction import Prediction
from assay.scores.d_optimality.grade import ExtrapolationGrade, GradeFold
from assay.scores.d_optimality.maxvol import TOLERANCE, MaxVol
from assay.scores.features.training import TrainingFeatures

CU, AL, NI = 29, 13, 28


def fit(*chunks: np.ndarray) -> ExtrapolationGrade:
    fold = GradeFold()
    for chunk in chunks:
        fold.update(chunk, np.full(len(chunk), CU))
    return fold.result()


def grades(grade: ExtrapolationGrade, features: np.ndarray) -> np.ndarray:
    return grade.grades(np.atleast_2d(features), np.full(len(np.atleast_2d(features)), CU))


def test_the_hull_of_a_plane_by_hand():
    """With rows (2, 0) and (0, 3) the grade of (x, y) is max(|x|/2, |y|/3)."""
    grade = fit(np.array([[2.0, 0.0], [0.0, 3.0], [0.5, 0.5], [-1.0, 1.0]]))
    points = np.array([[2.0, 0.0], [1.0, 1.0], [-5.0, 1.0], [1.0, 6.0], [0.0, 0.0]])
    np.testing.assert_allclose(grades(grade, points), [1.0, 0.5, 2.5, 2.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(("n", "d"), [(400, 12), (60, 55), (2000, 30)])
def test_training_grades_of_one_chunk(n: int, d: int):
    features = np.random.default_rng(n).normal(size=(n, d)) @ np.diag(np.logspace(-4, 4, d))
    training = grades(fit(features), features)
    assert training.max() <= TOLERANCE + 1e-9
    assert np.isclose(training, 1.0, atol=1e-9).sum() >= d, "the rows of the active set themselves"


@pytest.mark.parametrize("seed", range(3))
def test_training_grades_of_many_chunks(monkeypatch: pytest.MonkeyPatch, seed: int):
    """What one pass costs. A row that was dropped is a combination of rows of which each may be dropped later, so
    that after K flushes no more than TOLERANCE^K D^(K-1) can be promised. On the unit sphere, where every row could
    be in the set, 40 flushes leave the largest grade below 1.1, thanks to rows that are kept."""
    monkeypatch.setattr("assay.scores.d_optimality.maxvol.BUFFER", 50)
    features = np.random.default_rng(seed).normal(size=(2000, 10))
    features /= np.linalg.norm(features, axis=1)[:, None]
    training = grades(fit(*np.array_split(features, 77)), features)
    assert training.max() < 1.1


def test_how_features_come_in_chunks_does_not_count_within_a_buffer():
    features = np.random.default_rng(0).normal(size=(300, 6))
    whole = fit(features).inverses[CU]
    np.testing.assert_array_equal(fit(*np.array_split(features, 41)).inverses[CU], whole)


def spanning(features: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows' span, in columns scaled to one."""
    _, s, vt = np.linalg.svd(features, full_matrices=False)
    return vt[s > 1e-9 * s[0]]


RNG = np.random.default_rng(5)
DEFICIENT = {
    "one atom": RNG.normal(size=(1, 5)),
    "fewer than features": RNG.normal(size=(3, 5)),
    "duplicated rows": np.repeat(RNG.normal(size=(2, 5)), 20, axis=0),
    "zero column": RNG.normal(size=(40, 5)) * [1, 1, 0, 1, 1],
    "all zero": np.zeros((7, 5)),
    "constant column and few": np.column_stack([np.ones(3), RNG.normal(size=(3, 4))]),
    "only constants": np.ones((30, 5)),
    "collinear columns": RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 5)),
    "two equal columns": RNG.normal(size=(40, 4))[:, [0, 1, 2, 3, 3]],
    "rounding errors in a column": np.column_stack([RNG.normal(size=(40, 4)), 1e-16 * RNG.normal(size=40)]),
    "nearly collinear": np.outer(RNG.normal(size=40), np.ones(5)) + 1e-14 * RNG.normal(size=(40, 5)),
}


@pytest.mark.parametrize("name", DEFICIENT)
def test_a_direction_that_is_not_spanned_gets_a_large_grade(name: str):
    """Training environments stay near 1; a step of the size of the features out of their span is far above 1."""
    features = DEFICIENT[name]
    grade = fit(features)
    training = grades(grade, features)
    assert np.all(training <= TOLERANCE + 1e-9)
    scale = np.abs(features).max() or 1.0
    basis = spanning(features) if features.any() else np.zeros((0, 5))
    assert len(basis) < 5 or name == "rounding errors in a column"
    for step in RNG.normal(size=(20, 5)):
        outside = step - basis.T @ (basis @ step)
        if np.linalg.norm(outside) < 1e-3:
            continue
        new = features[0] + 0.01 * scale * outside / np.linalg.norm(outside)
        assert 1e2 < grades(grade, new)[0] < np.inf


@pytest.mark.parametrize("name", DEFICIENT)
def test_inside_the_span_nothing_is_far(name: str):
    """Means of training environments have grades of training environments."""
    features = DEFICIENT[name]
    inside = np.array([features.mean(axis=0), 0.5 * features[0], -features[-1], np.zeros(5)])
    assert np.all(grades(fit(features), inside) <= TOLERANCE + 1e-6)


def test_a_step_in_an_unspanned_direction_grows_with_its_size():
    features = DEFICIENT["zero column"]
    grade = fit(features)
    new = np.zeros((3, 5))
    new[:, 2] = 1e-3, 1.0, 1e3
    small, middle, large = grades(grade, new)
    assert small > 1e2
    np.testing.assert_allclose([middle / small, large / middle], 1e3, rtol=1e-9)


@pytest.mark.parametrize("name", ["full", *DEFICIENT])
def test_units_of_the_features_do_not_count(name: str):
    features = RNG.normal(size=(60, 5)) if name == "full" else DEFICIENT[name]
    if name in ("zero column", "all zero", "rounding errors in a column"):
        factor = np.full(5, 37.0)  # a column without a scale of its own gets that of the others
    else:
        factor = np.array([1e-3, 7.0, 0.2, 1e4, 1.0])
    tries = np.vstack([features, RNG.normal(size=(10, 5))])
    plain, scaled = grades(fit(features), tries), grades(fit(features * factor), tries * factor)
    if name in ("full", "zero column", "rounding errors in a column"):
        np.testing.assert_allclose(scaled, plain, rtol=1e-6)
    else:  # which of many equal sets is found may differ: what is spanned does not
        np.testing.assert_array_equal(scaled > 10.0, plain > 10.0)


def test_rounding_errors_are_not_far_from_home():
    """In columns that are zero or rounding errors in training, a thousand times larger rounding errors."""
    for name in ("zero column", "rounding errors in a column"):
        features = DEFICIENT[name]
        noisy = features + 1e-13 * RNG.normal(size=features.shape)
        np.testing.assert_allclose(grades(fit(features), noisy), grades(fit(features), features), atol=1e-6)


def test_merge_is_an_active_set_of_both():
    a, b = np.random.default_rng(1).normal(size=(2, 200, 8)) * [[[1.0]], [[3.0]]]
    one, two = GradeFold(), GradeFold()
    one.update(a, np.full(200, CU))
    two.update(b, np.full(200, CU))
    two.update(a[:5], np.full(5, AL))
    one.merge(two)
    merged = one.result()
    assert sorted(merged.inverses) == [AL, CU]
    both = grades(merged, np.vstack([a, b]))
    assert both.max() < 1.5
    volume = [abs(np.linalg.det(g.inverses[CU])) for g in (merged, fit(a), fit(b))]
    assert volume[0] <= min(volume[1:]) * (1 + 1e-9), "the merged set holds at least the volume of each"


def test_merging_nothing_changes_nothing():
    features = np.random.default_rng(1).normal(size=(50, 4))
    one = GradeFold()
    one.update(features, np.full(50, CU))
    one.merge(GradeFold())
    np.testing.assert_array_equal(one.result().inverses[CU], fit(features).inverses[CU])


def test_merge_of_deficient_sets_spans_both():
    a, b = np.zeros((10, 4)), np.zeros((10, 4))
    a[:, :2], b[:, 2:] = RNG.normal(size=(10, 2)), 1e-2 * RNG.normal(size=(10, 2))
    one, two = MaxVol(4), MaxVol(4)
    one.update(a)
    two.update(b)
    one.merge(two)
    grade = ExtrapolationGrade({CU: one.inverse()})
    assert grades(grade, np.vstack([a, b])).max() <= TOLERANCE + 1e-9


def test_species_have_their_own_sets():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(90, 3)) * np.repeat([[1.0], [10.0], [100.0]], 30, axis=0)
    numbers = np.repeat([CU, AL, NI], 30)
    p = rng.permutation(90)
    grade = ExtrapolationGrade.fit(TrainingFeatures.of([(features[p], numbers[p])]))
    for z in (CU, AL, NI):
        alone = ExtrapolationGrade.fit(TrainingFeatures.of([(features[p][numbers[p] == z], numbers[numbers == z])]))
        np.testing.assert_array_equal(grade.inverses[z], alone.inverses[z])
    assert grade.grades(features, numbers).max() <= TOLERANCE + 1e-9
    assert grade.grades(features, numbers[::-1])[60:].max() > 10.0


def test_an_unknown_species_is_infinitely_far():
    grade = fit(np.eye(3))
    assert grade.grades(np.zeros((3, 3)), np.array([CU, AL, CU])).tolist() == [0.0, np.inf, 0.0]


def test_a_scale_seen_later_rescales_what_came_before(monkeypatch: pytest.MonkeyPatch):
    """The first chunk is a thousand times smaller than the second, which fixes the scale."""
    monkeypatch.setattr("assay.scores.d_optimality.maxvol.BUFFER", 1)
    rng = np.random.default_rng(3)
    small, large = rng.normal(size=(30, 4)), 1e3 * rng.normal(size=(30, 4))
    whole = grades(fit(np.vstack([small, large])), large)
    np.testing.assert_allclose(grades(fit(small, large), large), whole, rtol=0.3)
    assert grades(fit(small, large), np.vstack([small, large])).max() <= TOLERANCE + 1e-9


def test_the_active_set_is_made_of_environments_whatever_scale_came_later(monkeypatch: pytest.MonkeyPatch):
    """The second chunk is large in one column only: the rows of A, got back from A⁻¹, are rows of the two chunks."""
    monkeypatch.setattr("assay.scores.d_optimality.maxvol.BUFFER", 1)
    first, second = np.random.default_rng(4).normal(size=(2, 30, 4))
    second *= [1e3, 0.01, 0.01, 0.01]
    active = np.linalg.inv(fit(first, second).inverses[CU])
    both = np.vstack([first, second])
    distance = np.abs(both[:, None] - active).max(axis=2).min(axis=0)
    assert distance.max() < 1e-9


def test_a_source_without_features_is_told_so():
    with pytest.raises(ValueError, match="gamma needs per-atom features, which this source does not have"):
        fit(np.eye(3)).values(Prediction(0.0, np.zeros((1, 3))), np.array([CU]))


def test_state_round_trip():
    grade = fit(np.random.default_rng(0).normal(size=(20, 3)))
    again = ExtrapolationGrade.from_state(grade.state())
    assert again.inverses.keys() == grade.inverses.keys()
    np.testing.assert_array_equal(again.inverses[CU], grade.inverses[CU])
