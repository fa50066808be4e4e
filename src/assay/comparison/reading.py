"""A comparison read back from its JSON, such as the file that `assay compare --json` wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from assay.comparison.figures import (
    BARRED,
    Bad,
    BarFigures,
    BarLeaders,
    Best,
    Estimate,
    Leaders,
    MethodBars,
    PerTarget,
    Ranking,
    RankingLeaders,
)
from assay.comparison.recommended import Alternative, Recommendation, RecommendedBar, RecommendedRanking
from assay.comparison.result import (
    ERROR_KEYS,
    ComparisonResult,
    MethodDescription,
    SetDescription,
    SetErrors,
    SourceCost,
)
from assay.results.label_finding import LabelFinding
from assay.results.per_quantity import PerQuantity

T = TypeVar("T")


def from_summary(summary: Mapping[str, Any]) -> ComparisonResult:
    """The result of which `summary` is the summary: `from_summary(result.summary()) == result`.

    The `warnings` of a file are no part of the result, and are left out.

    Raises `KeyError` and `TypeError` for what is no summary of a comparison.
    """
    given = {key: value for key, value in summary.items() if key != "warnings"}
    return ComparisonResult(
        versions=given.pop("assay"),
        remarks=tuple(given.pop("remarks")),
        label_check=tuple(map(LabelFinding.of, given.pop("label_check", ()))),
        splits=tuple(map(_set, given.pop("splits"))),
        source_cost=SourceCost(**given.pop("source_cost")),
        methods=_each(given.pop("methods"), lambda each: MethodDescription(**each)),
        ranking=_each(given.pop("ranking"), lambda each: PerTarget(**_each(each, _rankings))),
        bad=_each(given.pop("bad"), lambda each: PerTarget(**_each(each, lambda of: Bad(**of)))),
        bars=_each(given.pop("bars"), lambda each: PerQuantity(**_each(each, _method_bars))),
        best=_each(given.pop("best"), _best),
        recommendation=_recommendation(**given.pop("recommendation")),
        **given,
    )


def _each(given: Mapping[str, Any], read: Callable[[Any], T]) -> dict[str, T]:
    return {name: read(each) for name, each in given.items()}


def _set(given: Mapping[str, Any]) -> SetDescription:
    given = dict(given)
    del given["skipped"]  # how many failed
    errors, failed = given.pop("errors"), given.pop("failed")
    return SetDescription(
        errors=errors and SetErrors(**{name: errors[key] for name, key in ERROR_KEYS.items()}),
        failed=tuple((row["frame"], row["reason"]) for row in failed),
        **given,
    )


def _rankings(methods: Mapping[str, Any]) -> dict[str, Ranking]:
    return _each(methods, lambda figures: Ranking(**_each(figures, lambda each: Estimate(**each))))


def _method_bars(methods: Mapping[str, Any]) -> dict[str, MethodBars]:
    found = {}
    for name, given in methods.items():
        by_calibrator = {key: value for key, value in given.items() if key != "not_applicable"}
        found[name] = MethodBars(_each(by_calibrator, _bar_figures), given["not_applicable"])
    return found


def _bar_figures(given: Mapping[str, Any] | None) -> BarFigures | None:
    if given is None:
        return None
    estimates = {key: Estimate(**given[key]) for key in ("interval_score", "skill", "ence") if given[key] is not None}
    coverage = {float(level): Estimate(**each) for level, each in given["coverage"].items()}
    return BarFigures(**{**given, **estimates, "coverage": coverage, "remarks": tuple(given["remarks"])})


def _best(given: Mapping[str, Any]) -> Best:
    of_bars: dict[str, Any] = {quantity: given[key] for quantity in BARRED if (key := f"{quantity}_bar") in given}
    of_targets = {key: value for key, value in given.items() if not key.endswith("_bar")}
    return Best(
        PerTarget(**_each(of_targets, lambda figures: RankingLeaders(**_each(figures, _leaders)))),
        PerQuantity(**_each(of_bars, lambda figures: BarLeaders(**_each(figures, _leaders)))),
    )


def _leaders(given: Mapping[str, Any] | None) -> Leaders | None:
    return None if given is None else Leaders(**{**given, "tied": tuple(given["tied"])})


def _recommendation(
    error_bars: Mapping[str, Any],
    energy_bars: Mapping[str, Any],
    ranking_frames: Mapping[str, Any],
    ranking_atoms: Mapping[str, Any],
    warnings: Sequence[str],
) -> Recommendation:
    return Recommendation(
        RecommendedBar(**_reasoned(error_bars)),
        RecommendedBar(**_reasoned(energy_bars)),
        RecommendedRanking(**_reasoned(ranking_frames)),
        RecommendedRanking(**_reasoned(ranking_atoms)),
        tuple(warnings),
    )


def _reasoned(given: Mapping[str, Any]) -> dict[str, Any]:
    alternatives = tuple(Alternative(**each) for each in given["alternatives"])
    return {**given, "reasons": tuple(given["reasons"]), "alternatives": alternatives}
