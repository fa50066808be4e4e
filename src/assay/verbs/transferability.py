"""Trained on one group, judged on the others: do errors, bars and flags transfer between phases or compositions?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms

from assay.evaluation.transferability import (
    EVERYTHING,
    LEAST,
    TABLES,
    GroupBy,
    Transferability,
    _distinct,
    _divided,
    _flag,
    _judged,
    group_of,
)
from assay.execution.progress import Stage
from assay.frames.frame import Frame, LabelKeys
from assay.frames.writing import frames_out
from assay.gauge.gauge import Gauge
from assay.sources.frame_files import Paths, labelled
from assay.storage.files import require_folders, write_json
from assay.verbs.build import build


def transferability(
    frames: Paths,
    *,
    source: str | dict[str, Any],
    group_by: GroupBy = "config_type",
    members: Paths | None = None,
    error_bar: str | None = None,
    scores: Sequence[str] | None = None,
    flag: str | None = None,
    keys: LabelKeys | None = None,
    seed: int = 0,
    workers: int = 1,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    stage: Stage | None = None,
    **fit: Any,
) -> Transferability:
    """Fit a gauge to each group of frames, and to all of them, and judge each on the test frames of every group.

    Each group is divided in five blocks of file order: three are fitted, one is calibrated on, one is judged. So all
    numbers of a column are of the same frames, and those on the diagonal are of frames like the fitted ones. Of equal
    frames of a group the first counts, and test frames that equal a frame of any fit or calibration are left out.

    Parameters
    ----------
    frames, members, keys
        as of `assay.build`; they are held in memory
    source, error_bar, scores, seed, workers, fit
        as of `assay.build`: every gauge is built with them
    group_by
        a key of `atoms.info`, `"composition"` (formula in lowest terms), or a function of `ase.Atoms`
    flag
        the score whose threshold flags frames; by default `gamma`, else the first one with a threshold

    Raises
    ------
    ValueError
        fewer than two groups, and no group that can be fitted, for settings such as an unknown source or for its frames
    FrameError
        frames that can't be read, or have no labels

    Reference: Grasselli et al. 2025, sections 2.6 and 3.3.
    """
    require_folders(report, json_file)
    key = partial(group_of, group_by=group_by)
    groups: dict[str, list[Frame]] = {}
    for frame in labelled(frames, members, keys or LabelKeys(), None):
        groups.setdefault(key(frame.atoms), []).append(frame)
    if len(groups) < 2:
        raise ValueError(f"one group, {next(iter(groups))!r}: transferability needs two or more; choose group_by")
    groups = {name: _distinct(members_of) for name, members_of in sorted(groups.items())}
    parts = {name: _divided(members_of) for name, members_of in groups.items()}
    used = [frame for train, held_out, _ in parts.values() for frame in (*train, *held_out)]
    parts = {name: (train, held_out, _distinct(test, used)) for name, (train, held_out, test) in parts.items()}
    fitted = {name: part for name, part in parts.items() if part[0]}
    if len(fitted) > 1:
        train, held_out = (_distinct([frame for part in fitted.values() for frame in part[i]]) for i in (0, 1))
        fitted[EVERYTHING] = (train, _distinct(held_out, train), [])
    judged = [frame for _, _, test in parts.values() for frame in test]
    column = np.repeat(np.arange(len(parts)), [len(test) for _, _, test in parts.values()])
    failed = [(name, f"{len(groups[name])} frames; {LEAST} are needed") for name in parts.keys() - fitted.keys()]
    rows: dict[str, list[dict[str, float]]] = {}
    for name, (train, held_out, _) in fitted.items():
        progress = stage(f"fitting {name}", None) if stage else None
        try:
            gauge = _built(
                train, held_out, source=source, error_bar=error_bar, scores=scores, seed=seed, workers=workers, **fit
            )
        except (ValueError, np.linalg.LinAlgError) as error:  # of settings too: then no group can be fitted
            failed.append((name, str(error)))
            continue
        flag = flag or _flag(gauge)
        rows[name] = _judged(gauge, judged, column, len(parts), flag, workers, progress)
    if not rows:
        raise ValueError(f"no group could be fitted; the first: {': '.join(failed[0])}")
    tables = {name: np.array([[cell[name] for cell in row] for row in rows.values()]) for name in TABLES}
    counts = {name: (len(part[0]), len(part[1]), len(part[2])) for name, part in (parts | fitted).items()}
    result = Transferability(tuple(rows), tuple(parts), tables, counts, flag or "", tuple(sorted(failed)))
    if json_file is not None:
        write_json(json_file, result.summary())
    if report is not None:
        from assay.report.kit.plotting import require_plotting
        from assay.report.transferability.page import write_transfer_report

        with require_plotting():
            write_transfer_report(report, result)
    return result


def _built(train: Sequence[Frame], held_out: Sequence[Frame], **settings: Any) -> Gauge:
    with TemporaryDirectory() as folder:
        files = []
        for name, frames in (("train", train), ("held-out", held_out)):
            files.append(Path(folder) / f"{name}.extxyz")
            with frames_out(files[-1]) as write:
                for frame in frames:
                    write(_relabelled(frame))
        return build(files[0], heldout=files[1], **settings).gauge


def _relabelled(frame: Frame) -> Atoms:
    """The structure with its labels under their default keys."""
    atoms: Atoms = frame.atoms.copy()
    keys = LabelKeys()
    atoms.info[keys.energy] = frame.energy
    atoms.arrays[keys.forces] = frame.forces
    if frame.stress is not None:
        atoms.info[keys.stress] = frame.stress
    return atoms
