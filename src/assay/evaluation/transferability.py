"""Trained on one group, judged on the others: do errors, bars and flags transfer between phases or compositions?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.evaluation.transfer_cell import TransferCell, transfer_cell
from assay.evaluation.transferability_result import EVERYTHING, TABLES, Transferability
from assay.execution.run import Run
from assay.execution.workers import Failure, Progress, Workers
from assay.frames.frame import Frame, Frames, content_hash
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.results.score import lead
from assay.sources.frame_files import FrameObjects

GroupBy = str | Callable[[Atoms], object]


LEAST = 3
"""Frames of a group that can be fitted: one to fit to, one to calibrate on, one to judge on."""


def group_of(atoms: Atoms, group_by: GroupBy) -> str:
    """The name of the group of a frame; `""` where `info` does not have the key."""
    if callable(group_by):
        return str(group_by(atoms))
    if group_by == "composition":
        return str(atoms.symbols.formula.reduce()[0].format("metal"))
    return str(atoms.info.get(group_by, ""))


def judge_transfer(
    frames: Iterable[Frame],
    fit: Callable[[Frames, Frames], Gauge],
    *,
    group_by: GroupBy = "config_type",
    flag: str = "",
    run: Run = Run(),
) -> Transferability:
    """Fit a gauge to each group of labelled frames, and to all of them; judge each on the test frames of all groups.

    | argument | meaning |
    |---|---|
    | frames | held in memory |
    | fit | makes a gauge of frames to fit and frames to calibrate on |
    | group_by, flag | as in `assay.transferability` |

    Raises `ValueError` for fewer than two groups, and where no group can be fitted.
    """
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(group_of(frame.atoms, group_by), []).append(frame)
    if len(groups) < 2:
        raise ValueError(f"one group, {next(iter(groups))!r}: transferability needs two or more; choose group_by")
    groups = {name: _distinct(of_group) for name, of_group in sorted(groups.items())}
    parts = _parts(groups)
    fitted = {name: part for name, part in parts.items() if part.train}
    if len(fitted) > 1:
        train, calibration = (
            _distinct([frame for part in fitted.values() for frame in getattr(part, which)])
            for which in ("train", "calibration")
        )
        fitted[EVERYTHING] = _Parts(train, _distinct(calibration, train), [])
    judged = [frame for part in parts.values() for frame in part.test]
    column = np.repeat(np.arange(len(parts)), [len(part.test) for part in parts.values()])
    failed = [(name, f"{len(groups[name])} frames; {LEAST} are needed") for name in parts.keys() - fitted.keys()]
    rows: dict[str, list[TransferCell]] = {}
    for name, part in fitted.items():
        progress = run.stage(f"fitting {name}")
        try:
            gauge = fit(FrameObjects(tuple(part.train)), FrameObjects(tuple(part.calibration)))
        except (ValueError, np.linalg.LinAlgError) as error:  # of settings too: then no group can be fitted
            failed.append((name, str(error)))
            continue
        flag = flag or _flag(gauge)
        rows[name] = _judged(gauge, judged, column, len(parts), flag, run.workers, progress)
    if not rows:
        raise ValueError(f"no group could be fitted; the first: {': '.join(failed[0])}")
    tables = {name: np.array([[getattr(cell, name) for cell in row] for row in rows.values()]) for name in TABLES}
    counts = {name: (len(part.train), len(part.calibration), len(part.test)) for name, part in (parts | fitted).items()}
    return Transferability(tuple(rows), tuple(parts), tables, counts, flag, tuple(sorted(failed)))


@dataclass(frozen=True)
class _Parts:
    """Frames of a group: to fit, to calibrate on, and to judge on."""

    train: list[Frame]
    calibration: list[Frame]
    test: list[Frame]


def _parts(groups: Mapping[str, Sequence[Frame]]) -> dict[str, _Parts]:
    """Of each group; no test frame equals a frame of any fit or calibration."""
    parts = {name: _divided(of_group) for name, of_group in groups.items()}
    used = [frame for part in parts.values() for frame in (*part.train, *part.calibration)]
    return {name: replace(part, test=_distinct(part.test, used)) for name, part in parts.items()}


def _distinct(frames: Sequence[Frame], used: Sequence[Frame] = ()) -> list[Frame]:
    """Of equal frames the first, and none that equals one of `used`."""
    seen = {content_hash(frame.atoms) for frame in used}
    found = []
    for frame in frames:
        if (digest := content_hash(frame.atoms)) not in seen:
            seen.add(digest)
            found.append(frame)
    return found


def _divided(frames: Sequence[Frame]) -> _Parts:
    """Five blocks in order: three to fit, one to calibrate on, one to judge on; a group of too few is judged on as a
    whole."""
    n = len(frames)
    if n < LEAST:
        return _Parts([], [], list(frames))
    block = np.arange(n) * 5 // n
    return _Parts(
        *([frame for frame, b in zip(frames, block, strict=True) if b in chosen] for chosen in ((0, 2, 4), (3,), (1,)))
    )


def _flag(gauge: Gauge) -> str:
    facts = {score.name: score.facts for score in gauge.scores}
    return lead({name: facts[name] for name, level in gauge.thresholds if level == "frame"})


def _judged(
    gauge: Gauge,
    frames: Sequence[Frame],
    column: NDArray[np.int64],
    columns: int,
    flag: str,
    workers: Workers,
    progress: Progress | None,
) -> list[TransferCell]:
    """The figures of one gauge on the frames of each group."""
    pairs = list(gauge.stream(frames, workers=workers, progress=progress))
    kept = np.array([not isinstance(result, Failure) for _, result in pairs])
    scored, failed = Gauge.split(pairs)
    found = gauge.assessment(collect(scored), failed) if scored else None
    cells = []
    for j in range(columns):
        cell = TransferCell() if found is None else transfer_cell(found, column[kept] == j, flag)
        of_group = kept[column == j]
        cells.append(replace(cell, failed=1.0 - float(np.mean(of_group))) if of_group.size else cell)
    return cells
