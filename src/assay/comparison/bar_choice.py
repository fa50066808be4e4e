"""The error bar of forces or of energies to use: honest at home, good everywhere, better than one constant bar."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from assay.comparison.candidates import (
    FEWEST,
    NEAR_SCORE,
    SHOWN,
    SLACK,
    Candidate,
    alternatives,
    as_good,
    best,
    cheaper,
    coverage_off,
    geometric_mean,
    honest,
    of_skill,
    surely_above_zero,
)
from assay.comparison.figures import BarFigures, Estimate, MethodBars
from assay.comparison.methods import CONSTANT
from assay.comparison.reasons import at_home, by_split, choice, held_everywhere, losses, widths
from assay.comparison.recommended import Alternative, RecommendedBar
from assay.comparison.result import CALIBRATION, ComparisonResult
from assay.results.per_quantity import Quantity
from assay.results.wording import many


def recommended_bar(
    result: ComparisonResult, quantity: Quantity, unjudged: Collection[str] = (), prefer: str = ""
) -> RecommendedBar:
    """The bar of one quantity, by the rules of `assay.comparison.recommendation`.

    `unjudged`: names of calibrators that promise what no figure judges. `prefer`: the name of a bar that is taken if it
    is as good.
    """
    at = {split: of[quantity] or {} for split, of in result.bars.items()}
    candidates = _candidates(at, unjudged)
    frames = result.frames

    def everywhere(each: Candidate) -> dict[str, BarFigures]:
        return {split: figures for split, of in at.items() if (figures := of[each.method][each.calibrator])}

    off = {
        each.name: coverage_off(everywhere(each)[CALIBRATION].coverage) if frames[CALIBRATION] >= FEWEST else 0.0
        for each in candidates
    }
    constants = honest([each for each in candidates if each.method == CONSTANT.name], off)
    scored = [each for each in candidates if each.method != CONSTANT.name]
    right = honest(scored, off)
    constant = best(constants) if constants else None
    if not right:
        return RecommendedBar.of(constant.name if constant else "", [_why_none(quantity, at, unjudged)])

    def skill(each: Candidate) -> dict[str, Estimate]:
        return {split: figures.skill for split, figures in everywhere(each).items()}

    def of_use(each: Candidate) -> bool:
        if constant is None:
            return True
        return each.loss < constant.loss and bool(surely_above_zero(skill(each), frames, len(right), of_skill))

    def home(each: Candidate) -> str:
        if frames[CALIBRATION] < FEWEST:
            return f"{many(frames[CALIBRATION], 'calibration frame')} can't tell whether it holds what it promises."
        held = [everywhere(each)[CALIBRATION].coverage[level] for level in SLACK]
        return at_home(quantity, held, off[each.name] == 0, sum(off[one.name] == 0 for one in scored), len(scored))

    def held(each: Candidate) -> str:
        return held_everywhere(quantity, {s: figures.coverage[0.95] for s, figures in everywhere(each).items()})

    least = best(right)
    if constant and not of_use(least):
        reasons = [
            f"Nothing surely beats one constant bar. The best of {len(right)}, {least.name}, has a skill against it "
            f"(1 is perfect, 0 is none) of {by_split(skill(least))}.",
            losses(quantity, list(at), {each.name: each.loss for each in (constant, least)}),
            home(constant),
            widths(quantity, everywhere(constant)),
            held(constant),
        ]
        return RecommendedBar.of(constant.name, reasons, [Alternative(least.name, "the best of all scores")])
    equal = as_good(least, right, {split: _tied(result, split, quantity) for split in at})
    near = [each for each in equal if each.loss <= (1 + NEAR_SCORE) * least.loss and of_use(each)]
    chosen = next((each for each in equal if each.name == prefer and of_use(each)), None)
    chosen = chosen or cheaper(result, least, near)
    beaten = [each for each in (least, constant) if each and each is not chosen]
    reasons = [
        home(chosen),
        losses(quantity, list(at), {each.name: each.loss for each in (chosen, *beaten)}),
        f"Skill against the constant bar with the same calibrator (1 is perfect, 0 is none): "
        f"{by_split(skill(chosen))}.",
        widths(quantity, everywhere(chosen)),
        held(chosen),
        choice(
            result, chosen.method, least.method, len(equal), f"{NEAR_SCORE:.0%}".replace("%", " %"),
            preferred=chosen.name == prefer,
        ),
    ]  # fmt: skip
    return RecommendedBar.of(chosen.name, reasons, alternatives(result, chosen, equal, right))


def _candidates(at: Mapping[str, Mapping[str, MethodBars]], unjudged: Collection[str]) -> list[Candidate]:
    """All `METHOD:CALIBRATOR` with an interval score on every split, but those that no figure judges."""
    found = []
    for method, bars in at.get(CALIBRATION, {}).items():
        for calibrator in bars.by_calibrator:
            if calibrator in unjudged:
                continue
            scores = {split: _interval_score(of.get(method), calibrator) for split, of in at.items()}
            known = {split: score for split, score in scores.items() if score is not None}
            if len(known) == len(at):
                found.append(Candidate(f"{method}:{calibrator}", geometric_mean(known.values()), known))
    return found


def _interval_score(bars: MethodBars | None, calibrator: str) -> float | None:
    figures = bars and bars.by_calibrator.get(calibrator)
    return figures.interval_score.value if figures else None


def _why_none(quantity: Quantity, at: Mapping[str, Mapping[str, MethodBars]], unjudged: Collection[str]) -> str:
    """Why no score has bars everywhere, the commonest reasons first."""
    found: dict[str, list[str]] = {}
    for methods in at.values():
        for method, bars in methods.items():
            for calibrator, figures in bars.by_calibrator.items() if method != CONSTANT.name else ():
                if calibrator in unjudged:
                    continue
                if figures is None:
                    found.setdefault(bars.not_applicable[calibrator], []).append(f"{method}:{calibrator}")
                elif figures.interval_score.value is None:
                    found.setdefault("intervals are infinite", []).append(f"{method}:{calibrator}")
    reasons = [f"{reason} ({names[0]})" for reason, names in sorted(found.items(), key=lambda item: -len(item[1]))]
    return (
        f"No score gave error bars of the {quantity} on all sets: "
        + ("; ".join(reasons[:SHOWN]) or "none has any")
        + "."
    )


def _tied(result: ComparisonResult, split: str, quantity: Quantity) -> tuple[str, ...]:
    """The best bar of a split and those that are not significantly worse."""
    found = result.best[split].bars[quantity]
    return found.interval_score.tied if found and found.interval_score else ()
