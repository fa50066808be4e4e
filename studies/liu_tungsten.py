"""Distillation for tungsten: how many DFT labels a student needs beside those of eleven universal potentials.

Liu et al. 2025 (arXiv:2507.21297): "for W, an accuracy comparable to full-DFT training is achieved using only 4% of
the DFT labels". The pool is A + B, with the predictions of `umlip-committee.npz`; frames with U >= U_c have their DFT
label, the others that of the best teacher. Every student has the same frames and rows; only labels differ, so rows are
computed once. It is fitted to all frames, and to five 80 % subsamples: each leaves one of five random parts out.
Intervals are those of the delete-a-group jackknife (t with 4 degrees of freedom): they say what other frames would have
given. Tests: C, which no part has, and the part left out.

Axis letters: T label sets, G parts, F frames, P coefficients.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import assay
from assay.distillation.cutoffs import cutoff_for_share
from assay.distillation.errors import errors
from assay.distillation.labels import Mixed, mix
from assay.distillation.teachers import PoolLabels, Teachers
from assay.ensembles.weights import weights_of_rmse
from assay.frames.frame import Frame, file_hash
from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.results.arrays import Array
from assay.sources.capabilities import LinearSource
from assay.sources.frame_files import FrameFiles
from assay.sources.recorded.recorded import Recorded
from assay.sources.registry import parse_spec, source_from_settings

RMSE = (0.23719, 0.243286, 0.24351, 0.253712, 0.2643, 0.27751, 0.350226, 0.48766, 0.49757, 0.50635, 0.5111)
"""Of the first eleven models on OMat24, eV/Å: Liu et al."""
SHARES = (0.0, 0.01, 0.04, 0.1, 0.3, 0.7, 1.0)
CLAIMED = 0.04
PARTS = 5
T_4 = 2.776
"""97.5 % quantile of Student's t with `PARTS - 1` degrees of freedom."""
TIES = 20
"""Most certain frames with DFT labels in the variant that takes its energy reference from them."""
FIGURES = ("force_rmse_eV_per_A", "energy_rmse_meV_per_atom", "energy_shifted_rmse_meV_per_atom")
STUDENT = "snap:twojmax=8,rcut=5.0,quadratic=true"


@dataclass(frozen=True)
class LabelSet:
    """A set of labels of the pool: its name, the share of atoms with DFT labels that was asked for, and the labels."""

    name: str
    share: float
    mixed: Mixed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of this part."""
    parser.add_argument("--student", default=None, help=f"a linear potential; {STUDENT} by default")
    parser.add_argument("--seed", type=int, default=0, help="of the parts")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All students; prints the tables, returns the figures."""
    started = time.perf_counter()
    folder, every = Path(args.data) / "tungsten", 8 if args.quick else 1
    frames, told, known = pool(folder, every)
    weights = np.array(weights_of_rmse(RMSE))
    uncertainty = told.uncertainty(weights)
    sets = label_sets(frames, told, known, uncertainty, weights)
    test = list(islice(assay.read_frames(folder / "C-periodic-defects.extxyz.gz", labels="needed"), 0, None, every))
    spec = args.student or (STUDENT.replace("twojmax=8", "twojmax=4") if args.quick else STUDENT)
    rows = source_from_settings(parse_spec(spec))
    assert isinstance(rows, LinearSource)
    source = rows.for_species(("W",))
    part = parts(frames, args.seed)
    labels_done = time.perf_counter()
    theta, ridges = students(source, frames, told.offsets, [each.mixed.labels for each in sets], part, known)
    fitted = time.perf_counter()
    on_test = [errors_of(test, predicted, PoolLabels.of(test, _itself)) for predicted in predict(source, test, theta)]
    left_out = errors_left_out(source, frames, told.offsets, known, theta, part, len(sets))
    found = {
        "student": source.label,
        "coefficients": source.coefficients,
        "pool": {"frames": len(frames), "atoms": int(told.natoms.sum())},
        "test": {"frames": len(test), "atoms": sum(len(frame.atoms) for frame in test)},
        "sets": [
            _row(each, told, known, frames, on_test[t :: len(sets)], left_out[t], float(ridges[t]))
            for t, each in enumerate(sets)
        ],
        "teachers_on_pool": {
            which: errors_of(frames, told.label(which, weights, _shifts(sets, frames)), known)
            for which in ("best", "mean")
        },
        "data": {name: file_hash(folder / name) for name in ("umlip-committee.npz", "C-periodic-defects.extxyz.gz")},
        "seconds": {
            "labels": labels_done - started,
            "fits": fitted - labels_done,
            "all": time.perf_counter() - started,
        },
    }
    found["claim"] = claim(found["sets"])
    with redirect_stdout(sys.stderr if args.json == "-" else sys.stdout):
        show(found)
    return found


