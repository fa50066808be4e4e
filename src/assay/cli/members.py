"""`assay members MODEL[,MODEL…] FRAMES… -o members.npz`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from assay import Run
from assay.cli import options
from assay.cli.options import INPUT, OUTPUT, json_option
from assay.cli.progress import Stages
from assay.cli.tables import emit_json, listed, note, on_disk, show
from assay.verbs.members import Interrupted, split_commas
from assay.verbs.members import members as verb
from assay.verbs.outputs import require_outputs


@click.command(short_help="Evaluate frames with several potentials, once.")
@click.argument("models", metavar="MODEL[,MODEL…]")
@click.argument("frames", nargs=-1, required=True, type=INPUT)
@click.option("-o", "--out", type=OUTPUT, required=True, metavar="members.npz", help="Members file to write.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For a frame, of members in processes of their own; 3600 by default. The frame is a gap then.",
)
@options.run()
@json_option
def members(
    models: str, frames: tuple[Path, ...], out: Path, time_limit: float | None, json_file: Path | None, run: Run
) -> None:
    """Evaluate FRAMES with potentials, and write a members file for the source `recorded`.

    MODEL is chgnet:0.3.0, sevennet:7net-0, "sevennet:7net-mf-0(modal=PBE)", nequix:PATH, matgl:PATH, mace:PATH, the
    import path of any ASE calculator with arguments, "package.module.Class(key=value)", a TOML file of a committee, or
    a members file (.npz) of the same frames, made elsewhere. A trailing @/path/to/python runs it in that environment.

    Each evaluation is kept as soon as it is there, in the folder that ASSAY_CACHE names or the user's cache: a run that
    was interrupted or killed goes on where it was, and two runs share the work.
    """
    require_outputs(models, frames, members=out, json=on_disk(json_file))
    try:
        with Stages() as stage:
            made = verb(split_commas(models), frames, out, time_limit=time_limit, run=replace(run, progress=stage))
    except Interrupted as interrupt:
        note(
            f"interrupted: no members file is written, {interrupt.kept} evaluations of this run are kept; the same "
            "command goes on from there"
        )
        raise SystemExit(1) from None
    summary = {
        "models": list(made.models),
        "frames": made.frames,
        "atoms": made.atoms,
        "computed": made.computed,
        "gaps": [{"member": gap.member, "frame": gap.origin, "reason": gap.reason} for gap in made.gaps],
        "skipped": [{"frame": origin, "reason": reason} for origin, reason in made.skipped],
    }
    missing = Counter(gap.member for gap in made.gaps)
    if not emit_json(json_file, summary):
        show(
            "Members",
            ["member", "frames without"],
            [[model, str(missing[model])] for model in made.models],
        )
    listed("gaps", [(gap.origin, f"{gap.member}: {gap.reason}") for gap in made.gaps])
    listed("frames left out", made.skipped)
    failed = f", {len(made.gaps)} failed" if made.gaps else ""
    others = made.frames * len(made.models) - made.computed - len(made.gaps)
    note(
        f"wrote {out}: {len(made.models)} members, {made.frames} frames, {made.atoms} atoms; "
        f"{made.computed} evaluations computed now{failed}{', the others were there' if others > 0 else ''}"
    )
