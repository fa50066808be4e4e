"""The least squares on top of design rows beside a bare Gram matrix and one Cholesky: at most 1.3 times as long.

    python benchmarks/fit.py [--quick] [--json FILE]

As many rows as tungsten/A and B of the shared data have, for a quadratic SNAP of 2J = 8 (P = 1596). They are random and
ill-conditioned: a few strong directions and a tail over five orders of magnitude. They come block by block and are made
outside the timing. Ours takes each block in pieces the size of a frame: `NormalEquations` of 20 groups, `choose_ridge`,
and the solution. The peer takes whole blocks: `dsyrk` onto one matrix, one Cholesky, one solution; NumPy's `X.T @ X` of
a few blocks is timed too. Both with one BLAS thread, and (not with `--quick`) both with all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsyrk
from threadpoolctl import threadpool_limits
from timing import Seconds, case, main, peak_memory, timed

from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.results.arrays import Array

LIMIT = 1.3
P = 1596
BLOCK = 4096
BLOCKS = 36
FRAME_ROWS = 271
GROUPS = 20
STRONG = 64


def blocks(seed: int) -> Iterator[tuple[Array, Array]]:
    """Rows `(BLOCK, P)` and targets `(BLOCK,)`."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((STRONG, P))
    tail = rng.permutation(np.logspace(-1, -6, P))
    theta = rng.standard_normal(P)
    for _ in range(BLOCKS):
        rows = rng.standard_normal((BLOCK, P)) * tail
        rows += rng.standard_normal((BLOCK, STRONG)) @ mixing
        yield rows, rows @ theta + 0.1 * rng.standard_normal(BLOCK)


class Bare:
    """`G += XᵀX`, `b += Xᵀy`, and `G⁻¹ b` by Cholesky."""

    def __init__(self) -> None:
        self.gram, self.moment = np.zeros((P, P), order="F"), np.zeros(P)

    def update(self, rows: Array, targets: Array) -> None:
        self.gram = dsyrk(1.0, rows.T, beta=1.0, c=self.gram, overwrite_c=True)
        self.moment += targets @ rows

    def solve(self) -> Array:
        self.gram[np.diag_indices(P)] *= 1 + 1e-10
        return np.asarray(cho_solve(cho_factor(self.gram, overwrite_a=True, check_finite=False), self.moment))


def one_pass(seed: int) -> tuple[Seconds, Seconds, dict[str, float]]:
    """Ours and the peer's on the same blocks in turn, and the parts of ours with NumPy's product for comparison."""
    equations, bare = NormalEquations(P, GROUPS), Bare()

    def update(rows: Array, targets: Array, group: int) -> None:
        for start in range(0, BLOCK, FRAME_ROWS):
            equations.update(group, rows[start : start + FRAME_ROWS], targets[start : start + FRAME_ROWS])

    ours, theirs, numpy_product = [], [], []
    for k, (rows, targets) in enumerate(blocks(seed)):
        group = k * GROUPS // BLOCKS
        ours.append(timed(lambda r=rows, y=targets, g=group: update(r, y, g)))
        theirs.append(timed(lambda r=rows, y=targets: bare.update(r, y)))
        if k < 3:
            numpy_product.append(timed(lambda r=rows: r.T @ r).wall)
    parts = {"accumulate": total(ours).wall, "bare_accumulate": total(theirs).wall}
    parts["numpy_accumulate"] = min(numpy_product) * BLOCKS
    ridge: list[float] = []
    ours.append(timed(lambda: ridge.append(choose_ridge(equations))))
    parts["choose_ridge"] = ours[-1].wall
    ours.append(timed(lambda: equations.system().solve(ridge[0])))
    theirs.append(timed(bare.solve))
    return total(ours), total(theirs), parts | {"ridge": ridge[0]}


def total(times: list[Seconds]) -> Seconds:
    return Seconds(sum(t.wall for t in times), sum(t.cpu for t in times))


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    cases = []
    for threads in [1] if quick else [1, os.cpu_count() or 1]:
        with threadpool_limits(threads):
            passes = [one_pass(seed) for seed in range(1 if quick else 3)]
        name = f"fit, P = {P}, {BLOCK * BLOCKS} rows, BLAS threads: {threads}"
        pairs = [(ours, theirs) for ours, theirs, _ in passes]
        cases.append(case(name, pairs, 1 / LIMIT, parts=[p for *_, p in passes], peak_GB=peak_memory()))
    return cases, {}


if __name__ == "__main__":
    main(__doc__, run)
