"""Scores of densities and metrics beside the packages that have them, on one and two threads.

    python benchmarks/compare.py [--quick] [--json FILE]

Kernel entropy: δS of the 45,755 environments of tungsten C beside the 48,761 of A and B, in the descriptors of `quests`
with its own bandwidth, is at least 5 times as fast as `quests` with the fastest of three batch sizes, with the same
values to 1e-6 and less than 100 MB of memory beside the descriptors. Nearest neighbours and mixtures take at most 1.3
times as long as scikit-learn on the same points, and a metric of 10⁷ values at most 10 s. `assay.compare` with every
method takes at most 1.5 times as long as its features and fits. Descriptors are made from
`ASSAY_DATA` and kept in the folder of temporary files. Each number of threads is a process of its own, in which ours
and theirs alternate. `--quick` takes every fourth frame and 10⁶ values.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from timing import case, child, limit, main, missing, paired, timed

SETS = {"train": ("A-elastic", "B-bulk-and-defects"), "test": ("C-periodic-defects",)}
BANDWIDTH = 0.015
SPEED, LIBRARY, SAME, MEMORY, SECONDS = 5.0, 1.3, 1e-6, 100.0, 10.0
BATCHES = (500, 1000, 2000)
NEIGHBOURS = 100
OVERHEAD = 1.5


def data_files() -> list[Path]:
    return [
        Path(os.environ["ASSAY_DATA"]) / "tungsten" / f"{name}.extxyz.gz" for some in SETS.values() for name in some
    ]


def descriptors(quick: bool) -> dict[str, np.ndarray]:
    """`train` `(n, 63)` and `test` `(m, 63)`, from the folder of temporary files or made anew."""
    key = hashlib.sha256(b"".join(path.read_bytes() for path in data_files())).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"assay-quests-{key}{'-quick' * quick}.npz"
    if not path.exists():
        from ase.io import read
        from quests.descriptor import get_descriptors

        folder = data_files()[0].parent
        every = "::4" if quick else ":"
        frames = {
            k: [f for name in names for f in read(folder / f"{name}.extxyz.gz", every)] for k, names in SETS.items()
        }
        made = {name: get_descriptors(some) for name, some in frames.items()}
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez(file, **made)
        Path(file.name).replace(path)
    with np.load(path) as found:
        return dict(found)


def entropies(train: np.ndarray, test: np.ndarray, threads: int, quick: bool) -> list[dict[str, Any]]:
    import numba
    from quests.entropy import delta_entropy
    from threadpoolctl import threadpool_limits

    from assay.scores.density.kernel_entropy import differential_entropy

    numba.set_num_threads(threads)
    some = test[: max(BATCHES) * threads]
    delta_entropy(test[:10], train[:10], h=BANDWIDTH)

    def theirs(x: np.ndarray, batch: int) -> np.ndarray:
        with threadpool_limits(1, user_api="blas"):  # its own threads call BLAS: with more, it takes twice as long
            return delta_entropy(x, train, h=BANDWIDTH, batch_size=batch)

    batch = min(BATCHES, key=lambda size: timed(lambda: theirs(some, size)).wall)
    ours: list[np.ndarray] = []
    peer: list[np.ndarray] = []
    pairs = paired(
        lambda: ours.append(differential_entropy(test, train, BANDWIDTH)),
        lambda: peer.append(theirs(test, batch)),
        3,
    )
    finite = np.isfinite(peer[0])
    apart = float(np.abs(ours[0] - peer[0])[finite].max())
    tracemalloc.start()
    differential_entropy(test, train, BANDWIDTH)
    grown = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    facts = {"environments": [len(test), len(train)], "threads": threads}
    name = f"{len(test)} × {len(train)}, threads: {threads}"
    return [
        case(f"δS beside quests, {name}", pairs, SPEED, **facts, batch=batch),
        limit(f"δS: largest difference from quests, {name}", apart, SAME, "", **facts, finite=int(finite.sum())),
        limit(f"δS: memory beside the descriptors, {name}", grown, MEMORY, "MB", **facts),
    ]


def neighbours_and_mixtures(train: np.ndarray, test: np.ndarray, threads: int, quick: bool) -> list[dict[str, Any]]:
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import NearestNeighbors

    from assay.scores.density.distance import Environments
    from assay.scores.density.gaussian_mixture import REGULARISATION, Mixture
    from assay.scores.density.knn_density import Density

    train, test = train[::2], test[::2]
    name, repeats = f"{len(test)} × {len(train)}, threads: {threads}", 2 if quick else 3
    nearest, density = Environments.fit(train), Density.fit(train)
    index = NearestNeighbors().fit(density.points)
    scaled = test / nearest.scale
    one = paired(lambda: nearest.distance(test), lambda: index.kneighbors(scaled, 1), repeats)
    many = paired(lambda: density.minus_log(test), lambda: index.kneighbors(scaled, NEIGHBOURS + 1), repeats)
    few = train[::4]
    mixture = Mixture.fit(few)
    z = mixture.whitening(few)[:, : mixture.means.shape[1]]
    counts = [count for count in (1, 2, 4, 8, 16) if count <= 2 * len(mixture.weights)]

    def peer() -> list[Any]:
        fits = [GaussianMixture(count, reg_covar=REGULARISATION, random_state=0).fit(z) for count in counts]
        return [fit.bic(z) for fit in fits]

    fits = paired(lambda: Mixture.fit(few), peer, 1 if quick else 2)
    model = GaussianMixture(len(mixture.weights), reg_covar=REGULARISATION, random_state=0).fit(z)
    query = mixture.whitening(test)[:, : mixture.means.shape[1]]
    scored = paired(lambda: mixture.minus_log(test), lambda: model.score_samples(query), 2 * repeats)
    facts = {"threads": threads}
    return [
        case(f"distance beside scikit-learn's neighbours, {name}", one, 1 / LIBRARY, **facts),
        case(f"k-NN density beside scikit-learn's {NEIGHBOURS + 1} neighbours, {name}", many, 1 / LIBRARY, **facts),
        case(
            f"mixture: fit to {len(few)} beside scikit-learn, threads: {threads}",
            fits,
            1 / LIBRARY,
            **facts,
            gaussians=len(mixture.weights),
        ),
        case(f"mixture: likelihood beside scikit-learn, {name}", scored, 1 / LIBRARY, **facts),
    ]


def on_threads(quick: bool) -> list[dict[str, Any]]:
    """The cases of this process, whose number of threads its environment has set."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    sets = descriptors(quick)
    return [
        *entropies(sets["train"], sets["test"], threads, quick),
        *neighbours_and_mixtures(sets["train"], sets["test"], threads, quick),
    ]


