"""Molybdenum–tungsten: a student distilled from universal potentials without any DFT label, beside one trained on DFT.

    python studies/liu2025.py alloy --members MO-W.npz … [--json FILE]

Pool: solid solutions and metals of molybdenum-tungsten; test: its MoW_Test. The teachers' labels are the mean of all
members that are not r2SCAN, with equal weights (weights need labels), of the frames with U below each cut-off; their
energies are shifted onto one member's. Beside them a student of each teacher alone. So that no student is judged by its
zero of energy, a shift per species, from the DFT energies of the pool, is taken off all energies before they are
compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import write
from liu_members import (
    Predictions,
    errors_of_members,
    labels_of,
    predictions,
    run_members,
    without_other_functionals,
    written,
)

import assay
from assay.ensembles.references import ReferenceFold
from assay.frames.frame import Frame, file_hash
from assay.metrics import rmse, spearman
from assay.scores.members.deviations import member_deviations
from assay.sources.capabilities import Source
from assay.verbs.distil import distil

STUDENT, QUICK = "snap:twojmax=6,rcut=4.7", "snap:twojmax=4,rcut=4.7"
TEST = "MoW_Test"
SHARES = (1.0, 0.75, 0.5)
"""Of the pool's frames, those of the smallest U, that the students without DFT learn from."""


def evaluated(source: Source, frames: Sequence[Frame]) -> Predictions:
    """A student's predictions, as those of one member."""
    told = [source.predict(frame.atoms) for frame in frames]
    energy, forces = np.array([[each.energy for each in told]]), np.concatenate([each.forces for each in told])[None]
    return Predictions(("student",), energy, forces, np.array([len(frame.atoms) for frame in frames]))


def errors(told: Predictions, pool: np.ndarray, frames: Sequence[Frame]) -> dict[str, float]:
    """Of one potential on the frames that are not in `pool`: forces, and energies less a shift per species."""
    fold = ReferenceFold(told.models)
    for frame, energy, use in zip(frames, told.energy[0], pool, strict=True):
        if use:
            fold.update(frame.atoms.numbers, np.array([energy]), frame.energy)
    references = fold.result()
    shift = np.array([references.of(frame.atoms.numbers)[0] for frame in frames])
    energy, forces = labels_of(frames)
    test, atoms = ~pool, np.repeat(~pool, told.natoms)
    return {
        "force_rmse_eV_per_A": rmse((told.forces[0] - forces)[atoms]),
        "energy_less_shifts_rmse_meV_per_atom": 1000 * rmse(((told.energy[0] + shift - energy) / told.natoms)[test]),
    }


def mean_of(told: Predictions) -> Predictions:
    return Predictions(("mean",), told.energy.mean(axis=0)[None], told.forces.mean(axis=0)[None], told.natoms)


