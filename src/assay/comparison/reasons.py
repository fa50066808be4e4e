"""The sentences that back a recommendation: numbers of a comparison in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from assay.comparison.figures import BarFigures, Estimate
from assay.comparison.result import ComparisonResult, MethodDescription, SourceCost
from assay.results.per_quantity import Quantity

SPELT_OUT = 3
"""Sets of frames up to which each is told one by one."""
UNITS: Mapping[Quantity, tuple[str, float]] = {"force": ("eV/Å", 1.0), "energy": ("meV/atom", 1000.0)}
"""Of the errors of each quantity, and how many of them an eV/Å or an eV is."""


def number(value: float | None) -> str:
    """Three significant digits."""
    if value is None or math.isnan(value):
        return "unknown"
    return (f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")


def two(value: float) -> str:
    """Two decimals, as of a correlation or skill; `< −100` and `> 100` for what is beyond all use."""
    if abs(value) > 100:
        return "< −100" if value < 0 else "> 100"
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def estimate(found: Estimate) -> str:
    """`0.81 [0.74, 0.86]`."""
    return _with_ends(found, two, "")


def share(found: Estimate) -> str:
    """`68 % [64, 71]`."""
    return _with_ends(found, lambda value: f"{100 * value:.0f}", " %")


def _with_ends(found: Estimate, write: Callable[[float], str], unit: str) -> str:
    if found.value is None:
        return "not defined"
    ends = ", ".join(write(end) for end in (found.low, found.high) if end is not None)
    return write(found.value) + unit + (f" [{ends}]" if ends else "")


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def by_split(found: Mapping[str, Estimate], write: Callable[[Estimate], str] = estimate) -> str:
    """`0.81 [0.74, 0.86] on calibration, 0.5 [0.4, 0.6] on liquid`; of many the first, the least and the largest."""
    each = {split: f"{write(one)} on {split}" for split, one in found.items()}
    known = {split: one.value for split, one in found.items() if one.value is not None}
    if len(each) <= SPELT_OUT or len(known) < SPELT_OUT:
        return ", ".join(each.values())
    home, *others = known
    low, high = (choose(others, key=lambda split: known[split]) for choose in (min, max))
    return f"{each[home]}, from {each[low]} to {each[high]}"


def cost(source: SourceCost, method: MethodDescription) -> str:
    """What a method costs beside the potential."""
    if source.evaluation_microseconds_per_atom is None:
        return (
            f"{number(method.microseconds_per_atom)} µs per atom and {number(method.fit_seconds)} s to fit, "
            "beside the potentials, whose cost is not known: what they say was recorded before"
        )
    return (
        f"{number(method.microseconds_per_atom)} µs per atom beside the "
        f"{number(source.evaluation_microseconds_per_atom)} µs of the potential, "
        f"{number(method.fit_seconds)} s to fit beside its {number(source.fit_seconds)} s"
    )


def at_home(quantity: Quantity, held: Sequence[Estimate], honest: bool, right: int, of: int) -> str:
    """The coverage at 68 % and 95 % on the calibration frames, and how many of the bars of scores are right there."""
    sentence = (
        f"On frames like the calibration frames its 68 % and 95 % bars hold {listed([*map(share, held)])} of the "
        f"{quantity} errors{'' if honest else ', which is surely off'}; {right} of {of} bars of scores are about right "
        "there."
    )
    return sentence if honest or right else f"{sentence} No such bar is honest: the choice is among the nearest."


def widths(quantity: Quantity, found: Mapping[str, BarFigures]) -> str:
    """The mean half width of 68 % bars on each split."""
    unit, factor = UNITS[quantity]
    half = {split: Estimate(each.mean_width) for split, each in found.items()}

    def write(width: Estimate) -> str:
        return "infinite" if width.value is None else f"± {number(factor * width.value / 2)} {unit}"

    return f"Its 68 % bars are, on average, {by_split(half, write)}."


def losses(quantity: Quantity, splits: Sequence[str], found: Mapping[str, float]) -> str:
    """The interval scores of some bars."""
    unit, factor = UNITS[quantity]
    each = ", ".join(f"{number(factor * loss)} {unit} of {name}" for name, loss in found.items())
    named = listed(splits) if len(splits) <= SPELT_OUT else f"all {len(splits)} sets"
    over = f"geometric mean over {named}" if len(splits) > 1 else f"on {splits[0]}"
    return f"Interval score at 90 % (width and misses, smaller is better), {over}: {each}."


def held_everywhere(quantity: Quantity, held: Mapping[str, Estimate]) -> str:
    """The coverage at 95 % on each split."""
    return f"95 % bars hold of the {quantity} errors: {by_split(held, share)}."


def choice(
    result: ComparisonResult, method: str, best: str, equal: int, given_away: str, preferred: bool = False
) -> str:
    """Why this one of those that are as good.

    | | |
    |---|---|
    | method, best | the chosen one, and that with the best mean |
    | equal | how many are as good within the error |
    | given_away | what of the mean may be given away for a lower cost |
    | preferred | it is that of the forces |
    """
    costs = cost(result.source_cost, result.methods[method])
    if equal == 1:
        return f"Nothing else is as good on all sets of frames. Cost: {costs}."
    if preferred:
        return f"{equal} are as good within the error; this is that of the forces: {costs}."
    if result.source_cost.evaluation_microseconds_per_atom is None:
        return f"{equal} are as good within the error; this has the best mean: {costs}."
    if method == best:
        return (
            f"{equal} are as good within the error; this has the best mean, and of those within "
            f"{given_away} of it that are surely of use none costs a tenth less: {costs}."
        )
    return (
        f"{equal} are as good within the error. The mean of {best} is better by less than {given_away}, at "
        f"{number(result.methods[best].microseconds_per_atom)} µs per atom; this costs {costs}."
    )
