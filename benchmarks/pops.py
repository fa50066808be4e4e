"""The POPS posterior beside `POPSRegression`, and the price of many members.

    python benchmarks/pops.py [--quick] [--json FILE]

Design rows of 761 ACE functions for tungsten, energies per atom and forces of A and B (146,961 rows), made through
pyace from `ASSAY_DATA` and kept in the folder of temporary files (a quarter of an hour). Both start from the rows in
memory, maximise the evidence, keep the upper half of the leverages (the peer's default), bound the corrections and
draw 100 members. A fit is at least 5 times as fast as the peer's, takes at most 0.3 of its memory (both beside the
rows), and at most 2.5 times as long as a bare ridge regression by normal equations. Each number of threads is a process
of its own.

500 members' energies and forces take at most 1.5 times as long as one member's, from one evaluation of the rows of
quadratic SNAP (P = 1,596) each; `pair_style snap` with one member is timed beside them.
`--quick` takes every twentieth frame and 300 functions.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from ase.io import read
from d_optimality import data_files
from scipy.linalg import cho_factor, cho_solve
from timing import case, child, limit, main, missing, paired, timed

from assay.execution.workers import map_frames
from assay.frames.frame import Frame, file_hash
from assay.frames.reading import read_frames
from assay.linear.normal_equations import NormalEquations
from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.pops import Corrections, Hypercube
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

SPEED, MEMORY, RIDGE, MEMBERS = 5.0, 0.3, 2.5, 1.5
DRAWN = 100
SIZES = (30_000, 146_961)
CONSTANT = -12.9
"""eV per atom of tungsten, about: energies above it are of the size of forces."""


def source(quick: bool) -> Ace:
    """761 functions; 300 for a quick look."""
    if quick:
        return Ace(AceBasis(("W",)))
    return Ace(
        AceBasis(
            ("W",),
            number_of_functions_per_element=945,
            nradmax_by_orders=(15, 6, 4, 3, 2, 2),
            lmax_by_orders=(0, 4, 3, 2, 1, 0),
        )
    )


def design_rows(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """`(n, P)` and `(n,)`, columns of unit norm; from the folder of temporary files or made anew."""
    rows_of = RowsOf(source(quick))
    key = hashlib.sha256(repr(rows_of).encode() + b"".join(path.read_bytes() for path in data_files()))
    path = Path(tempfile.gettempdir()) / f"assay-rows-{key.hexdigest()[:16]}.npy"
    if not path.exists():
        frames = (frame for name in data_files() for frame in read_frames(name, labels="needed"))
        chosen = islice(frames, 0, None, 20 if quick else 1)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
            np.save(file, np.vstack([block for _, block in map_frames(rows_of, chosen)]))
        Path(file.name).replace(path)
    found = np.load(path)
    rows = np.ascontiguousarray(found[:, :-1])
    return rows / np.linalg.norm(rows, axis=0), found[:, -1].copy()


@dataclass(frozen=True)
class RowsOf:
    """The energy per atom (the constant has its mean over tungsten) and the forces of a frame, targets last."""

    source: Ace

    def __call__(self, frame: Frame) -> np.ndarray:
        design, n = self.source.design(frame.atoms), len(frame.atoms)
        rows = np.vstack([design.energy_row[1:] / n, design.force_rows[:, 1:]])
        return np.column_stack([rows, np.append(frame.energy / n - CONSTANT, frame.forces)])


def ours(rows: np.ndarray, targets: np.ndarray, found: list[Any]) -> None:
    equations = NormalEquations(rows.shape[1], 1)
    equations.update(0, rows, targets)
    fit = BayesianRidge(2).fit(equations, None, seed=0)
    factor = equations.system().stable_factor(fit.ridge)
    corrections = Corrections.fit(rows, targets, factor, fit.theta, leverage_percentile=50.0)
    box = Hypercube.fit(corrections)
    found[:] = [fit.theta, box.draw(DRAWN), corrections]


def peers(rows: np.ndarray, targets: np.ndarray, found: list[Any]) -> None:
    from popsregression import POPSRegression

    fit = POPSRegression(resample_density=DRAWN / len(rows)).fit(rows, targets)
    found[:] = [fit.coef_, fit.posterior_samples_, fit]


def bare_ridge(rows: np.ndarray, targets: np.ndarray) -> None:
    gram = rows.T @ rows
    np.fill_diagonal(gram, gram.diagonal() + 1e-8)
    cho_solve(cho_factor(gram, overwrite_a=True), rows.T @ targets)


def grown(run: Callable[[], object]) -> float:
    """Peak of what NumPy allocates while this runs, GB."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1] / 1e9
    tracemalloc.stop()
    return peak


