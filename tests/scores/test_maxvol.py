"""MaxVol: against every possible active set, against pyace, converged over all rows, and invariant."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.scores.d_optimality import maxvol
from assay.scores.d_optimality.coarse import Coarse, follow_swaps
from assay.scores.d_optimality.exchange import Basis, pivots, swaps
from assay.scores.d_optimality.maxvol import TOLERANCE, MaxVol, active_set, converge, default_floor, grades
from assay.scores.features.row_blocks import column_maxima


def skewed(n: int, d: int, seed: int = 0) -> NDArray[np.float64]:
    """Rows of very different lengths in correlated columns: thousands of swaps are due after any start."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.lognormal(sigma=1.0, size=(n, 1)) @ (rng.normal(size=(d, d)) + 3.0 * np.eye(d))


def volume(features: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    return float(abs(np.linalg.det(features[rows])))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n", "d"), [(9, 2), (12, 3), (11, 4), (5, 5)])
def test_no_swap_raises_the_determinant_and_no_set_beats_the_bound(n: int, d: int, seed: int):
    """Every one of the n!/(d!(n-d)!) sets is tried.

    A set that no swap of one row enlarges by more than `TOLERANCE` has all |C_ij| ≤ `TOLERANCE`; by Hadamard's
    inequality no other set is more than (TOLERANCE √D)^D times larger (Goreinov et al. 2010).
    """
    rows = np.random.default_rng(seed).normal(size=(n, d))
    chosen = active_set(rows).rows
    assert len(set(chosen.tolist())) == d
    best = max(volume(rows, np.array(each)) for each in combinations(range(n), d))
    one_swap = max(volume(rows, np.array([*chosen[:j], i, *chosen[j + 1 :]])) for i in range(n) for j in range(d))
    assert one_swap <= TOLERANCE * volume(rows, chosen) * (1 + 1e-9)
    assert best <= (TOLERANCE * np.sqrt(d)) ** d * volume(rows, chosen)


def test_the_largest_set_is_found_nearly_always():
    """Of 40 random problems with 11 rows and 3 columns, measured against all 165 sets of each."""
    ratios = []
    for seed in range(40):
        rows = np.random.default_rng(seed).normal(size=(11, 3))
        best = max(volume(rows, np.array(each)) for each in combinations(range(11), 3))
        ratios.append(volume(rows, active_set(rows).rows) / best)
    assert sum(ratio > 0.99 for ratio in ratios) >= 32
    assert min(ratios) > 0.6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (7, 20), (500, 4), (6000, 30), (9000, 90), (3000, 200)])
def test_no_row_has_a_coefficient_above_the_tolerance(n: int, d: int, dtype: type):
    features = skewed(n, d).astype(dtype)
    before = features.copy()
    found = active_set(features)
    np.testing.assert_array_equal(features, before)
    gamma = np.abs(features.astype(float) @ found.inverse).max()
    assert gamma <= TOLERANCE
    assert found.largest == pytest.approx(gamma, rel=1e-6)
    real = found.rows >= 0
    assert real.sum() == min(n, d), "one row for each direction that they span"
    np.testing.assert_allclose(
        (features[found.rows[real]].astype(float) @ found.inverse)[:, real], np.eye(d)[real][:, real], atol=1e-6
    )
    assert found.log_volume == pytest.approx(
        -np.linalg.slogdet(found.inverse * column_maxima(features)[:, None])[1], abs=1e-6
    )


def test_rows_on_a_sphere_that_all_could_be_in_the_set():
    """Nearly every row has a coefficient near 1, so that the 8-bit copy rules nothing out."""
    features = np.random.default_rng(0).normal(size=(5000, 3))
    features /= np.linalg.norm(features, axis=1)[:, None]
    assert np.abs(features @ active_set(features).inverse).max() <= TOLERANCE