def metrics(quick: bool) -> list[dict[str, Any]]:
    """Seconds of each metric on so many values, of one process."""
    from assay.metrics import coverage, ence, gaussian_crps, roc_auc, spearman

    n = 10**6 if quick else 10**7
    rng = np.random.default_rng(0)
    std = rng.gamma(2.0, 0.05, size=n)
    error = std * rng.normal(size=n)
    large = np.abs(error)
    calls = {
        "spearman": lambda: spearman(std, large),
        "roc_auc": lambda: roc_auc(std, large > 0.3),
        "coverage": lambda: coverage(error, 2 * std),
        "ence": lambda: ence(error, std),
        "gaussian_crps": lambda: gaussian_crps(error, std),
    }
    return [limit(f"{name} of {n} values", timed(call).wall, SECONDS, "s", values=n) for name, call in calls.items()]


def comparison(quick: bool) -> list[dict[str, Any]]:
    """`assay.compare` with every method, in one process, beside what can't be done without.

    That is the potential's fit, all posteriors and scores fitted, and the potential evaluated once on every frame that
    is judged. What comes on top is the scores' evaluation, timing them, and the comparison itself.
    """
    from ase.io import read, write

    from assay import compare

    folder = data_files()[0].parent
    with tempfile.TemporaryDirectory() as scratch:
        files = {}
        for name, some in SETS.items():
            frames = [frame for each in some for frame in read(folder / f"{each}.extxyz.gz", "::8" if quick else ":")]
            files[name] = Path(scratch) / f"{name}.extxyz"
            write(files[name], frames)
        started = time.perf_counter()
        result = compare(files["train"], {"C": files["test"]}, source="snap:twojmax=6,rcut=4.7")
        total = time.perf_counter() - started
    cost, methods = result.source_cost, result.methods.values()
    judged = sum(split.atoms for split in result.splits if split.role != "training")
    evaluations = 1e-6 * judged * cost.evaluation_microseconds_per_atom
    fits = sum(method.fit_seconds for method in methods if method.family == "features")
    needed = cost.fit_seconds + sum(cost.posteriors.values()) + fits + evaluations
    scored = 1e-6 * judged * sum(m.microseconds_per_atom for m in methods if m.family != "control")
    facts = {"total": total, "features_and_fits": needed, "evaluation_of_scores": scored, "methods": len(methods)}
    return [limit("compare, all methods, beside features and fits", total / needed, OVERHEAD, "ratio", **facts)]


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    cases = child(__file__, "metrics", 1, quick)
    try:
        import quests  # noqa: F401
    except ModuleNotFoundError:
        return [*cases, missing("δS beside quests", SPEED, "quests")], {}
    if not os.environ.get("ASSAY_DATA"):
        return [*cases, missing("δS beside quests", SPEED, "the folder of data, ASSAY_DATA,")], {}
    descriptors(quick)
    cases += child(__file__, "comparison", 1, quick)
    for threads in (1, 2):
        cases += child(__file__, "cases", threads, quick)
    return cases, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in data_files()}


if __name__ == "__main__":
    if "--child" in sys.argv:
        work = {"metrics": metrics, "comparison": comparison, "cases": on_threads}[
            sys.argv[sys.argv.index("--child") + 1]
        ]
        print(json.dumps(work("--quick" in sys.argv)))
    else:
        main(__doc__, run)
