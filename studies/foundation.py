"""The foundation on real data: errors, ranking and coverage for five sources, each case in a process of its own.

    python studies/foundation.py --data DIR [--json FILE] [--quick] [--case NAME …] [--workers N]

| case | potential | training, held-out, test |
|---|---|---|
| tungsten | quadratic SNAP, 2J = 8 | A + B, a tenth of them, C |
| silicon | quadratic SNAP with the settings of Zuo et al. 2020 (doi:10.1021/acs.jpca.9b08723), beside their potential | training, a tenth, test |
| molybdenum-tungsten | SNAP with explicit elements | solid solutions and metals, a tenth, MoW_Test |
| tungsten-committee | four tungsten potentials of LAMMPS | none is fitted; thresholds from A + B |
| tungsten-universal | twelve recorded universal potentials | as above; C has no members, so held-out only |

`--quick` takes every eighth frame and smaller expansions. Peak memory is that of the process (and of its largest worker).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import read, write
from result import write_result

import assay
from assay.calibration.scale import Scale
from assay.evaluation.evaluate import evaluated
from assay.frames.frame import file_hash
from assay.gauge.batch import collect
from assay.gauge.spreads import force_spread, proportional_to_errors
from assay.metrics import rmse
from assay.results.batch import Batch
from assay.results.per_quantity import PerQuantity
from assay.results.plain import plain
from assay.sources.frame_files import FrameFiles

# ruff: noqa: E501 (the lines of LAMMPS below)

WOLFRAM = """source = "ase_committee"
[[member]]
label = "eam-zhou"
calculator = "ase.calculators.lammpslib.LAMMPSlib"
arguments = { lmpcmds = ["pair_style eam/alloy", "pair_coeff * * {lammps_potentials}/W_zhou.eam.alloy W"], atom_types = { W = 1 } }
[[member]]
label = "meam"
calculator = "ase.calculators.lammpslib.LAMMPSlib"
arguments = { lmpcmds = ["pair_style meam", "pair_coeff * * {lammps_potentials}/library.meam WL {lammps_potentials}/WL.meam WL"], atom_types = { W = 1 } }
[[member]]
label = "snap-wood-2017"
calculator = "ase.calculators.lammpslib.LAMMPSlib"
arguments = { lmpcmds = ["pair_style hybrid/overlay zbl 4 4.8 snap", "pair_coeff 1 1 zbl 74 74", "pair_coeff * * snap {lammps_potentials}/W_2940_2017_2.snapcoeff {lammps_potentials}/W_2940_2017_2.snapparam W"], atom_types = { W = 1 } }
[[member]]
label = "snap-wbe-2019"
calculator = "ase.calculators.lammpslib.LAMMPSlib"
arguments = { lmpcmds = ["pair_style hybrid/overlay zbl 4 4.8 snap", "pair_coeff 1 1 zbl 74 74", "pair_coeff * * snap {lammps_potentials}/WBe_Wood_PRB2019.snapcoeff {lammps_potentials}/WBe_Wood_PRB2019.snapparam W"], atom_types = { W = 1 } }
"""


def thinned(paths: list[Path], folder: Path, quick: bool, keep: Any = None) -> list[Path]:
    """The files, or copies with every eighth frame (`--quick`) or with the frames for which `keep` is true."""
    if not quick and keep is None:
        return paths
    copies = []
    for path in paths:
        frames = [atoms for atoms in read(path, ":") if keep is None or keep(atoms)]
        target = folder / f"{len(list(folder.iterdir()))}-{path.name.removesuffix('.gz')}"
        write(target, frames[:: 8 if quick else 1], format="extxyz")
        copies.append(target)
    return copies


def build(train: list[Path] | FrameFiles, source: str, workers: int) -> tuple[assay.Built, dict[str, Any]]:
    """Build, with its time, the peak memory of this process and its workers, and training errors."""
    started = time.perf_counter()
    built = assay.build(train, source=source, run=assay.Run(f"local:{workers}", skip_bad=True))
    seconds = time.perf_counter() - started
    labels = built.training.labels
    assert labels is not None
    return built, {
        "source": built.gauge.source.label,
        "seconds": seconds,
        "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "peak_worker_GB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6,
        "frames": built.gauge.provenance["training"],
        "skipped": len(built.skipped),
        "duplicates": len(built.duplicates),
        "label_outliers": len(built.outliers),
        "alpha": {q: getattr(c, "alpha", None) for q, c in built.gauge.calibrators.items()},
        "train_sample": {
            "atoms": len(built.training.numbers),
            "force_rmse_eV_per_A": rmse(built.training.forces - labels.forces),
            "energy_rmse_meV_per_atom": 1000 * rmse((built.training.energy - labels.energy) / built.training.natoms),
        },
    }


def judged(gauge: assay.Gauge, batch: Batch) -> dict[str, Any]:
    """Figures of a batch, after and before calibration (α = 1)."""
    raw = replace(gauge, calibrators=gauge.calibrators.map(lambda _: Scale(1.0)))
    after = evaluated(gauge.assessment(batch), gauge.constant_bar).summary()
    before = evaluated(raw.assessment(batch), gauge.constant_bar).summary()
    for added in ("training_overlap", "calibration_overlap", "global_bars", "failed"):  # not of a batch
        after.pop(added)
    after.pop("by_element")
    after["by_config_type"] = {k: v["errors"] for k, v in after["by_config_type"].items()}
    for quantity, bar in after["error_bars"].items():
        if bar is not None:
            bar["before_calibration"] = {
                key: before["error_bars"][quantity][key] for key in ("mean_width", "coverage", "ence", "nll")
            }
    return after


def other_bars(gauge: assay.Gauge, held_out: Batch, test: Batch) -> dict[str, Any]:
    """Force bars of the other calibrators and scores, calibrated on the same held-out frames."""
    facts = {score.name: score.facts for score in gauge.scores}
    names = [name for name in facts if name in ("committee_force", "gamma", "leverage")]
    found = {}
    for bar in (f"{name}:{calibrator}" for name in names for calibrator in ("scale", "ratio", "conformal")):
        if bar == gauge.bar:
            continue
        other = replace(gauge, bar=bar)
        name = bar.split(":")[0]

        def spread(batch: Batch, name: str = name) -> Batch:
            of_atoms = batch.scores[name, "atom"]
            force = force_spread(proportional_to_errors(facts[name], of_atoms))
            return replace(batch, spreads={name: replace(next(iter(batch.spreads.values())), force=force)})

        other = other.calibrated(spread(held_out))
        found[bar] = {
            part: evaluated(other.assessment(spread(batch)), other.constant_bar).summary()["error_bars"]["force"]
            for part, batch in (("held_out", held_out), ("test", test))
        }
    return found


def part(batch: Batch, frames: Any) -> Batch:
    """The columns of some frames, `frames` a mask `(F,)`."""
    atoms = np.repeat(frames, batch.natoms)
    assert batch.labels is not None
    labels = replace(
        batch.labels,
        energy=batch.labels.energy[frames],
        forces=batch.labels.forces[atoms],
        stress=None if batch.labels.stress is None else batch.labels.stress[frames],
    )
    return replace(
        batch,
        names=tuple(np.array(batch.names)[frames]),
        config_types=tuple(np.array(batch.config_types)[frames]),
        offsets=np.concatenate([[0], np.cumsum(batch.natoms[frames])]),
        numbers=batch.numbers[atoms],
        energy=batch.energy[frames],
        forces=batch.forces[atoms],
        stress=None if batch.stress is None else batch.stress[frames],
        scores={key: values[frames if key[1] == "frame" else atoms] for key, values in batch.scores.items()},
        spreads={
            name: PerQuantity(of.energy[frames], of.force[atoms], None if of.stress is None else of.stress[frames])
            for name, of in batch.spreads.items()
        },
        still=batch.still[atoms],
        labels=labels,
        neighbourhood_error=None if batch.neighbourhood_error is None else batch.neighbourhood_error[atoms],
    )


def cross_fitted(gauge: assay.Gauge, held_out: Batch) -> list[dict[str, Any]]:
    """Force coverage on one half of the held-out frames of bars calibrated on the other, both ways."""
    even = np.arange(len(held_out.names)) % 2 == 0
    found = []
    for fitted in (even, ~even):
        half = gauge.calibrated(part(held_out, fitted))
        judged_on = part(held_out, ~fitted)
        bar = evaluated(half.assessment(judged_on), half.constant_bar).bars.force.figures
        found.append({"coverage": plain(bar.coverage), "mean_width": bar.mean_width, "ence": bar.ence})
    return found


def with_symmetry_zeros(gauge: assay.Gauge, batch: Batch) -> dict[str, Any]:
    """Force coverage with the components that vanish by symmetry counted as any other."""
    everything = replace(batch, still=np.zeros_like(batch.still))
    bar = evaluated(gauge.assessment(everything), gauge.constant_bar).bars.force.figures
    return {"components": int(batch.still.sum()), "coverage": plain(bar.coverage), "ence": bar.ence}


def score(gauge: assay.Gauge, files: list[Path], workers: int) -> Batch:
    scored, failed = assay.Gauge.split(gauge.stream(FrameFiles(files, skip_bad=True), workers=workers))
    assert not failed, failed[:3]
    return collect(scored)


def tungsten(data: Path, folder: Path, quick: bool, workers: int) -> dict[str, Any]:
    train = thinned([data / f"tungsten/{n}.extxyz.gz" for n in ("A-elastic", "B-bulk-and-defects")], folder, quick)
    test = thinned([data / "tungsten/C-periodic-defects.extxyz.gz"], folder, quick)
    built, facts = build(train, f"snap:twojmax={6 if quick else 8},rcut=5.0,quadratic=true", workers)
    gauge, held, new = built.gauge, built.held_out, score(built.gauge, test, workers)
    without_a = np.array([kind != "A-elastic" for kind in held.config_types])
    return facts | {
        "held_out": judged(gauge, held),
        "held_out_cross_fitted": cross_fitted(gauge, held),
        "held_out_symmetry_zeros_counted": with_symmetry_zeros(gauge, held),
        "held_out_A_frames": int((~without_a).sum()),
        "C": judged(gauge, new),
        "other_force_bars": other_bars(gauge, held, new),
    }


def silicon(data: Path, folder: Path, quick: bool, workers: int) -> dict[str, Any]:
    train = thinned([data / "silicon/training.extxyz.gz"], folder, quick)
    test = [data / "silicon/test.extxyz.gz"]
    # rcutfac 4.8, radius 0.5: the cut-off of a pair is 4.8 Å; bzeroflag 0, as published
    spec = f"snap:twojmax={6 if quick else 8},rcut=4.8,quadratic=true,bzero=false"
    built, facts = build(train, spec, workers)
    new = score(built.gauge, test, workers)
    return facts | {
        "held_out": judged(built.gauge, built.held_out),
        "held_out_cross_fitted": cross_fitted(built.gauge, built.held_out),
        "test": judged(built.gauge, new),
        "other_force_bars": other_bars(built.gauge, built.held_out, new),
        "published": published_silicon(test[0]),
    }


def published_silicon(test: Path) -> dict[str, float]:
    """Errors of the potential of Zuo et al. on the test frames, run by LAMMPS's `pair_style snap`."""
    from assay.sources.committees.committee import AseCommittee

    stem = "{lammps_potentials}/Si_Zuo_JPCA2020.quadratic"
    commands = ["pair_style snap", f"pair_coeff * * {stem}.snapcoeff {stem}.snapparam Si"]
    member = {
        "label": "zuo-2020",
        "calculator": "ase.calculators.lammpslib.LAMMPSlib",
        "arguments": {"lmpcmds": commands, "atom_types": {"Si": 1}},
    }
    potential = AseCommittee.from_toml({"source": "ase_committee", "member": [member]})
    forces, energies = [], []
    for frame in assay.read_frames(test, labels="needed"):
        evaluated = potential.predict(frame.atoms)
        forces.append(evaluated.forces - frame.forces)
        energies.append((evaluated.energy - (frame.energy or 0.0)) / len(frame.atoms))
    return {
        "force_rmse_eV_per_A": rmse(np.concatenate(forces)),
        "energy_rmse_meV_per_atom": 1000 * rmse(np.array(energies)),
    }


