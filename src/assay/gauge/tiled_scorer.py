"""Scores of a frame too large to be evaluated whole: block by block, in worker processes.

Features of an atom depend on what is within the source's cut-off, and forces on what is within two of them: with that
halo, the atoms in the core of a block have the values that they have in the whole frame. Energies, stresses and scores
of whole frames are not made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.execution.workers import Failure, Progress, Workers, map_frames
from assay.frames.frame import Frame, FrameError
from assay.frames.species import known_species
from assay.gauge.batch import Scored
from assay.gauge.scorer import FrameScorer, values_of
from assay.gauge.spreads import force_spread, proportional_to_errors
from assay.regions.neighbourhoods import neighbourhood_mean
from assay.regions.tiles import blocks
from assay.results.arrays import Array
from assay.results.envelope import Envelope, envelopes
from assay.results.per_quantity import PerQuantity
from assay.results.prediction import Prediction
from assay.results.score import Key
from assay.scores.features.emptiness import Emptiness
from assay.scores.protocol import FittedScore
from assay.sources.capabilities import HasCoefficients, HasFeatures, IsRecorded, Source

CORE = "core_atoms"
"""In `info` of a block: how many of its first atoms are the core."""

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Blocks:
    """Frames of more than `most` atoms are evaluated in blocks of so many, or with `forces` of a fifth of that: there,
    the design rows of a block are in memory."""

    most: int = 20_000
    forces: bool = False

    def needed(self, frame: Frame, source: Source) -> bool:
        """Not for what is read back: there is nothing to evaluate in blocks."""
        if len(frame.atoms) <= self.most:
            return False
        return not (isinstance(source, IsRecorded) and source.is_read(frame.atoms))

    @property
    def core(self) -> int:
        return max(1, self.most // 5) if self.forces else self.most


def stream(
    scorer: FrameScorer,
    frames: Iterable[Frame],
    how: Blocks | None,
    *,
    workers: Workers = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[Frame, Scored | Failure]]:
    """Frames with what the scorer says of them, in order; with `how`, large ones one after the other in blocks."""
    frames_done = atoms_done = 0

    def tell(more: int = 0) -> None:
        if progress:
            progress(frames_done, atoms_done + more)

    def large(frame: Frame) -> bool:
        return how is not None and how.needed(frame, scorer.source)

    for in_blocks, some in groupby(frames, large):
        results: Iterator[tuple[Frame, Scored | Failure]] = map_frames(scorer, some, workers=workers)
        if in_blocks and how is not None:
            results = ((f, score_in_blocks(scorer, f, how, workers=workers, progress=tell)) for f in some)
        for frame, result in results:
            yield frame, result
            frames_done += 1
            atoms_done += len(frame.atoms)
            tell()


def score_in_blocks(
    scorer: FrameScorer,
    frame: Frame,
    how: Blocks,
    *,
    workers: Workers = 1,
    progress: Callable[[int], None] | None = None,
) -> Scored | Failure:
    """Every score of atoms that needs features only, at all levels; with `how.forces` all scores of atoms, and forces.

    Parameters
    ----------
    progress
        called with the number of atoms done

    Returns
    -------
    what the scorer gives for small frames, without energy and stress; a `Failure` where a block fails, a species was
    not in training, or the source can't be evaluated in blocks
    """
    scores = tuple(
        score
        for score in scorer.scores
        if score.home == "atom" and (how.forces or score.facts.features_alone) and not score.facts.whole_frame
    )
    try:
        known_species(frame.atoms, scorer.species)
        halo = _halo(scorer.source, scores, len(frame.atoms), how)
        of_core = _OfCore(scorer.source, scores, how.forces, scorer.emptiness)
        values, companions, forces = _in_blocks(of_core, frame, how.core, halo, workers, progress)
    except FrameError as error:
        return Failure(frame.origin, str(error))
    levels: dict[Key, Array] = {}
    for (name, of_atoms), mean in zip(values.items(), _means(values, frame, scorer.r_cut, how), strict=True):
        levels[name, "atom"] = of_atoms
        levels[name, "neighbourhood"] = mean
        levels[name, "frame"] = of_atoms.max(keepdims=True)
    of_members = [forces[name] for name in ("forces_std", "forces_min", "forces_max") if name in forces]
    return Scored(
        prediction=Prediction(forces=forces.get("forces")),
        scores=levels,
        spreads={
            score.name: PerQuantity(force=force_spread(proportional_to_errors(score.facts, values[score.name])))
            for score in scores
            if how.forces and score.name in scorer.bars
        },
        still=np.zeros((len(frame.atoms), 3), dtype=bool),
        members=0,
        neighbourhood_error=None,
        companions=companions,
        envelopes=PerQuantity(force=Envelope(*of_members) if of_members else None),
    )


def _halo(source: Source, scores: tuple[FittedScore, ...], natoms: int, how: Blocks) -> float:
    """Å; raises `FrameError` where blocks won't do."""
    if how.forces and not isinstance(source, HasCoefficients):
        why = "forces in blocks need a linear potential (leave out --forces)"
    elif not isinstance(source, HasFeatures):
        why = f"the source ({source.kind}) has no features"
    elif source.cutoff is None:
        why = "it is not known how far the source's features reach (give it a cutoff, in Å)"
    elif not scores:
        why = "none of the gauge's scores comes from features alone (--forces adds those of forces)"
    else:
        return float(source.cutoff) * (2 if how.forces else 1)
    raise FrameError(
        f"{natoms} atoms, more than the {how.most} that are evaluated at a time, and blocks won't do: {why}. "
        f"--block-atoms {natoms} evaluates the frame whole, if there is memory for it"
    )


