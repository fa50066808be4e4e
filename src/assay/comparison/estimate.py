"""A figure with that of every resample of frames, and which methods can't be told from the best one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.comparison.figures import Estimate, Leaders
from assay.metrics.bootstrap import interval
from assay.results.arrays import Array

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Resampled:
    """A figure of all values, NaN where it is not defined, and that of every resample of frames, `(B,)`."""

    value: float
    samples: Array

    def gain(self) -> Resampled:
        """`-log x` of what is positive and better the smaller it is: differences are then of ratios."""
        with np.errstate(divide="ignore"):
            return Resampled(float(-np.log(self.value)), -np.log(self.samples))

    def estimate(self) -> Estimate:
        """Value and the ends of its 95 % interval."""
        low, high = interval(self.samples) if np.isfinite(self.value) else (np.nan, np.nan)
        return Estimate(*map(_number, (self.value, low, high)))

    def better_by(self, other: Resampled) -> float:
        """How likely a difference at least as large in favour of this one is where there is none: p, one-sided.

        The difference is taken as normal with the standard deviation that it has over the resamples, which both
        share.
        """
        from scipy.special import ndtr  # slow to import

        difference = self.samples - other.samples
        difference = difference[np.isfinite(difference)]
        gained = self.value - other.value
        if len(difference) < 2 or not np.isfinite(gained):
            return 1.0
        deviation = float(difference.std(ddof=1))
        if deviation == 0:
            return 0.0 if gained > 0 else 1.0
        return float(ndtr(-gained / deviation))


def leaders(estimates: Mapping[str, Resampled], control: Resampled | None = None) -> Leaders | None:
    """The largest value, those that are not significantly smaller, and whether the best surely beats the control.

    Differences to the best are tested together, after Holm 1979 (doi:10.2307/4615733), at 5 %: the method that is truly
    the best is among the tied in about 95 % of cases. The lead over the control is tested as that of the best of as
    many as there are (Bonferroni). `None` where no value is defined.
    """
    defined = {name: each for name, each in estimates.items() if np.isfinite(each.value)}
    if not defined:
        return None
    best = max(defined, key=lambda name: defined[name].value)
    p = {name: defined[best].better_by(each) for name, each in defined.items() if name != best}
    tied, open_tests = [best], len(p)
    for name in sorted(p, key=lambda n: p[n]):
        if len(tied) > 1 or p[name] * open_tests > SIGNIFICANT:  # Holm: after the first that is kept, all are
            tied.append(name)
        open_tests -= 1
    beaten = control is not None and defined[best].better_by(control) * len(defined) < SIGNIFICANT
    return Leaders(best, tuple(tied), beaten)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
