"""Evaluate the members of a committee once: one member at a time, in batches, and keep what they say.

Only `record` keeps anything; evaluations of a run of molecular dynamics would fill the disk for nothing.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from ase import Atoms

from assay.execution.workers import Progress
from assay.frames.frame import Frame, chunks
from assay.sources.committees.cache import EvaluationCache, frame_key, opened_cache
from assay.sources.committees.calculators import LAMMPSLIB, Member
from assay.sources.committees.checks import Refused, Results
from assay.sources.committees.processes import Processes
from assay.sources.committees.sharing import Count, Share

BATCH_ATOMS = 128
"""Atoms that go through a potential together, where it does not say itself: more is slower on a CPU."""


@dataclass(frozen=True)
class Gap:
    """A member that failed on a frame."""

    member: str
    origin: str
    reason: str


class Computes(Protocol):
    """A committee, as it is used here; see `assay.sources.committees.committee.AseCommittee`."""

    @property
    def members(self) -> tuple[Member, ...]: ...

    @property
    def featured(self) -> str: ...

    def identity(self, index: int, anew: bool = False) -> str | None: ...

    def require_allowed(self, index: int) -> None: ...

    def batch_atoms(self, index: int) -> int | None: ...

    def compute(self, index: int, frames: list[Atoms]) -> Results: ...

    def release(self, index: int) -> None: ...


def record(
    committee: Computes,
    frames: Callable[[], Iterable[Frame]],
    *,
    cache: EvaluationCache | None = None,
    identities: tuple[str | None, ...] | None = None,
    workers: int = 1,
    total: int | None = None,
    stage: Callable[[str, int | None], Progress | None] | None = None,
) -> list[Gap]:
    """Keep what every member says of the frames; what is kept already is not computed again.

    Parameters
    ----------
    frames
        gives the frames anew for each member, so that one potential at a time is in memory
    cache, identities
        where, and under which name for each member (`None`: not at all); by default those of the user's cache
    workers
        processes that evaluate one member, where more than one
    total
        number of frames, for progress

    Returns
    -------
    list of Gap
        members and frames without an evaluation, each with its reason
    """
    cache = cache or opened_cache()
    identities = identities or tuple(committee.identity(i, anew=True) for i in range(len(committee.members)))
    gaps: list[Gap] = []
    if cache is None:
        return gaps
    for index, (member, model) in enumerate(zip(committee.members, identities, strict=True)):
        if model is None:
            continue
        progress, featured = stage(member.label, total) if stage else None, committee.featured == member.label
        share = Share(cache, model, featured, Count(progress))
        failed: list[tuple[int, Gap]] = []
        try:
            while share.begin():
                for chunk, results in _computed(committee, index, share.unknown(frames()), featured, workers):
                    for frame, result in zip(chunk, results, strict=True):
                        if isinstance(result, Refused):
                            failed.append((share.place(frame), Gap(member.label, frame.origin, result.reason)))
                        else:
                            cache.put(model, frame_key(frame.atoms), result)
                    cache.commit()
                    share.done(chunk)
        except sqlite3.Error as error:
            raise cache.trouble(error) from error
        finally:
            with suppress(sqlite3.Error):  # told already
                cache.commit()
            share.end()
        gaps += [gap for _, gap in sorted(failed, key=lambda each: each[0])]
    return gaps


Chunk = list[Frame]


def _computed(
    committee: Computes, index: int, frames: Iterator[Frame], features: bool, workers: int
) -> Iterator[tuple[Chunk, Results]]:
    member, first = committee.members[index], list(islice(frames, 1))
    if not first:  # without loading the potential
        return
    frames = chain(first, frames)
    if workers < 2 or member.calculator == LAMMPSLIB:
        for chunk in chunks(frames, together(member, committee.batch_atoms(index))):
            with redirect_stdout(sys.stderr):
                results = committee.compute(index, [frame.atoms for frame in chunk])
            yield chunk, results
        committee.release(index)
        return
    committee.require_allowed(index)
    with Processes(member, workers) as processes:
        pending: dict[Future[Results], Chunk] = {}
        for chunk in chunks(frames, together(member)):
            pending[processes.submit([frame.atoms for frame in chunk], features)] = chunk
            if len(pending) > 2 * workers:
                yield from _finished(pending)
        while pending:
            yield from _finished(pending)


def _finished(pending: dict[Future[Results], Chunk]) -> Iterator[tuple[Chunk, Results]]:
    """Take out those that are there, in any order: what is finished is kept at once."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


def together(member: Member, said: int | None = None) -> int:
    """How many atoms go through a member together: with ASE calculators those of one frame, which is kept at once."""
    return 0 if "." in member.calculator else said or BATCH_ATOMS
