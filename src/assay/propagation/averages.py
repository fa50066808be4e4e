"""Averages over a trajectory of the best fit, reweighted to every member."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assay.frames import LabelKeys, read_frames
from assay.linear.potential import LinearPotential
from assay.parallel import Progress
from assay.prediction import Array
from assay.propagation.observables import Observable
from assay.propagation.result import Propagated, PropertyResult
from assay.propagation.reweighting import Reweighted, reweight

UNLABELLED = LabelKeys("none", "none", "none")


def averages(
    potential: LinearPotential,
    observables: Sequence[Observable],
    members: int,
    trajectory: str | Path | Sequence[str | Path],
    temperature: float,
    *,
    progress: Progress | None = None,
) -> dict[str, PropertyResult]:
    """`⟨a⟩` of the best fit and `⟨a⟩_m` of the first `members` members, by the name of the observable.

    | argument | meaning |
    |---|---|
    | trajectory | files of frames that were sampled with the best fit, in their order, equilibrated |
    | temperature | K |
    | progress | called with (frames done, 0) |

    Raises `ValueError` for too few frames, `FrameError` for a frame without what an observable needs.
    """
    coefficients = np.vstack([potential.theta, potential.members[:members]])
    sizes, energies = list[int](), list[Array]()
    seen: list[list[Array]] = [[] for _ in observables]
    for done, frame in enumerate(read_frames(trajectory, keys=UNLABELLED, labels="if present"), 1):
        energies.append(potential.rows.predictions(frame.atoms, coefficients).energies)
        sizes.append(len(frame.atoms))
        for values, each in zip(seen, observables, strict=True):
            if each.of is not None:
                values.append(each.of(frame.atoms))
        if progress:
            progress(done, 0)
    v, n = np.array(energies), np.array(sizes)
    if not len(v):
        raise ValueError(f"{trajectory}: no frames")
    found = {}
    for values, each in zip(seen, observables, strict=True):
        if each.of is None:
            own = (v / n[:, None])[:, None, :]
            told = reweight(own[..., 0], v[:, 0], v[:, 1:], temperature, member_observables=own[..., 1:])
        else:
            told = reweight(np.array(values), v[:, 0], v[:, 1:], temperature)
        found[each.name] = _result(each, told)
    return found


def _result(observable: Observable, told: Reweighted) -> PropertyResult:
    quantity = observable.quantity
    shape = np.shape(quantity.value)
    average = Propagated(
        observable.name,
        quantity.unit,
        told.value.reshape(shape),
        told.members.reshape(-1, *shape),
        quantity.x,
        quantity.x_label,
    )
    sampled, model = float(told.value_error.max()), float(told.model_error.max())
    note = f"error of sampling {sampled:.2g} {quantity.unit}, spread of the members without it {model:.2g}"
    return PropertyResult(
        observable.name, {observable.name: average}, notes=(f"{note} {quantity.unit}".strip(), *told.notes)
    )