def on_threads(quick: bool) -> list[dict[str, Any]]:
    """The cases of this process, whose number of threads its environment has set."""
    rows, targets = design_rows(quick)
    sizes = (len(rows),) if quick else SIZES
    chosen = [np.linspace(0, len(rows) - 1, size).astype(int) if size < len(rows) else slice(None) for size in sizes]
    return [each for some in chosen for each in beside_peer(rows[some], targets[some])]


def beside_peer(rows: np.ndarray, targets: np.ndarray) -> list[dict[str, Any]]:
    facts = {"rows": len(rows), "coefficients": rows.shape[1], "threads": int(os.environ["OMP_NUM_THREADS"])}
    name = f"{len(rows)} × {rows.shape[1]}, threads: {facts['threads']}"
    mine: list[Any] = []
    theirs: list[Any] = []
    pairs = paired(lambda: ours(rows, targets, mine), lambda: peers(rows, targets, theirs), 3)
    told, expected = rows @ mine[0], rows @ theirs[0]
    deviation = float(np.abs(told - expected).max() / told.std())
    memory = [grown(lambda run=run: run(rows, targets, [])) for run in (ours, peers)]
    alone = paired(lambda: ours(rows, targets, mine), lambda: bare_ridge(rows, targets), 3)
    ratio = median(one.wall / other.wall for one, other in alone)
    return [
        case(f"fit, {name}", pairs, SPEED, **facts, deviation=deviation),
        limit(f"peak memory, {name}", *memory, "GB", MEMORY, **facts, rows_GB=rows.nbytes / 1e9),
        limit(f"against a bare ridge regression, {name}", ratio, 1.0, "×", RIDGE, **facts),
    ]


def many_members(quick: bool) -> list[dict[str, Any]]:
    """500 members' predictions against one member's, by the rows and by `pair_style snap`."""
    frames = read(data_files()[1], ":40" if quick else ":")
    frame = min(frames, key=lambda each: abs(len(each) - 128))
    snap = Snap(SnapSettings(("W",), twojmax=6 if quick else 8, quadratic=True))
    members = 1e-3 * np.random.default_rng(0).normal(size=(500, snap.coefficients))
    snap.predictions(frame, members)
    pairs = paired(lambda: snap.predictions(frame, members), lambda: snap.predictions(frame, members[:1]), 9)
    ratio = median(many.wall / one.wall for many, one in pairs)
    calculator = snap.calculator(members[0])

    def pair_style() -> None:
        moved = frame.copy()
        moved.positions += 1e-3
        calculator.calculate(moved, ["energy", "forces"])

    pair_style()
    by_pair_style = median(timed(pair_style).wall for _ in range(9))
    facts = {"atoms": len(frame), "coefficients": snap.coefficients, "pair_style_snap_s": by_pair_style}
    one = median(each.wall for _, each in pairs)
    return [limit(f"500 members against one, {len(frame)} atoms", ratio, 1.0, "×", MEMBERS, **facts, one_member_s=one)]


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    hashes = {path.name: file_hash(path) for path in data_files()}
    try:
        import popsregression  # noqa: F401
        import pyace  # noqa: F401
    except ModuleNotFoundError as error:
        return [missing("fit", SPEED, str(error.name))], hashes
    design_rows(quick)
    cases = []
    for threads in (1, 2):
        cases += child(__file__, "cases", threads, quick)
    return cases + many_members(quick), hashes


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(on_threads("--quick" in sys.argv)))
    else:
        main(__doc__, run)
