"""What several potentials, and members files made elsewhere, say of the same frames: one table of members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from assay.execution.run import Run
from assay.frames.frame import Frame, FrameError, Frames, Skipped
from assay.results.prediction import Prediction
from assay.sources.committees.cache import EvaluationCache, frame_key, opened_cache
from assay.sources.committees.recording import Computes, Gap, record
from assay.sources.recorded.members_file import MembersFile


@dataclass(frozen=True)
class Members:
    """What M members say of F frames.

    | field | meaning |
    |---|---|
    | models | labels of the members, in their order |
    | frames, atoms | how many |
    | computed | evaluations that were not kept from before |
    | gaps | members and frames without an evaluation, which are NaN in the predictions |
    | skipped | frames that could not be read: (origin, reason) |
    | predictions | of each frame, with the members alone: `(M,)` eV, `(M, A, 3)` eV/Å, `(M, 6)` eV/Å³ |
    """

    models: tuple[str, ...]
    frames: int
    atoms: int
    computed: int
    gaps: tuple[Gap, ...]
    skipped: Skipped
    predictions: tuple[Prediction, ...]


class Interrupted(KeyboardInterrupt):
    """The user's interrupt; `kept` evaluations of this run need not be computed again."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept


def collect_members(committee: Computes | None, files: Sequence[MembersFile], frames: Frames, run: Run) -> Members:
    """Evaluate frames with the potentials of a committee, one at a time, beside what members files say of them.

    Evaluations are kept (`assay.sources.committees.cache`), so an interrupted run goes on where it was.

    Raises
    ------
    ValueError
        no members, or some of equal labels
    FrameError
        frames that can't be read, or that a members file does not hold; a member that failed on all of them
    Interrupted
        the user's interrupt, while potentials compute
    """
    labels = [model for file in files for model in file.models]
    labels += [member.label for member in committee.members] if committee else []
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"needs members of different names, got {labels}; a TOML file can name them (label = …)")
    total = atoms = 0
    for frame in frames:
        for file in files:
            file.row(frame, total)
        total, atoms = total + 1, atoms + len(frame.atoms)
    if not total:
        raise FrameError("no frames to evaluate members on")
    with TemporaryDirectory(prefix="assay-") as folder:
        kept = opened_cache()
        cache = kept or EvaluationCache(Path(folder))
        known = [committee.identity(i) for i in range(len(committee.members))] if committee else []
        names = tuple(name or f"{Path(folder).name}-{i}" for i, name in enumerate(known))
        gaps: list[Gap] = []
        before = cache.put_of.copy()
        try:
            if committee:
                gaps = record(
                    committee, lambda: frames, cache=cache, identities=names, workers=run.processes, total=total,
                    stage=run.stage,
                )  # fmt: skip
                _require_evaluations(committee, frames, cache, names, gaps)
            computed = sum((cache.put_of - before).values())
            predictions = tuple(_prediction(frame, i, files, cache, names) for i, frame in enumerate(frames))
        except KeyboardInterrupt:
            staying = [name for name in known if name] if kept else []
            new = cache.put_of - before
            raise Interrupted(sum(new[name] for name in staying)) from None
        finally:
            for name in {*names} - {*known}:
                cache.forget(name)
            if kept is None:
                cache.close()
    return Members(tuple(labels), total, atoms, computed, tuple(gaps), frames.skipped, predictions)


def _require_evaluations(
    committee: Computes,
    frames: Frames,
    cache: EvaluationCache,
    names: Sequence[str],
    gaps: Sequence[Gap],
) -> None:
    failed = {gap.member: gap.reason for gap in reversed(gaps)}
    for member, name in zip(committee.members, names, strict=True):
        if member.label in failed and not any(cache.has(name, frame_key(frame.atoms)) for frame in frames):
            raise FrameError(f"member {member.label!r} failed on every frame; the first reason: {failed[member.label]}")


def _prediction(
    frame: Frame, index: int, files: Sequence[MembersFile], cache: EvaluationCache, names: Sequence[str]
) -> Prediction:
    """What all members say of a frame; NaN where one says nothing."""
    a, none = len(frame.atoms), np.full(6, np.nan)
    energy, forces, stress = [], [], []
    for file in files:
        row = file.row(frame, index)
        energy += file.energy[:, row].tolist()
        forces += list(file.forces[:, file.rows.atoms(row)])
        stress += [none] * len(file.models) if file.stress is None else list(file.stress[:, row])
    for name in names:
        found = cache.get(name, frame_key(frame.atoms)) or Prediction(np.nan, np.full((a, 3), np.nan))
        energy.append(found.energy)
        forces.append(found.forces)
        stress.append(none if found.stress is None else found.stress)
    return Prediction(
        energy_members=np.array(energy),
        forces_members=np.array(forces),
        stress_members=None if np.isnan(stress).all() else np.array(stress),
    )
