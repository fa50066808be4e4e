"""`assay select`: which frames, or atoms, of a pool to label next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from assay.execution.progress import Stage
from assay.frames.frame import Frame, FrameError, LabelKeys
from assay.frames.writing import frames_out
from assay.gauge.gauge import Gauge
from assay.selection.pool import Pool
from assay.selection.result import Selection
from assay.selection.search import Search
from assay.selection.starting_set import TrainingSet, source_of_features
from assay.sources.capabilities import ByOrder
from assay.sources.frame_files import Paths, labelled, listed
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import require_folders, write_json

By = Literal["maxvol", "score", "random"]
UNLABELLED = LabelKeys("none", "none", "none")
"""Labels play no part, and bad ones do no harm."""


def select(
    gauge: Gauge | str | Path | None,
    pool: Paths,
    n: int,
    *,
    by: By = "maxvol",
    score: str | None = None,
    atoms: bool = False,
    source: GivenSource | None = None,
    train: Paths | None = None,
    members: Paths | None = None,
    train_members: Paths | None = None,
    species: Sequence[str] | None = None,
    out: str | Path | None = None,
    json_file: str | Path | None = None,
    seed: int = 0,
    workers: int = 1,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
) -> Selection:
    """The n frames (or atoms) of a pool that are most worth labelling, and what each adds.

    No structure is selected twice, nor one of the training set, however often the pool has it. Frames that can't be
    used are listed in `failed`; the others are not lost.

    Parameters
    ----------
    gauge
        a gauge; `None` with `source`: from features alone, without any fit
    pool
        files of frames, labelled or not
    by
        `maxvol`: each frame the one that raises the volume of the active sets most, starting from those of the gauge,
        or of `train`; when none does any more, those of the largest γ, with a gain of 0, found in another reading.
        `score`: the most different ones among those with the highest scores (a quarter of the pool, at most 5 n).
        `random`: the control
    score
        its name, for `by="score"`; `gamma` or else `committee_force` by default
    atoms
        select n atoms, and the frames that hold them
    source
        `name:key=value,…`, a TOML file, a dictionary with the key `source`, or a function of `ase.Atoms`
    train
        files of training frames; with a gauge, in addition to those that it was fitted to
    members, train_members
        features or members files of the pool and of `train`, one for each
    species
        chemical symbols of LAMMPS's atom types in the pool, in their order, where its files don't name them
    out
        extended XYZ of the selected frames, unchanged but for `selected_by`, `selection_rank` and what was measured of
        `selection_gain`, `selection_grade`, `selection_score`, `selection_distance` in `info`; with `atoms` the array
        `selection_rank_of_atom` as well, 0 for those not selected
    json_file
        the same without structures
    seed
        of `random`

    Raises
    ------
    FrameError
        a file without frames, no frame that could be selected, a training frame that can't be used
    ValueError
        settings that don't fit together; a source, score or technique that does not exist
    """
    require_folders(out, json_file)
    if n < 1:
        raise ValueError(f"select at least one, got n = {n}")
    if by not in get_args(By):
        raise ValueError(f"unknown technique {by!r}; there are {', '.join(get_args(By))}")
    if score and by != "score":
        raise ValueError(f"score {score!r} is for selection by score, not by {by}")
    stage = stage or (lambda name, total: None)
    training = _training(gauge, source, pool, members, train, train_members, species, workers, allow_import, stage)
    frames = Pool(lambda failed: labelled(pool, members, UNLABELLED, failed, "if present", species), training.hashes)
    search = Search(training, frames, n, atoms)
    name: str = by
    if by == "maxvol":
        chosen = search.by_maxvol()
    elif by == "score":
        fitted = training.score(score)
        chosen, name = search.by_score(fitted), f"score:{fitted.name}"
    else:
        chosen = search.by_random(np.random.default_rng(seed))
    if not chosen:
        raise FrameError(_nothing(frames))
    selection = Selection(
        by=name,
        requested=n,
        frames=search.selected(chosen),
        extending=sum(bool(each.gain) for each in chosen) if by == "maxvol" else None,
        pool=len(frames.usable),
        repeated=tuple(frames.repeated),
        failed=tuple(frames.failed),
    )
    if out is not None:
        with frames_out(out) as append:
            for structure in selection.structures(listed(pool)):
                append(structure)
    if json_file is not None:
        write_json(json_file, selection.summary())
    return selection


def _training(
    gauge: Gauge | str | Path | None,
    source: GivenSource | None,
    pool: Paths,
    members: Paths | None,
    train: Paths | None,
    train_members: Paths | None,
    species: Sequence[str] | None,
    workers: int,
    allow_import: tuple[str, ...],
    stage: Stage,
) -> TrainingSet:
    if (gauge is None) == (source is None):
        raise ValueError("give either a gauge or a source")

    def frames() -> Iterator[Frame]:
        return labelled(train or (), train_members, UNLABELLED, None, "if present")

    if gauge is not None:
        gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
        return TrainingSet.of_gauge(gauge, frames if train else None, workers, stage)
    assert source is not None
    given, _ = given_source(source, allow_import)
    if isinstance(given, ByOrder):
        by_order, given = given.detached()
        train_members = train_members or by_order or None
    make = partial(source_of_features, given)

    def unread() -> Iterator[Frame]:
        return labelled(pool, members, UNLABELLED, [], "if present", species)

    return TrainingSet.of_files(make, frames if train else None, unread, workers, stage)


def _nothing(pool: Pool) -> str:
    reasons = [f"{len(pool.repeated)} equal training frames"] if pool.repeated else []
    if pool.failed:
        reasons.append(f"{len(pool.failed)} can't be used, the first: {': '.join(pool.failed[0])}")
    return f"no frame to select: {'; '.join(reasons) or 'the pool is empty'}"