@pytest.mark.parametrize("layout", ["fortran", "strided", "reversed", "memmap"])
def test_layout_does_not_count(layout: str, tmp_path: Path):
    features = skewed(3000, 12)
    if layout == "memmap":
        np.save(tmp_path / "features.npy", features)
        same = np.load(tmp_path / "features.npy", mmap_mode="r")
    elif layout == "strided":
        same = np.repeat(np.repeat(features, 2, axis=0), 3, axis=1)[::2, ::3]
    else:
        same = np.asfortranarray(features) if layout == "fortran" else features[::-1].copy()[::-1]
    np.testing.assert_array_equal(active_set(same).rows, active_set(features).rows)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (5000, 25)])
def test_units_of_columns_do_not_count(n: int, d: int):
    """The same rows for columns in units of 12 decades; the coefficients are what they were."""
    features = skewed(n, d)
    units = 10.0 ** np.random.default_rng(1).integers(-6, 7, size=d)
    plain, scaled = active_set(features), active_set(features * units)
    np.testing.assert_array_equal(scaled.rows, plain.rows)
    np.testing.assert_allclose(
        scaled.inverse * units[:, None], plain.inverse, rtol=1e-6, atol=1e-9 * np.abs(plain.inverse).max()
    )
    assert scaled.log_volume == pytest.approx(plain.log_volume, abs=1e-9)


DEFICIENT = {"duplicates": 0, "constant columns": 2, "collinear columns": 2, "fewer rows": 3, "zero column": 1}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", DEFICIENT)
def test_rows_of_the_identity_stand_for_what_is_not_spanned(name: str, dtype: type):
    """As many as the rank is short, and a new environment along such a direction is far away."""
    f = skewed(300, 8)
    if name == "duplicates":
        f = np.repeat(f, 3, axis=0)
    elif name == "constant columns":
        f[:, :3] = [1.0, -2.0, 1e-3]
    elif name == "collinear columns":
        f[:, 6:] = f[:, :6] @ np.random.default_rng(1).normal(size=(6, 2))
    elif name == "fewer rows":
        f = f[:5]
    else:
        f[:, 4] = 0.0
    f = f.astype(dtype)
    found = active_set(f)
    assert np.sum(found.rows < 0) == DEFICIENT[name]
    assert np.abs(f.astype(float) @ found.inverse).max() <= TOLERANCE
    _, s, vt = np.linalg.svd(f.astype(float) / found_scale(f), full_matrices=True)
    null = vt[np.sum(s > 1e-5 * s[0]) :] * found_scale(f)
    assert len(null) == DEFICIENT[name]
    for direction in null:
        assert grades(f[:1] + 0.1 * direction, [found.inverse])[0, 0] > 100.0


def found_scale(f: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = column_maxima(f)
    return np.where(largest > 0, largest, largest.max())


def test_not_finite_features_are_named():
    features = np.ones((5, 3))
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match="environment 3 are not finite"):
        active_set(features)


@pytest.mark.parametrize("tolerance", [1.0, 0.9, np.nan])
def test_a_tolerance_that_can_not_be_met_is_refused(tolerance: float):
    for start in (lambda: active_set(np.eye(3), tolerance=tolerance), lambda: MaxVol(3, tolerance=tolerance)):
        with pytest.raises(ValueError, match="must be above 1"):
            start()


def test_pivots_never_make_the_volume_smaller_and_swaps_end_at_the_tolerance():
    c = np.random.default_rng(0).normal(size=(60, 7)) * 3.0
    taken = pivots(c)
    after = np.where((taken >= 0)[:, None], c[taken], np.eye(7))
    assert abs(np.linalg.det(after)) > 1.0
    before = c.copy()
    taken = swaps(c, 1.05)
    after = np.where((taken >= 0)[:, None], before[taken], np.eye(7))
    np.testing.assert_allclose(c, before @ np.linalg.inv(after), atol=1e-9)
    assert np.abs(c).max() <= 1.05


