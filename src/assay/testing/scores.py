"""Laws of scores: what does not depend on how frames are written down, kept or sent, and what has to be far.

Scores read predictions and never positions, so that translations and periodic images are laws of sources.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions, FittedScore, ScoreClass
from assay.scores.registry import resolved
from assay.testing.laws import another_order, check, require, require_same, table, through_a_file
from assay.testing.training_sets import (
    ABSENT,
    TRAINING_SETS,
    Known,
    features_of,
    new_frames,
    of_atoms,
    twice_over,
)

ROUNDING = 1e-6
"""Of values that are computed in another order of atoms; factorisations of nearly singular features amplify it."""


@dataclass(frozen=True)
class ScoreCase:
    """A score before it is fitted, frames to fit it to, and what it is told beside them."""

    kind: ScoreClass
    frames: Sequence[Known] = field(default_factory=lambda: TRAINING_SETS["two species"])
    options: FitOptions = DEFAULTS

    def fit(self) -> FittedScore:
        """A new fit, to features that can't be written into."""
        training = TrainingFeatures.of((features_of(prediction), numbers) for prediction, numbers in self.frames)
        return self.kind.fit(training, self.options)

    @cached_property
    def fitted(self) -> FittedScore:
        return self.fit()

    @cached_property
    def new(self) -> list[Known]:
        """Frames to say something of."""
        return new_frames(self.frames)

    @property
    def of_atoms(self) -> bool:
        return self.kind.home == "atom"


def of_each(score: FittedScore, frames: Sequence[Known]) -> list[Array]:
    """The values of frames, one after the other."""
    return [score.values(prediction, numbers.copy()) for prediction, numbers in frames]


def says_what_it_is(case: ScoreCase) -> None:
    """A name, a home and facts, the same before and after the fit."""
    kind, fitted = case.kind, case.fitted
    resolved([kind])
    require(kind.home in ("atom", "frame"), f"home is {kind.home!r}, needed atom or frame")
    require(isinstance(kind.facts, ScoreFacts), f"facts are {kind.facts!r}, needed assay.results.score.ScoreFacts")
    for part in ("name", "home", "facts"):
        before, after = getattr(kind, part), getattr(fitted, part)
        require(before == after, f"{part} is {before!r} before the fit and {after!r} after it")
    if isinstance(kind, type):
        made: type = type(fitted)
        require(made is kind, f"fit gives a {made.__name__}, needed a {kind.__name__}: files name that")


def one_value_for_each(case: ScoreCase) -> None:
    """`(A,)` of atoms, `(1,)` of frames, none of them NaN."""
    for prediction, numbers in case.new:
        found = case.fitted.values(prediction, numbers)
        needed = (len(numbers),) if case.of_atoms else (1,)
        require(np.shape(found) == needed, f"values of shape {np.shape(found)}, needed {needed}")
        nan = int(np.isnan(found).sum())
        require(nan == 0, f"{nan} of {np.size(found)} values are NaN: what nothing is known of is infinitely far")


def one_atom(case: ScoreCase) -> None:
    """A frame of one atom has one value, which is not NaN."""
    prediction, numbers = case.new[-1]
    found = case.fitted.values(of_atoms(prediction, np.arange(1)), numbers[:1])
    require(np.shape(found) == (1,), f"values of shape {np.shape(found)} of one atom, needed (1,)")
    require(not np.isnan(found).any(), "NaN for a frame of one atom")


def order_of_atoms(case: ScoreCase) -> None:
    """Atoms in another order have the same values in that order, and their frame the same one."""
    for (prediction, numbers), before in zip(case.new, of_each(case.fitted, case.new), strict=True):
        p = another_order(len(numbers))
        after = case.fitted.values(of_atoms(prediction, p), numbers[p])
        require_same("atoms in another order", after, before[p] if case.of_atoms else before, ROUNDING)


def frame_twice_over(case: ScoreCase) -> None:
    """With every atom there twice, atoms say the same, and so does the frame."""
    for (prediction, numbers), found in zip(case.new, of_each(case.fitted, case.new), strict=True):
        twice = case.fitted.values(twice_over(prediction), np.tile(numbers, 2))
        require_same("every atom twice", twice, np.tile(found, 2) if case.of_atoms else found, ROUNDING)


def atoms_alone(case: ScoreCase) -> None:
    """An atom is told the same whatever else is there, unless the facts say `whole_frame`."""
    if not case.of_atoms or case.kind.facts.whole_frame:
        return
    for (prediction, numbers), found in zip(case.new, of_each(case.fitted, case.new), strict=True):
        alone = [
            case.fitted.values(of_atoms(prediction, np.array([i])), numbers[i : i + 1])[0] for i in range(len(numbers))
        ]
        require_same("atoms one by one", alone, found, ROUNDING)


