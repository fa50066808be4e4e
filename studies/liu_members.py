"""The real members: what U of universal potentials tells of their errors, and which members help.

    python studies/liu2025.py members --members MPTRJ.npz … --silicon SILICON.npz … [--json FILE]

| frames | question | members |
|---|---|---|
| materials-project/mptrj-random-400 | does U rank errors; which members help | run here; trained on MPtrj, most: \
in sample, so nothing of calibration |
| silicon-pbe of Assay's demo, which no member saw | do calibrated bars hold on test frames, on new kinds | run here |
| tungsten A and B | the same | the first eleven that are recorded there |

Members files are those of `assay members MODEL,… FRAMES… -o FILE.npz`; without any, `--models` are run. Members of
another functional (r2SCAN) are kept out of all averages, frames on which a member fails are left out and counted.
Labels of mptrj-random-400 lack the Materials Project's corrections of energies, which most members were trained with.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import write

import assay
from assay.ensembles.choice import choose_members
from assay.ensembles.references import ReferenceFold
from assay.ensembles.weights import weights_of_rmse
from assay.evaluation.figures import Part
from assay.evaluation.result import EvaluationResult
from assay.frames.frame import Frame, content_hash, file_hash
from assay.frames.splits import contiguous_blocks
from assay.metrics import rmse, roc_auc, spearman, worst_decile
from assay.scores.members.deviations import member_deviations
from assay.verbs.demo import demo_data

PUBLISHED = {"chosen": 11, "of": 21, "spearman_tungsten_eleven": 0.959}
"""Liu et al.: how many of their members they keep; Spearman correlation on tungsten from their files."""
RMSES = (0.23719, 0.243286, 0.24351, 0.253712, 0.2643, 0.27751, 0.350226, 0.48766, 0.49757, 0.50635, 0.5111)
"""Of the eleven on OMat24, eV/Å, as published."""
LEVELS = (0.68, 0.95)
PARTS = ("mptrj", "silicon", "tungsten")
SILICON = ("train", "calibration", "test", "ood")


@dataclass(frozen=True)
class Predictions:
    """Of M members for F frames and their A atoms; NaN where a member has a gap."""

    models: tuple[str, ...]
    energy: np.ndarray  # (M, F) eV
    forces: np.ndarray  # (M, A, 3) eV/Å
    natoms: np.ndarray  # (F,)

    @property
    def offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.natoms)])

    def whole(self) -> np.ndarray:
        """Frames without a gap, `(F,)`."""
        sound = np.isfinite(self.forces).all(axis=(0, 2))
        return np.isfinite(self.energy).all(axis=0) & np.logical_and.reduceat(sound, self.offsets[:-1])

    def of(self, models: Sequence[int], frames: np.ndarray) -> Predictions:
        """Of some members (indices) and frames (mask)."""
        names, atoms = tuple(self.models[k] for k in models), np.repeat(frames, self.natoms)
        which = np.asarray(models)
        return Predictions(names, self.energy[which][:, frames], self.forces[which][:, atoms], self.natoms[frames])


def predictions(files: Sequence[Path], frames: Sequence[Frame]) -> Predictions:
    """The members of several files for these frames, found by structure."""
    natoms = np.array([len(frame.atoms) for frame in frames])
    starts = np.concatenate([[0], np.cumsum(natoms)])
    keys = [content_hash(frame.atoms) for frame in frames]
    models: list[str] = []
    energies, forces = [], []
    for file in files:
        with np.load(file, allow_pickle=False) as data:
            rows = {str(digest): row for row, digest in enumerate(data["hash"])}
            first = np.concatenate([[0], np.cumsum(data["natoms"])])
            new = [k for k, name in enumerate(data["models"]) if str(name) not in models]
            models += [str(data["models"][k]) for k in new]
            energy, force = np.full((len(new), len(frames)), np.nan), np.full((len(new), starts[-1], 3), np.nan)
            all_energies, all_forces = data["energy"][new], data["forces"][new]
        for j, key in enumerate(keys):
            if key in rows:
                row = rows[key]
                energy[:, j] = all_energies[:, row]
                force[:, starts[j] : starts[j + 1]] = all_forces[:, first[row] : first[row + 1]]
        energies.append(energy)
        forces.append(force)
    return Predictions(tuple(models), np.concatenate(energies), np.concatenate(forces), natoms)


def run_members(models: str, frames: Sequence[Path], out: Path) -> Path:
    """`assay members`: run the potentials."""
    command = ["assay", "members", models, *map(str, frames), "-o", str(out)]
    subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], check=True, stdout=sys.stderr)
    return out


def without_other_functionals(models: Sequence[str]) -> list[int]:
    return [k for k, name in enumerate(models) if "r2scan" not in name.lower()]


def labels_of(frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """`(F,)` eV and `(A, 3)` eV/Å."""
    return np.array([frame.energy for frame in frames]), np.concatenate([frame.forces for frame in frames])


def errors_of_members(told: Predictions, frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Force RMSE of each member, and energy RMSE as it is and after a shift per species."""
    energy, forces = labels_of(frames)
    fold = ReferenceFold(told.models)
    for frame, label, each in zip(frames, energy, told.energy.T, strict=True):
        fold.update(frame.atoms.numbers, each, float(label))
    with warnings.catch_warnings():  # of species whose shift the frames don't determine: nothing is predicted with it
        warnings.simplefilter("ignore")
        references = fold.result()
    return [
        {
            "member": name,
            "force_rmse_eV_per_A": rmse(told.forces[k] - forces),
            "energy_rmse_meV_per_atom": 1000 * rmse((told.energy[k] - energy) / told.natoms),
            "energy_after_shifts_rmse_meV_per_atom": 1000 * float(references.after[k]),
        }
        for k, name in enumerate(told.models)
    ]


