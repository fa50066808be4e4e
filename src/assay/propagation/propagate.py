"""Properties of a gauge's members: the way that was asked for, from specs, objects or functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

from assay.execution.run import Run
from assay.frames.frame import Frames
from assay.gauge.gauge import Gauge
from assay.propagation.methods.averages import averages
from assay.propagation.methods.choice import Method, member_count, propagated, require_once, require_resampling
from assay.propagation.methods.observables import observable_from_spec
from assay.propagation.methods.reweighting import Estimator
from assay.propagation.properties.function import Function
from assay.propagation.properties.prototypes import the_element
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import Property
from assay.propagation.references import References, require_asked
from assay.propagation.result import Propagation
from assay.sources.capabilities import HasCoefficients

Asked = str | Property | Callable[[Calculator], Any]
"""A property: its spec, an object, or a function of an ASE calculator."""


@dataclass(frozen=True)
class Trajectory:
    """What the best fit sampled, for the method `reweight`.

    | field | meaning |
    |---|---|
    | frames | in their order, equilibrated; `None` where there are none |
    | temperature | K; `None` without |
    | estimator | `exponential` (the default) or `cumulant` |
    """

    frames: Frames | None = None
    temperature: float | None = None
    estimator: Estimator | None = None


def propagate_gauge(
    gauge: Gauge,
    asked: Sequence[Asked],
    run: Run,
    *,
    members: int | None = None,
    method: Method = "resample",
    element: str | None = None,
    trajectory: Trajectory = Trajectory(),
    references: References | None = None,
    resume: str | Path | None = None,
) -> Propagation:
    """Properties of the best fit and of the first `members` members.

    What can't be done is refused before anything runs, references of properties that are not asked for included.
    Members run in local processes.
    Raises `ValueError` for settings that don't fit together, and `RuntimeError` where no property could be computed.
    """
    if method == "resample" and not isinstance(run.executor, str):
        raise ValueError("properties are computed in processes of this machine: give local:N, not another executor")
    count = member_count(gauge.source, members)
    if method == "reweight":
        require_resampling(method, run.processes, resume)
        if element is not None:
            raise ValueError("the method reweight has no prototypes: leave out the element")
        require_asked(references or {}, [str(each) for each in asked])
        result = _reweighted(gauge, asked, count, trajectory, run)
    else:
        if trajectory != Trajectory():
            raise ValueError(
                f"a trajectory, its temperature and an estimator are for the method reweight, not for {method}"
            )
        if element is not None:
            the_element({"element": element}, gauge.species)
        found = [_property(each, gauge.species, run.allow_import, element) for each in asked]
        require_asked(references or {}, [each.name for each in found])
        progress = run.stage("propagating", len(found) * (count + 1))
        result = propagated(
            gauge.source, found, method, count, workers=run.processes, resume=resume, progress=progress
        )  # fmt: skip
    if not result.properties:
        raise RuntimeError(f"no property could be computed; {'; '.join(map(': '.join, result.failed))}")
    return result


def _reweighted(gauge: Gauge, asked: Sequence[Asked], members: int, trajectory: Trajectory, run: Run) -> Propagation:
    source, frames, temperature = gauge.source, trajectory.frames, trajectory.temperature
    if frames is None or temperature is None:
        raise ValueError("the method reweight needs a trajectory of the best fit and its temperature")
    if not isinstance(source, HasCoefficients):
        raise ValueError(f"the method reweight needs a linear potential, and this is none: {source.label}")
    if other := [str(each) for each in asked if not isinstance(each, str)]:
        raise ValueError(f"the method reweight takes observables by name, not {', '.join(other)}")
    require_once([str(each) for each in asked])
    observables = [observable_from_spec(str(each)) for each in asked]
    estimator, progress = trajectory.estimator or "exponential", run.stage("reweighting")
    found = averages(source, observables, members, frames, temperature, estimator=estimator, progress=progress)
    return Propagation(source.label, "reweight", members, found)


def _property(asked: Asked, species: Sequence[str], allow_import: Sequence[str], element: str | None) -> Property:
    if isinstance(asked, str):
        return property_from_spec(asked, species, allow_import, element=element)
    if callable(asked):
        return Function.of(asked)
    if lacking := [part for part in ("name", "start", "quantities") if not hasattr(asked, part)]:
        raise ValueError(
            f"{asked!r} is not a property: it lacks {', '.join(lacking)}. Give NAME[:WORD,…,key=value,…], a function "
            "of an ASE calculator, or an object as docs/plugins.md says"
        )
    return asked