def frames_alone(case: ScoreCase) -> None:
    """What is said of a frame does not depend on those before it, to the bit."""
    there, back = of_each(case.fitted, case.new), of_each(case.fitted, case.new[::-1])[::-1]
    for one, other in zip(there, back, strict=True):
        require_same("frames in another order", other, one)


def same_again(case: ScoreCase) -> None:
    """A second fit to the same frames says the same, to the bit."""
    again = of_each(case.fit(), case.new)
    for one, other in zip(of_each(case.fitted, case.new), again, strict=True):
        require_same("a second fit to the same frames", other, one)


def saved_and_loaded(case: ScoreCase) -> None:
    """What a file gives back says the same, to the bit."""
    loaded = case.kind.from_state(through_a_file(case.fitted.state()))
    require(loaded.name == case.kind.name, f"loaded, it is called {loaded.name!r}")
    for one, other in zip(of_each(case.fitted, case.new), of_each(loaded, case.new), strict=True):
        require_same("saved and loaded", other, one)


def sent_to_a_process(case: ScoreCase) -> None:
    """Pickled for a worker process, it says the same, to the bit."""
    sent: FittedScore = pickle.loads(pickle.dumps(case.fitted))
    for one, other in zip(of_each(case.fitted, case.new), of_each(sent, case.new), strict=True):
        require_same("pickled", other, one)


def inputs_stay(case: ScoreCase) -> None:
    """Neither the prediction nor the atomic numbers are written into."""
    for prediction, numbers in case.new:
        before = {name: np.copy(value) for name, value in vars(prediction).items() if value is not None}
        given = numbers.copy()
        case.fitted.values(prediction, given)
        require_same("atomic numbers after the call", given, numbers)
        for name, value in before.items():
            require_same(f"{name} after the call", getattr(prediction, name), value)


def what_is_missing_is_told(case: ScoreCase) -> None:
    """A prediction without what it reads is refused with `ValueError`, by the name of the score."""
    if not case.kind.facts.reads:
        return
    numbers = case.new[0][1]
    bare = Prediction(0.0, np.zeros((len(numbers), 3)))
    try:
        found: Any = case.fitted.values(bare, numbers)
    except ValueError as error:
        require(case.kind.name in str(error), f"the message does not say which score it is of: {error}")
    else:
        raise AssertionError(f"reads {', '.join(case.kind.facts.reads)}, and says {found} of a prediction without")


def unknown_species_is_far(case: ScoreCase) -> None:
    """An atom of a species that no training atom has is infinitely far, where features are read."""
    if not case.kind.facts.of_features:
        return
    prediction, numbers = case.new[0]
    foreign = np.where(np.arange(len(numbers)) == 0, ABSENT, numbers)
    found = case.fitted.values(prediction, foreign)
    require(bool(np.isposinf(found[0])), f"{found[0]:.6g} for a species without training atoms, needed inf")


def far_is_farther(case: ScoreCase) -> None:
    """Features 10⁴ away, in any direction, are farther than those of any training atom."""
    if not case.kind.facts.features_alone:
        return
    at_home = max(float(np.max(values)) for values in of_each(case.fitted, case.frames))
    prediction, numbers = case.frames[0]
    features = features_of(prediction)
    direction = np.random.default_rng(3).normal(size=features.shape[1])
    far = float(np.min(case.fitted.values(Prediction(features=features + 1e4 * direction), numbers)))
    require(far > at_home, f"{far:.6g} far away from training, and up to {at_home:.6g} in it")


LAWS_OF_SCORES = table(
    says_what_it_is,
    one_value_for_each,
    one_atom,
    order_of_atoms,
    frame_twice_over,
    atoms_alone,
    frames_alone,
    same_again,
    saved_and_loaded,
    sent_to_a_process,
    inputs_stay,
    what_is_missing_is_told,
    unknown_species_is_far,
    far_is_farther,
)
"""By name; each of a `ScoreCase`."""


def check_score(kind: ScoreClass, options: FitOptions = DEFAULTS) -> None:
    """Every law of scores, on every one of `TRAINING_SETS`.

    `kind` is a class with the contract of `assay.scores.protocol.ScoreClass`. Raises `AssertionError` that lists the
    laws it breaks, and by how much.
    """
    cases = [(f"training set: {name}", ScoreCase(kind, frames, options)) for name, frames in TRAINING_SETS.items()]
    check(f"the score {getattr(kind, 'name', kind)}", LAWS_OF_SCORES, cases)
