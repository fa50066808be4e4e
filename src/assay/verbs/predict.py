"""`assay predict`: predictions, scores and error bars of frames, labelled or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from assay.assessment import Assessment
from assay.block_scoring import Blocks, stream
from assay.blocks import surroundings
from assay.committee_fit import keep_evaluations
from assay.frames import Frame, FrameError, LabelKeys, Skipped, file_hash
from assay.gauge import Gauge
from assay.gauge_file import require_folders, write_atomically
from assay.inputs import Paths, Stage, labelled, listed
from assay.parallel import Failure
from assay.prediction import ONE_SIGMA, Array
from assay.provenance import versions
from assay.scoring import Batch, Scored
from assay.sources.features_file import ATTACHED
from assay.verbs.frames_out import frames_out

BAR = "largest_force_error_bar_eV_per_A"
FORCE_BAR = "force_error_bar"
"""The array of the frame in the picture: `assay.report.quantities.FORCE_BAR`."""
MANY = 10_000
"""Atoms of a frame beyond which a summary has quantiles over them, and a picture shows the surroundings of one."""
PICTURED = 12.0
"""Å around the riskiest atom of such a frame."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def predict(
    gauge: Gauge | str | Path,
    frames: Paths,
    *,
    members: Paths | None = None,
    out: str | Path | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    keys: LabelKeys | None = None,
    species: Sequence[str] | None = None,
    block_atoms: int = Blocks.most,
    forces: bool = False,
    workers: int = 1,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> Assessment:
    """Assess frames with a gauge, and write them with predictions, error bars and scores (scores alone where the source
    has features and no predictions).

    Frames that can't be read or evaluated are listed in `failed`; the others are not lost. Frames of more than
    `block_atoms` atoms are evaluated in blocks of so many: they get the scores of atoms that need features only, and
    with `forces` (linear potentials) forces, their error bars and all scores of atoms; no energy and no stress.

    Parameters
    ----------
    species
        chemical symbols of LAMMPS's atom types, in their order, for dumps and data files that don't say
    out
        `.dump` or `.lammpstrj`: LAMMPS dump with all that belongs to atoms. Else extended XYZ: `energy`, `forces`,
        `stress` as calculator results; `energy_uncertainty` (total, eV), `forces_uncertainty`, `stress_uncertainty`;
        of members `energy_std`, `energy_min`, `energy_max` and the same of `forces` and `stress`, not calibrated;
        scores of atoms as arrays, of frames in `info`; `max_gamma`
    report, json_file
        a self-contained HTML page; a summary with the frames by risk
    """
    require_folders(out, report, json_file)
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
    skipped: Skipped = []

    def read(failed: Skipped) -> Iterator[Frame]:
        return labelled(frames, members, keys or LabelKeys(), failed, labels="if present", species=species)

    keep_evaluations(gauge.source, lambda: read([]), workers=workers, total=None, stage=stage)
    source, how = read(skipped), Blocks(block_atoms, forces)
    assessment, worst = assess_stream(gauge, source, skipped, workers=workers, out=out, stage=stage, in_blocks=how)
    if json_file is not None:
        write_json(json_file, risk_summary(assessment))
    if report is not None:
        from assay.report import write_report

        write_report(
            report,
            assessment,
            title="Prediction",
            provenance=provenance(gauge, frames, command),
            training=gauge.training,
            worst=worst,
        )
    return assessment


def assess_stream(
    gauge: Gauge,
    frames: Iterable[Frame],
    skipped: Skipped,
    *,
    workers: int = 1,
    out: str | Path | None = None,
    stage: Stage | None = None,
    in_blocks: Blocks | None = None,
) -> tuple[Assessment, Atoms | None]:
    """Assess frames as they come, writing each to `out`; also the frame with the riskiest atom, for a picture.

    Large frames are evaluated `in_blocks`. With such among them the assessment has what every frame has; what is
    written of the others is not less for it.
    """
    scored: list[tuple[Frame, Scored]] = []
    worst: dict[str, Atoms] = {}  # by the array that the picture shows
    largest: dict[str, float] = {}
    progress = stage("assessing", None) if stage else None
    with frames_out(out) as write:
        for frame, result in stream(gauge.scorer, frames, in_blocks, workers=workers, progress=progress):
            if isinstance(result, Failure):
                skipped.append((result.origin, result.reason))
                continue
            name, risk = _risk_of_atoms(gauge, frame, result)
            if risk is not None and risk.max() > largest.get(name, -np.inf):
                worst[name], largest[name] = _pictured(frame, name, risk), float(risk.max())
            if out is not None:
                write(annotated(gauge, frame, result))
            bare = Atoms(numbers=frame.atoms.numbers)  # positions and other arrays of frames that are done are let go
            scored.append((replace(frame, atoms=bare), result))
        if not scored:  # before the file is written
            first = ": ".join(skipped[0]) if skipped else "no frames"
            raise FrameError(f"no frame could be evaluated; the first: {first}")
    if any(result.force_spread is None for _, result in scored):
        gauge = replace(gauge, bar="")
    scored = _in_common(scored)
    assessment = gauge.assessment(Batch.collect(scored), tuple(skipped))
    first = next((name for name, level in assessment.scores if level == "atom"), "")
    return assessment, worst.get(first if assessment.forces is None else FORCE_BAR)


