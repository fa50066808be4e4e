"""One set of labelled frames as columns to judge methods by: errors, values of every method, resamples of frames.

Axis letters: F frames, A atoms. What vanishes by symmetry (`Batch.still`) is left out everywhere: every method that
knows of symmetry would get it right, and no other would learn anything from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from assay.comparison.methods import CONSTANT, RANDOM, Method
from assay.gauge.batch import Batch
from assay.gauge.groups import groups
from assay.metrics.bootstrap import FrameBootstrap
from assay.regions.neighbourhoods import frame_max, frame_mean
from assay.results.arrays import Array
from assay.results.assessment import Labels
from assay.scores.protocol import FittedScore

Target = Literal["force_atom", "force_neighbourhood", "force_frame", "energy_frame"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""What is ranked: the norm of the force error of an atom, its mean over the neighbourhood, its maximum over the frame;
and the absolute energy error per atom of the frame."""
Quantity = Literal["force", "energy"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


@dataclass(frozen=True)
class Column:
    """Errors of one kind with the frame that each belongs to, and where they are among all values.

    | field | shape |
    |---|---|
    | error | `(n,)`, ≥ 0 for targets, signed for quantities |
    | here | `(A,)`, `(F,)` or `(A, 3)`, true n times |
    | resamples | of the frames of the n values |
    """

    error: Array
    here: NDArray[np.bool_]
    resamples: FrameBootstrap


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
        return np.repeat(np.arange(len(self.batch.names)), self.batch.natoms)

    @cached_property
    def force_error(self) -> Array:
        """`(A, 3)` eV/Å."""
        assert self.batch.forces is not None
        return np.asarray(self.batch.forces - self.labels.forces)

    @cached_property
    def energy_error(self) -> Array:
        """Per atom, `(F,)` eV."""
        assert self.batch.energy is not None
        return np.asarray((self.batch.energy - self.labels.energy) / self.batch.natoms)

    @cached_property
    def targets(self) -> Mapping[Target, Column]:
        """Errors to rank; a target that nothing belongs to is left out."""
        of_atoms = np.linalg.norm(self.force_error, axis=1)
        moving: NDArray[np.bool_] = np.asarray(~self.batch.still.all(axis=1))
        moving_frames = np.logical_or.reduceat(moving, self.batch.offsets[:-1])
        every_frame = np.ones(len(self.batch.names), dtype=bool)
        columns: dict[Target, tuple[Array | None, NDArray[np.bool_]]] = {
            "force_atom": (of_atoms, moving),
            "force_neighbourhood": (self.batch.neighbourhood_error, moving),
            "force_frame": (frame_max(of_atoms, self.batch.offsets), moving_frames),
            "energy_frame": (np.abs(self.energy_error), every_frame),
        }
        return {
            target: self._column(error, here) for target, (error, here) in columns.items()
            if error is not None and here.any()
        }  # fmt: skip

    @cached_property
    def quantities(self) -> Mapping[Quantity, Column]:
        """Signed errors for error bars: force components that do not vanish by symmetry, and energies per atom."""
        columns = {
            "force": self._column(self.force_error, ~self.batch.still),
            "energy": self._column(self.energy_error, np.ones(len(self.batch.names), dtype=bool)),
        }
        return {quantity: columns[quantity] for quantity in QUANTITIES if columns[quantity].here.any()}

    def _column(self, error: Array, here: NDArray[np.bool_]) -> Column:
        of_frame = len(error) == len(self.batch.names) and error.ndim == 1
        frame = np.arange(len(error)) if of_frame else self.frame_of_atom
        if here.ndim == 2:
            frame = np.repeat(frame[:, None], 3, axis=1)
        return Column(error[here], here, FrameBootstrap(frame[here], self.resamples, self.seed))

    def values(self, method: Method, target: Target) -> Array | None:
        """What a method says of the values of a target, `(n,)`; `None` where it has nothing to say."""
        if method is RANDOM:
            return np.random.default_rng(self.seed).random(self.targets[target].error.size)
        if method.score is None:
            return None
        here, scores = self.targets[target].here, self.batch.scores
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
        here = self.quantities[quantity].here
        if method is CONSTANT:
            return np.ones(self.quantities[quantity].error.size)
        if method.score is None:
            return None
        facts = method.score.facts
        if quantity == "force" and facts.kind == "spread" and facts.stands_for == "energy":
            return None
        spread = self.batch.spreads[method.name][quantity]
        return None if spread is None else spread[here]

    def group(self, quantity: Quantity, grouping: str) -> NDArray[np.str_] | None:
        """The group of each value, `(n,)`, of a grouping of `assay.gauge.groups`; `None` without one.

        Raises `ValueError` for clusters where no score has any.
        """
        if not grouping:
            return None
        return groups(self.batch, grouping, self.scores)[quantity][self.quantities[quantity].here]

    def halves(self, quantity: Quantity) -> NDArray[np.bool_]:
        """Which values are of the first half of the frames, in file order, of each config_type, `(n,)`."""
        kinds = np.array(self.batch.config_types)
        first = np.zeros(len(kinds), dtype=bool)
        extra = 0
        for kind in np.unique(kinds):
            where = np.flatnonzero(kinds == kind)
            first[where[: (len(where) + extra) // 2]] = True
            extra ^= len(where) % 2  # of two config_types of one frame each, one goes to either half
        if quantity == "energy":
            return first
        return np.repeat(first[self.frame_of_atom][:, None], 3, axis=1)[self.quantities[quantity].here]
