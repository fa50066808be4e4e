"""The page of a comparison: what to use and why, then the figures and tables that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from assay.comparison.candidates import Result
from assay.comparison.overview import Cell, Overview
from assay.comparison.reasons import number
from assay.comparison.recommendation import bar_name
from assay.comparison.sets import CALIBRATION
from assay.report.comparison import figures as figures
from assay.report.comparison import tables as tables
from assay.report.comparison.figures import NAMED, Point
from assay.report.kit.page import environment
from assay.report.kit.parts import Panel, Table, many
from assay.report.kit.theme import figure_svg, svg
from assay.storage.files import write_atomically


@dataclass(frozen=True)
class Advice:
    """What to use for one purpose, and why."""

    purpose: str
    use: str
    reasons: Sequence[str]
    alternatives: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Fold:
    """Tables that are folded away under a heading."""

    heading: str
    tables: Sequence[Table]


def write_comparison_report(path: str | Path, result: Result) -> None:
    """Write the page to `path`, whole or not at all; the same result gives the same bytes.

    `result`: what `assay.compare` gives, or its JSON file read back. Needs matplotlib and jinja2 (the extra `report`).
    """
    page = render(result)
    write_atomically(path, lambda file: file.write(page.encode()))


def render(result: Result) -> str:
    """The whole page as text."""
    overview = Overview.of(result)
    splits = result["splits"]
    tests = [split["name"] for split in splits if split["role"] == "test"]
    page: str = (
        environment()
        .get_template("comparison.html")
        .render(
            title="Comparison of uncertainties",
            judged=f"{result['source']} · {many(len(result['methods']), 'method')} · "
            f"{many(len(tests), 'test set')}: {', '.join(tests)}",
            advice=_advice(result["recommendation"]),
            warnings=result["recommendation"]["warnings"],
            splits=tables.splits(result),
            source_cost=_source_cost(result["source_cost"]),
            glance=tables.at_a_glance(overview),
            forests=_forests(overview),
            panels=_panels(overview),
            folds=_folds(result),
            failed={name: of["failed"] for name, of in result["methods"].items() if of["failed"]},
            left_out=[row for split in splits for row in split.get("failed") or ()],
            provenance=_provenance(result),
        )
    )
    return page


def _advice(found: Mapping[str, Any]) -> list[Advice]:
    named = {
        "Error bars of forces": bar_name(found["error_bars"]),
        "Error bars of energies": bar_name(found["energy_bars"]),
        "To rank frames": found["ranking_frames"]["method"],
        "To rank atoms": found["ranking_atoms"]["method"],
    }
    parts = (found[key] for key in ("error_bars", "energy_bars", "ranking_frames", "ranking_atoms"))
    return [
        Advice(purpose, use or "none", part["reasons"], part["alternatives"])
        for (purpose, use), part in zip(named.items(), parts, strict=True)
    ]


def _source_cost(found: Mapping[str, Any]) -> str:
    if found["evaluation_microseconds_per_atom"] is None:
        return "What the potentials say was recorded before: what they cost is not known, nor part of the costs here."
    text = f"The potential itself: {number(found['fit_seconds'])} s for features and fit, "
    text += f"{number(found['evaluation_microseconds_per_atom'])} µs per atom to evaluate, members included."
    for name, seconds in (found.get("posteriors") or {}).items():
        text += f" Members of {name}: {number(seconds)} s."
    return text


def _forests(overview: Overview) -> list[Panel]:
    family = {name: overview.result["methods"][name]["family"] for name in overview.methods()}
    found = []
    for id, target, figure, heading in (
        ("forest-frames", "force_frame", "spearman", "Ranking frames by their largest force error"),
        ("forest-atoms", "force_atom", "spearman", "Ranking atoms by their force error"),
        ("forest-auroc", "force_frame", "auroc", "Finding the worst tenth of the frames"),
    ):
        rows = {name: cells for name in family if any((cells := overview.everywhere(name, target, figure)).values())}
        if not rows:
            continue
        xlabel, nothing = {"spearman": ("Spearman's correlation", 0.0), "auroc": ("AUROC", 0.5)}[figure]
        drawn = figure_svg(
            partial(figures.forest, family=family, rows=rows, xlabel=xlabel, nothing=nothing),
            id=id,
            label=f"{heading}: {xlabel} of each method",
            size=(13.0, 1.0 + 0.25 * len(rows)),
        )
        caption = (
            f"{xlabel} with its 95 % interval by resampling frames; the line is chance. Filled: best on these frames, "
            "or not significantly worse. Blue: ensembles; orange: features; grey: controls."
        )
        found.append(Panel(id, heading, drawn, caption))
    return found


def _panels(overview: Overview) -> list[Panel]:
    """Home against away, and cost against quality; what has no two numbers is left out."""
    home, tests = [CALIBRATION], overview.tests
    away = tests[0] if len(tests) == 1 else "worst test set"
    bar = f"Force bars by {overview.calibrator}"
    found = []
    if tests:
        found = [
            _panel(
                "skill",
                "Do good bars stay good?",
                f"{bar}: their interval score in units of that of the constant bar. Down and left is better; beyond "
                "the lines the constant bar is better.",
                _points(overview, *(partial(overview.skill, quantity="force", splits=s) for s in (home, tests))),
                partial(
                    figures.against_constant,
                    xlabel="relative score, calibration frames",
                    ylabel=f"relative score, {away}",
                ),
            ),
            _panel(
                "coverage",
                "Do they hold what they promise?",
                f"{bar}: the share of errors that 95 % bars hold. The lines are the promise.",
                _points(overview, *(partial(overview.coverage, quantity="force", splits=s) for s in (home, tests))),
                partial(figures.coverage, xlabel="in 95 % bars, calibration frames", ylabel=f"in 95 % bars, {away}"),
            ),
        ]
    source = overview.result["source_cost"]["evaluation_microseconds_per_atom"]
    quality = partial(overview.ranking, target="force_frame", figure="spearman", splits=[*home, *tests])
    cost = _panel(
        "cost",
        "What does it cost?",
        "The smallest correlation of all sets of frames, calibration among them: up and left is better.",
        _points(overview, overview.cost, quality),
        partial(figures.cost, ylabel="Spearman, frames, where worst", source=source),
    )
    return [panel for panel in (*found, cost) if panel]


def _panel(
    id: str, heading: str, caption: str, points: Sequence[Point], draw: Callable[[Axes, Sequence[Point]], object]
) -> Panel | None:
    if not points:
        return None
    drawn = svg(lambda ax: draw(ax, points), id=id, label=heading, size=(4.2, 4.4))
    return Panel(id, heading, drawn, caption)


def _points(overview: Overview, x: Callable[[str], Cell], y: Callable[[str], Cell]) -> list[Point]:
    found = []
    for name in overview.methods():
        if x(name) and y(name):
            family = overview.result["methods"][name]["family"]
            place = x(name).estimate["value"], y(name).estimate["value"]
            found.append(Point(name, family, *place, name in _named(overview)))
    return found


def _named(overview: Overview) -> list[str]:
    """The recommended methods, as many as there are markers for."""
    found = overview.result["recommendation"]
    bars = [bar_name(found[key]).partition(":")[0] for key in ("error_bars", "energy_bars")]
    ranked = [found[key]["method"] or "" for key in ("ranking_frames", "ranking_atoms")]
    return list(dict.fromkeys(filter(None, [*bars, *ranked])))[: len(NAMED)]


def _folds(result: Result) -> list[Fold]:
    folds = [
        *(Fold(f"Rankings: {what}", tables.rankings(result, target)) for target, what in tables.TARGETS.items()),
        *(
            Fold(f"Error bars of the {quantity}: every calibrator", tables.bars(result, quantity))
            for quantity in ("force", "energy")
        ),
    ]
    if missing := tables.not_applicable(result):
        folds.append(Fold("Error bars that there can't be", [missing]))
    return [fold for fold in folds if fold.tables]


def _provenance(result: Result) -> dict[str, str]:
    made = {"Command": str(result["command"])} if result.get("command") else {}
    made |= {"Potential": str(result["source"]), "Seed": str(result["seed"]), "Resamples": str(result["resamples"])}
    made["Radius of neighbourhoods"] = f"{result['r_cut']} Å"
    for split in result["splits"]:
        made |= {f"SHA-256 of {path} ({split['name']})": digest for path, digest in split["files"].items()}
    return made | {"Versions": ", ".join(f"{package} {version}" for package, version in result["assay"].items())}