@dataclass(frozen=True)
class _OfCore:
    """Picklable function of a block: scores, their companions, and forces with `forces`, of the atoms in its core."""

    source: Any
    scores: tuple[FittedScore, ...]
    forces: bool
    emptiness: Emptiness | None

    def __call__(self, frame: Frame) -> tuple[Columns, Columns, Columns]:
        atoms, core = frame.atoms, slice(frame.atoms.info[CORE])
        if self.forces:
            whole = self.source.predict(atoms)
            evaluation = Prediction(
                forces=whole.forces[core], forces_members=whole.forces_members[:, core], features=whole.features[core]
            )
        else:
            evaluation = Prediction(features=self.source.features(atoms, core.stop))
        for name in ("forces", "forces_members", "features"):
            value = getattr(evaluation, name)
            if value is not None and not np.isfinite(value).all():
                raise FrameError(f"predicted {name} not finite")
        values, companions = values_of(self.scores, evaluation, atoms.numbers[core], self.emptiness)
        if evaluation.forces is None:
            return values, companions, {}
        of_members = {} if (found := envelopes(evaluation).force) is None else found.columns("force")
        return values, companions, {"forces": evaluation.forces, **of_members}


def _in_blocks(
    function: _OfCore,
    frame: Frame,
    most: int,
    halo: float,
    workers: Workers,
    progress: Callable[[int], None] | None,
) -> tuple[Columns, Columns, Columns]:
    """The columns of all atoms; raises `FrameError` for the first block that fails."""
    under_way: deque[NDArray[np.int64]] = deque()

    def frames() -> Iterator[Frame]:
        for block in blocks(frame.atoms, most, halo):
            under_way.append(block.index[: block.core])
            block.atoms.info[CORE] = block.core
            yield Frame(block.atoms, frame.origin)

    found: tuple[Columns, Columns, Columns] = ({}, {}, {})
    done = 0
    for _, result in map_frames(function, frames(), workers=workers):
        atoms = under_way.popleft()
        if isinstance(result, Failure):
            raise FrameError(f"in the block of {len(atoms)} atoms from atom {atoms[0]} on: {result.reason}")
        for table, part in zip(found, result, strict=True):
            for name, column in part.items():
                table.setdefault(name, np.empty((len(frame.atoms), *column.shape[1:]), column.dtype))[atoms] = column
        done += len(atoms)
        if progress:
            progress(done)
    return found


def _means(values: Columns, frame: Frame, r_cut: float, how: Blocks) -> Array:
    """Means over the neighbourhoods of all atoms, `(K, A)`, with the pairs of one block in memory."""
    columns = np.stack(list(values.values()), axis=1)
    means = np.empty_like(columns)
    for block in blocks(frame.atoms, how.most, r_cut):
        inside = neighbourhood_mean(columns[block.index], block.atoms, r_cut)[: block.core]
        means[block.index[: block.core]] = inside
    return means.T
