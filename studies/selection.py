"""Does selection pay? A SNAP potential on 30 frames, and on those with 20 more that `assay select` takes from a pool.

    python studies/selection.py --data DIR [--json FILE] [--quick] [--seeds N]

| case | frames | potential |
|---|---|---|
| molybdenum-tungsten | 493: solid solutions, molecular dynamics and surfaces of both metals | SNAP, 2J = 6, 4.7 Å, explicit elements |
| silicon | 214: molecular dynamics, vacancies, strain, surfaces | SNAP, 2J = 6, 4.8 Å |

Each seed draws 100 test frames, and 30 training frames of what is left: of all kinds (`alike`) or of one kind only
(`one kind`: `MoW_SS`, `AIMD-NVT`). All others are the pool. Errors are root mean squares of force components on the
test frames and on what each technique leaves of the pool; energies count in the fit, but are not what is compared.
Large frames cost more to label: `random, as many atoms` goes on until it has as many atoms as `maxvol` took.
Nothing was chosen on these numbers: every technique runs with its defaults. There is no published number to hold
beside them.
"""  # noqa: E501

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import read, write
from result import write_result

import assay
from assay.frames.frame import file_hash
from assay.linear.potential import LinearPotential
from assay.metrics import rmse
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

CASES = {
    "molybdenum-tungsten": (
        "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz",
        Snap(SnapSettings(("Mo", "W"), twojmax=6, rcut=4.7)),
        "MoW_SS",
    ),
    "silicon": ("silicon/training.extxyz.gz", Snap(SnapSettings(("Si",), twojmax=6, rcut=4.8)), "AIMD-NVT"),
}  # fmt: skip
STARTS = ("alike", "one kind")
WAYS = {
    "none": None,
    "maxvol": {"by": "maxvol"},
    "score:gamma": {"by": "score", "score": "gamma"},
    "score:committee_force": {"by": "score", "score": "committee_force"},
    "random": {"by": "random"},
    "random, as many atoms": {"by": "random"},
}
TEST, TRAIN, MORE = 100, 30, 20


class Frames:
    """All frames of a case with their design rows, so that the errors of a potential are one product."""

    def __init__(self, path: Path, source: Snap) -> None:
        self.atoms = read(path, ":")
        self.source = source
        self.labels = [frame.forces.ravel() for frame in assay.read_frames(path, labels="needed")]
        self.designs = [source.design(atoms) for atoms in self.atoms]
        self.kinds = np.array([atoms.info["config_type"] for atoms in self.atoms])

    def errors(self, potential: LinearPotential, which: np.ndarray) -> np.ndarray:
        """Errors of the force components of some frames, eV/Å."""
        rows = ((self.designs[i].force_rows @ potential.theta, i) for i in which)
        return np.concatenate([f + self.designs[i].reference_forces.ravel() - self.labels[i] for f, i in rows])


