"""Errors of held-out values with the spread that is to become their error bar, or is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, ReadOnly
from assay.results.batch import Batch, Labels
from assay.results.envelope import Envelope
from assay.results.per_quantity import PerQuantity, Quantity, together

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Residuals(ReadOnly):
    """n values of one quantity that were not fitted to.

    | field | symbol | meaning | shape |
    |---|---|---|---|
    | error | e | prediction - label; to calibrators and rankings the sign does not count | `(n,)` |
    | spread | s | the uncalibrated score of each, or the width of its bar; one everywhere: no score at all | `(n,)` |
    | frame | f | the frame it comes from: values of one frame are not independent | `(n,)` |
    | group | g | its species, chemistry, config_type or cluster; `""` is no group; `None` without a grouping | `(n,)` |
    | members | M | of an ensemble whose spread s is, else `None` | |
    | components | c | how many components a spread is pooled over: 3 of a force, 6 of a stress | |
    | quantity | | what the values are of, where that is known | |

    Raises `ValueError` for columns of different lengths, NaN, and infinite errors.
    """

    error: Array
    spread: Array
    frame: NDArray[np.int64]
    group: NDArray[np.str_] | None = None
    members: int | None = None
    components: int = 1
    quantity: Quantity | None = None

    def __post_init__(self) -> None:
        columns = {"error": self.error, "spread": self.spread, "frame": self.frame, "group": self.group}
        shapes = {name: np.shape(column) for name, column in columns.items() if column is not None}
        if len({*shapes.values()}) > 1 or len(shapes["error"]) != 1:
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"held-out values need columns (n,) of one length, got {told}")
        if np.isnan(self.error).any() or np.isnan(self.spread).any():
            raise ValueError(
                f"{np.isnan(self.error).sum()} errors and {np.isnan(self.spread).sum()} spreads are NaN of "
                f"{len(self.error)} held-out values; leave those frames out"
            )
        if infinite := int(np.isinf(self.error).sum()):
            raise ValueError(f"{infinite} of {len(self.error)} held-out errors are infinite; leave those frames out")
        super().__post_init__()

    @classmethod
    def plain(cls, error: Array, frame: NDArray[np.int64], quantity: Quantity | None = None) -> Residuals:
        """Without a score: a spread of one everywhere."""
        return cls(error, np.ones(np.shape(error)), frame, quantity=quantity)

    @cached_property
    def ratios(self) -> Array:
        """`r = |e| / s`, `(n,)`."""
        return np.abs(self.error) / self.spread

    def at(self, index: Mask) -> Self:
        """Some of the values, by a mask `(n,)`."""
        group = None if self.group is None else self.group[index]
        return replace(self, error=self.error[index], spread=self.spread[index], frame=self.frame[index], group=group)

    def without_score(self) -> Self:
        """The same errors with a spread of one everywhere."""
        return replace(self, spread=np.ones(self.spread.shape), members=None, components=1)

    def usable(self, by_order: bool = False) -> Self:
        """The values with a positive finite spread, or `by_order` any finite one; `ValueError` where there are none.

        A spread of zero has no ratio, and an infinite one (a species without training atoms) says that nothing is
        known: its error bar is infinite whatever the others' errors are. Scores below zero, as logarithms of densities
        are, raise `ValueError` unless only their order counts.
        """
        finite = np.isfinite(self.spread)
        if by_order:
            usable = finite
        else:
            if below := int((self.spread[finite] < 0).sum()):
                raise ValueError(
                    f"{below} of {len(self.error)} held-out scores are below zero, as logarithms of densities are, and "
                    "an error bar can't be a multiple of them: calibrate by order, with isotonic"
                )
            usable = finite & (self.spread > 0)
        if not usable.any():
            raise ValueError(
                f"nothing to calibrate on: of {len(self.error)} held-out values none has a "
                f"{'' if by_order else 'positive '}finite spread"
            )
        return self if usable.all() else self.at(usable)

    def frame_masses(self) -> Array:
        """`1 / n_f` of each value, n_f the number of values of its frame: every frame weighs 1, `(n,)`."""
        _, frame, count = np.unique(self.frame, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / count[frame])


@dataclass(frozen=True)
class Enveloped(ReadOnly):
    """Values of one quantity beside what members span of them: nothing is calibrated.

    | field | meaning | shape |
    |---|---|---|
    | residuals | errors of the best fit; the spread is the members' standard deviation | `(n,)` |
    | label, predicted | reference, best fit | `(n,)` |
    | envelope | smallest and largest prediction | `(n,)` |
    """

    residuals: Residuals
    label: Array
    predicted: Array
    envelope: Envelope

    @property
    def outside(self) -> Mask:
        """Whose label is outside the envelope, `(n,)`."""
        return np.asarray((self.label < self.envelope.low) | (self.label > self.envelope.high))


def enveloped(
    batch: Batch, labels: Labels, frames: Mask | None = None, atoms: Mask | None = None
) -> PerQuantity[Enveloped]:
    """The quantities that have members, labels and at least one value; of some frames `(F,)` and atoms `(A,)` only.

    Force components that vanish by symmetry are left out, and frames without an envelope.
    """
    return PerQuantity.of(dict(_enveloped(batch, labels, frames, atoms)))


def _enveloped(
    batch: Batch, labels: Labels, frames: Mask | None, atoms: Mask | None
) -> Iterator[tuple[Quantity, Enveloped]]:
    n, natoms = len(batch.names), batch.natoms
    frames = np.ones(n, dtype=bool) if frames is None else frames
    atoms = np.ones(len(batch.numbers), dtype=bool) if atoms is None else atoms
    here = PerQuantity(frames, atoms[:, None] & ~batch.still, np.repeat(frames[:, None], 6, axis=1))
    label = PerQuantity(labels.energy / natoms, labels.forces, labels.stress)
    of_energy = batch.envelopes.energy
    members = replace(batch.envelopes, energy=None if of_energy is None else of_energy.over(natoms))
    for quantity, all_of, best, y, wanted, frame in together(members, batch.predicted, label, here, batch.frames_of):
        kept = wanted & np.isfinite(all_of.std) & ~np.isnan(y)
        if kept.any():
            envelope = all_of.at(kept)
            residuals = Residuals(best[kept] - y[kept], envelope.std, frame[kept], quantity=quantity)
            yield quantity, Enveloped(residuals, y[kept], best[kept], envelope)
