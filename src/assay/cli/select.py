"""`assay select`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from assay import FrameFiles, Run, Selection
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import listed, note, number, on_disk, printed_json, show
from assay.verbs.select import select as verb

SHOWN = 50
"""Selected frames in the table; the file and the JSON have all."""
COLUMNS = {"gain": "adds to log volume", "grade": "largest γ", "score": "score", "distance": "distance"}


@click.command()
@click.argument("files", type=options.INPUT, nargs=-1, required=True, metavar="[NAME.gauge] POOL...")
@click.option("-n", "count", type=click.IntRange(1), required=True, metavar="N", help="Frames (or atoms) to select.")
@click.option("-o", "--out", type=options.OUTPUT, metavar="SELECTED.extxyz", help="The selected frames.")
@click.option("--by", type=click.Choice(["maxvol", "score", "random"]), default="maxvol", show_default=True)
@click.option("--score", metavar="NAME", help="Score, for --by score; gamma or else committee_force by default.")
@click.option("--atoms", is_flag=True, help="Select N atoms, and the frames that hold them.")
@click.option("--source", metavar="SPEC", help="In place of a gauge: features of name:key=value,… or a TOML file.")
@click.option("-t", "--train", type=options.INPUT, multiple=True, help="Training frames (beside those of a gauge).")
@click.option("-m", "--train-members", type=options.INPUT, multiple=True, help="Features file (.npz) of each -t.")
@options.members
@options.species
@click.option("--seed", type=int, default=0, show_default=True, help="Of --by random.")
@options.json_option
@options.run()
def select(
    files: tuple[Path, ...],
    count: int,
    source: str | None,
    train: tuple[Path, ...],
    train_members: tuple[Path, ...],
    members: tuple[Path, ...],
    species: str | None,
    json_file: Path | None,
    run: Run,
    **arguments: Any,
) -> None:
    """The N frames of POOL that are most worth labelling, and what each adds: from a gauge, or from features alone.

    maxvol: those that extend the active set most; score: different ones among the highest scores; random: the control.
    Frames that can't be used are listed and the others are written; without --skip-bad the exit code is then 1.
    """
    gauge, pool = (None, files) if source else (files[0], files[1:])
    if not pool:
        raise click.UsageError("give NAME.gauge and the frames to select from, or --source SPEC and the frames")
    with Stages() as stage:
        selection = verb(
            gauge,
            pool,
            count,
            source=source,
            train=FrameFiles(train, train_members) if train else None,
            members=members or None,
            species=species.split(",") if species else None,
            json_file=on_disk(json_file),
            run=replace(run, progress=stage),
            **arguments,
        )
    listed("frames left out", selection.failed)
    listed("frames that are in the training set or in the pool before (not selected again)", selection.repeated)
    if not printed_json(json_file, selection.summary()):
        show_selection(selection)
    _remarks(selection, atoms=arguments["atoms"])
    if arguments["out"]:
        note(f"written to {arguments['out']}")
    if selection.failed and not run.skip_bad:
        note(f"error: {len(selection.failed)} frames could not be used (--skip-bad accepts that)")
        sys.exit(1)


def show_selection(selection: Selection) -> None:
    """The selected frames and what each adds."""
    measured = [name for name in COLUMNS if any(name in frame.measures for frame in selection.frames)]
    of_atoms = ["selected atoms"] if any(frame.atoms for frame in selection.frames) else []
    rows = [
        [
            str(rank),
            Path(frame.origin).name,
            frame.config_type,
            str(frame.natoms),
            *([_few(frame.atoms)] if of_atoms else []),
            *(number(frame.measures.get(name)) for name in measured),
        ]
        for rank, frame in enumerate(selection.frames[:SHOWN], 1)
    ]
    header = ["", "frame", "config_type", "atoms", *of_atoms, *(COLUMNS[name] for name in measured)]
    show(f"{len(selection.frames)} of {selection.pool} frames, by {selection.by}", header, rows)


def _remarks(selection: Selection, atoms: bool) -> None:
    what = "atoms" if atoms else "frames"
    found = sum(len(frame.atoms) for frame in selection.frames) if atoms else len(selection.frames)
    if found < selection.requested:
        note(f"{found} of the {selection.requested} {what} asked for: the pool has no more")
    if selection.extending is not None and selection.extending < found:
        rest = found - selection.extending
        note(
            f"only {selection.extending} {what} extend the active set; the other {rest} have the largest γ of the rest"
        )
    if len(selection.frames) > SHOWN:
        note(f"the table has the first {SHOWN} of {len(selection.frames)} frames")


def _few(indices: tuple[int, ...], most: int = 5) -> str:
    return " ".join(map(str, indices[:most])) + (f" and {len(indices) - most} more" if len(indices) > most else "")