def _in_common(scored: list[tuple[Frame, Scored]]) -> list[tuple[Frame, Scored]]:
    """The scores, and what they say beside their values, that every frame has."""
    scores = set.intersection(*(set(result.scores) for _, result in scored))
    companions = set.intersection(*(set(result.companions) for _, result in scored))
    return [
        (
            frame,
            replace(
                result,
                scores={key: values for key, values in result.scores.items() if key in scores},
                companions={name: values for name, values in result.companions.items() if name in companions},
            ),
        )
        for frame, result in scored
    ]


def _pictured(frame: Frame, name: str, risk: Array) -> Atoms:
    """The frame with the risk of its atoms; of a large one, what surrounds the riskiest atom."""
    if len(frame.atoms) <= MANY:
        atoms: Atoms = frame.atoms.copy()
        atoms.info = {"origin": frame.origin}
        atoms.arrays[name] = risk
        return atoms
    top = int(risk.argmax())
    atoms, index = surroundings(frame.atoms, top, PICTURED)
    atoms.info = {"origin": f"{frame.origin}, around atom {top}"}
    atoms.arrays[name] = risk[index]
    return atoms


def annotated(gauge: Gauge, frame: Frame, scored: Scored) -> Atoms:
    """The frame with everything the gauge says, in keys that extended XYZ keeps."""
    one = gauge.assessment(Batch.collect([(frame, scored)]))
    atoms: Atoms = frame.atoms.copy()
    atoms.arrays.pop(ATTACHED, None)
    evaluation = scored.evaluation
    if evaluation.forces is not None:
        results = {"energy": evaluation.energy, "forces": evaluation.forces, "stress": evaluation.stress}
        atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in results.items() if v is not None})
    if one.energy_bar is not None:
        atoms.info["energy_uncertainty"] = float(one.energy_bar.half_width(ONE_SIGMA)[0] * len(atoms))
    if one.force_bar is not None:
        atoms.arrays["forces_uncertainty"] = one.force_bar.half_width(ONE_SIGMA)
    if one.stress_bar is not None:
        atoms.info["stress_uncertainty"] = one.stress_bar.half_width(ONE_SIGMA)[0]
    for (name, level), score in one.scores.items():
        if level == "frame":
            atoms.info[f"max_{name}" if (name, "atom") in one.scores else name] = float(score.values[0])
        else:
            atoms.arrays[name if level == "atom" else f"{name}_neighbourhood"] = score.values
    atoms.arrays |= one.companions
    for name, envelope in one.envelopes.items():
        columns = envelope.columns(name)
        if name == "forces":
            atoms.arrays |= columns
        else:
            atoms.info |= {key: value[0] for key, value in columns.items()}
    return atoms


def _risk_of_atoms(gauge: Gauge, frame: Frame, scored: Scored) -> tuple[str, Array | None]:
    """What the picture of the worst frame shows, `(A,)`: norms of force bars, or the first score of atoms."""
    forces, spread = scored.evaluation.forces, scored.force_spread
    if forces is None or spread is None:
        name = next((name for name, level in scored.scores if level == "atom"), "")
        return name, scored.scores.get((name, "atom"))
    bar = gauge.assessment(Batch.collect([(frame, scored)])).force_bar
    bars = spread if bar is None else bar.half_width(ONE_SIGMA)
    return FORCE_BAR, np.asarray(np.linalg.norm(bars, axis=1))


