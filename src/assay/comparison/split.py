"""One set of labelled frames as columns to judge methods by: errors, values of every method, resamples of frames.

Axis letters: F frames, A atoms. What vanishes by symmetry (`Batch.still`) is left out everywhere: every method that
knows of symmetry would get it right, and no other would learn anything from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.comparison.figures import Target
from assay.comparison.methods import CONSTANT, RANDOM, Method
from assay.gauge.groups import groups
from assay.metrics.bootstrap import FrameBootstrap
from assay.regions.neighbourhoods import frame_max, frame_mean
from assay.results.arrays import Array
from assay.results.batch import Batch, Labels
from assay.results.per_quantity import Quantity
from assay.results.residuals import Residuals
from assay.scores.features.emptiness import EMPTINESS
from assay.scores.protocol import FittedScore

QUANTITIES: tuple[Quantity, ...] = ("force", "energy")
"""Whose error bars are judged, in the order of the result."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Labelled frames after evaluation; `resamples` and `seed` as in `FrameBootstrap`, `scores` that were evaluated."""

    batch: Batch
    labels: Labels
    resamples: int
    seed: int
    scores: tuple[FittedScore, ...] = ()

    @cached_property
    def frame_of_atom(self) -> NDArray[np.int64]:
        return self.batch.frame_of_atom

    @cached_property
    def force_error(self) -> Array:
        """`(A, 3)` eV/Å; NaN without a label."""
        return self.batch.force_error(self.labels)

    @cached_property
    def energy_error(self) -> Array:
        """Per atom, `(F,)` eV; NaN without a label."""
        return self.batch.energy_error(self.labels)

    @cached_property
    def targets(self) -> Mapping[Target, Residuals]:
        """Sizes of errors to rank, `(n,)` each; a target that nothing belongs to is left out."""
        return {target: self._residuals(error, self.here[target]) for target, error in self._to_rank.items()}

    @cached_property
    def quantities(self) -> Mapping[Quantity, Residuals]:
        """Signed errors for error bars, `(n,)`: force components that do not vanish by symmetry, energies per atom."""
        every: dict[Quantity, Array] = {"force": self.force_error, "energy": self.energy_error}
        return {
            quantity: self._residuals(error, self.here[quantity], quantity)
            for quantity, error in every.items()
            if self.here[quantity].any()
        }

    @cached_property
    def here(self) -> Mapping[Target | Quantity, Mask]:
        """Which of all atoms, frames or force components the values of a target or quantity are, true n times."""
        of_forces, energies = ~np.isnan(self.force_error), ~np.isnan(self.energy_error)
        moving: Mask = np.asarray((~self.batch.still & of_forces).any(axis=1))
        return {
            "force_atom": moving,
            "force_neighbourhood": moving,
            "force_frame": np.logical_or.reduceat(moving, self.batch.offsets[:-1]),
            "energy_frame": energies,
            "force": ~self.batch.still & of_forces,
            "energy": energies,
        }

    @cached_property
    def resampled(self) -> Mapping[Target | Quantity, FrameBootstrap]:
        """Resamples of the frames of the values of each target and quantity."""
        every = [*self.targets.items(), *self.quantities.items()]
        return {name: FrameBootstrap(each.frame, self.resamples, self.seed) for name, each in every}

    @cached_property
    def _to_rank(self) -> Mapping[Target, Array]:
        """The sizes of the errors of all atoms `(A,)` or frames `(F,)`, by target."""
        of_atoms = np.linalg.norm(self.force_error, axis=1)
        every: dict[Target, Array | None] = {
            "force_atom": of_atoms,
            "force_neighbourhood": self.batch.neighbourhood_error,
            "force_frame": frame_max(of_atoms, self.batch.offsets),
            "energy_frame": np.abs(self.energy_error),
        }
        return {t: error for t, error in every.items() if error is not None and self.here[t].any()}

    def _residuals(self, error: Array, here: Mask, quantity: Quantity | None = None) -> Residuals:
        of_frame = len(error) == len(self.batch.names) and error.ndim == 1
        frame = np.arange(len(error)) if of_frame else self.frame_of_atom
        if here.ndim == 2:
            frame = np.repeat(frame[:, None], 3, axis=1)
        return Residuals.plain(error[here], frame[here], quantity)

    def values(self, method: Method, target: Target) -> Array | None:
        """What a method says of the values of a target, `(n,)`; `None` where it has nothing to say."""
        if method is RANDOM:
            return np.random.default_rng(self.seed).random(self.targets[target].error.size)
        if method.score is None:
            return None
        here, scores = self.here[target], self.batch.scores
        if target == "energy_frame":
            if method.score.home == "frame":
                return scores[method.name, "frame"][here]
            return frame_mean(scores[method.name, "atom"], self.batch.offsets)[here]
        level = target.removeprefix("force_")
        found = scores.get((method.name, level))  # type: ignore[arg-type]
        return None if found is None else found[here]

    def spread(self, method: Method, quantity: Quantity) -> Array | None:
        """What becomes a method's error bars, `(n,)`, as a gauge has it; `None` where it has none.

        A spread of energies says nothing of single forces.
        """
        here = self.here[quantity]
        if method is CONSTANT:
            return np.ones(self.quantities[quantity].error.size)
        if method.score is None:
            return None
        facts = method.score.facts
        if quantity == "force" and facts.kind == "spread" and facts.stands_for == "energy":
            return None
        spread = self.batch.spreads[method.name][quantity]
        return None if spread is None else spread[here]

    def emptier(self, quantity: Quantity) -> Mask:
        """Which values belong to an atom whose surroundings are emptier than in training, or to its frame, `(n,)`."""
        here, emptiness = self.here[quantity], self.batch.companions.get(EMPTINESS)
        beyond = None if emptiness is None else self.batch.of_values(emptiness > 1.0)[quantity]
        return np.zeros(int(here.sum()), dtype=bool) if beyond is None else beyond[here]

    def group(self, quantity: Quantity, grouping: str) -> NDArray[np.str_] | None:
        """The group of each value, `(n,)`, of a grouping of `assay.gauge.groups`; `None` without one.

        Raises `ValueError` for clusters where no score has any.
        """
        if not grouping:
            return None
        of_each = groups(self.batch, grouping, self.scores)[quantity]
        return None if of_each is None else of_each[self.here[quantity]]

    def halves(self, quantity: Quantity) -> NDArray[np.bool_]:
        """Which values are of the first half of the labelled frames, in file order, of each config_type, `(n,)`."""
        kinds, labelled = np.array(self.batch.config_types), self.batch.labelled[quantity]
        first = np.zeros(len(kinds), dtype=bool)
        extra = 0
        for kind in np.unique(kinds):
            where = np.flatnonzero((kinds == kind) & (True if labelled is None else labelled))
            first[where[: (len(where) + extra) // 2]] = True
            extra ^= len(where) % 2  # of two config_types of one frame each, one goes to either half
        if quantity == "energy":
            return first[self.here[quantity]]
        return np.repeat(first[self.frame_of_atom][:, None], 3, axis=1)[self.here[quantity]]
