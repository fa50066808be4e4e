"""The three techniques on a pool and a training set: readings of the pool, one after the other, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.execution.workers import PerFrame, T
from assay.frames.frame import FrameError
from assay.scores.d_optimality.exchange import Indices
from assay.scores.protocol import FittedScore
from assay.selection.by_random import at_random
from assay.selection.by_score import Highest, Points, Scores
from assay.selection.by_volume import maxvol
from assay.selection.candidates import Candidates, Extends
from assay.selection.diversity import Standard, farthest, to_nearest
from assay.selection.pool import Pool
from assay.selection.result import Selected, Selection
from assay.selection.starting_set import TrainingSet

By = Literal["maxvol", "score", "random"]


def choose(
    training: TrainingSet,
    pool: Pool,
    n: int,
    *,
    by: By = "maxvol",
    score: str | None = None,
    atoms: bool = False,
    seed: int = 0,
) -> Selection:
    """The n frames (or atoms) of a pool that are most worth labelling, and what each adds.

    `score` is the name of one for selection by score; `seed` is of the random one. Raises `FrameError` where no frame
    could be selected, and `ValueError` for a score that there is not.
    """  # fmt: skip
    search = Search(training, pool, n, atoms)
    name: str = by
    if by == "maxvol":
        chosen = search.by_maxvol()
    elif by == "score":
        fitted = training.score(score)
        chosen, name = search.by_score(fitted), f"score:{fitted.name}"
    else:
        chosen = search.by_random(np.random.default_rng(seed))
    if not chosen:
        raise FrameError(_nothing(pool))
    return Selection(
        by=name,
        requested=n,
        frames=search.selected(chosen),
        extending=sum(bool(each.gain) for each in chosen) if by == "maxvol" else None,
        pool=len(pool.usable),
        repeated=tuple(pool.repeated),
        failed=tuple(pool.failed),
    )


def _nothing(pool: Pool) -> str:
    reasons = [f"{len(pool.repeated)} equal training frames"] if pool.repeated else []
    if pool.failed:
        reasons.append(f"{len(pool.failed)} can't be used, the first: {': '.join(pool.failed[0])}")
    return f"no frame to select: {'; '.join(reasons) or 'the pool is empty'}"


@dataclass(frozen=True)
class Choice:
    """A frame of the pool by its number, or an atom by its number among all atoms; with what it adds."""

    number: int
    gain: float | None = None
    grade: float | None = None
    score: float | None = None
    distance: float | None = None


@dataclass(frozen=True)
class Search:
    """A pool, a training set, and n frames (or atoms) to choose."""

    training: TrainingSet
    pool: Pool
    n: int
    atoms: bool

    def by_maxvol(self) -> list[Choice]:
        """Readings of the pool until n are chosen or one finds nothing that extends; then the largest γ of that one."""
        sets = self.training.inverses()
        chosen: list[Choice] = []
        while True:
            candidates = Candidates(sets)
            numbers, grades = [np.empty(0, np.int64)], [np.empty(0)]
            for number, found in self._mapped(Extends(self.training.source, sets)):
                groups = self._numbers(number, len(found.grades))
                candidates.update(groups, found)
                numbers.append(groups if self.atoms else groups[:1])
                grades.append(found.grades if self.atoms else found.grades.max(keepdims=True))
            given = [each.number for each in chosen]
            extensions, sets = maxvol(candidates.pool(), candidates.inverses, self.n - len(chosen), given=given)
            chosen += [Choice(each.group, gain=each.gain, grade=each.grade) for each in extensions]
            if len(chosen) == self.n or not extensions:
                break
        left, gamma = np.concatenate(numbers), np.concatenate(grades)
        rest = np.flatnonzero(~np.isin(left, [each.number for each in chosen]))
        rest = rest[np.argsort(-gamma[rest], kind="stable")][: self.n - len(chosen)]
        return chosen + [Choice(int(left[i]), gain=0.0, grade=float(gamma[i])) for i in rest]

    def by_score(self, score: FittedScore) -> list[Choice]:
        """The highest scores; the most different of them where there are features."""
        if self.atoms and score.home == "frame":
            raise ValueError(f"{score.name} is a score of frames: it can't select atoms")
        training = self.training
        of = Points(training.source, training.species, self.atoms)
        highest = Highest(self.n)
        for number, (values, points) in self._mapped(Scores(score, of, training.emptiness)):
            for k, unit in enumerate(self._numbers(number, len(values)).tolist()):
                highest.update(unit, float(values[k]), None if points is None else points[k])
        kept = highest.result()
        known = [point for _, _, point in kept if point is not None]
        if not known:
            return [Choice(number, score=value) for value, number, _ in kept[: self.n]]
        standard = Standard.of(np.array(known))
        x, nearest = standard(np.array(known)), None
        if training.frames:
            nearest = np.full(len(x), np.inf)
            for _, trained in training.map(of):
                nearest = np.minimum(nearest, to_nearest(x, standard(trained)))
        return [
            Choice(kept[i][1], score=kept[i][0], distance=float(d) if np.isfinite(d) else None)
            for i, d in zip(*farthest(x, self.n, nearest=nearest), strict=True)
        ]

    def by_random(self, rng: np.random.Generator) -> list[Choice]:
        """Any, without a look at them."""
        frames = sum(1 for _ in self.pool.frames())
        return [Choice(int(i)) for i in at_random(self.pool.starts[-1] if self.atoms else frames, self.n, rng=rng)]

    def selected(self, chosen: Sequence[Choice]) -> tuple[Selected, ...]:
        """The frames of the choices, in order of the first of each."""
        starts = np.array(self.pool.starts)
        frames: dict[int, list[int]] = {}
        for rank, each in enumerate(chosen):
            frame = int(np.searchsorted(starts, each.number, side="right")) - 1 if self.atoms else each.number
            frames.setdefault(frame, []).append(rank)
        return tuple(
            Selected(
                origin=self.pool.origins[f],
                config_type=self.pool.config_types[f],
                natoms=int(starts[f + 1] - starts[f]),
                gain=_of(sum, [chosen[r].gain for r in ranks]),
                grade=_of(max, [chosen[r].grade for r in ranks]),
                score=_of(max, [chosen[r].score for r in ranks]),
                distance=chosen[ranks[0]].distance,
                atoms=tuple(int(chosen[r].number - starts[f]) for r in ranks) if self.atoms else (),
                ranks=tuple(r + 1 for r in ranks) if self.atoms else (),
            )
            for f, ranks in frames.items()
        )

    def _mapped(self, function: PerFrame[T]) -> Iterator[tuple[int, T]]:
        return self.pool.map(function, workers=self.training.workers, progress=self.training.stage("pool", None))

    def _numbers(self, frame: int, natoms: int) -> Indices:
        """What may be chosen, for each atom of a frame: itself, or the frame."""
        return self.pool.starts[frame] + np.arange(natoms) if self.atoms else np.full(natoms, frame)


def _of(reduce: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return reduce(measured) if measured else None
