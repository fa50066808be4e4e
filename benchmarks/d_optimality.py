"""Active sets and grades of ACE features beside pacemaker's (`pyace.activelearning`), on one and two threads.

    python benchmarks/d_optimality.py [--quick] [--json FILE]

The 761 ACE features of tungsten A and B, 48,761 environments, made through pyace from `ASSAY_DATA` and kept in the
folder of temporary files. Each number of threads is a process of its own, in which ours and pyace's alternate. An
active set is at least 5 times as fast, with log|det| (columns divided by their largest values) at least pyace's − 0.1,
and takes at most 0.3 of the memory of the features; a grade reaches 85 % of the speed of the bare matrix product, K
grades take at most 1.1 × K products, and 10⁷ × 200 features that come in chunks stay below 2 GB. Growth with rows,
features, clusters and threads is fitted as a power and drawn into `results/d_optimality.svg`. `--quick` takes every
fourth row, every third feature, and 10⁵ rows of the stream; the volumes that two searches find differ by a unit or two
of the logarithm either way.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import ROOT, case, child, limit, main, missing, paired, peak_memory, timed

from assay.scores.d_optimality.maxvol import MaxVol, active_set, grades

BASIS = {
    "deltaSplineBins": 0.001,
    "elements": ["W"],
    "embeddings": {"ALL": {"npot": "FinnisSinclairShiftedScaled", "fs_parameters": [1, 1], "ndensity": 1}},
    "bonds": {
        "ALL": {
            "radbase": "SBessel",
            "radparameters": [5.25],
            "rcut": 6.0,
            "dcut": 0.01,
            "NameOfCutoffFunction": "cos",
        }
    },
    "functions": {
        "number_of_functions_per_element": 945,
        "ALL": {"nradmax_by_orders": [15, 6, 4, 3, 2, 2], "lmax_by_orders": [0, 4, 3, 2, 1, 0]},
    },
}
FILES = ("A-elastic", "B-bulk-and-defects")
SPEED, EFFICIENCY, CLUSTERS, MEMORY, STREAM_GB = 5.0, 0.85, 1.1, 0.3, 2.0


def data_files() -> list[Path]:
    return [Path(os.environ["ASSAY_DATA"]) / "tungsten" / f"{name}.extxyz.gz" for name in FILES]


def features(quick: bool) -> np.ndarray:
    """`(n, D)`, from the folder of temporary files or made anew; one file for each state of the data and the basis."""
    key = hashlib.sha256(json.dumps(BASIS).encode() + b"".join(path.read_bytes() for path in data_files()))
    path = Path(tempfile.gettempdir()) / f"assay-ace-{key.hexdigest()[:16]}.npy"
    if not path.exists():
        from ase.io import read
        from pyace import create_multispecies_basis_config
        from pyace.activelearning import compute_B_projections

        frames = [frame for name in data_files() for frame in read(name, ":")]
        made = compute_B_projections(create_multispecies_basis_config(BASIS), frames)
        found = np.asarray((made[0] if isinstance(made, tuple) else made)[0], float)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
            np.save(file, found)
        Path(file.name).replace(path)
    found = np.load(path)
    return np.ascontiguousarray(found[::4, ::3]) if quick else found


def log_volume(rows: np.ndarray, scale: np.ndarray) -> float:
    return float(np.linalg.slogdet(rows / scale)[1])


def on_threads(quick: bool) -> list[dict[str, Any]]:
    """The cases of this process, whose number of threads its environment has set."""
    from pyace.activelearning import compute_active_set, compute_extrapolation_grade

    threads = int(os.environ["OMP_NUM_THREADS"])
    f = features(quick)
    facts = {"rows": len(f), "features": f.shape[1], "threads": threads}
    name = f"{len(f)} × {f.shape[1]}, threads: {threads}"
    ours: list[Any] = []
    peer: list[Any] = []
    tracemalloc.start()
    active_set(f)
    grown = tracemalloc.get_traced_memory()[1] / f.nbytes
    tracemalloc.stop()
    pairs = paired(
        lambda: ours.append(active_set(f)), lambda: peer.append(compute_active_set({0: f}, tol=1.01)), 2 if quick else 3
    )
    scale = np.abs(f).max(axis=0)
    volumes = {"log_volume": ours[0].log_volume, "peer_log_volume": log_volume(peer[0][0], scale)}
    cases = [
        case(f"active set, {name}", pairs, SPEED, **facts, **volumes, largest=ours[0].largest, passes=ours[0].passes),
        limit(
            f"log volume below pyace's, {name}",
            volumes["peer_log_volume"] - volumes["log_volume"],
            0.1,
            "",
            **facts,
        ),
        limit(f"memory beside the features, {name}", grown, MEMORY, "of the features", **facts),
    ]
    inverse = ours[0].inverse
    asi = {0: inverse}
    repeats = 5 if quick else 9
    one = paired(lambda: grades(f, [inverse]), lambda: compute_extrapolation_grade({0: f}, asi), repeats)
    cases.append(case(f"grade, {name}", one, 1.0, **facts))
    out = np.empty_like(f)
    bare = paired(lambda: grades(f, [inverse]), lambda: np.matmul(f, inverse, out=out), repeats)
    cases.append(case(f"grade against the bare product, {name}", bare, EFFICIENCY, **facts))
    several = np.stack([inverse * (k + 1) for k in range(8)])
    many = paired(lambda: grades(f, several), lambda: [np.matmul(f, each, out=out) for each in several], 2)
    cases.append(case(f"8 grades in one pass, {name}", many, 1 / CLUSTERS, **facts, clusters=8))
    return [*cases, {"growth": growth(f, quick)}]


def growth(f: np.ndarray, quick: bool) -> dict[str, Any]:
    """Seconds for parts of the rows, of the features, and for numbers of clusters."""
    n, d = f.shape
    shares = (8, 4, 2, 1)
    inverse = np.linalg.inv(np.random.default_rng(0).normal(size=(d, d)))

    def seconds(run: Callable[[], object]) -> float:
        return min(timed(run).wall for _ in range(1 if quick else 2))

    found: dict[str, Any] = {}
    for axis, sizes in (("rows", [n // k for k in shares]), ("features", [d // k for k in shares])):
        sets, marks = [], []
        for size in sizes:
            part = np.ascontiguousarray(f[:: n // size][:size] if axis == "rows" else f[:, :size])
            sets.append(seconds(lambda part=part: active_set(part)))
            square = np.ascontiguousarray(inverse[: part.shape[1], : part.shape[1]])
            marks.append(seconds(lambda part=part, square=square: grades(part, [square])))
        found[f"active set, {axis}"], found[f"grade, {axis}"] = (sizes, sets), (sizes, marks)
    few = f[: n // 4]
    clusters = [1, 2, 4, 8]
    found["grade, clusters"] = (clusters, [seconds(lambda k=k: grades(few, [inverse] * k)) for k in clusters])
    return found


def streamed(quick: bool) -> dict[str, float]:
    """Peak memory and time of one pass over rows from a generator, in chunks of 8,192."""
    n, d = (100_000 if quick else 10_000_000), 200
    random = np.random.default_rng(0)
    mixing = random.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    fold, start, seen = MaxVol(d), time.perf_counter(), 0
    while seen < n:
        rows = min(8192, n - seen)
        fold.update(random.standard_normal((rows, d)) @ mixing)
        seen += rows
    found = fold.result()
    return {"GB": peak_memory(), "seconds": time.perf_counter() - start, "rows": n, "largest": found.largest}


def exponents(measured: dict[int, dict[str, Any]]) -> dict[str, float]:
    """b of t = a x^b by least squares of logarithms, for each curve; for threads from the largest size."""
    found = {}
    for threads, curves in measured.items():
        for name, (x, t) in curves.items():
            found[f"{name}, threads: {threads}"] = float(np.polyfit(np.log(x), np.log(t), 1)[0])
    first, last = min(measured), max(measured)
    for name in ("active set, rows", "grade, rows"):
        ratio = measured[last][name][1][-1] / measured[first][name][1][-1]
        found[f"{name.split(',')[0]}, number of threads"] = float(np.log(ratio) / np.log(last / first))
    return found


def draw(measured: dict[int, dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot as plt

    names = list(measured[1])
    figure, axes = plt.subplots(1, len(names), figsize=(3 * len(names), 3), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        for threads, curves in measured.items():
            x, t = curves[name]
            b = np.polyfit(np.log(x), np.log(t), 1)[0]
            axis.loglog(x, t, "o-", label=f"threads: {threads}, exponent {b:.2f}")
        axis.set(title=name.split(", ")[0], xlabel=name.split(", ")[1], ylabel="s")
        axis.legend(fontsize=7)
    figure.savefig(path)
    plt.close(figure)


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    stream = child(__file__, "stream", 2, quick)
    cases = [limit(f"stream of {stream['rows']} × 200", stream["GB"], STREAM_GB, "GB", **stream)]
    try:
        import pyace  # noqa: F401
    except ModuleNotFoundError:
        return [*cases, missing("active set", SPEED, "python-ace")], {}
    if not os.environ.get("ASSAY_DATA"):
        return [*cases, missing("active set", SPEED, "the folder of data, ASSAY_DATA,")], {}
    features(quick)
    measured = {}
    for threads in (1, 2):
        *found, last = child(__file__, "cases", threads, quick)
        cases += found
        measured[threads] = last["growth"]
    fitted = exponents(measured)
    cases = [each | {"exponents": fitted, "growth": measured} if i == 1 else each for i, each in enumerate(cases)]
    if not quick:
        draw(measured, ROOT / "benchmarks" / "results" / "d_optimality.svg")
    return cases, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in data_files()}


if __name__ == "__main__":
    if "--child" in sys.argv:
        work = {"stream": streamed, "cases": on_threads}[sys.argv[sys.argv.index("--child") + 1]]
        print(json.dumps(work("--quick" in sys.argv)))
    else:
        main(__doc__, run)
