"""POPS on a linear corrector of universal potentials (Perez et al. 2025, III.G, Eq. 10) on random frames of MPtrj.

    python studies/liu2025.py corrector [--model chgnet:0.3.0 …] [--components 1,2,5,10,20] [--splits 10] [--json FILE]

Half of the frames, at random, is fitted, the other half is judged, and that ten times (seeds 0 … 9): energies per atom,
POPS beside Bayesian ridge and the potential as it is, with Θ in the first K principal components of the features of
the fitted half, and with a constant for each species beside them.

The envelope violation is the share of judged energies outside of what 100 members and the best fit span. Its interval
is that of resampled frames (a frame is judged in about half of the splits); the splits' own range is beside it.

What the numbers are not: MPtrj was in the training of these potentials, so errors are smaller than on new frames; and
the energies here are raw, while CHGNet was trained with the corrections of the Materials Project (hundreds of meV/atom
for oxides and fluorides), which is most of what the corrector finds. A species of which no frame was fitted has no
correction of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Skipped, file_hash
from assay.frames.reading import read_frames
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.posteriors.several import Several
from assay.linear.residual import residual_of
from assay.metrics import FrameBootstrap, error_ratio_quantiles, interval, mae, rmse
from assay.results.arrays import Array
from assay.results.envelope import Envelope
from assay.sources.committees.recording import record
from assay.sources.corrector import Corrector

MODELS = ('chgnet:0.3.0(entering="readout")', "chgnet:0.3.0", "sevennet:7net-0")
PUBLISHED = {"model": "MACE-MPA-0", "features": 256, "frames": "MPtrj, 50:50", "envelope_violation": 0.01}
LEVELS = (0.5, 0.68, 0.95, 0.99)
QUICK_FRAMES, QUICK_ATOMS = 40, 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", action="append", metavar="NAME", help=f"may be repeated; {', '.join(MODELS)}")
    parser.add_argument("--components", default="1,2,5,10,20", metavar="K,…")
    parser.add_argument("--splits", type=int, default=10)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All models; prints a table for each."""
    path = Path(args.data) / "materials-project" / "mptrj-random-400.extxyz.gz"
    skipped: Skipped = []
    frames = list(read_frames(path, labels="needed", skipped=skipped))
    components = [int(k) for k in args.components.split(",")]
    models, splits = args.model or MODELS, args.splits
    if args.quick:
        frames = [frame for frame in frames if len(frame.atoms) <= QUICK_ATOMS][:QUICK_FRAMES]
        components, models, splits = components[:2], models[:1], min(splits, 3)
    found = {}
    for name in models:
        found[name] = one_model(name, frames, components, splits)
        show(name, found[name])
    print(f"Published: {PUBLISHED['envelope_violation']:.0%} outside, with far more labels for each coefficient.")
    return {
        "data": {path.name: file_hash(path)},
        "frames": len(frames),
        "skipped": [[Path(origin).name, reason] for origin, reason in skipped],
        "splits": splits,
        "published": PUBLISHED,
        "models": found,
    }


def one_model(name: str, frames: list[Frame], components: Sequence[int], splits: int) -> dict[str, Any]:
    """Errors of a potential as it is, and of its correctors."""
    rows = Corrector(name)
    gaps = record(rows.potential, lambda: frames, total=len(frames), stage=_told)
    lost = {gap.origin for gap in gaps}
    frames = [frame for frame in frames if frame.origin not in lost]
    survey = Survey.fit(frames)
    halves = [_half(len(frames), seed) for seed in range(splits)]
    judged = np.concatenate([np.flatnonzero(~half) for half in halves])
    told = [rows.told(frame.atoms) for frame in frames]
    raw = np.array([one.energy for one in told]) - survey.energy
    features = told[0].features
    assert features is not None
    cases = []
    for constants in (False, True):
        for count in components:
            source = replace(rows, components=count, constants=constants).for_species(survey.species)
            parts = [_split(source, frames, survey, half, seed) for seed, half in enumerate(halves)]
            for posterior in sorted(set.intersection(*map(set, parts)), reverse=True):
                cases.append(
                    {"components": count, "constants": constants, "posterior": posterior}
                    | _figures([part[posterior] for part in parts], judged)
                )
    return {
        "label": rows.potential.label,
        "features": features.shape[1],
        "gaps": [[Path(gap.origin).name, gap.reason] for gap in gaps],
        "frames": len(frames),
        "unseen_species": float(np.mean(np.concatenate([_unseen(survey, half)[~half] for half in halves]))),
        "uncorrected": _errors(raw[judged] / survey.natoms[judged]),
        "cases": cases,
    }


