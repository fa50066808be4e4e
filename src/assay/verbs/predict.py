"""`assay predict`: predictions, scores and error bars of frames, labelled or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.frames.writing import frames_out
from assay.gauge.annotate import annotated
from assay.gauge.assess import assess
from assay.gauge.gauge import Gauge
from assay.gauge.risk import QUANTILES, FrameRisk, Risks, risks
from assay.gauge.tiled_scorer import Blocks
from assay.report.provenance import provenance
from assay.results.assessment import Assessment
from assay.results.warning import heard, listens, with_warnings
from assay.sources.frame_files import Given, Paths, frames_of
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs

__all__ = ["BLOCK_ATOMS", "QUANTILES", "FrameRisk", "Risks", "predict", "risks"]

BLOCK_ATOMS = Blocks.most


@settled
@listens
def predict(
    gauge: Gauge | str | Path,
    frames: Given,
    *,
    members: Paths | None = None,
    out: str | Path | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    keys: LabelKeys | None = None,
    species: Sequence[str] | None = None,
    block_atoms: int = BLOCK_ATOMS,
    forces: bool = False,
    run: Run = Run(),
    command: str | None = None,
) -> Assessment:
    """Assess frames with a gauge, and write them with predictions, error bars and scores (scores alone where the source
    has features and no predictions).

    Frames that can't be read or evaluated are listed in `failed`; the others are not lost. Frames of more than
    `block_atoms` atoms are evaluated in blocks of so many: they get the scores of atoms that need features only, and
    with `forces` (linear potentials) forces, their error bars and all scores of atoms; no energy and no stress.

    Parameters
    ----------
    frames
        `ase.Atoms`, several of them, or files
    species
        chemical symbols of LAMMPS's atom types, in their order, for dumps and data files that don't say
    out
        `.dump` or `.lammpstrj`: LAMMPS dump with all that belongs to atoms. Else extended XYZ: `energy`, `forces`,
        `stress` as calculator results; `energy_uncertainty` (total, eV), `forces_uncertainty`, `stress_uncertainty`;
        of members `energy_std`, `energy_min`, `energy_max` and the same of `forces` and `stress`, not calibrated;
        scores of atoms as arrays, of frames in `info`; `max_gamma`
    report, json_file
        a self-contained HTML page; a summary with the frames by risk
    run
        how work is done; frames that can't be used are left out in any case
    """
    require_outputs(gauge, frames, members, frames=out, report=report, json=json_file)
    gauge = loaded(gauge, run.allow_import)
    asked = frames_of(
        frames, members=members, keys=keys, species=species, labels="if present", skip_bad=True, memory=0
    )  # fmt: skip
    blocks = Blocks(block_atoms, forces)
    with frames_out(out) as write:  # the file is there only if all of this goes well
        assessment, worst = assess(
            gauge, asked, run, in_blocks=blocks,
            on_frame=None if out is None else lambda frame, scored: write(annotated(gauge, frame, scored)),
        )  # fmt: skip
    if json_file is not None:
        write_json(json_file, with_warnings(risks(assessment).summary()))
    if report is not None:
        from assay.report import write_report

        write_report(
            report,
            assessment,
            title="Prediction",
            provenance=provenance(gauge, asked.files, command),
            training=gauge.training,
            worst=worst,
            warnings=heard(),
        )
    return assessment
