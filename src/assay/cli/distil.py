"""`assay distil`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from assay import Distilled, FrameFiles, LabelKeys, LinearFit, Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import emit_json, listed, note, number, on_disk, percent, show
from assay.results.warning import remark
from assay.verbs.distil import DftErrors
from assay.verbs.distil import distil as verb
from assay.verbs.outputs import require_outputs


@click.command()
@click.option("--teachers", required=True, metavar="SPEC", help="recorded, ase_committee:MODEL,MODEL,… or a TOML file.")
@click.option("--pool", type=options.INPUT, multiple=True, required=True, help="Frames to learn from.")
@click.option("--members", type=options.INPUT, multiple=True, help="Members file (.npz) of each --pool.")
@click.option(
    "--labels",
    multiple=True,
    metavar="DFT.extxyz",
    help="Frames with DFT labels, a calculator's own too; `pool`: the pool's.",
)
@click.option(
    "--uncertainty-cutoff", "cutoffs", type=float, multiple=True, metavar="U", help="U_c, eV/Å; may be repeated."
)
@click.option(
    "--dft-fraction",
    "dft_fractions",
    type=click.FloatRange(0, 1),
    multiple=True,
    metavar="P",
    help="In place of U_c: the share of atoms that shall have DFT labels; may be repeated.",
)
@click.option("--rmse", metavar="R,R,…", help="Force RMSE of each teacher, eV/Å, for their weights.")
@click.option("--teacher-label", type=click.Choice(["best", "mean"]), help="Of the best teacher, or the weighted mean.")
@click.option(
    "--reference-frames",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="The N most certain frames get DFT labels for the energy reference.",
)
@click.option("--student", required=True, metavar="SPEC", help="A linear potential: snap:… or ace:…")
@click.option("--calibration", type=options.INPUT, multiple=True, help="Frames with DFT labels, to calibrate on.")
@click.option("--heldout", type=options.INPUT, multiple=True, hidden=True)
@click.option("--test", type=options.INPUT, multiple=True, help="Frames with DFT labels, to judge the student on.")
@click.option("--test-members", type=options.INPUT, multiple=True, help="Members file (.npz) of each --test.")
@click.option("--weight-by-uncertainty", is_flag=True, help="Smaller weights for teachers' labels of large U.")
@click.option("--drop-noisy-labels", is_flag=True, help="Leave out DFT labels that teachers and neighbours contradict.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="OUT/")
@options.error_bar
@click.option("--posterior", default="pops", show_default=True, metavar="SPEC", help="As of build.")
@click.option("--ensemble-size", type=click.IntRange(2), metavar="M", help="As of build.")
@click.option("--no-report", is_flag=True, help="No OUT/report.html (it needs the extra `report`).")
@click.option("--seed", type=int, default=0, show_default=True)
@options.json_option
@options.run()
@options.label_keys
@click.pass_obj
def distil(
    command: str,
    /,
    pool: tuple[Path, ...],
    members: tuple[Path, ...],
    labels: tuple[str, ...],
    rmse: str | None,
    calibration: tuple[Path, ...],
    heldout: tuple[Path, ...],
    test: tuple[Path, ...],
    test_members: tuple[Path, ...],
    out: Path,
    posterior: str,
    ensemble_size: int | None,
    seed: int,
    no_report: bool,
    json_file: Path | None,
    energy_key: str,
    forces_key: str,
    stress_key: str,
    run: Run,
    **arguments: Any,
) -> None:
    """Fit a fast student to what many teachers agree on, and to DFT labels where they don't.

    Frames whose uncertainty U is below the cut-off keep their teachers' label. The others take the label of --labels,
    or are written to OUT/dft-jobs.extxyz; call again with their labels.
    """
    if heldout:
        remark("--heldout is now --calibration")
    files = (pool, members, labels, calibration, heldout, test, test_members)
    require_outputs(arguments["teachers"], arguments["student"], *files, json=on_disk(json_file))
    with Stages() as stage:
        result = verb(
            **arguments,
            out=out,
            pool=FrameFiles(pool, members),
            labels="pool" if labels == ("pool",) else labels or None,
            rmse=numbers(rmse),
            calibration=calibration + heldout or None,
            test=FrameFiles(test, test_members) if test else None,
            linear_fit=LinearFit(posterior=posterior, ensemble_size=ensemble_size, seed=seed),
            keys=LabelKeys(energy_key, forces_key, stress_key),
            report=not no_report,
            run=replace(run, progress=stage),
            command=command,
        )
    listed("frames left out", result.skipped)
    listed("frames on which a teacher failed (they need a DFT label)", result.failed)
    listed("DFT labels dropped as noisy", result.noisy)
    if result.unmatched:
        note(f"{result.unmatched} labelled frames are not in the pool (not used)")
    for path, under in result.provenance.labels_under.items():
        if (under.energy, under.forces) != (energy_key, forces_key):
            found = f"the calculator's own {under.energy} and {under.forces} are taken"
            note(f"{path}: no {energy_key} or {forces_key}; {found}")
    note(weights_from(result))
    if not emit_json(json_file, result.summary()):
        show_students(result)
    if result.jobs:
        note(f"{result.jobs} frames need a DFT label: {out / 'dft-jobs.extxyz'}; then call again with --labels")
    note(f"written to {out}")


def numbers(text: str | None) -> tuple[float, ...]:
    """`0.2,0.3` as numbers; raises `ValueError` where it is not that."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ValueError(f"--rmse {text!r}: not numbers with commas between them") from error


