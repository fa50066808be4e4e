"""MaxVol: the D rows of `(n, D)` features with the largest determinant, and γ, the largest coefficient in them.

`f_iᵀ = c_iᵀ A`, `γ_i = max_j |c_ij|`. Taking row i in place of row j multiplies `|det A|` by `|c_ij|`, so the set is
converged when no |c_ij| exceeds the tolerance (Goreinov et al. 2010, doi:10.1142/9789812836021_0015; Podryabinkin and
Shapeev 2017, doi:10.1016/j.commatsci.2017.08.031).

The rows of a small identity, in units of the columns' largest values, are always among the candidates and stand in for
directions that no row spans (`docs/decisions/identity-in-maxvol.md`): there is an active set for any features, and γ
is large along such directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.results.arrays import Array
from assay.scores.d_optimality.coarse import Coarse, follow_swaps
from assay.scores.d_optimality.exchange import Basis, Indices
from assay.scores.features.row_blocks import block_threads, column_maxima, each_block, float64, largest, top

TOLERANCE = 1.01
INNER = 0.9
"""Where a coefficient exceeds the tolerance, swaps go on until none exceeds `1 + INNER (tolerance − 1)`."""
BUFFER = 4096
"""Rows that a stream collects before it looks for swaps."""

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class ActiveSet:
    """D rows of the features, or of the identity where the features span fewer directions.

    `inverse` `(D, D)`: A⁻¹ in units of 1/features; γ of f is the largest |f @ inverse|. `rows` `(D,)`: which row of the
    features each row of A is; -1 for a row of the identity. `largest`: the largest |coefficient| of any row, measured.
    `passes`: products with all rows that it took. `log_volume`: log |det A|, columns divided by their largest values.
    """

    inverse: Array
    rows: Indices
    largest: float
    passes: int
    log_volume: float


def default_floor(dtype: np.dtype) -> float:
    """Size of the identity in units of the columns' largest values: `eps^(2/3)`; 3.7e-11, for float32 2.4e-5."""
    eps = float(np.finfo(np.float32 if dtype == np.float32 else np.float64).eps)
    return float(eps ** (2 / 3))


def active_set(
    features: Array, *, tolerance: float = TOLERANCE, floor: float | None = None, progress: Progress | None = None
) -> ActiveSet:
    """The active set of features in memory or in a memory map: no row has a coefficient above `tolerance`.

    After a start from rows of large leverage comes one product with all rows. Swaps, and the rows that they concern,
    are then followed in an 8-bit copy of the coefficients (an eighth of the memory of float64 features), which bounds
    each coefficient; rows that may exceed 1 are computed again.

    `features`: `(n, D)` float64 or float32, any strides, never modified. `floor`: `default_floor` of their type.
    `progress(pass, largest)` is called after each product with all rows. Features that are not finite, and a tolerance
    that is not above 1, raise `ValueError`.
    """
    d = features.shape[1]
    _check(tolerance)
    basis = Basis(d, default_floor(features.dtype) if floor is None else floor)
    until = 1.0 + INNER * (tolerance - 1.0)
    basis.widen(column_maxima(features))
    with block_threads(len(features)) as threads:
        _start(basis, features, threads)
        passes, found, floor = 0, np.inf, basis.floor
        while found > tolerance or basis.settle(tolerance) or basis.floor > floor:
            floor = basis.floor
            coarse = Coarse(features, basis, threads)
            passes, found = passes + 1, float(coarse.gamma.max(initial=0.0))
            if progress:
                progress(passes, found)
            if found > tolerance:
                found = follow_swaps(basis, features, coarse, candidates(d), until)
        return result(basis, found, passes)


def _check(tolerance: float) -> None:
    if not tolerance > 1.0:
        raise ValueError(f"the tolerance must be above 1, or exchanges never end; got {tolerance}")