def students(
    frames: Sequence[Frame], told: Predictions, pool: np.ndarray, spec: str, shares: Sequence[float], ensemble_size: int
) -> dict[str, Any]:
    """Errors on the test frames of students of the teachers, and of the one trained on DFT."""
    pooled = told.of(range(len(told.models)), pool)
    pool_frames = [frame for frame, use in zip(frames, pool, strict=True) if use]
    U = member_deviations(pooled.forces, pooled.offsets).frames()
    cutoffs = {share: float(np.quantile(U, share)) * (1 + 1e-9) for share in shares}
    found: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        path, members = written(folder, "pool", pool_frames, pooled)
        distilled = distil(
            "recorded", assay.FrameFiles(path, members), spec, folder / "out", cutoffs=list(cutoffs.values()),
            teacher_label="mean", linear_fit=assay.LinearFit(ensemble_size=ensemble_size),
        )  # fmt: skip
        for share, cutoff in cutoffs.items():
            (gauge,) = (folder / "out").glob(f"student-{cutoff:.6g}.gauge")
            mixed = next(row.labels for row in distilled.students if abs(row.labels.cutoff - cutoff) < 1e-12)
            assert mixed.dft.frames == 0
            found[f"teachers' labels, {share:.0%} of the frames"] = {
                "U_cutoff_eV_per_A": cutoff,
                "labels_from_DFT": 0,
                **errors(evaluated(assay.Gauge.load(gauge).source, frames), pool, frames),
            }
        for k, model in enumerate(told.models):
            label = zip(np.split(pooled.forces[k], pooled.offsets[1:-1]), pooled.energy[k], strict=True)
            learned = [
                replace(frame, forces=forces, energy=float(energy))
                for frame, (forces, energy) in zip(pool_frames, label, strict=True)
            ]
            labels, _ = written(folder, model, learned, pooled)
            gauge = assay.build(labels, source=spec, linear_fit=assay.LinearFit(ensemble_size=ensemble_size)).gauge
            judged = errors(evaluated(gauge.source, frames), pool, frames)
            found[f"labels of {model}"] = {"labels_from_DFT": 0, **judged}
        built = assay.build(path, source=spec, linear_fit=assay.LinearFit(ensemble_size=ensemble_size))
        found["DFT labels"] = {
            "labels_from_DFT": int(pool.sum()),
            **errors(evaluated(built.gauge.source, frames), pool, frames),
        }
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--members", nargs="+", type=Path, default=[], help="members files of the frames")
    parser.add_argument("--models", default="chgnet:0.3.0,sevennet:7net-0", help="run where no file is given")


def run(args: argparse.Namespace) -> dict[str, Any]:
    path = Path(args.data) / "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz"
    frames = list(assay.read_frames(path, labels="needed"))[:: 16 if args.quick else 1]
    with TemporaryDirectory() as name:
        write(thinned := Path(name) / "frames.extxyz", [frame.atoms for frame in frames], format="extxyz")
        models = "chgnet:0.3.0,chgnet:0.2.0" if args.quick else args.models
        files = args.members or [run_members(models, [thinned], Path(name) / "members.npz")]
        everyone = predictions(files, frames)
    kept = everyone.of(without_other_functionals(everyone.models), np.ones(len(frames), dtype=bool))
    whole = kept.whole()
    told = kept.of(range(len(kept.models)), whole)
    frames = [frame for frame, use in zip(frames, whole, strict=True) if use]
    pool = np.array([frame.config_type != TEST for frame in frames])
    forces = labels_of(frames)[1]
    deviations = member_deviations(told.forces, told.offsets, with_mean=True)
    largest = np.maximum.reduceat(np.linalg.norm(forces - deviations.mean, axis=1), told.offsets[:-1])
    teachers = {model: told.of([k], np.ones(len(frames), dtype=bool)) for k, model in enumerate(told.models)}
    result = {
        "data": {path.name: file_hash(path)},
        "student": QUICK if args.quick else STUDENT,
        "teachers": list(told.models),
        "pool_frames": int(pool.sum()),
        "test_frames": int((~pool).sum()),
        "left_out_for_gaps": int((~kept.whole()).sum()),
        "errors_of_teachers_on_all_frames": errors_of_members(told, frames),
        "U_spearman_pool": spearman(deviations.frames()[pool], largest[pool]),
        "test": {
            **{f"teacher {model}": errors(each, pool, frames) for model, each in teachers.items()},
            "teachers' mean": errors(mean_of(told), pool, frames),
            **students(
                frames, told, pool, QUICK if args.quick else STUDENT, SHARES[:1] if args.quick else SHARES,
                4 if args.quick else 16,
            ),
        },
    }  # fmt: skip
    out = sys.stderr if args.json == "-" else sys.stdout
    print(f"{result['pool_frames']} frames in the pool, {result['test_frames']} to test on", file=out)
    for name, each in result["test"].items():
        print(
            f"  {name:45} force RMSE {each['force_rmse_eV_per_A']:.4f} eV/Å, energy less shifts "
            f"{each['energy_less_shifts_rmse_meV_per_atom']:.2f} meV/atom",
            file=out,
        )
    return result
