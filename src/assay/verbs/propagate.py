"""`assay propagate`: from an ensemble of potentials to an error bar on any property."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from assay.execution.run import Run
from assay.frames.frame import UNLABELLED
from assay.gauge.gauge import Gauge
from assay.propagation.methods.choice import Method
from assay.propagation.methods.observables import NAMES as OBSERVABLES
from assay.propagation.methods.reweighting import Estimator
from assay.propagation.propagate import Asked, Trajectory, propagate_gauge
from assay.propagation.properties.registry import names as property_names
from assay.propagation.references import References, as_references, matching, read_references
from assay.propagation.result import Propagation
from assay.propagation.tables import row_of_each, rows_of_orders, write_csv, write_latex
from assay.report.kit.plotting import require_plotting
from assay.report.provenance import provenance
from assay.results.warning import heard, listens, with_warnings
from assay.sources.frame_files import Given, frames_of
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs

__all__ = ["ESTIMATORS", "METHODS", "OBSERVABLES", "Propagation", "UnknownReference", "propagate", "property_names",
           "row_of_each", "rows_of_orders"]  # fmt: skip

METHODS: tuple[str, ...] = get_args(Method)
ESTIMATORS: tuple[str, ...] = get_args(Estimator)


class UnknownReference(ValueError):
    """References of numbers that a property does not have; all else was done, and `result` has it."""

    def __init__(self, wrong: Sequence[str], result: Propagation) -> None:
        super().__init__("; ".join(wrong))
        self.result = result


@settled
@listens
def propagate(
    gauge: Gauge | str | Path,
    properties: Asked | Sequence[Asked],
    *,
    members: int | None = None,
    method: Method = "resample",
    element: str | None = None,
    trajectory: Given | None = None,
    temperature: float | None = None,
    estimator: Estimator | None = None,
    reference: str | Path | Mapping[str, Mapping[str, Any]] | None = None,
    resume: str | Path | None = None,
    json_file: str | Path | None = None,
    report: str | Path | None = None,
    latex: str | Path | None = None,
    csv: str | Path | None = None,
    run: Run = Run(),
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
        of `reweight`: frames (`ase.Atoms` or files) that the best fit sampled at this temperature, K; `exponential`
        (the default) or `cumulant`, for members with few effective frames
    reference
        true values, `{property: {quantity: number or list}}` or a JSON file of it
    resume
        of `resample`: a file that finished results are kept in, from which an interrupted run goes on
    json_file, report, latex, csv
        everything; a self-contained HTML page; tables for a paper
    run
        how work is done: local processes of one thread each, for `resample`; its progress callback gets (results done,
        failures among them)

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
    require_outputs(
        gauge, properties, trajectory, reference,
        resume=resume, json=json_file, report=report, latex=latex, csv=csv,
    )  # fmt: skip
    if report is not None:
        with require_plotting():
            import_module("assay.report.properties.page")
    gauge = loaded(gauge, run.allow_import)
    references = _references(reference or {})
    sampled = None
    if trajectory is not None:
        sampled = frames_of(trajectory, keys=UNLABELLED, labels="if present", memory=0)
    result = propagate_gauge(
        gauge, _listed(properties), run, members=members, method=method, element=element,
        trajectory=Trajectory(sampled, temperature, estimator), references=references, resume=resume,
    )  # fmt: skip
    references, wrong = matching(references, result)
    if json_file is not None:
        write_json(json_file, with_warnings(result.summary()))
    if csv is not None:
        write_csv(csv, result, references)
    if latex is not None:
        write_latex(latex, result, references)
    if report is not None:
        from assay.report.properties.write import write_properties_report

        made = provenance(gauge, {}, command)
        of_predictions = ("Error bar", "Calibration")
        write_properties_report(
            report,
            result,
            references=references,
            warnings=heard(),
            provenance={name: value for name, value in made.items() if name not in of_predictions},
        )
    if wrong:
        raise UnknownReference(wrong, result)
    return result


def _listed(properties: Asked | Sequence[Asked]) -> list[Asked]:
    if isinstance(properties, Sequence) and not isinstance(properties, str):
        return list(properties)
    return [properties]


def _references(given: str | Path | Mapping[str, Mapping[str, Any]]) -> References:
    return read_references(given) if isinstance(given, str | Path) else as_references(given)