@dataclass(frozen=True)
class Judged:
    """Energies per atom of the half that was not fitted, `(N,)` eV, and the coefficients with the fitted labels."""

    label: Array
    predicted: Array
    envelope: Envelope
    coefficients: int
    labels: int


def _split(
    source: Corrector, frames: list[Frame], survey: Survey, fitted: NDArray[np.bool_], seed: int
) -> dict[str, Judged]:
    """Both posteriors, fitted to one half and applied to the other."""
    rows, residual = residual_of(source, lambda: frames, survey, chosen=fitted)
    both = Several((Pops(), BayesianRidge()))
    try:
        potential = fit_linear(frames, survey, rows, chosen=fitted, posterior=both, residual=residual, seed=seed)
    except ValueError:  # Bayesian ridge needs more labels than effective parameters
        both = Several((Pops(),))
        potential = fit_linear(frames, survey, rows, chosen=fitted, posterior=both, residual=residual, seed=seed)
    designs = [rows.design(frame.atoms) for frame, use in zip(frames, fitted, strict=True) if not use]
    n, x = survey.natoms[~fitted], np.array([design.energy_row for design in designs])
    reference = np.array([design.reference_energy for design in designs])
    pops_fit = (reference + x @ potential.theta) / n
    found = {}
    for name, part in both.slices.items():
        members = (reference + potential.members[part] @ x.T) / n
        # Members of both are around the best fit of the first.
        found[name] = Judged(
            survey.energy[~fitted] / n, pops_fit, Envelope.of(members, pops_fit), rows.coefficients, int(fitted.sum())
        )
    return found


def _figures(parts: list[Judged], frame: NDArray[np.int64]) -> dict[str, Any]:
    """Over all splits together; `frame` is which one each judged energy is of."""
    outside = [(part.label < part.envelope.low) | (part.label > part.envelope.high) for part in parts]
    error = np.concatenate([part.predicted - part.label for part in parts])
    std = np.concatenate([part.envelope.std for part in parts])
    of_splits = [float(each.mean()) for each in outside]
    return {
        "coefficients": int(np.median([part.coefficients for part in parts])),
        "labels_per_coefficient": parts[0].labels / float(np.median([part.coefficients for part in parts])),
        **_errors(error),
        "envelope_violation": float(np.mean(np.concatenate(outside))),
        "envelope_violation_95": interval(FrameBootstrap(frame, 1000).mean(np.concatenate(outside))),
        "envelope_violation_of_splits": of_splits,
        "mean_range_meV_per_atom": 1000 * float(np.mean([np.mean(p.envelope.high - p.envelope.low) for p in parts])),
        "error_over_std": {str(level): value for level, value in error_ratio_quantiles(error, std, LEVELS).items()},
    }


def _errors(error: Array) -> dict[str, float]:
    return {"mae_meV_per_atom": 1000 * mae(error), "rmse_meV_per_atom": 1000 * rmse(error)}


def _half(frames: int, seed: int) -> NDArray[np.bool_]:
    """Half of the frames at random, `(F,)`."""
    return np.asarray(np.random.default_rng(seed).permutation(frames) < frames // 2)


def _unseen(survey: Survey, fitted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frames have a species that no fitted frame has, `(F,)`."""
    known = survey.counts[fitted].any(axis=0)
    return np.asarray(survey.counts[:, ~known].any(axis=1))


def _told(name: str, total: int | None) -> Any:
    def progress(frames: int, atoms: int) -> None:
        if frames % 50 == 0:
            print(f"{name}: {frames} of {total} frames", file=sys.stderr)

    return progress


def show(name: str, found: dict[str, Any]) -> None:
    """A table of one model."""
    raw = found["uncorrected"]
    print(f"\n{name}: {found['features']} features, {found['frames']} frames, {len(found['gaps'])} gaps")
    print(f"as it is: MAE {raw['mae_meV_per_atom']:.0f}, RMSE {raw['rmse_meV_per_atom']:.0f} meV/atom")
    print("fitted            posterior  labels/P   MAE  RMSE  outside (95 %)         splits     |e|/std 50 % 95 %")
    for case in found["cases"]:
        low, high = case["envelope_violation_95"]
        splits, ratio = case["envelope_violation_of_splits"], case["error_over_std"]
        what = f"K = {case['components']}" + ", constants" * case["constants"]
        print(
            f"{what:17} {case['posterior']:9} {case['labels_per_coefficient']:9.1f} {case['mae_meV_per_atom']:5.0f} "
            f"{case['rmse_meV_per_atom']:5.0f} {case['envelope_violation']:7.1%} ({low:5.1%}, {high:5.1%}) "
            f"{min(splits):6.1%} –{max(splits):6.1%} {ratio['0.5']:12.2f} {ratio['0.95']:6.2f}"
        )
