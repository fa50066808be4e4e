"""`assay select`: which frames, or atoms, of a pool to label next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from assay.execution.run import Run
from assay.frames.frame import UNLABELLED, Frames
from assay.frames.writing import frames_out
from assay.gauge.gauge import Gauge
from assay.results.warning import listens, with_warnings
from assay.selection.pool import Pool
from assay.selection.result import Selection
from assay.selection.search import By, choose
from assay.selection.starting_set import TrainingSet, source_of_features
from assay.sources.capabilities import ByOrder, Source
from assay.sources.frame_files import Given, Paths, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs


@settled
@listens
def select(
    gauge: Gauge | str | Path | None,
    pool: Given,
    n: int,
    *,
    by: By = "maxvol",
    score: str | None = None,
    atoms: bool = False,
    source: GivenSource | None = None,
    train: Given | None = None,
    members: Paths | None = None,
    species: Sequence[str] | None = None,
    out: str | Path | None = None,
    json_file: str | Path | None = None,
    seed: int = 0,
    run: Run = Run(),
) -> Selection:
    """The n frames (or atoms) of a pool that are most worth labelling, and what each adds.

    No structure is selected twice, nor one of the training set, however often the pool has it. Frames that can't be
    used are listed in `failed`; the others are not lost.

    Parameters
    ----------
    gauge
        a gauge; `None` with `source`: from features alone, without any fit
    pool
        `ase.Atoms`, several of them, or files; labelled or not
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
        training frames; with a gauge, in addition to those that it was fitted to; `assay.FrameFiles(paths, members=…)`
        for files with members or features files
    members
        features or members files of the pool, one for each file
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
    run
        how work is done; frames of the pool that can't be used are left out in any case

    Raises
    ------
    FrameError
        a file without frames, no frame that could be selected, a training frame that can't be used
    ValueError
        settings that don't fit together; a source, score or technique that does not exist
    """
    require_outputs(gauge, pool, source, train, members, frames=out, json=json_file)
    if n < 1:
        raise ValueError(f"select at least one, got n = {n}")
    if by not in get_args(By):
        raise ValueError(f"unknown technique {by!r}; there are {', '.join(get_args(By))}")
    if score and by != "score":
        raise ValueError(f"score {score!r} is for selection by score, not by {by}")
    asked = frames_of(
        pool, members=members, keys=UNLABELLED, species=species, labels="if present", skip_bad=True
    )  # fmt: skip
    training = _training(gauge, source, asked, train, run)
    selection = choose(training, Pool(asked, training.hashes), n, by=by, score=score, atoms=atoms, seed=seed)
    if out is not None:
        with frames_out(out) as append:
            for structure in selection.structures(asked):
                append(structure)
    if json_file is not None:
        write_json(json_file, with_warnings(selection.summary()))
    return selection


def _training(
    gauge: Gauge | str | Path | None,
    source: GivenSource | None,
    pool: Frames,
    train: Given | None,
    run: Run,
) -> TrainingSet:
    if (gauge is None) == (source is None):
        raise ValueError("give either a gauge or a source")
    make: Callable[[Sequence[str]], Source] | None = None
    by_order = ""
    if source is not None:
        given, _ = given_source(source, run.allow_import)
        if isinstance(given, ByOrder):
            by_order, given = given.detached()
        make = partial(source_of_features, given)
    frames = None
    if train is not None:
        frames = partial(iter, frames_of(train, members=by_order or None, keys=UNLABELLED, labels="if present"))
    if make is None:
        assert gauge is not None
        return TrainingSet.of_gauge(loaded(gauge, run.allow_import), frames, run.workers, run.stage)
    return TrainingSet.of_files(make, frames, partial(iter, pool), run.workers, run.stage)