def drawn(frames: Frames, start: str, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the test frames, the training frames and the pool."""
    order = rng.permutation(len(frames.atoms))
    test, rest = order[:TEST], order[TEST:]
    train = (rest if start == "alike" else rest[frames.kinds[rest] == kind])[:TRAIN]
    return test, train, np.setdiff1d(rest, train)


def built(frames: Frames, train: np.ndarray, test: np.ndarray, folder: Path) -> tuple[assay.Gauge, Path]:
    """A gauge; the test frames calibrate its error bars, which have no part in a selection."""
    for name, which in (("train", train), ("test", test[:20])):
        write(folder / f"{name}.extxyz", [frames.atoms[i] for i in which])
    settings = {"source": "snap", **frames.source.state()}
    scores = ["committee_force", "gamma"]
    path = folder / "snap.gauge"
    gauge = assay.build(
        folder / "train.extxyz", source=settings, calibration=folder / "test.extxyz", scores=scores, out=path
    ).gauge
    return gauge, path


def one(frames: Frames, start: str, kind: str, seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Figures of every way, from the same 30 frames and the same pool."""
    test, train, pool = drawn(frames, start, kind, np.random.default_rng(seed))
    write(folder / "pool.extxyz", [frames.atoms[i] for i in pool])
    gauge, first = built(frames, train, test, folder)
    first = first.rename(folder / "first.gauge")
    found = {}
    for way, options in WAYS.items():
        added, extra, potential, seconds = np.empty(0, np.int64), {}, gauge.source, 0.0
        if options is not None:
            started = time.perf_counter()
            matched = way == "random, as many atoms"
            n = len(pool) if matched else MORE
            selection = assay.select(first, folder / "pool.extxyz", n, seed=seed, **options)
            seconds = time.perf_counter() - started
            added = pool[[int(origin.rsplit(":")[-1]) for origin in selection.origins]]
            if matched:
                atoms = np.cumsum([len(frames.atoms[i]) for i in added])
                added = added[: np.searchsorted(atoms, found["maxvol"]["atoms_added"]) + 1]
            extra = {"extending": selection.extending}
            more, _ = built(frames, np.concatenate([train, added]), test, folder)
            potential = more.source
        assert isinstance(potential, LinearPotential)
        on_test, left = frames.errors(potential, test), frames.errors(potential, np.setdiff1d(pool, added))
        found[way] = {
            "test_force_rmse_eV_per_A": rmse(on_test),
            "remainder_force_rmse_eV_per_A": rmse(left),
            "largest_test_error_eV_per_A": float(np.abs(on_test).max()),
            "frames_added": len(added),
            "atoms_added": sum(len(frames.atoms[i]) for i in added),
            "kinds_added": dict(Counter(frames.kinds[added].tolist())),
            "seconds": seconds,
            **extra,
        }
    return found


def summarised(runs: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Mean and standard error over seeds; of how many seeds a way is better than random, with the mean difference."""
    figures: dict[str, Any] = {}
    for way in WAYS:
        figures[way] = {}
        for key in ("test_force_rmse_eV_per_A", "remainder_force_rmse_eV_per_A", "largest_test_error_eV_per_A"):
            values, control = (np.array([run[each][key] for run in runs]) for each in (way, "random"))
            figures[way][key] = {
                "mean": float(values.mean()),
                "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))),
                "better_than_random": int((values < control).sum()),
                "less_than_random": float((control - values).mean()),
            }
        for key in ("frames_added", "atoms_added", "seconds"):
            figures[way][key] = float(np.mean([run[way][key] for run in runs]))
    return figures


def show(name: str, start: str, figures: dict[str, Any], seeds: int) -> None:
    """The figures of one case and start for people."""
    print(f"\n{name}, training frames: {start}; mean ± standard error of {seeds} seeds, force components, eV/Å")
    print(f"  {'20 more by':22} {'test RMSE':>17} {'pool left RMSE':>17} {'largest error':>15} {'beats random':>13} {'frames':>6} {'atoms':>6}")  # fmt: skip # noqa: E501
    for way, each in figures.items():
        test, left, worst = (
            each[k]
            for k in ("test_force_rmse_eV_per_A", "remainder_force_rmse_eV_per_A", "largest_test_error_eV_per_A")
        )
        print(
            f"  {way:22} {test['mean']:.4f} ± {test['standard_error']:.4f}   {left['mean']:.4f} ± "
            f"{left['standard_error']:.4f}   {worst['mean']:13.2f} {test['better_than_random']:9d}/{seeds}"
            f" {each['frames_added']:6.0f} {each['atoms_added']:6.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true", help="silicon, one kind, two seeds")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if args.data is None:
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    seeds = 2 if args.quick else args.seeds
    cases: dict[str, Any] = {}
    for name in ["silicon"] if args.quick else CASES:
        path, source, kind = CASES[name]
        frames = Frames(args.data / path, source)
        for start in ["one kind"] if args.quick else STARTS:
            with TemporaryDirectory() as folder:
                runs = [one(frames, start, kind, seed, Path(folder)) for seed in range(seeds)]
            cases.setdefault(name, {})[start] = {"summary": summarised(runs), "seeds": runs}
            if args.json != "-":
                show(name, start, cases[name][start]["summary"], seeds)
    result = {
        "data": {CASES[name][0]: file_hash(args.data / CASES[name][0]) for name in cases},
        "test_frames": TEST,
        "training_frames": TRAIN,
        "selected": MORE,
        "cases": cases,
    }
    words = ["--quick"] if args.quick else [f"--seeds {seeds}"]
    write_result(args.json, ["studies/selection.py", *words], result)


if __name__ == "__main__":
    main()
