"""`assay predict` on a LAMMPS dump of 10⁶ atoms, on two workers: at most 2 GB in all processes together.

    python benchmarks/large_snapshot.py [--quick] [--json FILE]

Rattled silicon with a spherical void and vacancies, γ and leverage of SNAP 2J = 6 from the gauge of `assay demo`, read
from a dump and written to one. Memory is the peak of the main process and twice that of the larger worker. The second
case takes the time of one evaluation of the whole frame with the same gauge on one core, without reading, writing and
means over neighbourhoods. `--quick` takes 10⁵ atoms and leaves that out: the start of the workers would weigh too much.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from timing import Seconds, case, limit, main, peak_memory, timed

import assay
from assay.frames.writing import frames_out
from assay.gauge.gauge import Gauge
from assay.gauge.scorer import values_of
from assay.results.prediction import Prediction
from assay.verbs.demo import SOURCE, demo_data

MEMORY_GB = 2.0
SPEED = 1.2
WORKERS = 2


def silicon(quick: bool) -> Atoms:
    atoms = bulk("Si", "diamond", a=5.431, cubic=True).repeat(23 if quick else 50)
    atoms.rattle(0.08, seed=0)
    centre = atoms.cell.array.sum(axis=0) / 2
    solid = np.linalg.norm(atoms.positions - centre, axis=1) > 20.0
    return atoms[solid & (np.random.default_rng(0).random(len(atoms)) > 1e-4)]


def predicted(folder: Path) -> dict[str, Any]:
    run = assay.Run(f"local:{WORKERS}")
    seconds = timed(lambda: assay.predict(folder / "si.gauge", folder / "si.dump", out=folder / "out.dump", run=run))
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return {"seconds": seconds, "main_GB": peak_memory(), "worker_GB": worker}


def whole(folder: Path) -> dict[str, Any]:
    gauge = Gauge.load(folder / "si.gauge")
    (frame,) = assay.read_frames(folder / "si.dump")
    scores = [score for score in gauge.scores if score.name in ("gamma", "leverage")]

    def evaluate() -> None:
        features = gauge.source.features(frame.atoms)
        values_of(scores, Prediction(features=features), frame.atoms.numbers)

    return {"seconds": timed(evaluate), "main_GB": peak_memory()}


SIDES = {"predicted": predicted, "whole": whole}


def alone(side: str, folder: Path) -> dict[str, Any]:
    """A side in a process of its own."""
    command = [sys.executable, __file__, "--alone", side, str(folder)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found | {"seconds": Seconds(*found["seconds"])}


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        gauge = assay.build(
            demo_data("train"), source=SOURCE, calibration=demo_data("calibration"), scores=("gamma", "leverage"),
            error_bar="leverage:scale",
        ).gauge  # fmt: skip
        gauge.save(folder / "si.gauge")
        atoms = silicon(quick)
        with frames_out(folder / "si.dump") as write:
            write(atoms)
        ours = alone("predicted", folder)
        peer = None if quick else alone("whole", folder)
        sizes = {side: (folder / f"{side}.dump").stat().st_size / 1e6 for side in ("si", "out")}
    total = ours["main_GB"] + WORKERS * ours["worker_GB"]
    facts = {
        "atoms": len(atoms),
        "workers": WORKERS,
        "atoms_per_second": len(atoms) / ours["seconds"].wall,
        "main_GB": ours["main_GB"],
        "worker_GB": ours["worker_GB"],
        "dump_in_MB": sizes["si"],
        "dump_out_MB": sizes["out"],
    }
    memory = limit(f"memory, {len(atoms)} atoms", total, MEMORY_GB, "GB", **facts)
    if peer is None:
        return [memory], {}
    pairs = [(ours["seconds"], peer["seconds"])]
    facts["whole_GB"] = peer["main_GB"]
    return [memory, case(f"{len(atoms)} atoms beside one evaluation whole", pairs, SPEED, **facts)], {}


if __name__ == "__main__":
    if "--alone" in sys.argv:
        place = sys.argv.index("--alone")
        print(json.dumps(SIDES[sys.argv[place + 1]](Path(sys.argv[place + 2]))))
    else:
        main(__doc__, run)