def ranking(told: Predictions, forces: np.ndarray, weights: Sequence[float] = ()) -> dict[str, float]:
    """How well U tells which frames have the largest force errors, of the members' mean."""
    deviations = member_deviations(told.forces, told.offsets, weights, with_mean=True)
    per_atom = np.linalg.norm(forces - deviations.mean, axis=1)
    U, largest = deviations.frames(weights), np.maximum.reduceat(per_atom, told.offsets[:-1])
    bad, order = worst_decile(largest), np.argsort(-U, kind="stable")
    return {
        "spearman": spearman(U, largest),
        "spearman_atoms": spearman(deviations.atoms, per_atom),
        "auroc_worst_tenth": roc_auc(U, bad),
        "worst_tenth_within_first_fifth": float(bad[order[: len(U) // 5]].sum() / bad.sum()),
        "force_rmse_of_mean_eV_per_A": rmse(forces - deviations.mean),
        "median_U": float(np.median(U)),
        "median_error_over_U": float(np.median(largest / np.maximum(U, 1e-12))),
    }


def mptrj(told: Predictions, frames: Sequence[Frame]) -> dict[str, Any]:
    kept = without_other_functionals(told.models)
    whole = told.of(kept, np.ones(len(frames), dtype=bool)).whole()
    every = told.of(range(len(told.models)), told.whole())
    used = told.of(kept, whole)
    usable = [frame for frame, use in zip(frames, whole, strict=True) if use]
    forces = labels_of(usable)[1]
    of_all = errors_of_members(every, [f for f, use in zip(frames, told.whole(), strict=True) if use])
    weights = weights_of_rmse([rmse(each - forces) for each in used.forces])
    chosen = choose_members(used.forces, forces, used.offsets)
    everyone = np.ones(len(usable), dtype=bool)
    others = {name: [k for k in range(len(kept)) if k != at] for at, name in enumerate(used.models)}
    deviation = np.corrcoef((used.forces - forces).reshape(len(kept), -1))
    return {
        "frames": len(usable),
        "left_out_for_gaps": len(frames) - len(usable),
        "members_kept_out": [name for k, name in enumerate(told.models) if k not in kept],
        "errors": of_all,
        "mean_correlation_of_errors": float(deviation[~np.eye(len(kept), dtype=bool)].mean()),
        "equal_weights": ranking(used, forces),
        "weights_of_rmse": ranking(used, forces, weights),
        "without": {name: ranking(used.of(rest, everyone), forces) for name, rest in others.items() if len(rest) > 1},
        "choice": chosen.told(),
    }


def written(folder: Path, name: str, frames: Sequence[Frame], told: Predictions) -> tuple[Path, Path]:
    """Frames and members files of a part."""
    paths = folder / f"{name}.extxyz", folder / f"{name}.npz"
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.calc = None
        atoms.info = {"config_type": frame.config_type or "unnamed", "REF_energy": frame.energy}
        atoms.arrays["REF_forces"] = frame.forces
        write(paths[0], atoms, format="extxyz", append=True)
    np.savez(paths[1], models=np.array(told.models), natoms=told.natoms, energy=told.energy, forces=told.forces)
    return paths


def bars(
    frames: Sequence[Frame], told: Predictions, parts: dict[str, np.ndarray], weights: Sequence[float] | None = None
) -> dict[str, Any]:
    """Bars of forces and U, calibrated on the part `calibration` and judged on those after it, by config_type."""
    found: dict[str, Any] = {"members": list(told.models)}
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            part: written(folder, part, [f for f, use in zip(frames, where, strict=True) if use],
                          told.of(range(len(told.models)), where))
            for part, where in parts.items()
        }  # fmt: skip
        for bar in (
            "heterogeneous_force:scale",
            "heterogeneous_force:conformal",
            "heterogeneous_force:frame_conformal",
        ):
            built = assay.build(
                assay.FrameFiles(*files["train"]), source="recorded", error_bar=bar,
                calibration=assay.FrameFiles(*files["calibration"]), members=assay.MemberChoice(rmse=weights),
            )  # fmt: skip
            for part in list(parts)[2:]:
                judged = assay.evaluate(built.gauge, files[part][0], members=files[part][1])
                found.setdefault(bar, {})[part] = figures(judged)
        found["U:conformal"] = calibrated_u(frames, told, parts, weights_of_rmse(weights) if weights else ())
    return found


def figures(judged: EvaluationResult) -> dict[str, Any]:
    """Coverage of force and energy bars, in all and by config_type."""

    def of(part: EvaluationResult | Part) -> dict[str, Any]:
        told: dict[str, Any] = {"frames": part.frames, "force_rmse_eV_per_A": part.errors.force.rmse}
        told["energy_rmse_meV_per_atom"] = part.errors.energy.rmse
        for quantity in ("force", "energy"):
            if (bar := part.bars[quantity]) is not None:
                told[quantity] = {str(level): bar.figures.coverage[level] for level in LEVELS}
                told[quantity] |= {"mean_width": bar.figures.mean_width}
                if bar.constant is not None:
                    told[quantity]["constant_0.95"] = bar.constant.coverage[0.95]
        return told

    return of(judged) | {"by_config_type": {kind: of(part) for kind, part in judged.by_config_type.items()}}


def calibrated_u(
    frames: Sequence[Frame], told: Predictions, parts: dict[str, np.ndarray], weights: Sequence[float]
) -> dict[str, Any]:
    """`q_p U_j ≥ max_i ‖F_i^DFT − F̄_i‖`: q_p the conformal quantile of the calibration frames' ratios."""
    forces = labels_of(frames)[1]
    deviations = member_deviations(told.forces, told.offsets, weights, with_mean=True)
    largest = np.maximum.reduceat(np.linalg.norm(forces - deviations.mean, axis=1), told.offsets[:-1])
    U = deviations.frames(weights)
    moving = U > 1e-3  # forces that vanish by symmetry have neither U nor an error
    ratios = np.sort((largest[moving] / U[moving])[parts["calibration"][moving]])
    ranks = {level: int(np.ceil((len(ratios) + 1) * level)) - 1 for level in LEVELS}
    q = {level: float(ratios[rank]) for level, rank in ranks.items() if rank < len(ratios)}
    kinds = np.array([frame.config_type for frame in frames])
    found: dict[str, Any] = {"calibration_frames": len(ratios), "q": {str(level): value for level, value in q.items()}}
    for part in list(parts)[2:]:
        here = parts[part] & moving
        groups = {"all": here} | {kind: here & (kinds == kind) for kind in np.unique(kinds[here])}
        found[part] = {
            kind: {"frames": int(group.sum())}
            | ({"spearman": spearman(U[group], largest[group])} if group.sum() > 2 else {})
            | {str(level): float((largest[group] <= value * U[group]).mean()) for level, value in q.items()}
            for kind, group in groups.items()
        }  # fmt: skip
    return found


def silicon(told: Predictions, frames: Sequence[Frame], part_of: np.ndarray) -> dict[str, Any]:
    kept = without_other_functionals(told.models)
    whole = told.of(kept, np.ones(len(frames), dtype=bool)).whole()
    usable = [frame for frame, use in zip(frames, whole, strict=True) if use]
    used = told.of(kept, whole)
    found = bars(usable, used, {part: part_of[whole] == part for part in SILICON})
    return found | {"errors": errors_of_members(used, usable), "left_out_for_gaps": int((~whole).sum())}


def tungsten(folder: Path) -> dict[str, Any]:
    """The recorded eleven: weights from half of the frames, bars from a quarter, judged on a quarter, and exchanged."""
    frames = list(assay.read_frames(folder / "umlip-committee.extxyz.gz", labels="needed"))
    kinds = {
        content_hash(frame.atoms): frame.config_type or part
        for part in ("A-elastic", "B-bulk-and-defects")
        for frame in assay.read_frames(folder / f"{part}.extxyz.gz")
    }
    frames = [replace(frame, config_type=kinds.get(content_hash(frame.atoms), "unnamed")) for frame in frames]
    with np.load(folder / "umlip-committee.npz", allow_pickle=False) as data:
        told = Predictions(
            tuple(map(str, data["models"][:11])), data["energy"][:11], data["forces"][:11], data["natoms"]
        )
    block = contiguous_blocks(np.array([frame.config_type for frame in frames]), 4)
    found = {}
    for name, (calibration, test) in {"forward": (2, 3), "exchanged": (3, 2)}.items():
        parts = {"train": block < 2, "calibration": block == calibration, "test": block == test}
        found[name] = bars(frames, told, parts, RMSES)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--members", nargs="+", type=Path, default=[], help="members files of mptrj-random-400")
    parser.add_argument("--silicon", nargs="+", type=Path, default=[], help="members files of silicon-pbe, all parts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="all by default; with --quick the first two")
    parser.add_argument("--models", default="chgnet:0.3.0,sevennet:7net-0", help="run where a file is lacking")


def run(args: argparse.Namespace) -> dict[str, Any]:
    data, parts = Path(args.data), args.parts or (PARTS[:2] if args.quick else PARTS)
    models = "chgnet:0.3.0,chgnet:0.2.0" if args.quick else args.models
    result: dict[str, Any] = {"published": PUBLISHED}
    with TemporaryDirectory() as name:
        if "mptrj" in parts:
            path = data / "materials-project/mptrj-random-400.extxyz.gz"
            frames = list(assay.read_frames(path, labels="needed"))[:: 16 if args.quick else 1]
            write(thinned := Path(name) / "mptrj.extxyz", [frame.atoms for frame in frames], format="extxyz")
            files = args.members or [run_members(models, [thinned], Path(name) / "mptrj.npz")]
            result |= {"data": {path.name: file_hash(path)}, "mptrj": mptrj(predictions(files, frames), frames)}
        if "silicon" in parts:
            paths = [demo_data(part) for part in SILICON]
            files = args.silicon or [run_members(models, paths, Path(name) / "silicon.npz")]
            by_part = [list(assay.read_frames(each, labels="needed")) for each in paths]
            part_of = np.repeat(SILICON, [len(each) for each in by_part])
            frames = [frame for each in by_part for frame in each]
            result["silicon"] = silicon(predictions(files, frames), frames, part_of)
    if "tungsten" in parts:
        result["tungsten"] = tungsten(data / "tungsten")
    show(result, sys.stderr if args.json == "-" else sys.stdout)
    return result


def show(result: dict[str, Any], out: Any) -> None:
    """Tables for people."""
    if "mptrj" in result:
        found = result["mptrj"]
        print(f"mptrj-random-400: {found['frames']} frames, {found['left_out_for_gaps']} left out for gaps", file=out)
        for each in found["errors"]:
            print(
                f"  {each['member']:40} force RMSE {each['force_rmse_eV_per_A']:.4f} eV/Å   energy, meV/atom "
                f"{each['energy_rmse_meV_per_atom']:7.1f}, after shifts "
                f"{each['energy_after_shifts_rmse_meV_per_atom']:.1f}",
                file=out,
            )
        for name in ("equal_weights", "weights_of_rmse"):
            print(f"  {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in found[name].items()), file=out)
        for name, each in found["without"].items():
            print(
                f"  without {name:32} Spearman {each['spearman']:.3f}, RMSE of mean "
                f"{each['force_rmse_of_mean_eV_per_A']:.4f}",
                file=out,
            )
        for row in found["choice"]["table"]:
            print(f"  K {row['count']:2} Spearman {row['spearman']:.3f}, cv {row['cross_validated']:.3f}", file=out)
        print(f"  {found['choice']['note']} (published: {PUBLISHED['chosen']} of {PUBLISHED['of']} kept)", file=out)
    cases = {f"tungsten, {way}": found for way, found in result.get("tungsten", {}).items()}
    if "silicon" in result:
        cases = {"silicon": result["silicon"], **cases}
    for case, found in cases.items():
        print(f"{case}: {len(found['members'])} members", file=out)
        for bar, parts in found.items():
            if bar == "U:conformal":
                for part in ("test", "ood"):
                    for kind, each in parts.get(part, {}).items():
                        shares = ", ".join(f"{level}: {each[level]:.2f}" for level in parts["q"])
                        print(f"  {bar} {part} {kind:18} {each['frames']:4} frames, {shares}", file=out)
            elif ":" in bar:
                for part, each in parts.items():
                    for kind, one in {"all": each, **each["by_config_type"]}.items():
                        force = one["force"]
                        print(
                            f"  {bar} {part} {kind:18} RMSE {one['force_rmse_eV_per_A']:.3f}, forces in 68 % "
                            f"{force['0.68']:.2f}, 95 % {force['0.95']:.2f}, width {force['mean_width']:.3f}",
                            file=out,
                        )
