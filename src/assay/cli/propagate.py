"""`assay propagate`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from assay import Run
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import listed, note, on_disk, printed_json, show
from assay.verbs.propagate import (
    ESTIMATORS,
    METHODS,
    OBSERVABLES,
    Propagation,
    UnknownReference,
    property_names,
    row_of_each,
    rows_of_orders,
)
from assay.verbs.propagate import propagate as verb


class WithNames(click.Command):
    """Ends its help with the names of properties, those of other packages included: these are looked up only here."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        names = f"Names of properties: {', '.join(property_names())}. With --method reweight: {', '.join(OBSERVABLES)}."
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(names)


@click.command(cls=WithNames)
@click.argument("gauge", type=options.INPUT)
@click.argument("properties", nargs=-1, required=True, metavar="PROPERTY...")
@click.option("--members", type=click.IntRange(2), metavar="M", help="The first M members; all by default.")
@click.option("--method", type=click.Choice(METHODS), default="resample", show_default=True)
@click.option("--element", metavar="W", help="Of prototypes without element=; the potential's only one by default.")
@click.option("--trajectory", type=options.INPUT, multiple=True, help="Of --method reweight: frames of the best fit.")
@click.option("--temperature", type=float, metavar="K", help="Of the trajectory.")
@click.option("--estimator", type=click.Choice(ESTIMATORS), help="Of --method reweight; exponential by default.")
@click.option("--reference", type=options.INPUT, metavar="R.json", help="True values, {PROPERTY: {QUANTITY: number}}.")
@options.run(skips=False)
@click.option("--resume", type=options.OUTPUT, metavar="FILE", help="Keep finished results here, and go on from them.")
@options.json_option
@options.report
@click.option("--latex", type=options.OUTPUT, metavar="T.tex", help="Write a table for a paper.")
@click.option("--csv", type=options.OUTPUT, metavar="T.csv", help="Write every number.")
@click.pass_obj
def propagate(
    command: str,
    /,
    gauge: Path,
    properties: tuple[str, ...],
    trajectory: tuple[Path, ...],
    json_file: Path | None,
    run: Run,
    **arguments: Any,
) -> None:
    """Error bars on properties: each PROPERTY with the best fit and with every member of the ensemble.

    PROPERTY is NAME[:WORD,WORD,key=value], such as crystals:bcc,fcc,hcp or vacancy:bcc,size=4.
    """
    unknown = None
    with Stages(("results", "failed")) as stage:
        arguments |= {"json_file": on_disk(json_file), "trajectory": trajectory or None}
        try:
            result = verb(gauge, properties, run=replace(run, progress=stage), command=command, **arguments)
        except UnknownReference as error:
            result, unknown = error.result, error
    for name, one in result.properties.items():
        listed(
            f"of {result.members} members failed in {name}, and what they did not give is left out",
            [(f"member {member}", reason) for member, reason in one.failed],
        )
    if not printed_json(json_file, result.summary()):
        show_propagation(result)
    for name, one in result.properties.items():
        for remark in one.notes:
            note(f"{name}: {remark}")
    for key in ("report", "latex", "csv"):
        if arguments[key] is not None:
            note(f"written to {arguments[key]}")
    for name, reason in result.failed:
        note(f"error: {name} could not be computed: {reason}")
    if unknown:
        note(f"error: {unknown}")
    if result.failed or unknown:
        sys.exit(1)


def show_propagation(result: Propagation) -> None:
    """The numbers of each property with their error bars, and how surely like numbers keep their order."""
    header = ["", "unit", "value", "± std", "low", "high"]
    for name, one in result.properties.items():
        whole = f"{result.members - len(one.failed)} of {result.members} members" + (" gave all" if one.in_part else "")
        show(f"{name}: {whole}, {result.method}", [*header, *(["members"] if one.in_part else [])], row_of_each(one))
    if found := rows_of_orders(result):
        head = ["property", "order of", "", "Spearman", "± std", "least sure pair keeps it"]
        show("Members that keep the order of the best fit", head, found)
