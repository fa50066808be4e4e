"""`assay members`: what several potentials say of frames, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.ensembles.collect import Interrupted, Members, collect_members
from assay.execution.run import Run
from assay.frames.frame import UNLABELLED
from assay.results.warning import listens
from assay.sources.committees.committee import AseCommittee
from assay.sources.frame_files import Given, frames_of
from assay.sources.recorded.members_file import MembersFile, write_members
from assay.sources.registry import parse_spec, split_commas
from assay.verbs.arguments import settled
from assay.verbs.outputs import require_outputs

__all__ = ["Interrupted", "Members", "members", "split_commas"]


@settled
@listens
def members(
    models: str | Sequence[str] | Mapping[str, Any],
    frames: Given,
    out: str | Path | None = None,
    *,
    time_limit: float | None = None,
    run: Run = Run(),
) -> Members:
    """Evaluate frames with several potentials and write a members file, for the source `recorded`.

    One potential at a time, in batches where its package has them. Evaluations are kept
    (`assay.sources.committees.cache`), so an interrupted run goes on where it was.

    Parameters
    ----------
    models
        names as `assay.sources.committees.model_names` reads them (`chgnet:0.3.0`, `sevennet:7net-0@/path/to/python`),
        TOML files of committees, and members files (`.npz`) made in other environments, which must hold the same frames
    frames
        `ase.Atoms`, several of them, or files; labels play no part
    out
        the members file (`assay.sources.recorded.members_file`); a member that fails on a frame leaves NaN
    time_limit
        seconds that a member in a process of its own has for a frame, where its table says no other; 3600 by default
    run
        how work is done: local processes for each potential, as a potential stays loaded

    Raises
    ------
    ValueError
        a name that is not known, labels that are equal
    FrameError
        frames that can't be read (without `run.skip_bad`), or that a members file does not hold; a member that failed
        on all of them
    Interrupted
        the user's interrupt, while potentials compute
    """
    require_outputs(models, frames, members=out)
    given = [models] if isinstance(models, str | Mapping) else list(models)
    paths = [each for each in given if isinstance(each, str) and each.endswith(".npz")]
    files = [MembersFile.read(path) for path in paths]
    committee = _committee([each for each in given if each not in paths], run.allow_import, time_limit)
    asked = frames_of(frames, keys=UNLABELLED, labels="if present", skip_bad=run.skip_bad)
    found = collect_members(committee, files, asked, run)
    if out is not None:
        write_members(out, found.models, (frame.atoms for frame in asked), found.predictions)
    return found


def _committee(
    given: Sequence[str | Mapping[str, Any]], allow_import: tuple[str, ...], time_limit: float | None
) -> AseCommittee | None:
    """One committee of names and of TOML files (or tables); `None` of nothing."""
    members: list[Any] = []
    allow: tuple[str, ...] = allow_import
    for each in given:
        if isinstance(each, str) and not each.endswith(".toml"):
            members.append({"model": each})
            continue
        table = parse_spec(each)
        own = {key: table[key] for key in ("time_limit",) if key in table}
        members += [{**own, **member} if isinstance(member, Mapping) else member for member in table.get("member", [])]
        allow += tuple(table.get("allow", ()))
    limit = {} if time_limit is None else {"time_limit": time_limit}
    return AseCommittee.from_toml({"member": members, **limit}, allow) if members else None
