"""Averages over a trajectory of the best fit, reweighted to every member."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

from assay.execution.workers import Progress
from assay.frames.frame import Frame, FrameError, Frames
from assay.propagation.methods.observables import Observable
from assay.propagation.methods.reweighting import BLOCKS, Estimator, Reweighted, require_temperature, reweight
from assay.propagation.result import Propagated, PropertyResult
from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients


def averages(
    potential: HasCoefficients,
    observables: Sequence[Observable],
    members: int,
    trajectory: Frames,
    temperature: float,
    *,
    estimator: Estimator = "exponential",
    progress: Progress | None = None,
) -> dict[str, PropertyResult]:
    """`⟨a⟩` of the best fit and `⟨a⟩_m` of the first `members` members, by the name of the observable.

    | argument | meaning |
    |---|---|
    | trajectory | frames that were sampled with the best fit, in their order, equilibrated |
    | temperature | K |
    | estimator | as in `reweight` |
    | progress | called with (frames done, 0) |

    Raises `ValueError` for too few frames or a temperature that is none; `FrameError`, with file and frame, where the
    potential fails or for a frame without what an observable needs.
    """
    require_temperature(temperature)
    coefficients = np.vstack([potential.theta, potential.members[:members]])
    sizes, energies = list[int](), list[Array]()
    seen: list[list[Array]] = [[] for _ in observables]
    for done, frame in enumerate(trajectory, 1):
        energies.append(_energies(potential, frame, coefficients))
        sizes.append(len(frame.atoms))
        for values, each in zip(seen, observables, strict=True):
            if each.of is not None:
                values.append(_observed(each.name, each.of, frame))
        if progress:
            progress(done, 0)
    v, n = np.array(energies), np.array(sizes)
    if len(v) < 2 * BLOCKS:
        where = ", ".join(trajectory.files) or "the trajectory"
        raise ValueError(f"{where}: {len(v)} frames, needed {2 * BLOCKS} or more")
    found = {}
    for values, each in zip(seen, observables, strict=True):
        if each.of is None:
            own = (v / n[:, None])[:, None, :]
            of_members = own[..., 1:]
            told = reweight(
                own[..., 0], v[:, 0], v[:, 1:], temperature, member_observables=of_members, estimator=estimator
            )
        else:
            told = reweight(np.array(values), v[:, 0], v[:, 1:], temperature, estimator=estimator)
        found[each.name] = _result(each, told)
    return found


def _energies(potential: HasCoefficients, frame: Frame, coefficients: Array) -> Array:
    try:
        energies = potential.rows.predictions(frame.atoms, coefficients).energy_members
    except FrameError as error:
        raise FrameError(f"{frame.origin}: {error}") from error
    assert energies is not None
    if not np.isfinite(energies).all():
        raise FrameError(f"{frame.origin}: the potential gives an energy that is not finite")
    return energies


def _observed(name: str, of: Callable[[Atoms], Array], frame: Frame) -> Array:
    try:
        values = of(frame.atoms)
    except (TypeError, ValueError) as error:
        raise FrameError(f"{frame.origin}: {name}: {error}") from error
    if not np.isfinite(values).all():
        raise FrameError(f"{frame.origin}: {name} is not finite")
    return values


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
    note = f"{told.estimator} estimator: error of sampling {sampled:.2g} {quantity.unit}, "
    note += f"spread of the members without it {model:.2g}"
    return PropertyResult(
        observable.name, {observable.name: average}, notes=(f"{note} {quantity.unit}".strip(), *told.notes)
    )
