"""Twelve times: train on two kinds, is a third one noticed? Silicon and molybdenum–tungsten, three kinds of features.

    python studies/scenarios.py [--data DIR] [--json FILE] [--quick]

The constants of `frame_outlier_factor` and of `gamma_local` were chosen on the scenarios with ACE features
(docs/decisions/outlier-factor.md); SNAP and SOAP came after. Kinds are the files' config_type; training frames are
drawn at random, the other frames of their kinds are the controls, all frames of the other kinds are new. Thresholds and
shares as in studies/heterogeneity.py. No published number to compare with. `--quick`: SNAP alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from heterogeneity import Pool, judged, methods
from result import write_result

from assay.frames.frame import file_hash
from assay.frames.reading import read_frames
from assay.scores.features.training import TrainingFeatures
from assay.selection.starting_set import source_of_features
from assay.sources.registry import given_source

FILES = {
    "silicon": ("silicon/training", "silicon/test"),
    "molybdenum-tungsten": ("molybdenum-tungsten/molybdenum-tungsten",),
}
SCENARIOS: dict[str, list[tuple[dict[str, int], tuple[str, ...]]]] = {
    "silicon": [
        ({"Elastic": 25, "Surface": 6}, ("AIMD-NVT", "Vacancy")),
        ({"Elastic": 25, "Vacancy": 25}, ("AIMD-NVT", "Surface")),
        ({"AIMD-NVT": 40, "Elastic": 25}, ("Vacancy", "Surface")),
        ({"AIMD-NVT": 40, "Surface": 6}, ("Elastic", "Vacancy")),
        ({"Vacancy": 25, "Surface": 6}, ("Elastic", "AIMD-NVT")),
        ({"Vacancy": 25, "AIMD-NVT": 40}, ("Elastic", "Surface")),
    ],
    "molybdenum-tungsten": [
        ({"W_AIMD": 20, "Mo_Surface": 6}, ("MoW_SS", "Mo_AIMD", "W_Surface")),
        ({"Mo_AIMD": 20, "W_Surface": 6}, ("MoW_SS", "W_AIMD", "Mo_Surface")),
        ({"W_AIMD": 25, "Mo_AIMD": 25}, ("MoW_SS", "W_Surface", "Mo_Surface")),
        ({"W_Surface": 6, "Mo_Surface": 6}, ("MoW_SS", "W_AIMD", "Mo_AIMD")),
        ({"MoW_SS": 100, "W_Surface": 6}, ("Mo_Surface",)),
        ({"MoW_SS": 100, "Mo_AIMD": 25}, ("W_Surface", "Mo_Surface")),
    ],
}
ACE = "ace:rcut=6.0,radbase=SBessel,"
SOURCES = {
    "SNAP": dict.fromkeys(FILES, "snap:twojmax=8,rcut=5.0"),
    "SOAP": dict.fromkeys(FILES, "soap:cutoff=5.0"),
    "ACE": {
        "silicon": ACE + "number_of_functions_per_element=945,nradmax_by_orders=[15,6,4,3,2,2],"
        "lmax_by_orders=[0,4,3,2,1,0]",
        "molybdenum-tungsten": ACE + "number_of_functions_per_element=400,nradmax_by_orders=[15,5,3,2],"
        "lmax_by_orders=[0,3,2,1]",
    },
}


def featured(data: Path, name: str, spec: str) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Features, atomic numbers and kind of each frame."""
    frames = list(read_frames([data / f"{path}.extxyz.gz" for path in FILES[name]]))
    species = sorted({symbol for frame in frames for symbol in frame.atoms.symbols})
    given, _ = given_source(spec)
    source = source_of_features(given, species)
    features = [source.predict(frame.atoms).features for frame in frames]
    return features, [frame.atoms.numbers for frame in frames], np.array([frame.config_type for frame in frames])


def scenario(
    features: list[np.ndarray],
    numbers: list[np.ndarray],
    kinds: np.ndarray,
    train: dict[str, int],
    new: tuple[str, ...],
    seed: int,
) -> dict[str, Any]:
    """Median shares of frames flagged, by method: of controls (false alarms) and of new kinds."""
    rng = np.random.default_rng(seed)
    training, groups = TrainingFeatures(), {}
    for kind, count in train.items():
        order = rng.permutation(np.flatnonzero(kinds == kind))
        for f in order[:count]:
            training.append(features[f], numbers[f], kind)
        groups[kind] = order[count:]
    groups |= {kind: np.flatnonzero(kinds == kind) for kind in new}
    frames = np.concatenate(list(groups.values()))
    pool = Pool(
        np.concatenate([features[f] for f in frames]),
        np.concatenate([numbers[f] for f in frames]),
        np.repeat(np.arange(len(frames)), [len(features[f]) for f in frames]),
        np.repeat(np.arange(len(groups)), [len(each) for each in groups.values()]),
        None,
        None,
    )
    found: dict[str, Any] = {}
    for name, scored in methods(pool, training).items():
        for by_cluster in (False, True) if scored.nearest is not None else (False,):
            shares = judged(scored, pool.kind < len(train), pool, [Path(g) for g in groups], by_cluster)
            label = name.partition(" (K")[0] + ", threshold by cluster" * by_cluster
            found[label] = {kind: shares["frames_flagged"][kind]["median"] for kind in groups}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ASSAY_DATA"), required="ASSAY_DATA" not in os.environ
    )
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data, started = Path(arguments.data), time.perf_counter()
    cases = []
    for label, specs in SOURCES.items():
        if arguments.quick and label != "SNAP":
            continue
        for name, spec in specs.items():
            everything = featured(data, name, spec)
            rows = [scenario(*everything, train, new, arguments.seed) for train, new in SCENARIOS[name]]
            print(f"{label}, {name}: mean share flagged of new kinds, of controls", file=sys.stderr)
            for method in rows[0]:
                shares = [
                    np.mean([row[method][kind] for row, (train, new) in zip(rows, SCENARIOS[name], strict=True)
                             for kind in (new if fresh else train)])
                    for fresh in (True, False)
                ]  # fmt: skip
                print(f"  {method:62s}{shares[0]:.2f}  {shares[1]:.2f}", file=sys.stderr, flush=True)
                cases.append({"features": label, "data": name, "source": spec, "method": method,
                              "new_flagged": shares[0], "controls_flagged": shares[1],
                              "scenarios": [row[method] for row in rows]})  # fmt: skip
    result = {
        "data": {path: file_hash(data / f"{path}.extxyz.gz") for paths in FILES.values() for path in paths},
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - started, 1),
        "cases": cases,
    }
    write_result(arguments.json, ["studies/scenarios.py", *("--quick" for _ in range(arguments.quick))], result)


if __name__ == "__main__":
    main()
