"""What is compared: scores of features and of members, with what they cost to fit, to keep and to evaluate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from assay.frames.frame import Frame, FrameError
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FitOptions, FittedScore, OfMembers, ScoreClass, WithEnergies
from assay.sources.capabilities import IsRecorded, Source

TIMED_ATOMS = 1_000
REPEATS = 3
"""Atoms on which the cost of each score is measured, and how often: the least time of a frame counts."""


Family = Literal["ensemble", "features", "control"]


@dataclass(frozen=True)
class OfPosterior:
    """A score of the members that were drawn from one of several posteriors."""

    score: FittedScore
    posterior: str
    where: slice

    @property
    def name(self) -> str:
        return f"{self.score.name}[{self.posterior}]"

    @property
    def home(self) -> Literal["atom", "frame"]:
        return self.score.home

    @property
    def facts(self) -> ScoreFacts:
        return self.score.facts

    def values(self, prediction: Prediction, numbers: NDArray[Any]) -> Array:
        """Of the score, `(A,)` or `(1,)`."""
        return self.score.values(prediction.only(self.where), numbers)

    def of_energy(self) -> OfPosterior | None:
        """That of the score, of the same members."""
        own = self.score.of_energy() if isinstance(self.score, WithEnergies) else None
        return None if own is None else replace(self, score=own)

    def variance(self, members: Array) -> Array | None:
        """That of the score, of its own among the members `(M, ...)`."""
        return self.score.variance(members[self.where]) if isinstance(self.score, OfMembers) else None

    def state(self) -> dict[str, Any]:
        return {"posterior": self.posterior, **self.score.state()}


@dataclass(frozen=True)
class Method:
    """A fitted score with its cost, or the reason why there is none.

    | field | meaning |
    |---|---|
    | score | `None` where it failed, and of controls |
    | family | `ensemble`, `features` or `control` |
    | fit_seconds | beyond the potential's own fit |
    | seconds_per_atom | beyond the evaluation of the source |
    | size | bytes of everything that it learnt |
    | members | M of an ensemble, 0 otherwise |
    | failed | the reason, or "" |
    """

    name: str
    family: Family
    score: FittedScore | None
    fit_seconds: float = 0.0
    seconds_per_atom: float = float("nan")
    size: int = 0
    members: int = 0
    failed: str = ""


RANDOM = Method("random", "control", None)
CONSTANT = Method("constant", "control", None)
"""A ranking by chance, and the error bar that is the same everywhere."""


def of_posteriors(
    methods: Sequence[Method], members: Mapping[str, slice], seconds: Mapping[str, float], coefficients: int = 0
) -> list[Method]:
    """Fitted scores of members as scores of the members of each posterior; a source with one set names it `""`.

    What drawing the members cost, and their size (`coefficients` of each), is that of every score of them. A score of
    forces brings that of the energies along, which makes its energy bars.
    """
    fitted = {each.name: each for each in methods}
    for each in methods:
        own = each.score.of_energy() if isinstance(each.score, WithEnergies) else None
        if own is not None:
            fitted.setdefault(own.name, replace(each, name=own.name, score=own))
    found = [each for each in methods if each.score is None]
    for posterior, where in members.items():
        count = where.stop - where.start
        for each in fitted.values():
            if each.score is not None:
                score: FittedScore = OfPosterior(each.score, posterior, where) if posterior else each.score
                cost = {"fit_seconds": seconds.get(posterior, 0.0), "size": 8 * count * coefficients, "members": count}
                found.append(replace(each, name=score.name, score=score, **cost))
    return found


def fitted_methods(
    scores: Sequence[ScoreClass],
    training: TrainingFeatures,
    options: FitOptions,
    told: Callable[[int], None] | None = None,
) -> list[Method]:
    """Scores, each fitted and timed; one that can't be fitted to these features says why."""
    found = []
    for done, each in enumerate(scores, 1):
        family: Family = "ensemble" if "members" in each.facts.reads else "features"
        started = time.perf_counter()
        try:
            score = each.fit(training, options)
        except (ValueError, LinAlgError) as error:
            found.append(Method(each.name, family, None, failed=str(error)))
        else:
            seconds = time.perf_counter() - started
            found.append(Method(each.name, family, score, seconds, size=_bytes(score.state())))
        if told:
            told(done)
    return found


def timed(methods: Sequence[Method], source: Source, frames: Iterable[Frame]) -> tuple[list[Method], float | None]:
    """The methods with their cost per atom, and that of the source's prediction, in seconds; `None` where evaluations
    are recorded or kept: reading them says nothing of the potentials.

    Measured on the first `TIMED_ATOMS` atoms of frames that can be evaluated, after one evaluation that does not
    count; a score that fails there is out.
    """
    seconds, atoms, source_seconds = dict.fromkeys((m.name for m in methods), 0.0), 0, 0.0
    failed: dict[str, str] = {}
    read = False
    for frame in frames:
        numbers = frame.atoms.numbers
        try:
            prediction = source.predict(frame.atoms)
        except FrameError:
            continue
        read = read or (isinstance(source, IsRecorded) and source.is_read(frame.atoms))
        source_seconds += _seconds(partial(source.predict, frame.atoms))
        for method in methods:
            if method.score is None or method.name in failed:
                continue
            try:
                values = method.score.values(prediction, numbers)
            except (ValueError, LinAlgError) as error:
                failed[method.name] = str(error)
                continue
            if np.isnan(values).any():
                failed[method.name] = f"{int(np.isnan(values).sum())} of {values.size} values are NaN"
            seconds[method.name] += _seconds(partial(method.score.values, prediction, numbers))
        atoms += len(numbers)
        if atoms >= TIMED_ATOMS:
            break
    if not atoms:
        raise FrameError("no calibration frame could be evaluated")
    return [
        replace(m, score=None, failed=failed.get(m.name, m.failed))
        if m.name in failed or m.score is None
        else replace(m, seconds_per_atom=seconds[m.name] / atoms)
        for m in methods
    ], None if read else source_seconds / atoms


def _seconds(call: Callable[[], Any]) -> float:
    """The least time of `REPEATS` calls."""
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return min(took)


def _bytes(state: Any) -> int:
    if isinstance(state, np.ndarray):
        return int(state.nbytes)
    if isinstance(state, Mapping):
        return sum(map(_bytes, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(_bytes, state))
    return 8
