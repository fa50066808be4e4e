"""All methods on one set of frames: how well they rank the errors, how good their error bars are, and who leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.calibration.bar_name import CalibratorName
from assay.comparison.bars import Judged, NotApplicable, bars, skill
from assay.comparison.estimate import Resampled, leaders
from assay.comparison.figures import (
    Bad,
    BarFigures,
    BarLeaders,
    Best,
    MethodBars,
    PerTarget,
    Ranking,
    RankingFigure,
    RankingLeaders,
    Target,
)
from assay.comparison.methods import CONSTANT, RANDOM, Method
from assay.comparison.ranking import badness, rankings
from assay.comparison.split import QUANTITIES, Split
from assay.results.per_quantity import PerQuantity, Quantity


@dataclass(frozen=True)
class SetFigures:
    """What was found on one set of frames; fields as in `ComparisonResult`."""

    ranking: PerTarget[Mapping[str, Ranking]]
    bad: PerTarget[Bad]
    bars: PerQuantity[Mapping[str, MethodBars]]
    best: Best


def judge(
    split: Split, calibration: Split, methods: Sequence[Method], calibrators: Sequence[CalibratorName]
) -> SetFigures:
    """Rankings, detections and error bars of every method on a set of frames, which may be the calibration frames."""
    judges = [method for method in methods if method.score is not None]
    ranked, ranking_leaders = {}, {}
    for target in split.targets:
        ranked[target], ranking_leaders[target] = _ranked(split, calibration, judges, target)
    barred, bar_leaders = {}, {}
    for quantity in QUANTITIES:
        if quantity in split.quantities and quantity in calibration.quantities:
            barred[quantity], bar_leaders[quantity] = _barred(split, calibration, judges, calibrators, quantity)
    return SetFigures(
        ranking=PerTarget(**ranked),
        bad=badness(split, calibration),
        bars=PerQuantity(**barred),
        best=Best(PerTarget(**ranking_leaders), PerQuantity(**bar_leaders)),
    )


def _ranked(
    split: Split, calibration: Split, methods: Sequence[Method], target: Target
) -> tuple[dict[str, Ranking], RankingLeaders]:
    found = rankings(split, calibration, (*methods, RANDOM), target)
    told = {name: Ranking(**{f: e.estimate() for f, e in figures.items()}) for name, figures in found.items()}
    chance = found.pop(RANDOM.name)

    def leading(figure: RankingFigure) -> dict[str, Resampled]:
        return {name: each[figure] for name, each in found.items() if figure in each}

    compared: tuple[RankingFigure, ...] = ("spearman", "auroc", "detection")
    return told, RankingLeaders(*(leaders(leading(figure), chance.get(figure)) for figure in compared))


def _barred(
    split: Split,
    calibration: Split,
    methods: Sequence[Method],
    calibrators: Sequence[CalibratorName],
    quantity: Quantity,
) -> tuple[dict[str, MethodBars], BarLeaders]:
    found: dict[str, MethodBars] = {}
    constant: dict[str, Judged] = {}
    narrowness: dict[str, Resampled] = {}
    for method in (CONSTANT, *methods):
        figures: dict[str, BarFigures | None] = {}
        reasons: dict[str, str] = {}
        for named in calibrators:
            calibrator = str(named)
            try:
                judged = bars(split, calibration, method, quantity, named)
            except NotApplicable as error:
                figures[calibrator], reasons[calibrator] = None, str(error)
                continue
            if method is CONSTANT:
                constant[calibrator] = judged
            narrowness[f"{method.name}:{calibrator}"] = judged.interval_score.gain()
            figures[calibrator] = judged.figures(skill(judged, constant[calibrator]))
        found[method.name] = MethodBars(figures, reasons)
    controls = {name: narrowness.pop(name) for name in [*narrowness] if name.startswith(f"{CONSTANT.name}:")}
    control = max(controls.values(), key=lambda each: each.value, default=None)
    return found, BarLeaders(leaders(narrowness, control))