def test_bounds_of_the_8_bit_copy_hold_and_are_tight():
    """After swaps of 1 to 30 of 40 places; rows of very different sizes, one of them zero."""
    features = skewed(3000, 40)
    features[17] = 0.0
    basis = Basis(40, 1e-9)
    basis.widen(column_maxima(features))
    basis.swap(features[:200], np.arange(200), 1.5)
    coarse = Coarse(features, basis, threads=2)
    np.testing.assert_allclose(coarse.gamma, np.abs(features @ basis.inverse()).max(axis=1), rtol=1e-9, atol=1e-12)
    random = np.random.default_rng(0)
    rows = random.permutation(3000)[:2500]
    for k in (1, 3, 10, 30):
        basis.swap(features[(fresh := random.choice(3000, k))], fresh, 1.0)
        exact = np.abs(features[rows] @ np.linalg.inv(basis.active)).max(axis=1)
        bound = coarse.bounds(basis, rows)
        assert np.all(bound >= exact * (1 - 1e-9))
        assert np.median(bound / np.maximum(exact, 1e-9)) < 1.3


def test_swaps_are_followed_in_rows_that_were_far_from_the_set():
    """When (1.5, 1) takes the place of (1, 0), the coefficients of (-0.6, 0.65) grow to (-0.4, 1.05).

    The hundred rows (0.9, 0.05) were nearer to the set before, and fill the quarter that is watched.
    """
    features = np.array([[1.0, 0.0], [0.0, 1.0], [1.5, 1.0], [-0.6, 0.65], *[[0.9, 0.05]] * 100])
    basis = Basis(2, 1e-9)
    basis.widen(column_maxima(features))
    basis.put(np.arange(2), features[:2], np.arange(2))
    assert follow_swaps(basis, features, Coarse(features, basis), 1, until=1.01) == pytest.approx(1.0)
    assert sorted(basis.rows.tolist()) == [2, 3]


@pytest.mark.parametrize(("seed", "floor"), [(5, 0.1), (11, 0.3)])
def test_a_large_identity_is_converged_too(seed: int, floor: float):
    features = skewed(2000, 20, seed)
    found = active_set(features, floor=floor)
    assert np.abs(floor * column_maxima(features)[:, None] * found.inverse).max() <= TOLERANCE
    assert np.abs(features @ found.inverse).max() <= TOLERANCE


def chunked(features: NDArray[np.float64], pieces: int) -> Iterator[NDArray[np.float64]]:
    yield from np.array_split(features, pieces)


@pytest.mark.parametrize(("buffer", "pieces"), [(50, 40), (4096, 3), (300, 1)])
def test_passes_over_a_source_end_converged(monkeypatch: pytest.MonkeyPatch, buffer: int, pieces: int):
    """The second pass of the first case swaps once more, so that a third is due."""
    monkeypatch.setattr(maxvol, "BUFFER", buffer)
    features = skewed(2000, 12, seed=9)
    seen: list[float] = []
    found = converge(lambda: chunked(features, pieces), progress=lambda _, largest: seen.append(largest))
    gamma = np.abs(features @ found.inverse).max()
    assert found.largest == pytest.approx(gamma, rel=1e-9)
    assert gamma <= TOLERANCE
    assert found.passes == len(seen) == (3 if buffer == 50 else 2)
    np.testing.assert_allclose(np.linalg.inv(found.inverse), features[found.rows], rtol=1e-6, atol=1e-9)


def test_one_pass_says_what_it_measured(monkeypatch: pytest.MonkeyPatch):
    """`largest` is a lower bound of the largest coefficient, and rows that are kept bring it near to 1."""
    monkeypatch.setattr(maxvol, "BUFFER", 40)
    missed = 0
    for seed in range(6):
        features = skewed(1500, 8, seed)
        fold = MaxVol(8)
        for chunk in chunked(features, 50):
            fold.update(chunk)
        exact = np.abs(features @ fold.inverse()).max()
        assert 1.0 - 1e-9 <= fold.largest <= exact * (1 + 1e-9)
        assert fold.largest <= TOLERANCE
        missed += exact > TOLERANCE
        assert exact < 1.42
    assert missed, "one pass can't promise more"


