import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from assay.metrics import flagged_fraction, roc_auc, spearman, worst_decile
from assay.metrics.ranking import expected_in_order
from assay.results.score import Score

tied_scores = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])
laws = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_against_scipy(ties):
    score, error = np.random.default_rng(1).standard_normal((2, 400))
    error += score * np.sign(error)
    if ties:
        score, error = np.round(score), np.round(error, 1)
    expected = spearmanr(score, np.abs(error)).statistic
    assert abs(expected) > 0.1
    assert spearman(score, error) == pytest.approx(expected, rel=1e-12)


def test_spearman_of_a_permutation_is_closed():
    """Without ties ρ = 1 − 6 Σ d² / (n (n² − 1)); here d = (1, −1, 0, 0)."""
    assert spearman([2.0, 1.0, 3.0, 4.0], [0.1, -0.2, 0.3, 0.4]) == pytest.approx(1 - 6 * 2 / 60, rel=1e-15)


def test_spearman_of_the_same_and_of_the_opposite_order():
    error = np.array([0.3, -0.1, 4.0, 0.0])
    assert spearman([1.0, 0.5, np.inf, -np.inf], error) == 1.0
    assert spearman(-np.abs(error), error) == -1.0


@pytest.mark.parametrize(
    ("score", "error"),
    [([], []), ([1.0], [2.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [2.0, -2.0, 2.0])],
    ids=["none", "one", "constant score", "constant |error|"],
)
def test_spearman_without_a_ranking_is_nan(score, error):
    assert math.isnan(spearman(score, error))


@laws
@given(st.lists(st.tuples(tied_scores, st.booleans()), max_size=25))
def test_roc_auc_is_the_chance_that_the_bad_one_scores_higher(pairs):
    score = np.array([s for s, _ in pairs])
    bad = np.array([b for _, b in pairs], dtype=bool)
    wins = [(s > t) + 0.5 * (s == t) for s, t in itertools.product(score[bad], score[~bad])]
    expected = np.mean(wins) if wins else math.nan
    assert roc_auc(score, bad) == pytest.approx(expected, rel=1e-13, nan_ok=True)


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_roc_auc_against_sklearn(decimals):
    rng = np.random.default_rng(2)
    bad = rng.random(500) < 0.1
    score = np.round(rng.standard_normal(500) + bad, decimals)
    assert roc_auc(score, bad) == pytest.approx(roc_auc_score(bad, score), rel=1e-13)


def test_roc_auc_needs_booleans():
    with pytest.raises(TypeError, match=r"float64: booleans are needed, e\.g\. worst_decile"):
        roc_auc([1.0, 2.0], [0.1, 0.2])


@laws
@given(st.lists(st.integers(-4, 4), max_size=40))
def test_worst_decile_holds_at_most_a_tenth_and_each_is_above_the_rest(error):
    worst = worst_decile(error)
    assert worst.dtype == bool
    size = np.abs(np.array(error, dtype=float))
    k = math.ceil(len(error) / 10)
    descending = sorted(size, reverse=True)
    expected = {x for x in size if x in descending[:k] and x not in descending[k:]} if len(error) > 1 else set()
    assert np.array_equal(worst, [x in expected for x in size])
    assert worst.sum() <= k


@pytest.mark.parametrize(("n", "k"), [(2, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3), (1000, 100)])
def test_worst_decile_of_distinct_errors(n, k):
    error = np.random.default_rng(n).permutation(n) - n / 3 + 0.1
    worst = worst_decile(error)
    assert worst.sum() == k
    assert np.abs(error[worst]).min() > np.abs(error[~worst]).max()


@pytest.mark.parametrize("error", [[], [3.0], [0.0] * 30, [0.2, -0.2] * 10], ids=["none", "one", "zero", "±"])
def test_worst_decile_of_equal_errors_is_empty(error):
    worst = worst_decile(error)
    assert worst.shape == (len(error),)
    assert not worst.any()


def test_worst_decile_keeps_the_shape():
    worst = worst_decile([[0.0, 0.0, 5.0], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(worst, [[False, False, True], [False, False, False]])


def test_flagged_fraction_agrees_with_the_flags_of_a_score():
    gamma = Score("gamma", "atom", np.array([0.2, 1.0, 1.1, np.inf, -np.inf]), threshold=1.0)
    assert flagged_fraction(gamma.values, 1.0) == np.mean(gamma.flagged) == 0.4


def test_flagged_fraction_refuses_what_it_can_not_compare():
    with pytest.raises(ValueError, match="no scores"):
        flagged_fraction([], 1.0)
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        flagged_fraction([np.nan, 1.0], 1.0)
    with pytest.raises(ValueError, match="threshold is NaN"):
        flagged_fraction([1.0], np.nan)


@laws
@given(st.lists(st.tuples(tied_scores, st.integers(0, 9)), min_size=1, max_size=5))
def test_ties_count_with_the_mean_over_all_their_orders(pairs):
    key, value = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    orders = [p for p in itertools.permutations(range(len(key))) if np.all(key[list(p)] == np.sort(key))]
    expected = np.mean([value[list(p)] for p in orders], axis=0)
    np.testing.assert_allclose(expected_in_order(key, value), expected, rtol=1e-13, atol=1e-15)
