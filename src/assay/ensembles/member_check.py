"""Do members agree with labels, or with each other, or only when they are read otherwise or given other frames?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from assay.frames.dataset import Survey
from assay.frames.frame import Frame
from assay.frames.label_readings import ENERGIES, FORCES, NOUNS, PER_ATOM, finding, nearest
from assay.metrics.contradiction import FEWEST, LARGE, Contradiction, losses, scaled_losses, without_compositions
from assay.results.arrays import Array
from assay.results.label_finding import Findings, LabelFinding
from assay.results.per_quantity import Quantity
from assay.results.prediction import Prediction

FRAMES, ATOMS = 120, 20
"""Of which forces are kept at most: frames, and atoms of each."""
UNRELATED, RELATED = 0.5, 0.3
"""Median loss from which on forces tell nothing of the labels, and up to which those of the others do."""
BELONGS, ELSEWHERE = 0.6, 0.8
"""Times the loss on the own frame up to which another one is the right one, and the share of frames that it takes."""
SAME = 1e-9
"""Of the size of forces: members that differ by less are one."""


@dataclass
class MemberFold:
    """Keeps what M members say of a sample of frames; `findings()` tells which contradict the labels or the others."""

    total: int
    _seen: int = 0
    _frames: list[Frame] = field(default_factory=list)
    _forces: list[Array] = field(default_factory=list)
    _energies: list[Array] = field(default_factory=list)
    _labels: list[Array] = field(default_factory=list)

    def update(self, frame: Frame, said: Prediction) -> None:
        """Keep the frame or pass it over."""
        most = min(FRAMES, max(1, self.total))
        before, self._seen = self._seen, self._seen + 1
        if self._seen * most // max(1, self.total) == before * most // max(1, self.total):
            return
        assert said.energy_members is not None
        assert said.forces_members is not None
        n = len(frame.atoms)
        atoms = np.linspace(0, n - 1, min(n, ATOMS)).round().astype(int)
        self._frames.append(frame)
        self._energies.append(np.asarray(said.energy_members))
        self._forces.append(np.array(said.forces_members[:, atoms]))
        label = np.full((len(atoms), 3), np.nan) if frame.forces is None else np.asarray(frame.forces)[atoms]
        self._labels.append(label)

    def findings(self, names: Sequence[str]) -> Findings:
        """What contradicts; raises `ValueError` where the members are of other frames altogether."""
        if len(self._frames) < FEWEST:
            return ()
        found = [*self._identical(names), *self._of_forces(names), *self._of_energies(names)]
        astray = [each for each in found if each.cause == OTHER_FRAMES]
        if len(astray) == len(names):
            raise ValueError(f"{astray[0].said}, and so do all members. {astray[0].remedy}")
        return tuple(found)

    def _identical(self, names: Sequence[str]) -> Iterator[LabelFinding]:
        every = np.concatenate([each.reshape(len(names), -1) for each in self._forces], axis=1)
        size = float(np.sqrt(np.mean(every**2)))
        first: list[int] = []
        for k, name in enumerate(names):
            twin = next((j for j in first if np.abs(every[j] - every[k]).max(initial=0.0) <= SAME * size), None)
            if twin is None or size == 0:
                first.append(k)
                continue
            yield LabelFinding(
                "force", "identical members", f"member {name} says the same as {names[twin]} on every frame",
                "One potential twice is one vote twice and no spread: leave one of them out", member=name,
            )  # fmt: skip

    def _of_forces(self, names: Sequence[str]) -> Iterator[LabelFinding]:
        starts = np.cumsum([0, *(len(each) for each in self._labels)])[:-1]
        forces, target = np.concatenate(self._forces, axis=1), np.concatenate(self._labels)
        middle, against = np.median(forces, axis=0), "the labels"
        if np.isnan(target).any():
            if len(names) < 3:
                return
            target, against = middle, "the other members"
        else:
            held = _held(target, middle, starts)
            if (best := nearest(held(1.0), {name: held(factor) for name, factor in FORCES.items()})) is not None:
                yield finding("force", *best, WHOSE, MEMBERS)
                target = FORCES[best[0]] * target
        own = [_held(each, target, starts) for each in forces]
        usual = [_median(each(1.0)) for each in own]
        for k, name in enumerate(names):
            read = {reading: own[k](factor) for reading, factor in FORCES.items()} if usual[k] >= LARGE else {}
            if read and (best := nearest(own[k](1.0), read)) is not None:
                yield _read_otherwise("force", name, *best, against)
            elif usual[k] >= UNRELATED and (other := self._elsewhere(k, np.split(target, starts[1:]))) is not None:
                here, there = (self._frames[i].origin for i in other)
                yield LabelFinding(
                    "force", OTHER_FRAMES, f"forces of member {name} do not belong to the frames that they stand "
                    f"beside: those of {here} are of {there}",
                    "Put members in the order of the frames, or write their file with hashes (assay members does)",
                    {"disagreement": usual[k]}, name,
                )  # fmt: skip
            elif usual[k] >= UNRELATED and np.median(usual) <= RELATED:
                yield LabelFinding(
                    "force", BROKEN, f"forces of member {name} are no better than none against {against} "
                    f"(disagreement {usual[k]:.2f}, and {np.median(usual):.2f} of the members in the middle)",
                    "Look at how it was computed, or leave it out: its spread ranks errors by its own faults",
                    {"disagreement": usual[k], "disagreement_of_others": float(np.median(usual))}, name,
                )  # fmt: skip

    def _elsewhere(self, member: int, target: Sequence[Array]) -> tuple[int, int] | None:
        """A frame and the other one that its forces are of, where most frames have such another one."""
        moved: list[tuple[int, int]] = []
        told = 0
        for i, f in enumerate(each[member] for each in self._forces):
            like = [
                j
                for j in range(len(target))
                if np.array_equal(self._frames[j].atoms.numbers, self._frames[i].atoms.numbers)
            ]
            if len(like) < 2:
                continue
            found = losses(np.array([f] * len(like)), np.array([target[j] for j in like]))
            if not np.isfinite(found).any():
                continue
            told += 1
            nearest_one = like[int(np.nanargmin(found))]
            if nearest_one != i and np.nanmin(found) <= BELONGS * found[like.index(i)]:
                moved.append((i, nearest_one))
        return moved[0] if told >= FEWEST and len(moved) >= ELSEWHERE * told else None

    def _of_energies(self, names: Sequence[str]) -> Iterator[LabelFinding]:
        survey = Survey.fit(self._frames)
        n, energies = survey.natoms, np.array(self._energies)
        if n.max() < 2:
            return
        fractions = survey.counts / n[:, None]
        target, against = survey.energy / n, "the labels"
        if np.isnan(target).any():
            if len(names) < 3:
                return
            target, against = np.median(energies, axis=1) / n, "the other members"
        else:
            middle = without_compositions(np.median(energies, axis=1) / n, fractions)
            if (best := _energy_reading(survey.energy, n, fractions, middle)) is not None:
                yield finding("energy", *best, WHOSE, MEMBERS)
                target = survey.energy if best[0] == PER_ATOM else ENERGIES[best[0]] * target
        target = without_compositions(target, fractions)
        for k, name in enumerate(names):
            if (best := _energy_reading(energies[:, k], n, fractions, target)) is not None:
                yield _read_otherwise("energy", name, *best, against)


def _energy_reading(
    energies: Array, natoms: NDArray[np.int64], fractions: Array, target: Array
) -> tuple[str, Contradiction] | None:
    """How energies `(F,)` have to be read to agree with others, which are per atom and without what compositions say
    of them, as these are compared; `None` if as they are."""
    plain = without_compositions(energies / natoms, fractions)
    as_is = losses(plain, target)
    if np.nanmedian(as_is) < LARGE:
        return None
    read = {name: losses(factor * plain, target) for name, factor in ENERGIES.items()}
    return nearest(as_is, {**read, PER_ATOM: losses(without_compositions(energies, fractions), target)})


WHOSE, MEMBERS = "training frames", "the members"
BROKEN = "broken member"
OTHER_FRAMES = "of other frames"
REMEDY: dict[Quantity, str] = {
    "energy": "Members say energies in eV, of the whole frame: convert them, or compute them anew",
    "force": "Members say forces in eV/Å, minus the gradient of the energy: convert them, or compute them anew",
}


def _read_otherwise(quantity: Quantity, member: str, cause: str, held: Contradiction, against: str) -> LabelFinding:
    noun = NOUNS[quantity]
    return LabelFinding(
        quantity, cause, f"{noun} of member {member} contradict {against}, and agree with them when read as {noun} "
        f"{cause} (disagreement {held.as_is:.2f} as they are, {held.other:.2f} when read so, on {held.frames} frames)",
        REMEDY[quantity], held.figures(), member,
    )  # fmt: skip


def _held(values: Array, predicted: Array, starts: NDArray[np.int64]) -> Callable[[float], Array]:
    """Losses of frames, `(F,)`, by what forces `(A, 3)` are multiplied with; frame f starts at atom `starts[f]`."""
    yy, yp, pp = (
        np.add.reduceat(each.sum(axis=1), starts)
        for each in (values * values, values * predicted, predicted * predicted)
    )
    return partial(scaled_losses, yy, yp, pp)


def _median(losses: Array) -> float:
    return float(np.nanmedian(losses)) if np.isfinite(losses).any() else 0.0