def test_a_chunk_may_be_overwritten_after_it_was_given():
    features = skewed(100, 4)
    fold, buffer = MaxVol(4), np.empty((10, 4))
    for chunk in chunked(features, 10):
        buffer[:] = chunk
        fold.update(buffer)
    np.testing.assert_allclose(np.linalg.inv(fold.inverse()), features[fold.result().rows])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_merging_may_change_the_set_but_not_the_guarantee(order: tuple[int, ...]):
    parts = [skewed(700, 9, seed) for seed in range(3)]
    parts[1] = parts[1][:4]
    folds = []
    for i in order:
        folds.append(MaxVol(9))
        folds[-1].update(parts[i])
    folds[0].merge(folds[1])
    folds[0].merge(folds[2])
    whole = np.concatenate([parts[i] for i in order])
    merged = folds[0].result()
    np.testing.assert_allclose(np.linalg.inv(merged.inverse), whole[merged.rows], rtol=1e-6, atol=1e-9)
    found = converge(lambda: (parts[i] for i in order), start=folds[0])
    assert np.abs(whole @ found.inverse).max() <= TOLERANCE
    np.testing.assert_allclose(np.linalg.inv(found.inverse), whole[found.rows], rtol=1e-6, atol=1e-9)


def test_a_source_without_chunks_is_refused():
    with pytest.raises(ValueError, match="at least one chunk"):
        converge(lambda: [])


def test_grades_of_several_sets_in_one_pass_by_hand():
    """Rows (2, 0), (0, 3), and their halves: γ of (x, y) is max(|x|/2, |y|/3), and twice that."""
    features = np.array([[2.0, 0.0], [1.0, 1.0], [-5.0, 1.0], [1.0, 6.0], [0.0, 0.0]])
    one = np.diag([1 / 2, 1 / 3])
    expected = np.array([1.0, 0.5, 2.5, 2.0, 0.0])
    for given in (features, iter([features[:2], features[2:]]), features.astype(np.float32)):
        np.testing.assert_allclose(grades(given, np.array([one, 2 * one])), [expected, 2 * expected])
    assert grades(np.empty((0, 2)), [one]).shape == (1, 0)


def test_memory_of_an_active_set():
    """At most 0.3 times the features: an eighth for the 8-bit copy, and the candidates."""
    features = skewed(60_000, 60)
    tracemalloc.start()
    active_set(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * features.nbytes


def test_float32_features_are_multiplied_in_float64():
    """Of ill-conditioned rows: what 4 bytes round off is there once, in the features, and not in the product too."""
    f = skewed(2000, 20)
    f[:, 10:] = f[:, :10] + 1e-3 * f[:, 10:]
    stored = f.astype(np.float32)
    inverse = active_set(stored).inverse
    np.testing.assert_array_equal(grades(stored, [inverse]), grades(stored.astype(float), [inverse]))


def test_floor_of_a_type():
    assert default_floor(np.dtype(np.float64)) == pytest.approx(3.667e-11, rel=1e-3)
    assert default_floor(np.dtype(np.float32)) == pytest.approx(2.422e-5, rel=1e-3)


@pytest.mark.parametrize("points", [12, 60, 200])
def test_rows_on_a_smooth_curve_span_fewer_directions_than_rounding_errors_make_believe(points: int):
    """Gaussians along a line: singular values fall to nothing, and an LU of them is left with rounding errors."""
    t = np.linspace(-1, 1, points)
    features = np.exp(-((t[:, None] - np.linspace(-1, 1, 300)) ** 2) / 4)
    found = active_set(features)
    assert found.largest <= 1.01
    assert grades(features, [found.inverse])[0].max() <= 1.01 + 1e-6
    assert 5 <= np.count_nonzero(found.rows >= 0) <= 25
    off_the_curve = features[points // 2] + np.where(np.arange(300) % 2 == 0, 1e-3, -1e-3)
    assert grades(off_the_curve[None], [found.inverse])[0] > 1e3