def molybdenum_tungsten(data: Path, folder: Path, quick: bool, workers: int) -> dict[str, Any]:
    path = data / "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz"
    train = thinned([path], folder, quick, lambda atoms: atoms.info["config_type"] != "MoW_Test")
    test = thinned([path], folder, False, lambda atoms: atoms.info["config_type"] == "MoW_Test")
    built, facts = build(train, f"snap:twojmax={4 if quick else 6},rcut=4.7", workers)
    return facts | {
        "held_out": judged(built.gauge, built.held_out),
        "held_out_cross_fitted": cross_fitted(built.gauge, built.held_out),
        "test": judged(built.gauge, score(built.gauge, test, workers)),
    }


def tungsten_committee(data: Path, folder: Path, quick: bool, workers: int) -> dict[str, Any]:
    spec = folder / "committee.toml"
    spec.write_text(WOLFRAM)
    train = thinned([data / f"tungsten/{n}.extxyz.gz" for n in ("A-elastic", "B-bulk-and-defects")], folder, quick)
    test = thinned([data / "tungsten/C-periodic-defects.extxyz.gz"], folder, quick)
    built, facts = build(train, str(spec), workers)
    return facts | {
        "held_out": judged(built.gauge, built.held_out),
        "held_out_cross_fitted": cross_fitted(built.gauge, built.held_out),
        "C": judged(built.gauge, score(built.gauge, test, workers)),
    }


