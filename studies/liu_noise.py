"""The filter for noisy DFT labels: real labels of tungsten corrupted in known ways, beside the teachers' predictions.

Clean labels first: whatever is flagged there is a false alarm (or a noisy label that nobody knew of).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from liu_tungsten import RMSE, pool

from assay.distillation.noise import check_labels
from assay.distillation.teachers import PoolLabels
from assay.ensembles.weights import weights_of_rmse
from assay.sources.snap.rows import Snap

SHARES = (0.02, 0.05, 0.1)
REPEATS = 3
FORCES = {
    "forces of all atoms + 0.1 eV/Å": 0.1,
    "forces of all atoms + 0.3 eV/Å": 0.3,
    "forces of all atoms + 1 eV/Å": 1.0,
}
ENERGIES = {"energy ± 5 meV/atom": 0.005, "energy ± 20 meV/atom": 0.02, "energy ± 50 meV/atom": 0.05}
ONE_ATOM, SWAPPED = "force of one atom + 1 eV/Å", "label of another frame"
KINDS = (*FORCES, ONE_ATOM, *ENERGIES, SWAPPED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of this part."""
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Precision and recall for each kind of corruption and share; false alarms on clean labels."""
    started = time.perf_counter()
    frames, told, known = pool(Path(args.data) / "tungsten", 8 if args.quick else 1)
    weights = np.array(weights_of_rmse(RMSE))
    rows = Snap.from_state({"twojmax": 4 if args.quick else 8, "rcut": 5.0}).for_species(("W",))
    features = {id(frame.atoms): rows.features(frame.atoms) for frame in frames}

    def flagged(labels: PoolLabels) -> np.ndarray:
        return check_labels(frames, told, labels, weights, lambda atoms: features[id(atoms)])[0]

    found: dict[str, Any] = {"frames": len(frames), "clean_flagged": int(flagged(known).sum()), "corrupted": []}
    rng = np.random.default_rng(args.seed)
    for kind in KINDS:
        for share in SHARES:
            hits = alarms = corrupted = 0
            for _ in range(REPEATS):
                labels, bad = corrupt(known, told.offsets, kind, share, rng)
                found_bad = flagged(labels)
                hits += int((found_bad & bad).sum())
                alarms += int((found_bad & ~bad).sum())
                corrupted += int(bad.sum())
            recall = hits / corrupted if corrupted else None
            precision = hits / (hits + alarms) if hits + alarms else None
            found["corrupted"].append(
                {"kind": kind, "share": share, "labels": corrupted, "recall": recall, "precision": precision,
                 "false_alarms": alarms, "clean": REPEATS * len(frames) - corrupted}
            )  # fmt: skip
    found["seconds"] = time.perf_counter() - started
    show(found, sys.stderr if args.json == "-" else sys.stdout)
    return found


def corrupt(
    known: PoolLabels, offsets: np.ndarray, kind: str, share: float, rng: np.random.Generator
) -> tuple[PoolLabels, np.ndarray]:
    """Labels of which a share is wrong, and which, `(F,)`."""
    natoms, energy, forces = np.diff(offsets), known.energy.copy(), known.forces.copy()
    bad = np.zeros(len(natoms), dtype=bool)
    for j in rng.choice(len(natoms), max(1, int(share * len(natoms))), replace=False):
        here = slice(offsets[j], offsets[j + 1])
        if kind == SWAPPED:
            others = np.flatnonzero((natoms == natoms[j]) & (np.arange(len(natoms)) != j))
            if not len(others):
                continue
            k = rng.choice(others)
            energy[j], forces[here] = known.energy[k], known.forces[offsets[k] : offsets[k + 1]]
        elif kind in ENERGIES:
            energy[j] += rng.choice([-1, 1]) * ENERGIES[kind] * natoms[j]
        elif kind in FORCES:
            forces[here] += rng.normal(0, FORCES[kind], (natoms[j], 3))
        else:
            forces[offsets[j] + rng.integers(natoms[j])] += rng.normal(0, 1.0, 3)
        bad[j] = True
    return PoolLabels(energy, forces, known.stress), bad


def show(found: dict[str, Any], stream: Any) -> None:
    """A table for people."""
    print(f"{found['clean_flagged']} of {found['frames']} clean labels flagged", file=stream)
    print(
        f"{'recall (precision) with a share of':36}" + "".join(f"{100 * share:>14g} %" for share in SHARES), file=stream
    )
    for kind in KINDS:
        rows = [row for row in found["corrupted"] if row["kind"] == kind]
        cells = (
            f"{row['recall'] or 0:>9.2f} ({'–' if row['precision'] is None else format(row['precision'], '.2f')})"
            for row in rows
        )
        print(f"{kind:36}" + "".join(f"{cell:>16}" for cell in cells), file=stream)
