"""The page of a comparison: what to use and why, then the figures and tables that say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from assay.comparison.figures import BARRED, RankingFigure, Target
from assay.comparison.overview import Cell, Overview
from assay.comparison.reasons import number
from assay.comparison.recommended import Alternative, Recommendation, RecommendedRanking
from assay.comparison.result import ComparisonResult, SourceCost
from assay.report.comparison import figures as figures
from assay.report.comparison import tables as tables
from assay.report.comparison.figures import NAMED, Point
from assay.report.kit.page import environment
from assay.report.kit.parts import Panel, Table
from assay.report.kit.theme import figure_svg, svg
from assay.results.wording import many
from assay.storage.files import write_atomically


@dataclass(frozen=True)
class Advice:
    """What to use for one purpose, and why."""

    purpose: str
    use: str
    reasons: Sequence[str]
    alternatives: Sequence[Alternative]


@dataclass(frozen=True)
class Fold:
    """Tables that are folded away under a heading."""

    heading: str
    tables: Sequence[Table]


def write_comparison_report(path: str | Path, result: ComparisonResult, *, warnings: Sequence[str] = ()) -> None:
    """Write the page to `path`, whole or not at all; the same result gives the same bytes.

    `result`: what `assay.compare` gives; `assay.comparison.reading.from_summary` reads one back from its JSON. Needs
    matplotlib and jinja2 (the extra `report`).
    """
    page = render(result, warnings)
    write_atomically(path, lambda file: file.write(page.encode()))


def render(result: ComparisonResult, warnings: Sequence[str] = ()) -> str:
    """The whole page as text."""
    overview = Overview.of(result)
    page: str = (
        environment()
        .get_template("comparison.html")
        .render(
            title="Comparison of uncertainties",
            said=warnings,
            judged=f"{result.source} · {many(len(result.methods), 'method')} · "
            f"{many(len(result.tests), 'test set')}: {', '.join(result.tests)}",
            advice=_advice(result.recommendation),
            warnings=result.recommendation.warnings,
            splits=tables.splits(result),
            source_cost=_source_cost(result.source_cost),
            glance=tables.at_a_glance(overview),
            forests=_forests(overview),
            panels=_panels(overview),
            folds=_folds(result),
            failed={name: of.failed for name, of in result.methods.items() if of.failed},
            left_out=[row for split in result.splits for row in split.failed],
            provenance=_provenance(result),
        )
    )
    return page


def _advice(found: Recommendation) -> list[Advice]:
    return [
        Advice(purpose, part.name or "none", part.reasons, part.alternatives)
        for purpose, part in found.by_purpose().items()
    ]


def _source_cost(found: SourceCost) -> str:
    if found.evaluation_microseconds_per_atom is None:
        return "What the potentials say was recorded before: what they cost is not known, nor part of the costs here."
    text = f"The potential itself: {number(found.fit_seconds)} s for features and fit, "
    text += f"{number(found.evaluation_microseconds_per_atom)} µs per atom to evaluate, members included."
    for name, seconds in found.posteriors.items():
        text += f" Members of {name}: {number(seconds)} s."
    return text


def _forests(overview: Overview) -> list[Panel]:
    family = {name: overview.result.methods[name].family for name in overview.methods()}
    forests: tuple[tuple[str, Target, RankingFigure, str], ...] = (
        ("forest-frames", "force_frame", "spearman", "Ranking frames by their largest force error"),
        ("forest-atoms", "force_atom", "spearman", "Ranking atoms by their force error"),
        ("forest-auroc", "force_frame", "auroc", "Finding the worst tenth of the frames"),
    )
    found = []
    for id, target, figure, heading in forests:
        rows = {name: cells for name in family if any((cells := overview.everywhere(name, target, figure)).values())}
        if not rows:
            continue
        xlabel, nothing = ("AUROC", 0.5) if figure == "auroc" else ("Spearman's correlation", 0.0)
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
    home, tests = overview.home, overview.tests
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
    source = overview.result.source_cost.evaluation_microseconds_per_atom
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
    found, named = [], _named(overview.result.recommendation)
    for name in overview.methods():
        across, up = x(name).estimate.value, y(name).estimate.value
        if across is not None and up is not None:
            found.append(Point(name, overview.result.methods[name].family, across, up, name in named))
    return found


def _named(found: Recommendation) -> list[str]:
    """The recommended methods, as many as there are markers for."""
    parts = found.by_purpose().values()
    methods = [part.name if isinstance(part, RecommendedRanking) else part.method for part in parts]
    return list(dict.fromkeys(filter(None, methods)))[: len(NAMED)]


def _folds(result: ComparisonResult) -> list[Fold]:
    folds = [
        *(Fold(f"Rankings: {what}", tables.rankings(result, target)) for target, what in tables.WORDS.items()),
        *(
            Fold(f"Error bars of the {quantity}: every calibrator", tables.bars(result, quantity))
            for quantity in BARRED
        ),
    ]
    if missing := tables.not_applicable(result):
        folds.append(Fold("Error bars that there can't be", [missing]))
    return [fold for fold in folds if fold.tables]


def _provenance(result: ComparisonResult) -> dict[str, str]:
    made = {"Command": result.command} if result.command else {}
    made |= {"Potential": result.source, "Seed": str(result.seed), "Resamples": str(result.resamples)}
    made["Radius of neighbourhoods"] = f"{result.r_cut} Å"
    for split in result.splits:
        made |= {f"SHA-256 of {path} ({split.name})": digest for path, digest in split.files.items()}
    return made | {"Versions": ", ".join(f"{package} {version}" for package, version in result.versions.items())}