def pool(folder: Path, every: int) -> tuple[list[Frame], Teachers, PoolLabels]:
    """Every so many frames of A + B, the teachers, and the DFT labels. A's config_type is given: the file has none."""
    stem = folder / "umlip-committee"
    stream = FrameFiles(stem.with_suffix(".extxyz.gz"), stem.with_suffix(".npz"))
    named = (
        replace(frame, config_type="A" if len(frame.atoms) == 2 else "B") for frame in islice(stream, 0, None, every)
    )
    frames = list(named)
    models = Recorded.from_frame(frames[0].atoms).models[: len(RMSE)]
    frames, told = Teachers.evaluate(Recorded(models), models, frames)
    return frames, told, PoolLabels.of(frames, _itself)


def label_sets(
    frames: Sequence[Frame], told: Teachers, known: PoolLabels, uncertainty: Array, weights: Array
) -> list[LabelSet]:
    """The seven shares with the best teacher's label, and variants of what is claimed and of no DFT label at all."""
    none = np.zeros(len(frames), dtype=bool)
    certain = np.isin(np.arange(len(frames)), np.argsort(uncertainty, kind="stable")[:TIES])

    def of(share: float, which: Any, ties: NDArray[np.bool_]) -> Mixed:
        cutoff = cutoff_for_share(uncertainty, told.natoms, share)
        return mix(frames, told, uncertainty, cutoff, known, weights=weights, which=which, ties=ties)

    variants = [LabelSet(f"{100 * share:g} %", share, of(share, "best", none)) for share in SHARES]
    variants += [
        LabelSet(f"{100 * share:g} %, mean of teachers", share, of(share, "mean", none)) for share in (0, CLAIMED)
    ]
    return [*variants, LabelSet(f"{100 * CLAIMED:g} %, reference of {TIES}", CLAIMED, of(CLAIMED, "best", certain))]


def parts(frames: Sequence[Frame], seed: int) -> NDArray[np.int64]:
    """Five random parts of equal size of A and of B, `(F,)`."""
    rng, part = np.random.default_rng(seed), np.empty(len(frames), dtype=np.int64)
    kinds = np.array([frame.config_type for frame in frames])
    for kind in np.unique(kinds):
        where = rng.permutation(np.flatnonzero(kinds == kind))
        part[where] = np.arange(len(where)) % PARTS
    return part


def students(
    source: LinearSource,
    frames: Sequence[Frame],
    offsets: NDArray[np.int64],
    labels: Sequence[PoolLabels],
    part: NDArray[np.int64],
    known: PoolLabels,
) -> tuple[Array, Array]:
    """Coefficients `(1 + G, T, P)`, fitted to all frames and without part g; ridges `(T,)`, cross-validated on all.

    Weights are the uniform ones of `assay.Weights`, scaled by the DFT labels for all sets.
    """
    T, P = len(labels), source.coefficients
    natoms = np.diff(offsets)
    energies = np.array([each.energy / natoms for each in labels])
    reference = energies.mean(axis=1)
    of_energy = 1 / (np.std(known.energy / natoms) * np.sqrt(len(frames)))
    of_force = 1 / (np.sqrt(np.mean(known.forces**2)) * np.sqrt(3 * len(known.forces)))
    shared = NormalEquations(P, PARTS)
    moments, squares = np.zeros((T, PARTS, P)), np.zeros((T, PARTS))
    for g in range(PARTS):
        for j in np.flatnonzero(part == g):
            design, here = source.design(frames[j].atoms), slice(offsets[j], offsets[j + 1])
            rows = np.vstack([of_energy * design.energy_row / natoms[j], of_force * design.force_rows])
            y = np.array(
                [
                    np.concatenate(
                        [
                            [of_energy * (energies[t, j] - reference[t] - design.reference_energy / natoms[j])],
                            of_force * (labels[t].forces[here] - design.reference_forces).ravel(),
                        ]
                    )
                    for t in range(T)
                ]
            )
            shared.update(g, rows, y[0])
            moments[:, g] += y @ rows
            squares[:, g] += np.square(y).sum(axis=1)
    shared.system()  # nothing is left in its buffer
    theta, ridges = np.empty((1 + PARTS, T, P)), np.empty(T)
    for t in range(T):
        shared.moments, shared.squares = moments[t], squares[t]
        ridges[t] = choose_ridge(shared)
        for fit in range(1 + PARTS):
            system = shared.system(np.ones(PARTS) if fit == 0 else (np.arange(PARTS) != fit - 1).astype(float))
            theta[fit, t] = system.stable_factor(ridges[t]).solve(system.moment)
            theta[fit, t, 0] += reference[t]
    return theta, ridges


def predict(source: LinearSource, frames: Sequence[Frame], theta: Array) -> list[PoolLabels]:
    """What each of the coefficients `(…, P)` predicts, one evaluation of each frame for all."""
    flat = theta.reshape(-1, theta.shape[-1])
    told = [source.predictions(frame.atoms, flat) for frame in frames]
    energy, forces = np.stack([each.energy_members for each in told], axis=1), [each.forces_members for each in told]
    stress = np.full((len(frames), 6), np.nan)
    return [PoolLabels(energy[n], np.concatenate([each[n] for each in forces]), stress) for n in range(len(flat))]


def errors_of(frames: Sequence[Frame], predicted: PoolLabels, known: PoolLabels) -> dict[str, Any]:
    """Against DFT, as JSON."""
    found = errors(frames, predicted, known)
    assert found is not None
    return found.summary()