def weights_from(result: Distilled) -> str:
    """Where the teachers' weights come from."""
    if result.rmse is None:
        return "teachers have equal weights: no RMSEs are given, and no labels were there to measure them"
    where = "as given" if result.rmse_frames is None else f"over {result.rmse_frames} labelled frames of the pool"
    told = ", ".join(f"{name} {number(rmse)}" for name, rmse in zip(result.models, result.rmse, strict=True))
    return f"weights from force RMSEs {where}, eV/Å: {told}"


def show_students(result: Distilled) -> None:
    """Labels, and errors on the test frames, for each cut-off; energies after a shift per species."""
    labels, tested = [], []
    for row in result.students:
        of = row.labels
        cutoff = "none" if of.cutoff is None else number(of.cutoff)
        labels.append(
            [
                cutoff,
                str(of.dft_needed.frames),
                percent(of.dft_needed.share_of_atoms),
                str(of.pending.frames),
                f"{of.teachers_labels_judged.frames} of {of.teachers_labels.frames}",
                *_force_and_energy(of.teachers_errors),
                *_force_and_energy(of.errors),
            ]
        )
        if row.test_errors is not None:
            ours, theirs = map(_force_and_energy, (row.test_errors, row.teachers_test_errors))
            tested.append([cutoff, *ours, *theirs])
    force, energy = "F, eV/Å", "E, meV/atom"
    header = ["U_c", "DFT frames", "atoms", "waiting", "judged", f"teachers' {force}", energy, f"all {force}", energy]
    show("Labels of the pool: errors against DFT, on the judged frames; E after a shift per species", header, labels)
    if tested:
        header = ["U_c", f"student {force}", energy, f"teachers {force}", energy]
        show("Errors against DFT on the test frames; E after a shift per species", header, tested)
    for row in result.students:
        if row.student is not None:
            cutoff = "none" if row.labels.cutoff is None else number(row.labels.cutoff)
            note(f"error bars at U_c = {cutoff}: {row.student.bars}")
        for quantity, kinds in () if row.teachers is None else row.teachers.student_is_worse.forces_first():
            if kinds:
                note(f"  worse than its teachers ({quantity}): {', '.join(kind or 'no config_type' for kind in kinds)}")


def _force_and_energy(errors: DftErrors | None) -> tuple[str, str]:
    return ("–", "–") if errors is None else (number(errors.overall.force), number(errors.overall.energy_shifted))