def tungsten_universal(data: Path, folder: Path, quick: bool, workers: int) -> dict[str, Any]:
    frames, members = data / "tungsten/umlip-committee.extxyz.gz", data / "tungsten/umlip-committee.npz"
    built, facts = build(FrameFiles(frames, members), "recorded", workers)
    return facts | {
        "held_out": judged(built.gauge, built.held_out),
        "held_out_cross_fitted": cross_fitted(built.gauge, built.held_out),
    }


CASES = {
    "tungsten": tungsten,
    "silicon": silicon,
    "molybdenum-tungsten": molybdenum_tungsten,
    "tungsten-committee": tungsten_committee,
    "tungsten-universal": tungsten_universal,
}


def summary(name: str, case: dict[str, Any]) -> None:
    """The figures of a case for people."""
    print(f"\n{name}: {case['source']}")
    print(
        f"  build {case['seconds']:.0f} s, peak {case['peak_GB']:.2f} GB (worker {case['peak_worker_GB']:.2f} GB); "
        f"train sample: force RMSE {case['train_sample']['force_rmse_eV_per_A']:.3f} eV/Å, "
        f"energy RMSE {case['train_sample']['energy_rmse_meV_per_atom']:.2f} meV/atom"
    )
    if "held_out_symmetry_zeros_counted" in case:
        print(f"  with symmetry zeros counted: {case['held_out_symmetry_zeros_counted']}")
    for name_of_part in ("held_out", "C", "test"):
        if name_of_part not in case:
            continue
        figures = case[name_of_part]
        errors, bar = figures["errors"], figures["error_bars"]["force"]
        print(
            f"  {name_of_part}: {figures['frames']} frames, force RMSE {errors['force_rmse_eV_per_A']:.3f} eV/Å, "
            f"energy RMSE {errors['energy_rmse_meV_per_atom']:.2f} meV/atom"
        )
        for label, each in (("before", bar["before_calibration"]), ("after", bar), ("constant", bar["constant_bar"])):
            shares = ", ".join(f"{level}: {share:.3f}" for level, share in each["coverage"].items())
            width, ence = each["mean_width"], each["ence"]
            width, ence = (np.nan if value is None else value for value in (width, ence))
            print(f"    force bars {label:8}: coverage {shares}; width {width:.3f}; ENCE {ence:.2f}")
        for half in case["held_out_cross_fitted"] if name_of_part == "held_out" else []:
            shares = ", ".join(f"{level}: {share:.3f}" for level, share in half["coverage"].items())
            print(f"    calibrated on one half, judged on the other: {shares}; ENCE {half['ence'] or np.nan:.2f}")
        for score_name, levels in figures["scores"].items():
            shown = "; ".join(
                f"{level} ρ {v['spearman']:.2f} AUROC {v['auroc']:.2f} flagged {100 * v['flagged']:.1f} %"
                for level, v in levels.items()
                if None not in (v["spearman"], v["auroc"], v["flagged"])
            )
            print(f"    {score_name}: {shown}")
    for bar, parts in case.get("other_force_bars", {}).items():
        for name_of_part, each in parts.items():
            shares = ", ".join(f"{level}: {share:.3f}" for level, share in each["coverage"].items())
            print(f"    {bar} on {name_of_part}: coverage {shares}; width {each['mean_width']:.3f}")
    if "published" in case:
        print(f"  published potential on the same test frames: {case['published']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.data is None:
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    names = args.case or list(CASES)
    if args.in_process:
        with TemporaryDirectory() as folder:
            print(json.dumps(CASES[names[0]](args.data, Path(folder), args.quick, args.workers)))
        return
    cases = {}
    for name in names:
        command = [sys.executable, __file__, "--in-process", "--case", name, "--data", str(args.data)]
        command += ["--workers", str(args.workers), *(["--quick"] if args.quick else [])]
        cases[name] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        if args.json != "-":
            summary(name, cases[name])
    data = {str(p.relative_to(args.data)): file_hash(p) for p in sorted(Path(args.data).rglob("*.extxyz.gz"))}
    command = ["studies/foundation.py", *("--quick" for _ in range(args.quick))]
    write_result(args.json, command, {"data": data, "cases": cases})


if __name__ == "__main__":
    main()
