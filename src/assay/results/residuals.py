"""Errors of held-out values with the spread that is to become their error bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.assessment import Assessment, Labels
from assay.results.envelope import Envelope


@dataclass(frozen=True)
class HeldOut:
    """n held-out values of one quantity.

    | field | symbol | meaning | shape |
    |---|---|---|---|
    | error | e | prediction - label; the sign does not count | `(n,)` |
    | spread | s | the uncalibrated score of each | `(n,)` |
    | frame | f | the frame it comes from: values of one frame are not independent | `(n,)` |
    | group | g | its species, chemistry, config_type or cluster; `""` is no group; `None` without a grouping | `(n,)` |
    | members | M | of an ensemble whose spread s is, else `None` | |
    | components | c | how many components a spread is pooled over: 3 of a force, 6 of a stress | |

    Raises `ValueError` for columns of different lengths, NaN, and infinite errors.
    """

    error: Array
    spread: Array
    frame: NDArray[np.int64]
    group: NDArray[np.str_] | None = None
    members: int | None = None
    components: int = 1

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

    @cached_property
    def ratios(self) -> Array:
        """`r = |e| / s`, `(n,)`."""
        return np.abs(self.error) / self.spread

    def at(self, index: NDArray[np.bool_]) -> Self:
        """Some of the values, by a mask `(n,)`."""
        group = None if self.group is None else self.group[index]
        return replace(self, error=self.error[index], spread=self.spread[index], frame=self.frame[index], group=group)

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


Mask = NDArray[np.bool_]
Name = Literal["force", "energy", "stress"]


@dataclass(frozen=True)
class Spanned:
    """N values in eV/Å (force components), eV/atom (energies) or eV/Å³ (stress components).

    | field | meaning | shape |
    |---|---|---|
    | label, predicted | reference, best fit | `(N,)` |
    | low, high, std | as in `Envelope` | `(N,)` |
    | frame | which frame each is of | `(N,)` |
    """

    label: Array
    predicted: Array
    low: Array
    high: Array
    std: Array
    frame: NDArray[np.int64]

    @property
    def outside(self) -> Mask:
        """Whose label is outside the envelope, `(N,)`."""
        return np.asarray((self.label < self.low) | (self.label > self.high))


def spanned(
    assessment: Assessment, labels: Labels, frames: Mask | None = None, atoms: Mask | None = None
) -> dict[Name, Spanned]:
    """The quantities that have members, labels and at least one value; of some frames `(F,)` and atoms `(A,)` only.

    Force components that vanish by symmetry are left out, and frames without an envelope.
    """
    frames = np.ones(len(assessment.names), dtype=bool) if frames is None else frames
    atoms = np.ones(len(assessment.numbers), dtype=bool) if atoms is None else atoms
    moving = atoms[:, None] & ~assessment.still
    return {name: one for name, one in _all(assessment, labels, frames, moving) if one.label.size}


def _all(assessment: Assessment, labels: Labels, frames: Mask, moving: Mask) -> Iterator[tuple[Name, Spanned]]:
    of_frame, natoms = np.arange(len(frames)), assessment.natoms
    envelopes = assessment.envelopes
    if "forces" in envelopes and assessment.forces is not None:
        of_component = np.repeat(assessment.frame_of_atom[:, None], 3, axis=1)
        yield "force", _flat(labels.forces, assessment.forces, envelopes["forces"], moving, of_component)
    if "energy" in envelopes and assessment.energy is not None:
        per_atom = Envelope(*(getattr(envelopes["energy"], of) / natoms for of in ("std", "low", "high")))
        yield "energy", _flat(labels.energy / natoms, assessment.energy / natoms, per_atom, frames, of_frame)
    if "stress" in envelopes and assessment.stress is not None and labels.stress is not None:
        here = np.repeat(frames[:, None], 6, axis=1)
        of_component = np.repeat(of_frame[:, None], 6, axis=1)
        yield "stress", _flat(labels.stress, assessment.stress, envelopes["stress"], here, of_component)


def _flat(label: Array, predicted: Array, envelope: Envelope, here: Mask, frame: NDArray[np.int64]) -> Spanned:
    kept = here & np.isfinite(envelope.std)
    low, high, std = (column[kept] for column in (envelope.low, envelope.high, envelope.std))
    return Spanned(label[kept], predicted[kept], low, high, std, frame[kept])
