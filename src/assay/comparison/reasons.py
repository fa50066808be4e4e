"""The sentences that back a recommendation: numbers of a comparison in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Told = Mapping[str, Any]
"""`value`, `low`, `high`: an `Estimate` as it is told; each may be `None`."""

SPELT_OUT = 3
"""Sets of frames up to which each is told one by one."""
UNITS = {"force": ("eV/Å", 1.0), "energy": ("meV/atom", 1000.0)}
"""Of the errors of each quantity, and how many of them an eV/Å or an eV is."""


def number(value: float | None) -> str:
    """Three significant digits."""
    if value is None or math.isnan(value):
        return "unknown"
    return (f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")


def estimate(found: Told) -> str:
    """`0.81 [0.74, 0.86]`."""
    return _with_ends(found, lambda value: f"{round(value, 2) + 0.0:.2f}".replace("-", "−"), "")


def share(found: Told) -> str:
    """`68 % [64, 71]`."""
    return _with_ends(found, lambda value: f"{100 * value:.0f}", " %")


def _with_ends(found: Told, write: Callable[[float], str], unit: str) -> str:
    if found["value"] is None:
        return "unknown"
    ends = ", ".join(write(found[end]) for end in ("low", "high") if found[end] is not None)
    return write(found["value"]) + unit + (f" [{ends}]" if ends else "")


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def by_split(found: Mapping[str, Told], write: Callable[[Told], str] = estimate) -> str:
    """`0.81 [0.74, 0.86] on calibration, 0.5 [0.4, 0.6] on liquid`; of many the first, the least and the largest."""
    each = {split: f"{write(one)} on {split}" for split, one in found.items()}
    known = [split for split, one in found.items() if one["value"] is not None]
    if len(each) <= SPELT_OUT or len(known) < SPELT_OUT:
        return ", ".join(each.values())
    home, *others = known
    low, high = (choose(others, key=lambda split: found[split]["value"]) for choose in (min, max))
    return f"{each[home]}, from {each[low]} to {each[high]}"


def cost(result: Mapping[str, Any], method: str) -> str:
    """What a method costs beside the potential."""
    own, source = result["methods"].get(method, {}), result["source_cost"]
    return (
        f"{number(own.get('microseconds_per_atom'))} µs per atom beside the "
        f"{number(source['evaluation_microseconds_per_atom'])} µs of the potential, "
        f"{number(own.get('fit_seconds'))} s to fit beside its {number(source['fit_seconds'])} s"
    )


def at_home(quantity: str, held: Sequence[Told], honest: bool, alike: int, of: int) -> str:
    """The coverage at 68 % and 95 % on the calibration frames, and how many of the bars are right there."""
    sentence = (
        f"On frames like the calibration frames its 68 % and 95 % bars hold {listed([*map(share, held)])} of the "
    )
    if not honest:
        return f"{sentence}{quantity} errors: surely off, but none is nearer to what it promises."
    return f"{sentence}{quantity} errors; {alike} of {of} bars are about right there."


def losses(quantity: str, splits: Sequence[str], found: Mapping[str, float]) -> str:
    """The interval scores of some bars."""
    unit, factor = UNITS[quantity]
    each = ", ".join(f"{number(factor * loss)} {unit} of {name}" for name, loss in found.items())
    named = listed(splits) if len(splits) <= SPELT_OUT else f"all {len(splits)} sets"
    over = f"geometric mean over {named}" if len(splits) > 1 else f"on {splits[0]}"
    return f"Interval score at 90 % (width and misses, smaller is better), {over}: {each}."


def held_everywhere(quantity: str, held: Mapping[str, Told]) -> str:
    """The coverage at 95 % on each split."""
    return f"95 % bars hold of the {quantity} errors: {by_split(held, share)}."


def choice(result: Mapping[str, Any], method: str, equal: int, is_best: bool, preferred: bool = False) -> str:
    """Why this one of those that are as good; `preferred`: it is that of the forces."""
    if equal == 1:
        return f"Nothing else is as good on all sets of frames. Cost: {cost(result, method)}."
    why = "this has the best numbers, and none costs less" if is_best else "this is the cheapest"
    why = "this is that of the forces" if preferred else why
    return f"{equal} are as good within the error; {why}: {cost(result, method)}."
