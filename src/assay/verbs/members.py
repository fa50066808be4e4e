"""`assay members`: what several potentials say of frames, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from assay.execution.progress import Stage
from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped
from assay.results.prediction import Prediction
from assay.sources.committees.cache import EvaluationCache, frame_key, opened_cache
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.recording import Gap, record
from assay.sources.frame_files import Paths, labelled
from assay.sources.recorded.members_file import MembersFile, write_members
from assay.sources.registry import parse_spec
from assay.storage.files import require_folders

UNLABELLED = LabelKeys("none", "none", "none")


@dataclass(frozen=True)
class Members:
    """What `members` wrote.

    | field | meaning |
    |---|---|
    | models | labels of the M members, in the order of the file |
    | frames, atoms | how many |
    | computed | evaluations that were not kept from before |
    | gaps | members and frames without an evaluation, which are NaN in the file |
    | skipped | frames that could not be read: (origin, reason) |
    """

    models: tuple[str, ...]
    frames: int
    atoms: int
    computed: int
    gaps: tuple[Gap, ...]
    skipped: Skipped


class Interrupted(KeyboardInterrupt):
    """The user's interrupt; `kept` evaluations of this run need not be computed again."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept


def members(
    models: str | Sequence[str] | Mapping[str, Any],
    frames: Paths,
    out: str | Path,
    *,
    skip_bad: bool = False,
    workers: int = 1,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
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
        files of frames; labels play no part
    out
        the members file (`assay.sources.recorded.members_file`); a member that fails on a frame leaves NaN
    workers
        processes for each potential

    Raises
    ------
    ValueError
        a name that is not known, labels that are equal
    FrameError
        frames that can't be read (without `skip_bad`), or that a members file does not hold; a member that failed on
        all of them
    Interrupted
        the user's interrupt, while potentials compute
    """
    require_folders(out)
    given = [models] if isinstance(models, str | Mapping) else list(models)
    paths = [each for each in given if isinstance(each, str) and each.endswith(".npz")]
    files = [MembersFile.read(path) for path in paths]
    committee = _committee([each for each in given if each not in paths], allow_import)
    labels = [model for file in files for model in file.models]
    labels += [member.label for member in committee.members] if committee else []
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"needs members of different names, got {labels}; a TOML file can name them (label = …)")
    skipped: Skipped = []

    def structures() -> Iterator[Frame]:
        skipped.clear()
        return labelled(frames, None, UNLABELLED, skipped if skip_bad else None, "if present")

    total = atoms = 0
    for frame in structures():
        for file in files:
            file.row(frame, total)
        total, atoms = total + 1, atoms + len(frame.atoms)
    with TemporaryDirectory(prefix="assay-") as folder:
        kept = opened_cache()
        cache = kept or EvaluationCache(Path(folder))
        known = [committee.identity(i) for i in range(len(committee.members))] if committee else []
        names = tuple(name or f"{Path(folder).name}-{i}" for i, name in enumerate(known))
        gaps: list[Gap] = []
        before = cache.count(names)
        try:
            if committee:
                gaps = record(
                    committee, structures, cache=cache, identities=names, workers=workers, total=total, stage=stage
                )
                _require_evaluations(committee, structures, cache, names, gaps)
            computed = cache.count(names) - before
            one, other = tee(structures())
            evaluations = (_evaluation(frame, i, files, cache, names) for i, frame in enumerate(one))
            write_members(out, labels, (frame.atoms for frame in other), evaluations)
        except KeyboardInterrupt:
            staying = [name for name in known if name] if kept else []
            raise Interrupted(cache.count(staying) - before if staying else 0) from None
        finally:
            for name in {*names} - {*known}:
                cache.forget(name)
            if kept is None:
                cache.close()
    return Members(tuple(labels), total, atoms, computed, tuple(gaps), skipped)


def _committee(given: Sequence[str | Mapping[str, Any]], allow_import: tuple[str, ...]) -> AseCommittee | None:
    """One committee of names and of TOML files (or tables); `None` of nothing."""
    members: list[Any] = []
    allow: tuple[str, ...] = allow_import
    for each in given:
        if isinstance(each, str) and not each.endswith(".toml"):
            members.append({"model": each})
            continue
        table = parse_spec(each)
        members += table.get("member", [])
        allow += tuple(table.get("allow", ()))
    return AseCommittee.from_toml({"member": members}, allow) if members else None


def _require_evaluations(
    committee: AseCommittee,
    structures: Callable[[], Iterator[Frame]],
    cache: EvaluationCache,
    names: Sequence[str],
    gaps: Sequence[Gap],
) -> None:
    failed = {gap.member: gap.reason for gap in reversed(gaps)}
    for member, name in zip(committee.members, names, strict=True):
        if member.label in failed and not any(cache.has(name, frame_key(frame.atoms)) for frame in structures()):
            raise FrameError(f"member {member.label!r} failed on every frame; the first reason: {failed[member.label]}")


def _evaluation(
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
