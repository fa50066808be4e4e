"""All methods on all sets of frames: the figures of `assay compare`, JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.comparison.bars import Judged, NotApplicable, bars, skill
from assay.comparison.estimate import Estimate, leaders
from assay.comparison.methods import CONSTANT, RANDOM, Method
from assay.comparison.ranking import FIGURES, badness, rankings
from assay.comparison.sets import CALIBRATION
from assay.comparison.split import QUANTITIES, TARGETS, Split
from assay.execution.workers import Progress


def compared(
    calibration: Split,
    tests: Mapping[str, Split],
    methods: Sequence[Method],
    calibrators: Sequence[str],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Rankings, detections and error bars of every method on calibration frames and on each test set.

    Returns
    -------
    `ranking`, `bad`, `bars` and `best`, by the name of the set: see `docs/compare.md`
    """
    judges = [method for method in methods if method.score is not None]
    result: dict[str, Any] = {"ranking": {}, "bad": {}, "bars": {}, "best": {}}
    for done, (name, split) in enumerate({CALIBRATION: calibration, **tests}.items(), 1):
        result["bad"][name] = badness(split, calibration, TARGETS)
        ranked, best_ranked = _ranked(split, calibration, judges)
        barred, best_barred = _barred(split, calibration, judges, calibrators)
        result["ranking"][name], result["bars"][name] = ranked, barred
        result["best"][name] = best_ranked | best_barred
        if progress:
            progress(done, len(split.batch.numbers))
    return result


def _ranked(split: Split, calibration: Split, methods: Sequence[Method]) -> tuple[dict[str, Any], dict[str, Any]]:
    told: dict[str, Any] = {}
    best: dict[str, Any] = {}
    for target in split.targets:
        found = rankings(split, calibration, (*methods, RANDOM), target)
        told[target] = {name: {f: e.told() for f, e in figures.items()} for name, figures in found.items()}
        best[target] = {
            figure: leaders(
                {name: each[figure] for name, each in found.items() if figure in each and name != RANDOM.name},
                found[RANDOM.name].get(figure),
            )
            for figure in FIGURES
            if figure != "flagged"
        }
    return told, best


def _barred(
    split: Split, calibration: Split, methods: Sequence[Method], calibrators: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    told: dict[str, Any] = {}
    best: dict[str, Any] = {}
    for quantity in QUANTITIES:
        if quantity not in split.quantities or quantity not in calibration.quantities:
            continue
        constant: dict[str, Judged] = {}
        narrowness: dict[str, Estimate] = {}
        told[quantity] = {}
        for method in (CONSTANT, *methods):
            name = method.name
            told[quantity][name] = {"not_applicable": {}}
            for calibrator in calibrators:
                try:
                    judged = bars(split, calibration, method, quantity, calibrator)
                except NotApplicable as error:
                    told[quantity][name] |= {calibrator: None}
                    told[quantity][name]["not_applicable"][calibrator] = str(error)
                    continue
                if method is CONSTANT:
                    constant[calibrator] = judged
                narrowness[f"{name}:{calibrator}"] = judged.interval_score.gain()
                told[quantity][name][calibrator] = judged.told(skill(judged, constant[calibrator]))
        controls = {name: narrowness.pop(name) for name in [*narrowness] if name.startswith(f"{CONSTANT.name}:")}
        control = max(controls.values(), key=lambda each: each.value, default=None)
        best[f"{quantity}_bar"] = {"interval_score": leaders(narrowness, control)}
    return told, best
