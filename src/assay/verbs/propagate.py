"""`assay propagate`: from an ensemble of potentials to an error bar on any property."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

from assay.execution.progress import Stage
from assay.gauge.gauge import Gauge
from assay.propagation.methods.averages import averages
from assay.propagation.methods.choice import Method, member_count, propagated, require_once, require_resampling
from assay.propagation.methods.observables import observable_from_spec
from assay.propagation.methods.reweighting import Estimator
from assay.propagation.properties.function import Function
from assay.propagation.properties.prototypes import the_element
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import Property
from assay.propagation.references import References, as_references, matching, read_references, require_asked
from assay.propagation.result import Propagation
from assay.propagation.tables import write_csv, write_latex
from assay.report.kit.plotting import require_plotting
from assay.report.provenance import provenance
from assay.sources.capabilities import HasCoefficients, Source
from assay.sources.frame_files import Paths, listed
from assay.storage.files import require_folders, write_json

Asked = str | Property | Callable[[Calculator], Any]
"""A property: its spec, an object, or a function of an ASE calculator."""


class UnknownReference(ValueError):
    """References of numbers that a property does not have; all else was done, and `result` has it."""

    def __init__(self, wrong: Sequence[str], result: Propagation) -> None:
        super().__init__("; ".join(wrong))
        self.result = result


def propagate(
    gauge: Gauge | str | Path,
    properties: Asked | Sequence[Asked],
    *,
    members: int | None = None,
    method: Method = "resample",
    element: str | None = None,
    trajectory: Paths | None = None,
    temperature: float | None = None,
    estimator: Estimator | None = None,
    reference: str | Path | Mapping[str, Mapping[str, Any]] | None = None,
    workers: int = 1,
    resume: str | Path | None = None,
    json_file: str | Path | None = None,
    report: str | Path | None = None,
    latex: str | Path | None = None,
    csv: str | Path | None = None,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> Propagation:
    """Properties with error bars: each computed with the best fit and with the members of a gauge's ensemble.

    The error bar is the standard deviation over members (ddof = 1, about their mean): `σ² = Σ_m (a_m − ā)² / (M − 1)`.
    It is as honest as the ensemble is. A member that fails is counted, listed in `failed`, and left out of the
    statistics of the numbers that it does not give; what the best fit does not give is left out with a note.

    Parameters
    ----------
    properties
        `NAME[:WORD,…,key=value,…]` such as `crystals:bcc,fcc`, objects of the protocol
        `assay.propagation.property.Property`, or functions of an ASE calculator that return a number, an array or a
        dictionary of these
    members
        how many, the first ones; all by default
    method
        `resample`: everything anew with every member. `implicit`: relaxed structures by their derivative with respect
        to the coefficients of a linear potential, second order in energy. `linear`: any property to first order in the
        coefficients, along the directions in which members differ. `reweight`: averages over a trajectory of the best
        fit; properties are then `energy`, `volume`, `rdf`, `msd:FILE`, `info:KEY` or `array:KEY` of its frames
    element
        of prototypes without `element=`; the potential's only one by default
    trajectory, temperature, estimator
        of `reweight`: files of frames that the best fit sampled at this temperature, K; `exponential` (the default) or
        `cumulant`, for members with few effective frames
    reference
        true values, `{property: {quantity: number or list}}` or a JSON file of it
    workers, resume
        of `resample`: processes of one thread each; a file that finished results are kept in, from which an interrupted
        run goes on
    json_file, report, latex, csv
        everything; a self-contained HTML page; tables for a paper
    stage
        its progress callback gets (results done, failures among them)

    Raises
    ------
    ValueError
        a property or option that does not exist; a method that can't do a property; a source without members; a
        `resume` file of something else; `UnknownReference` for references of numbers that a property does not have
    ModuleNotFoundError
        a report without matplotlib and jinja2 (the extra `report`)
    PermissionError
        a function or calculator of a module that is not allowed
    RuntimeError
        none of the properties could be computed
    """
    require_folders(resume, json_file, report, latex, csv)
    if report is not None:
        with require_plotting():
            import_module("assay.report.properties.page")
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
    references = _references(reference or {})
    count = member_count(gauge.source, members)
    asked = _listed(properties)
    if method == "reweight":
        require_resampling(method, workers, resume)
        if element is not None:
            raise ValueError("the method reweight has no prototypes: leave out the element")
        require_asked(references, [str(each) for each in asked])
        result = _reweighted(gauge.source, asked, count, trajectory, temperature, estimator or "exponential", stage)
    else:
        if any(each is not None for each in (trajectory, temperature, estimator)):
            raise ValueError(
                f"a trajectory, its temperature and an estimator are for the method reweight, not for {method}"
            )
        if element is not None:
            the_element({"element": element}, gauge.species)
        found = [_property(each, gauge.species, allow_import, element) for each in asked]
        require_asked(references, [each.name for each in found])
        progress = stage("propagating", len(found) * (count + 1)) if stage else None
        result = propagated(gauge.source, found, method, count, workers=workers, resume=resume, progress=progress)
    if not result.properties:
        raise RuntimeError(f"no property could be computed; {'; '.join(map(': '.join, result.failed))}")
    references, wrong = matching(references, result)
    if json_file is not None:
        write_json(json_file, result.summary())
    if csv is not None:
        write_csv(csv, result, references)
    if latex is not None:
        write_latex(latex, result, references)
    if report is not None:
        from assay.report.properties.write import write_properties_report

        made = provenance(gauge, (), command)
        of_predictions = ("Error bar", "Calibration")
        write_properties_report(
            report,
            result,
            references=references,
            provenance={name: value for name, value in made.items() if name not in of_predictions},
        )
    if wrong:
        raise UnknownReference(wrong, result)
    return result


def _reweighted(
    source: Source,
    asked: Sequence[Asked],
    members: int,
    trajectory: Paths | None,
    temperature: float | None,
    estimator: Estimator,
    stage: Stage | None,
) -> Propagation:
    if trajectory is None or temperature is None:
        raise ValueError("the method reweight needs a trajectory of the best fit and its temperature")
    if not isinstance(source, HasCoefficients):
        raise ValueError(f"the method reweight needs a linear potential, and this is none: {source.label}")
    if other := [str(each) for each in asked if not isinstance(each, str)]:
        raise ValueError(f"the method reweight takes observables by name, not {', '.join(other)}")
    require_once([str(each) for each in asked])
    observables = [observable_from_spec(str(each)) for each in asked]
    progress = stage("reweighting", None) if stage else None
    files = listed(trajectory)
    found = averages(source, observables, members, files, temperature, estimator=estimator, progress=progress)
    return Propagation(source.label, "reweight", members, found)


def _listed(properties: Asked | Sequence[Asked]) -> list[Asked]:
    if isinstance(properties, Sequence) and not isinstance(properties, str):
        return list(properties)
    return [properties]


def _property(asked: Asked, species: Sequence[str], allow_import: Sequence[str], element: str | None) -> Property:
    if isinstance(asked, str):
        return property_from_spec(asked, species, allow_import, element=element)
    return Function.of(asked) if callable(asked) else asked


def _references(given: str | Path | Mapping[str, Mapping[str, Any]]) -> References:
    return read_references(given) if isinstance(given, str | Path) else as_references(given)
