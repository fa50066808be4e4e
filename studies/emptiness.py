"""Does a constant tell an atom without neighbours from home? Three ways, on real features.

    python studies/emptiness.py [--data DIR] [--json FILE] [--quick]

Every fourth frame is held out. Of each species: γ of a lone atom by the active set of the features (`plain`) and by
that of the features and a constant column (`column`); emptiness e of it (`assay.scores.features.emptiness`); and how
many held-out atoms have γ > 1, and e > 1: false alarms. `--quick`: the data that ship with Assay, SNAP alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from result import write_result

from assay.frames.frame import Frame, file_hash
from assay.frames.reading import read_frames
from assay.results.arrays import Array
from assay.scores.d_optimality.maxvol import active_set, grades
from assay.scores.features.emptiness import Emptiness
from assay.scores.features.training import TrainingFeatures
from assay.sources.capabilities import LinearSource, OnlyFeatures
from assay.sources.registry import given_source
from assay.verbs.demo import demo_data

SOURCES = ("snap:twojmax=6", "snap:twojmax=8", "ace", "soap")
SETS = {
    "tungsten, spheres": "tungsten/D-spheres.extxyz.gz",
    "silicon": "silicon/training.extxyz.gz",
    "molybdenum-tungsten": "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz",
    "water": "water/liquid-water.extxyz.gz",
}
MOST_ATOMS = 15_000
HOLD_OUT = 4
"""Every so many frames one is held out."""


def rows_of(spec: str, frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """One row of the result for each species."""
    source = given_source(spec)[0]
    species = sorted({symbol for frame in frames for symbol in frame.atoms.get_chemical_symbols()})
    assert isinstance(source, LinearSource | OnlyFeatures)
    source = source.for_species(species)
    found = [(source.features(frame.atoms), frame.atoms.numbers) for frame in frames]
    training = TrainingFeatures.of(pair for i, pair in enumerate(found) if i % HOLD_OUT)
    emptiness = Emptiness.fit(training)
    rows = []
    for z in training.species:
        features = np.array(training.rows(z))
        held_out = np.concatenate([f[numbers == z] for f, numbers in found[::HOLD_OUT]])
        lone = source.features(Atoms(numbers=[z], positions=[[0.0, 0.0, 0.0]], cell=[40.0] * 3, pbc=True))
        plain = active_set(features).inverse
        column = active_set(_with_constant(features)).inverse
        number = np.array([z])
        rows.append(
            {
                "source": spec,
                "species": chemical_symbols[z],
                "atoms": len(features),
                "features": features.shape[1],
                "lone": {
                    "plain": float(grades(lone, [plain])[0, 0]),
                    "column": float(grades(_with_constant(lone), [column])[0, 0]),
                    "emptiness": float(emptiness.of_atoms(lone, number)[0]),
                },
                "held_out_above_1": {
                    "plain": float(np.mean(grades(held_out, [plain]) > 1.0)),
                    "column": float(np.mean(grades(_with_constant(held_out), [column]) > 1.0)),
                    "emptiness": float(np.mean(emptiness.of_atoms(held_out, np.full(len(held_out), z)) > 1.0)),
                },
            }
        )
    return rows


def _with_constant(features: Array) -> Array:
    return np.column_stack([features, np.ones(len(features))])


def _frames(path: Path) -> list[Frame]:
    frames = list(read_frames(path, labels="if present"))
    step = max(1, sum(len(frame.atoms) for frame in frames) // MOST_ATOMS)
    return frames[::step]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("the real data are needed: --data DIR, or ASSAY_DATA")
    paths = {"silicon-pbe": demo_data("train")}
    if not options.quick:
        paths |= {name: options.data / file for name, file in SETS.items()}
    rows = []
    print(f"{'':24}{'':16}{'':4}{'lone atom: γ':>14}{'column':>10}{'e':>10}{'false, %: γ':>14}{'e':>8}")
    for name, path in paths.items():
        frames = _frames(path)
        for spec in SOURCES[:1] if options.quick else SOURCES:
            for row in rows_of(spec, frames):
                rows.append({"set": name, **row})
                lone, false = row["lone"], row["held_out_above_1"]
                print(
                    f"{name:24}{spec:16}{row['species']:4}{lone['plain']:14.3g}{lone['column']:10.3g}"
                    f"{lone['emptiness']:10.3g}{100 * false['plain']:14.2f}{100 * false['emptiness']:8.2f}",
                    flush=True,
                )
    hashes = {} if options.quick else {path.name: file_hash(path) for path in paths.values()}
    write_result(options.json, ["studies/emptiness.py", *(arguments or sys.argv[1:])], {"files": hashes, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
