"""Does a method put the large errors first, and does it catch the bad ones at few false alarms?

Bad is an error above the 95 % quantile of the errors on calibration frames; the alarm goes where a score is above its
own 95 % quantile there, so that one in twenty values of frames like those is a false alarm by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.comparison.estimate import Resampled
from assay.comparison.figures import Bad, PerTarget, RankingFigure, Target
from assay.comparison.methods import Method
from assay.comparison.split import Split
from assay.metrics import FrameBootstrap, roc_auc, spearman, worst_decile
from assay.results.arrays import Array

ALARMS = 0.05


@dataclass(frozen=True)
class Alarm:
    """Above which error a value of the target is bad, and above which score a method raises the alarm."""

    error: float
    score: float

    @classmethod
    def fit(cls, error: Array, score: Array) -> Alarm:
        """Both from calibration frames, `(n,)`; of equal scores none or all are above: never more than 5 % are."""
        return cls(*(float(np.quantile(values, 1 - ALARMS, method="inverted_cdf")) for values in (error, score)))


def rankings(
    split: Split, calibration: Split, methods: Sequence[Method], target: Target
) -> dict[str, dict[RankingFigure, Resampled]]:
    """Figures of every method that has something to say of the target: Spearman correlation, AUROC of the worst
    decile, detected share of the bad, flagged share of all."""
    error, resamples = split.targets[target].error, split.resampled[target]
    said = [(method, split.values(method, target)) for method in methods]
    scores = {method.name: score for method, score in said if score is not None}
    worst = worst_decile(error)
    samples = resamples.rankings(scores, error, worst)
    found: dict[str, dict[RankingFigure, Resampled]] = {}
    for method, score in said:
        if score is None:
            continue
        rho, auc = samples[method.name]
        found[method.name] = {
            "spearman": Resampled(spearman(score, error), rho),
            "auroc": Resampled(roc_auc(score, worst), auc),
        }
        at_home = calibration.values(method, target) if target in calibration.targets else None
        if at_home is not None:
            alarm = Alarm.fit(calibration.targets[target].error, at_home)
            found[method.name] |= _alarms(resamples, score > alarm.score, error > alarm.error)
    return found


def _alarms(
    resamples: FrameBootstrap, raised: NDArray[np.bool_], bad: NDArray[np.bool_]
) -> dict[RankingFigure, Resampled]:
    both, of_bad, of_all = (resamples.mean(each.astype(float)) for each in (raised & bad, bad, raised))
    with np.errstate(invalid="ignore", divide="ignore"):
        detected = both / of_bad
    return {
        "detection": Resampled(float(raised[bad].mean()) if bad.any() else np.nan, detected),
        "flagged": Resampled(float(raised.mean()), of_all),
    }


def badness(split: Split, calibration: Split) -> PerTarget[Bad]:
    """By target: above which error a value is bad, and the share of the split that is."""
    found: dict[str, Bad] = {}
    for target, column in split.targets.items():
        if target in calibration.targets:
            limit = float(np.quantile(calibration.targets[target].error, 1 - ALARMS, method="inverted_cdf"))
            found[target] = Bad(limit, float(np.mean(column.error > limit)))
    return PerTarget(**found)