def _start(basis: Basis, features: Array, threads: int) -> None:
    """A set of large volume: pivots of evenly spaced rows, then twice of the rows of largest leverage.

    The leverage is ‖c‖², estimated by that of 16 random combinations of the coefficients.
    """
    n, d = features.shape
    pool = np.arange(0, n, max(1, n // candidates(d)))
    basis.pivot(float64(features[pool]), pool)
    random, leverage = np.random.default_rng(0), np.empty(n)
    for _ in range(2 if len(pool) < n else 0):
        sketch = basis.inverse() @ random.normal(size=(d, 16))

        def estimate(rows: slice, sketch: Array = sketch) -> None:
            leverage[rows] = ((float64(features[rows]) @ sketch) ** 2).sum(axis=1)

        each_block(estimate, n, threads)
        pool = top(leverage, candidates(d))
        basis.pivot(float64(features[pool]), pool)


def candidates(d: int) -> int:
    """Rows that swaps choose from: those with the largest coefficients."""
    return max(2 * d, 1024)


def result(basis: Basis, largest: float, passes: int) -> ActiveSet:
    return ActiveSet(basis.renew(), basis.rows.copy(), largest, passes, basis.log_volume())


class MaxVol:
    """Active set as a fold over chunks of features `(n, D)`: `update(chunk)`, `merge(other)`, `result()`.

    One pass can't promise a converged set: a row that lost its place, or never had one, is not seen again. So D rows
    that came nearest to a place or lost one are kept and tried again with each swap; `largest` is the largest
    |coefficient| of these and of the set: a lower bound of that over all rows. `converge` makes it certain.
    """

    def __init__(self, features: int, *, tolerance: float = TOLERANCE, floor: float | None = None) -> None:
        _check(tolerance)
        self._basis = Basis(features, default_floor(np.dtype(float)) if floor is None else floor)
        self._tolerance = tolerance
        self._buffer: list[tuple[Array, Indices]] = []
        self._kept = np.empty((0, features)), np.empty(0, np.int64)
        self._seen = 0
        self.changed = False
        """whether a row changed places since the start"""
        self.met = 0.0
        """the largest |coefficient| that any row had when it came"""

    def update(self, chunk: Array) -> None:
        self._add(np.array(chunk, dtype=np.float64), self._seen + np.arange(len(chunk)))
        self._seen += len(chunk)

    def merge(self, other: MaxVol) -> None:
        """Add the set and the kept rows of another, numbered as if its stream had followed this one."""
        other._flush()
        real = other._basis.rows >= 0
        self._basis.widen(other._basis.maxima)
        for chunk, rows in ((other._basis.active[real], other._basis.rows[real]), other._kept):
            self._add(chunk, self._seen + rows)
        self._seen += other._seen

    def _add(self, chunk: Array, rows: Indices) -> None:
        self._buffer.append((chunk, rows))
        if sum(len(rows) for _, rows in self._buffer) >= BUFFER:
            self._flush()

    def _flush(self) -> None:
        chunk, rows = (np.concatenate(each) for each in zip(*self._buffer, self._kept, strict=True))
        self._buffer = []
        basis = self._basis
        self.changed |= basis.widen(column_maxima(chunk))
        gamma = grades(chunk, [basis.inverse()])[0]
        self.met = max(self.met, float(gamma.max(initial=0.0)))
        while gamma.max(initial=0.0) > self._tolerance or basis.settle(self._tolerance):
            self.changed = True
            before = basis.active.copy(), basis.rows.copy()
            pool = top(gamma, candidates(len(basis.rows)))
            if np.count_nonzero(gamma > self._tolerance) > len(basis.rows) // 2:
                basis.pivot(chunk[pool], rows[pool])
            basis.swap(chunk[pool], rows[pool], 1.0 + INNER * (self._tolerance - 1.0))
            lost = (before[0] != basis.active).any(axis=1) & (before[1] >= 0)
            chunk, rows = np.concatenate([chunk, before[0][lost]]), np.concatenate([rows, before[1][lost]])
            gamma = grades(chunk, [basis.renew()])[0]
        gamma[np.isin(rows, basis.rows)] = 0.0
        kept = top(gamma, len(basis.rows))
        self._kept = chunk[kept], rows[kept]

    def restart(self) -> None:
        """Read the same rows again, from the first: numbers of rows, `met` and `changed` start anew."""
        self._flush()
        self._seen, self.met, self.changed = 0, 0.0, False

    def result(self, passes: int = 1) -> ActiveSet:
        self._flush()
        return result(self._basis, float(grades(self._kept[0], [self._basis.inverse()]).max(initial=1.0)), passes)

    def inverse(self) -> Array:
        """`(D, D)` A⁻¹. The published artefact, hence explicit."""
        return self.result().inverse

    @property
    def largest(self) -> float:
        return self.result().largest


def converge(
    chunks: Callable[[], Iterable[Array]],
    *,
    start: MaxVol | None = None,
    tolerance: float = TOLERANCE,
    floor: float | None = None,
    progress: Progress | None = None,
) -> ActiveSet:
    """The active set of a source that can be read again: passes until one makes no swap, in bounded memory.

    `chunks()` gives the chunks `(n, D)` anew, always the same. `start`: a fold, merged from several, say, to go on
    from; its `tolerance` and `floor` hold. No chunk raises `ValueError`.
    """
    fold, passes = start, 0
    while True:
        for k, chunk in enumerate(chunks()):
            if fold is None:
                floor = default_floor(chunk.dtype) if floor is None else floor
                fold = MaxVol(chunk.shape[1], tolerance=tolerance, floor=floor)
            if k == 0:
                fold.restart()
            fold.update(chunk)
        if fold is None:
            raise ValueError("an active set needs at least one chunk of features; the source has none")
        found, passes = fold.result(passes + 1), passes + 1
        if progress:
            progress(passes, fold.met)
        if not fold.changed:
            return replace(found, largest=fold.met)


def grades(features: Array | Iterable[Array], inverses: Array | Sequence[Array]) -> Array:
    """γ against K active sets in one pass over the features: `γ_ki = max_j |f_i A_k⁻¹|_j`, `(K, n)`.

    `features`: `(n, D)`, or blocks of them as they come; float32 is multiplied in float64, block by block, because A⁻¹
    is too ill-conditioned for less. `inverses`: `(K, D, D)` or a list of `(D, D)`.
    """
    chunks = [features] if isinstance(features, np.ndarray) else features
    return np.concatenate([np.empty((len(inverses), 0)), *(_grades(chunk, inverses) for chunk in chunks)], axis=1)


def _grades(features: Array, inverses: Array | Sequence[Array]) -> Array:
    gamma = np.empty((len(inverses), len(features)))

    def fill(rows: slice) -> None:
        f = float64(features[rows])
        for k, inverse in enumerate(inverses):
            gamma[k, rows] = largest(f @ inverse)

    with block_threads(len(features)) as threads:
        each_block(fill, len(features), threads)
    return gamma