def errors_left_out(
    source: LinearSource,
    frames: Sequence[Frame],
    offsets: NDArray[np.int64],
    known: PoolLabels,
    theta: Array,
    part: NDArray[np.int64],
    sets: int,
) -> list[dict[str, Any]]:
    """Errors against DFT, for each set of labels, of every frame by the student that has not seen its part."""
    energy, forces = np.empty((sets, len(frames))), np.empty((sets, len(known.forces), 3))
    for j, frame in enumerate(frames):
        told = source.predictions(frame.atoms, theta[1 + part[j]])
        energy[:, j], forces[:, offsets[j] : offsets[j + 1]] = told.energy_members, told.forces_members
    stress = np.full((len(frames), 6), np.nan)
    return [errors_of(frames, PoolLabels(energy[t], forces[t], stress), known) for t in range(sets)]


def jackknife(values: Sequence[float]) -> dict[str, Any]:
    """Of the value with all frames (first) and those without each part: its 95 % interval.

    `s² = (G − 1)/G Σ_g (θ_g − θ̄)²`.
    """
    every, without = values[0], np.array(values[1:])
    s = float(np.sqrt((PARTS - 1) / PARTS * np.sum((without - without.mean()) ** 2)))
    return {"value": every, "95": [every - T_4 * s, every + T_4 * s], "resamples": without.tolist()}


def claim(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RMSEs on C with the claimed share of DFT labels over those with all of them, with intervals."""
    full = next(row for row in rows if row["share"] == 1.0)
    found = {}
    for row in rows:
        ratios = {}
        for figure in FIGURES:
            ours, all_dft = (each["test"][figure] for each in (row, full))
            pairs = zip([ours["value"], *ours["resamples"]], [all_dft["value"], *all_dft["resamples"]], strict=True)
            ratios[figure] = jackknife([a / b for a, b in pairs])
        found[row["name"]] = ratios
    return found


def show(found: dict[str, Any]) -> None:
    """Tables for people."""
    print(
        f"\nTungsten: {found['pool']['frames']} frames in the pool, {found['test']['frames']} of C; {found['student']}"
    )
    print("Liu et al.: an accuracy comparable to full-DFT training with 4 % of the DFT labels\n")
    print(f"{'':34}{'labels against DFT':>20}{'student on C':>38}{'left-out A + B':>26}")
    heads = ("DFT labels", "U_c", "frames", "F", "E", "F [95 %]", "E", "E shifted", "F", "E")
    print("{:>22}{:>7}{:>8}{:>8}{:>8}{:>24}{:>8}{:>10}{:>10}{:>8}".format(*heads))
    for row in found["sets"]:
        test, label, left = row["test"], row["labels"], row["left_out"]
        force = test[FIGURES[0]]
        low, high = force["95"]
        print(
            f"{row['name']:>22}{_cutoff(row['cutoff']):>7}{row['dft_frames']:>8}"
            f"{label[FIGURES[0]]:>8.4f}{label[FIGURES[1]]:>8.2f}"
            f"{force['value']:>9.4f} [{low:.4f}, {high:.4f}]{test[FIGURES[1]]['value']:>7.2f}"
            f"{test[FIGURES[2]]['value']:>10.2f}{left[FIGURES[0]]:>10.4f}{left[FIGURES[1]]:>8.2f}"
        )
    print("forces in eV/Å, energies in meV/atom; shifted: after one constant\n")
    for name, ratios in found["claim"].items():
        shown = ", ".join(
            f"{text} {ratios[figure]['value']:.3f} [{ratios[figure]['95'][0]:.3f}, {ratios[figure]['95'][1]:.3f}]"
            for text, figure in zip(("force", "energy", "shifted energy"), FIGURES, strict=True)
        )
        print(f"RMSE on C over that of full-DFT training, {name}: {shown}")
    print(f"{found['seconds']['all']:.0f} s")


def _row(
    each: LabelSet,
    told: Teachers,
    known: PoolLabels,
    frames: Sequence[Frame],
    on_test: Sequence[dict[str, Any]],
    left_out: dict[str, Any],
    ridge: float,
) -> dict[str, Any]:
    mixed = each.mixed
    return {
        "name": each.name,
        "share": each.share,
        "cutoff": mixed.cutoff if np.isfinite(mixed.cutoff) else None,
        "dft_frames": int(mixed.dft.sum()),
        "dft_share_of_atoms": float(told.natoms[mixed.dft].sum() / told.natoms.sum()),
        "onto": mixed.references.onto,
        "labels": errors_of(frames, mixed.labels, known),
        "ridge": ridge,
        "test": {figure: jackknife([one[figure] for one in on_test]) for figure in FIGURES},
        "test_by_config_type": on_test[0]["by_config_type"],
        "left_out": left_out,
    }


def _shifts(sets: Sequence[LabelSet], frames: Sequence[Frame]) -> Array:
    references = next(each for each in sets if each.share == 1.0).mixed.references
    return np.array([references.of(frame.atoms.numbers) for frame in frames]).T


def _cutoff(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _itself(frame: Frame) -> Frame:
    return frame
