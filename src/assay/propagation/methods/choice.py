"""The ways to get properties of every member, and what each of them can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ase.calculators.calculator import Calculator

from assay.execution.workers import Progress
from assay.propagation.members import member_calculator
from assay.propagation.methods.first_order import first_order
from assay.propagation.methods.implicit import implicit
from assay.propagation.methods.resample import NO_NUMBERS, begun, given, reason_of, resample
from assay.propagation.property import NotConverged, OfStationaryPoints, Property, Structures
from assay.propagation.result import Propagation, PropertyResult, with_the_best_fit
from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients, Source, running

Method = Literal["resample", "implicit", "linear", "reweight"]
Expansion = Callable[[HasCoefficients, Any, Structures, Array], PropertyResult]
"""Of a potential, a property, its structures with the best fit, and members `(M, P)`."""
EXPANSIONS: Mapping[str, Expansion] = {"implicit": implicit, "linear": first_order}


def member_count(source: Source, wanted: int | None) -> int:
    """How many members are used; raises `ValueError` where the source has none, or fewer than wanted."""
    count = running(source)
    if count < 2:
        raise ValueError(
            f"an error bar needs two members or more, and this source has {count} that run: {source.label}. Sources "
            "with members are fitted linear potentials (SNAP, ACE) and committees of ASE calculators"
        )
    if wanted is not None and not 2 <= wanted <= count:
        raise ValueError(f"{wanted} members of an ensemble of {count}: give 2 to {count}")
    return count if wanted is None else wanted


def require_once(names: Sequence[str]) -> None:
    """Raises `ValueError` for a name that is there twice."""
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"asked for twice: {', '.join(double)}")


def propagated(
    source: Source,
    properties: Sequence[Property],
    method: Method,
    members: int | None = None,
    *,
    workers: int = 1,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Propagation:
    """Properties of the best fit and of the members; what the method can't do is refused before anything runs."""
    count = member_count(source, members)
    require_once([each.name for each in properties])
    if workers < 1:
        raise ValueError(f"{workers} workers: give 1 or more")
    _require_capable(method, source, properties, count, workers, resume)
    if method == "resample":
        found, failed = resample(source, properties, count, workers=workers, resume=resume, progress=progress)
        return Propagation(source.label, method, count, found, failed)
    assert isinstance(source, HasCoefficients)
    found, failed = _from_best_fit(EXPANSIONS[method], source, properties, count, progress)
    return Propagation(source.label, method, count, found, failed)


def require_resampling(method: Method, workers: int, resume: str | Path | None) -> None:
    """Raises `ValueError` for what another method has no use for."""
    if resume is not None:
        raise ValueError(f"method {method} has nothing to resume: leave out the file {resume}")
    if workers != 1:
        raise ValueError(f"method {method} runs in one process: leave out the {workers} workers")


def _require_capable(
    method: Method,
    source: Source,
    properties: Sequence[Property],
    members: int,
    workers: int,
    resume: str | Path | None,
) -> None:
    if method == "resample":
        return
    require_resampling(method, workers, resume)
    if not isinstance(source, HasCoefficients):
        raise ValueError(
            f"method {method} needs the coefficients of a linear potential, and this source has none ({source.label}): "
            "resample"
        )
    if method == "linear" and members < 4:
        raise ValueError(f"method linear needs three evaluations or more, {members} members as many: resample")
    if method == "implicit":
        other = [each.name for each in properties if not isinstance(each, OfStationaryPoints)]
        if other:
            raise ValueError(
                f"not of relaxed structures alone, so the implicit derivative does not give {', '.join(other)}: "
                "resample it, or take the method linear"
            )


def _from_best_fit(
    expansion: Expansion,
    source: HasCoefficients,
    properties: Sequence[Property],
    members: int,
    progress: Progress | None,
) -> tuple[dict[str, PropertyResult], tuple[tuple[str, str], ...]]:
    """Properties with the best fit, and from there to all members at once."""
    found, failed = dict[str, PropertyResult](), list[tuple[str, str]]()
    for done, each in enumerate(properties, 1):
        missing = ""
        try:
            calculator = member_calculator(source)
            start, missing = begun(each, calculator)
            result = expansion(source, each, start, source.members[:members])
            if not result.quantities:
                raise NotConverged("; ".join(result.notes) or NO_NUMBERS)
            notes = (*with_the_best_fit(missing), *result.notes)
            if expansion is implicit and (more := _beyond(result, each, calculator, start)):
                notes += (f"the implicit derivative does not give {', '.join(more)}: resample",)
            found[each.name] = replace(result, notes=notes)
        except (ModuleNotFoundError, PermissionError):
            raise
        except Exception as error:  # a potential may raise anything; the others go on
            failed.append((each.name, "; ".join(filter(None, [missing, reason_of(error)]))))
        if progress:
            progress(done * (members + 1), len(failed))
    return found, tuple(failed)


def _beyond(result: PropertyResult, of: Property, calculator: Calculator, start: Structures) -> list[str]:
    """What one evaluation with the best fit gives and the result does not have."""
    try:
        return [name for name in given(of, calculator, start)[0] if name not in result.quantities]
    except Exception:  # whatever it is, the result stands
        return []
