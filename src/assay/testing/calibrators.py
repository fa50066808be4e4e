"""Laws of calibrators: an error bar follows errors and scores, and not how these are written down."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.calibration import Calibrator, CalibratorClass, calibrator_kind, fit_calibrator
from assay.results.arrays import Array
from assay.results.residuals import Residuals
from assay.testing.laws import check, require, require_same, table, through_a_file

LEVELS = (0.5, 0.68, 0.95)
SPREADS = np.logspace(-2, 1, 8)
ROUNDING = 1e-9
GROUPS = ("a", "b", "c", "", "never seen")


def held_out_values(seed: int = 3, frames: int = 60, per_frame: int = 6) -> Residuals:
    """Values with normal errors as large as their spreads, of three groups."""
    rng, n = np.random.default_rng(seed), frames * per_frame
    spread = rng.lognormal(size=n)
    group = np.resize(np.repeat(["a", "b", "c"], [3, 2, 1]), n)
    return Residuals(spread * rng.standard_normal(n), spread, np.repeat(np.arange(frames), per_frame), group)


@dataclass(frozen=True)
class CalibratorCase:
    """A calibrator before it is fitted, and the values to fit it to."""

    kind: CalibratorClass
    values: Residuals

    def fit(self, values: Residuals | None = None) -> Calibrator:
        """A new fit to these values, or to others."""
        return fit_calibrator(self.kind, self.values if values is None else values)

    @cached_property
    def fitted(self) -> Calibrator:
        return self.fit()


def widths(calibrator: Calibrator, spread: Array = SPREADS, factor: float = 1.0) -> Array:
    """Half the widths at `LEVELS`, of all `GROUPS`, for spreads `(n,)`: `(levels, groups, n)`."""
    return np.array(
        [
            [
                calibrator.bar(np.zeros(len(spread)), factor * spread, "eV", _named(group, spread)).half_width(level)
                for group in GROUPS
            ]
            for level in LEVELS
        ]
    )


def _named(group: str, spread: Array) -> NDArray[np.str_]:
    return np.full(len(spread), group, dtype="<U20")


def says_what_it_is(case: CalibratorCase) -> None:
    """A name, and whether it takes groups and only the order counts, the same before and after the fit."""
    calibrator_kind(case.kind)
    for part in ("name", "of_groups", "by_order"):
        before, after = getattr(case.kind, part), getattr(case.fitted, part)
        require(before == after, f"{part} is {before!r} before the fit and {after!r} after it")
    groups = case.fitted.groups
    require(isinstance(groups, tuple), f"groups are {groups!r}, needed a tuple of names")
    require(not groups or case.kind.of_groups, f"has the groups {groups}, and says that it takes none")


def order_and_signs_of_errors(case: CalibratorCase) -> None:
    """Values in another order, with errors of the other sign, make the same bars."""
    p, v = np.random.default_rng(0).permutation(len(case.values.error)), case.values
    group = None if v.group is None else v.group[p]
    turned = replace(v, error=-v.error[p], spread=v.spread[p], frame=v.frame[p], group=group)
    require_same("values in another order", widths(case.fit(turned)), widths(case.fitted), ROUNDING)


def twice_the_errors(case: CalibratorCase) -> None:
    """Errors that are twice as large make bars that are twice as wide."""
    double = case.fit(replace(case.values, error=2.0 * case.values.error))
    require_same("twice the errors", widths(double), 2.0 * widths(case.fitted), ROUNDING)


def units_of_the_score(case: CalibratorCase) -> None:
    """A score has no unit of error: 1000 times larger ones make the same bars."""
    other = case.fit(replace(case.values, spread=1000.0 * case.values.spread))
    require_same("1000 times larger scores", widths(other, factor=1000.0), widths(case.fitted), ROUNDING)


def no_nan(case: CalibratorCase) -> None:
    """Half a width is a number of 0 or more, or infinite."""
    found = widths(case.fitted)
    require(not np.isnan(found).any(), f"{int(np.isnan(found).sum())} of {found.size} half widths are NaN")
    require(bool((found >= 0).all()), f"{int((found < 0).sum())} of {found.size} half widths are below zero")


def wider_at_a_higher_level(case: CalibratorCase) -> None:
    """A bar that holds more errors is no narrower."""
    found = widths(case.fitted)
    require(bool((found[1:] >= found[:-1]).all()), f"narrower at a higher level, of {', '.join(map(str, LEVELS))}")


def of_any_shape(case: CalibratorCase) -> None:
    """Bars have the shape of the means, and these as their centres."""
    mean, spread = np.arange(6.0).reshape(2, 3), np.linspace(0.5, 2.0, 6).reshape(2, 3)
    bar = case.fitted.bar(mean, spread, "eV", np.full((2, 3), "a"))
    require_same("the centres", bar.mean, mean)
    flat = case.fitted.bar(mean.ravel(), spread.ravel(), "eV", np.full(6, "a"))
    require_same("bars of (2, 3) values", bar.half_width(0.68), flat.half_width(0.68).reshape(2, 3))


def values_alone(case: CalibratorCase) -> None:
    """The bar of a value does not depend on those beside it."""
    alone = np.concatenate([widths(case.fitted, SPREADS[i : i + 1]) for i in range(len(SPREADS))], axis=2)
    require_same("bars one by one", alone, widths(case.fitted), ROUNDING)


def infinite_scores(case: CalibratorCase) -> None:
    """Where nothing is known the bar is infinite."""
    found = widths(case.fitted, np.array([np.inf]))
    require(bool(np.isposinf(found).all()), f"a bar of {found.ravel()[0]:.6g} of an infinite score, needed inf")


def one_value(case: CalibratorCase) -> None:
    """Fitted to a single value, it has bars that are numbers, or infinite."""
    first = np.arange(len(case.values.error)) == 0
    found = widths(case.fit(case.values.at(first)))
    require(not np.isnan(found).any(), "NaN, fitted to one value")


def unknown_groups(case: CalibratorCase) -> None:
    """Values of a group that was not held out, or of none, have the bar of all."""
    found = widths(case.fitted)
    require_same("a group that is not known", found[:, GROUPS.index("never seen")], found[:, GROUPS.index("")])


def same_again(case: CalibratorCase) -> None:
    """A second fit to the same values makes the same bars, to the bit."""
    require_same("a second fit to the same values", widths(case.fit()), widths(case.fitted))


def saved_and_loaded(case: CalibratorCase) -> None:
    """What a file gives back makes the same bars, to the bit."""
    loaded = case.kind.from_state(through_a_file(case.fitted.state()))
    require_same("saved and loaded", widths(loaded), widths(case.fitted))
    require(loaded.groups == case.fitted.groups, f"loaded, it has the groups {loaded.groups}")


def sent_to_a_process(case: CalibratorCase) -> None:
    """Pickled for a worker process, it makes the same bars, to the bit."""
    require_same("pickled", widths(pickle.loads(pickle.dumps(case.fitted))), widths(case.fitted))


def inputs_stay(case: CalibratorCase) -> None:
    """Neither held-out values nor what bars are made of are written into."""
    mean, spread = np.zeros(len(SPREADS)), SPREADS.copy()
    case.fit()
    case.fitted.bar(mean, spread, "eV", _named("a", spread))
    require_same("the means after the call", mean, np.zeros(len(SPREADS)))
    require_same("the spreads after the call", spread, SPREADS)


LAWS_OF_CALIBRATORS = table(
    says_what_it_is,
    order_and_signs_of_errors,
    twice_the_errors,
    units_of_the_score,
    no_nan,
    wider_at_a_higher_level,
    of_any_shape,
    values_alone,
    infinite_scores,
    one_value,
    unknown_groups,
    same_again,
    saved_and_loaded,
    sent_to_a_process,
    inputs_stay,
)
"""By name; each of a `CalibratorCase`."""


def check_calibrator(kind: CalibratorClass, values: Callable[[], Residuals] = held_out_values) -> None:
    """Every law of calibrators, on invented values that are held out.

    `kind` is a class with the contract of `assay.calibration.CalibratorClass`. Raises `AssertionError` that lists the
    laws it breaks, and by how much.
    """
    check(
        f"the calibrator {getattr(kind, 'name', kind)}",
        LAWS_OF_CALIBRATORS,
        [("60 frames of 6 values", CalibratorCase(kind, values()))],
    )