def risk_summary(assessment: Assessment) -> dict[str, Any]:
    """What `predict --json` writes: counts, shares flagged, and frames by falling risk.

    Risk is the largest force error bar; without predictions, the first score of atoms.
    """
    bar = assessment.force_bar
    width = np.linalg.norm(bar.half_width(ONE_SIGMA), axis=1) if bar is not None else None
    score = next((s for (_, level), s in assessment.scores.items() if level == "atom" and not assessment.bar), None)
    of_atoms, risk = (width, BAR) if score is None else (score.values, score.name)
    frames = []
    for f, name in enumerate(assessment.names):
        atoms = slice(assessment.offsets[f], assessment.offsets[f + 1])
        row: dict[str, Any] = {
            "frame": name,
            "config_type": assessment.config_types[f],
            "atoms": int(assessment.natoms[f]),
        }
        if assessment.energy is not None:
            row["energy_eV"] = float(assessment.energy[f])
        if assessment.energy_bar is not None:
            row["energy_error_bar_eV_per_atom"] = _finite(assessment.energy_bar.half_width(ONE_SIGMA)[f])
        row |= _spanned(assessment, f, atoms)
        if width is not None:
            row[BAR] = _finite(width[atoms].max())
        if of_atoms is not None:
            row["riskiest_atom"] = int(of_atoms[atoms].argmax())
        if assessment.natoms[f] > MANY:
            row["over_atoms"] = _over_atoms(assessment, atoms)
        row |= {n: _finite(s.values[f]) for (n, level), s in assessment.scores.items() if level == "frame"}
        row["flagged_by"] = [n for (n, level), s in assessment.scores.items() if level == "frame" and s.flagged[f]]
        frames.append(row)
    frames.sort(key=lambda row: np.inf if row.get(risk) is None else row[risk], reverse=True)
    flagged: dict[str, dict[str, float | None]] = {}
    for (name, level), score in assessment.scores.items():
        flagged.setdefault(name, {})[level] = None if score.threshold is None else float(score.flagged.mean())
    return {
        "frames": len(assessment.names),
        "atoms": len(assessment.numbers),
        "skipped": len(assessment.failed),
        "failed": [{"frame": origin, "reason": reason} for origin, reason in assessment.failed],
        "error_bar": assessment.bar,
        "global_bars": dict(assessment.global_bars),
        "flagged": flagged,
        "by_risk": frames,
    }


def _spanned(assessment: Assessment, f: int, atoms: slice) -> dict[str, float | None]:
    """What the members span of a frame: its energy, and the widest of its force and stress components."""
    found: dict[str, float | None] = {}
    for name, envelope in assessment.envelopes.items():
        rows = atoms if name == "forces" else f
        if name == "energy":
            found |= {f"{key}_eV": _finite(column[f]) for key, column in envelope.columns(name).items()}
        else:
            what, unit = {"forces": ("force", "eV_per_A"), "stress": ("stress", "eV_per_A3")}[name]
            found[f"largest_{what}_std_{unit}"] = _finite(envelope.std[rows].max())
            found[f"largest_{what}_range_{unit}"] = _finite((envelope.high - envelope.low)[rows].max())
    return found


def _over_atoms(assessment: Assessment, atoms: slice) -> dict[str, dict[str, Any]]:
    """Quantiles of the scores of a frame's atoms, and how many are flagged."""
    found: dict[str, dict[str, Any]] = {}
    for (name, level), score in assessment.scores.items():
        if level == "atom":
            levels = np.quantile(score.values[atoms], [*QUANTILES, 1.0], method="inverted_cdf")
            found[name] = {str(q): _finite(value) for q, value in zip(QUANTILES, levels, strict=False)}
            found[name] |= {"largest": _finite(levels[-1]), "flagged": int(score.flagged[atoms].sum())}
    return found


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    data = (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    write_atomically(path, lambda file: file.write(data))


def _of_members(told: Mapping[str, Any]) -> dict[str, str]:
    """A line a member: its error and weight, and what shifts per element left of the difference of its energies."""
    lines = {}
    for found in told.get("members", ()):
        said = [f"weight {found['weight']:.3g}" if found["used"] else "left out"]
        if found["force_rmse_eV_per_A"] is not None:
            said.append(f"force RMSE on the training frames {found['force_rmse_eV_per_A']:.3g} eV/Å")
        if "before_meV_per_atom" in found:
            before, after = (found[f"{key}_meV_per_atom"] for key in ("before", "after"))
            said.append(f"energies {before:.3g} meV/atom from {told['references']}, shifted per element {after:.3g}")
        lines[f"Member {found['name']}"] = ", ".join(said)
    return lines


def provenance(gauge: Gauge, frames: Paths, command: str | None) -> dict[str, str]:
    """How a report was made, for people."""
    made = gauge.provenance
    lines = {
        "Potential": gauge.source.label,
        "Error bar": gauge.bar,
        "Command": command or "",
        "Gauge built by": str(made.get("command", "")),
        "Gauge built on": str(made.get("created", "")),
        "Training": "{frames} frames, {atoms} atoms".format(**made["training"]) if "training" in made else "",
        "Calibration": "{frames} frames, {atoms} atoms".format(**made["held_out"]) if "held_out" in made else "",
        **_of_members(made.get("members", {})),
        **{f"SHA-256 of {path}": digest for path, digest in made.get("files", {}).items()},
        **{f"SHA-256 of {path}": file_hash(path) for path in listed(frames)},
        "Versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    return {key: value for key, value in lines.items() if value}
