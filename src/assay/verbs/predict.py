"""`assay predict`: predictions, scores and error bars of frames, labelled or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.execution.progress import Stage
from assay.frames.frame import Frame, LabelKeys, Skipped
from assay.gauge.assess import assess_stream
from assay.gauge.gauge import Gauge
from assay.gauge.risk import risk_summary
from assay.gauge.tiled_scorer import Blocks
from assay.report.provenance import provenance
from assay.results.assessment import Assessment
from assay.sources.capabilities import prepare
from assay.sources.frame_files import Paths, labelled
from assay.storage.files import require_folders, write_json


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

    prepare(gauge.source, lambda: read([]), workers=workers, total=None, stage=stage)
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
