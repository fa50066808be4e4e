"""`assay info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from assay.cli import options
from assay.cli.tables import emit_json, members, number, on_disk, show
from assay.verbs.info import info as run
from assay.verbs.outputs import require_outputs

SPELT_OUT = 20
"""Values of a list beyond which the rest is counted."""


@click.command()
@click.argument("gauge", type=options.INPUT)
@options.allow_import
@options.json_option
def info(gauge: Path, allow_import: tuple[str, ...], json_file: Path | None) -> None:
    """What a gauge is: source, scores, thresholds, error bars, provenance."""
    require_outputs(gauge, json=on_disk(json_file))
    result = run(gauge, allow_import=allow_import)
    summary = result.summary()
    if emit_json(json_file, summary):
        return
    facts = [(k, v) for k, v in summary.items() if isinstance(v, str | float | list)]
    made = [(k, v) for k, v in result.provenance.items() if not isinstance(v, dict)]
    nested = [
        (f"{k}: {name}", v)
        for k, tree in result.provenance.items()
        if isinstance(tree, dict) and k != "members"
        for name, v in tree.items()
    ]
    rows = [[key, spelt(value) if isinstance(value, list) else str(value)] for key, value in facts + made + nested]
    show(str(gauge), ["", ""], rows)
    if told := result.provenance.get("members"):
        members(told)
    thresholds = [[name, level, number(value)] for (name, level), value in result.thresholds.items()]
    show("Thresholds", ["score", "level", "flags above"], thresholds)


def spelt(values: list[Any]) -> str:
    """The values; of many the first, and how many there are."""
    more = f", … ({len(values)})" if len(values) > SPELT_OUT else ""
    return ", ".join(map(str, values[:SPELT_OUT])) + more
