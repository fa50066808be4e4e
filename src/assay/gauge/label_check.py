"""Do labels agree with what a gauge predicts, or only when they are read otherwise? Labels held against predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from assay.frames.compositions import foreign_zero
from assay.frames.dataset import Survey
from assay.frames.label_readings import (
    ENERGIES,
    FORCES,
    PER_ATOM,
    REMEDIES,
    finding,
    nearest,
    stress_contradiction,
)
from assay.metrics.contradiction import contradiction, losses, scaled_losses
from assay.results.arrays import Array
from assay.results.batch import Batch, Labels
from assay.results.label_finding import Findings, LabelFinding, distinct
from assay.results.per_quantity import Quantity
from assay.results.warning import warn
from assay.results.wording import many

SURE = 0.005
"""Relative difference up to which energies that are read otherwise are those predicted: no other zero gives it."""
OFF = 0.05
"""Relative difference from which on an energy that is right per atom is not one of the frame."""
BEYOND, WILD = 10.0, 50.0
"""eV/atom that no bonds make, and times the median error, from which on an energy is wrong whatever predicts it."""
CONSTRAINED, PUSHED = 5, 0.3
"""Force components of exactly zero that are enough to speak of, and times the median component that is no zero."""
UNRELATED, PUSHES, COMPONENTS = 0.05, 0.1, 500
"""Correlation of forces below which they tell nothing of each other, eV/Å from which on forces are some, and how many
components it takes."""
AGREE, FAR = 0.3, 0.5
"""Loss of the forces of a frame up to which predictions are no guess, and eV/atom from which on a common offset of such
frames is no error of a potential."""
SHOWN = 5
"""Frames that a sentence names."""


def check_batch(batch: Batch, whose: str, *, known: NDArray[np.bool_] | None = None, fitted: bool = False) -> Findings:
    """What of the labels of a batch contradicts its predictions; `whose` names the frames in what is said.

    `known` frames `(F,)`, those like what was trained on, tell another zero of the energies as well, and where
    predictions were `fitted` to these very labels, forces that nothing fits. Nothing without labels or predictions.
    """
    labels = batch.labels
    if labels is None or batch.energy is None or batch.forces is None:
        return ()
    return distinct(
        (
            *_of_energies(batch, labels, whose, known),
            *_of_forces(batch, labels, whose, fitted),
            *_of_stresses(batch, labels, whose),
        )
    )


def check_survey(survey: Survey, whose: str) -> Findings:
    """Energies per atom among those of whole frames."""
    names = survey.per_atom()
    if not names:
        return ()
    said = f"energies of {many(len(names), 'frame')} of the {whose} are {PER_ATOM}, and others are of the frame"
    return (_named(names, PER_ATOM, said, REMEDIES["energy"]),)


def warn_of(found: Findings, stacklevel: int = 3) -> Findings:
    """Each as a warning; gives them back."""
    for each in found:
        warn(str(each), stacklevel=stacklevel)
    return found


def _of_energies(batch: Batch, labels: Labels, whose: str, known: NDArray[np.bool_] | None) -> Iterator[LabelFinding]:
    assert batch.energy is not None
    n = batch.natoms
    per_atom, predicted = labels.energy / n, batch.energy / n
    here = np.isfinite(per_atom) & np.isfinite(predicted)
    as_is = losses(per_atom, predicted)
    read = {name: labels.energy * factor / n for name, factor in ENERGIES.items()} | {PER_ATOM: labels.energy}
    found = [
        (name, held)
        for name, values in read.items()
        if (held := contradiction(as_is, losses(values, predicted))) is not None and held.other <= SURE
    ]
    if found:
        name, held = min(found, key=lambda each: each[1].other)
        yield finding("energy", name, held, whose, "the predictions")
        return
    size = np.abs(predicted)
    error = np.abs(per_atom - predicted)
    some = here & (n > 1) & (error > OFF * size) & (np.abs(labels.energy - predicted) < SURE * size)
    some &= bool(np.median((error <= OFF * size)[here & ~some]) if (here & ~some).any() else False)
    if some.any():
        yield _named(
            _names(batch, some),
            PER_ATOM,
            f"energies of {many(int(some.sum()), 'frame')} of the {whose} are those {PER_ATOM}",
            REMEDIES["energy"],
        )
    others = here & ~some
    wild = others & (error > max(BEYOND, WILD * float(np.median(error[others])) if others.any() else 0.0))
    if wild.any() and wild.sum() < 0.2 * max(5, others.sum()):
        worst = float(error[wild].max())
        yield _named(
            _names(batch, wild),
            "wild labels",
            f"energies of {many(int(wild.sum()), 'frame')} of the {whose} are up to {worst:.3g} eV/atom "
            "from the predictions, farther than any bonds are",
            "Correct or leave out these frames: they set the size of all error bars of energies",
        )
    if known is None:
        return
    agree = _force_losses(batch, labels)[1](1.0) <= AGREE
    rest = others & ~wild & known & agree
    mean = float(np.mean((predicted - per_atom)[rest])) if rest.any() else 0.0
    if abs(mean) > FAR and foreign_zero(batch.fractions[rest], (predicted - per_atom)[rest]):
        yield LabelFinding(
            "energy",
            "another zero",
            f"the energies of the {whose} have another zero, or another unit, than the predictions "
            f"({mean:+.3g} eV/atom in the mean)",
            "Errors and bars of energies contain that offset: give total energies of the set-up that the gauge was "
            "trained on, in eV, or judge forces alone",
            {"mean_difference_eV_per_atom": mean},
        )


def _of_forces(batch: Batch, labels: Labels, whose: str, fitted: bool) -> Iterator[LabelFinding]:
    assert batch.forces is not None
    kept, loss = _force_losses(batch, labels)
    best = nearest(loss(1.0), {name: loss(factor) for name, factor in FORCES.items()})
    if best is not None:
        yield finding("force", *best, whose, "the predictions")
        return
    y, p = labels.forces[kept], batch.forces[kept]
    if fitted and kept.sum() >= COMPONENTS and y.std() > PUSHES and p.std() > PUSHES:
        correlation = float(np.corrcoef(y, p)[0, 1])
        if abs(correlation) < UNRELATED:
            yield LabelFinding(
                "force", "unrelated", f"forces of the {whose} have nothing to do with those predicted "
                f"(correlation {correlation:+.2f})",
                "Do labels and frames belong together, in the same order of frames and atoms?",
                {"correlation": correlation},
            )  # fmt: skip
            return
    yield from _constrained(batch, labels.forces, kept, whose)


def _force_losses(batch: Batch, labels: Labels) -> tuple[NDArray[np.bool_], Callable[[float], Array]]:
    """Components that count `(A, 3)`, and the losses of frames, `(F,)`, by what labels are multiplied with."""
    assert batch.forces is not None
    kept = ~batch.still & np.isfinite(labels.forces) & np.isfinite(batch.forces)
    frame, count = batch.frame_of_atom, len(batch.names)
    y, p = np.where(kept, labels.forces, 0.0), np.where(kept, batch.forces, 0.0)
    yy, yp, pp = (np.asarray(np.bincount(frame, of.sum(axis=1), count), np.float64) for of in (y * y, y * p, p * p))
    return kept, partial(scaled_losses, yy, yp, pp)


def _constrained(batch: Batch, label: Array, kept: NDArray[np.bool_], whose: str) -> Iterator[LabelFinding]:
    """Components that are exactly zero where the prediction is none, as constraints leave them."""
    assert batch.forces is not None
    zero = kept & (label == 0.0)
    others = kept & ~zero
    if zero.sum() < CONSTRAINED or not others.any():
        return
    usual = max(
        PUSHED * float(np.median(np.abs(batch.forces[others]))), 3 * float(np.std((batch.forces - label)[others]))
    )
    pushed = zero & (np.abs(batch.forces) > usual)
    if pushed.sum() >= max(CONSTRAINED, 0.1 * zero.sum()):
        frames = np.zeros(len(batch.names), dtype=bool)
        frames[batch.frame_of_atom[pushed.any(axis=1)]] = True
        yield _named(
            _names(batch, frames),
            "constrained atoms",
            f"{int(zero.sum())} force components of the {whose} are exactly zero where forces are "
            "predicted, as constraints set them",
            "Give forces without constraints (apply_constraint=False of ASE): zeros are fitted to as if they were true",
            "force",
        )


def _of_stresses(batch: Batch, labels: Labels, whose: str) -> Iterator[LabelFinding]:
    if labels.stress is None or batch.stress is None or batch.volumes is None:
        return
    here = np.isfinite(labels.stress).all(axis=1) & np.isfinite(batch.stress).all(axis=1) & np.isfinite(batch.volumes)
    if here.any() and (best := stress_contradiction(labels.stress[here], batch.stress[here], batch.volumes[here])):
        yield finding("stress", *best, whose, "the predictions")


def _named(names: Sequence[str], cause: str, said: str, remedy: str, quantity: Quantity = "energy") -> LabelFinding:
    """A finding of some frames, the first of which are named."""
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return LabelFinding(quantity, cause, f"{said}: {shown}", remedy, {"frames": len(names)}, frames=tuple(names))


def _names(batch: Batch, here: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, own in zip(batch.names, here, strict=True) if own)
