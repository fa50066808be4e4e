"""What becomes the error bar: what is asked for, or what suits the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.calibration import DEFAULT, CalibratorClass
from assay.calibration.bar_name import BarName
from assay.gauge.gauge import require_multiples
from assay.gauge.score_choice import CLUSTERED, has_clusters
from assay.results.batch import NO_PREDICTIONS
from assay.results.score import BarsOf
from assay.scores.protocol import ScoreClass
from assay.scores.registry import Asked, resolved, score_of_bars
from assay.sources.capabilities import HasMembers, LinearSource, OnlyFeatures, keeps_forces, running

AskedBar = str | tuple[Asked, str | CalibratorClass] | tuple[Asked, str | CalibratorClass, str]
"""`SCORE:CALIBRATOR[:GROUPING]`, or its parts, where score and calibrator may be classes: `(MyScore, MyCalibrator)`."""


@dataclass(frozen=True)
class ChosenBar:
    """An error bar by its name, and the score that it is made of."""

    name: BarName
    score: ScoreClass

    @classmethod
    def of(cls, asked: AskedBar, scores: Sequence[Asked] = ()) -> ChosenBar:
        """Raises `ValueError` for what is no error bar, and a score that is not known, beside these `scores` either."""
        name = BarName.of(asked)
        every = resolved([*scores, name.score if isinstance(asked, str) else asked[0]])
        return cls(name, next(score for score in every if score.name == name.score))


def chosen_bar(
    source: LinearSource | HasMembers | OnlyFeatures, asked: AskedBar | None, scores: Sequence[Asked] | None
) -> ChosenBar | None:
    """The error bar that is asked for, or that of `default_bar`; `None` for features without predictions.

    Raises `ValueError` for one that there can't be with this source, or with these scores.
    """
    if isinstance(source, OnlyFeatures):
        if asked:
            raise ValueError(f"no error bar {asked!r}: {NO_PREDICTIONS}")
        return None
    bar = ChosenBar.of(asked or default_bar(source), scores or ())
    require_multiples(bar.name, bar.score)
    if bar.name.grouping == "cluster" and scores and not has_clusters(resolved([*scores, bar.score])):
        raise ValueError(f"error bar {str(bar.name)!r}: its clusters are those of {CLUSTERED}, which is not asked for")
    return bar


def default_bar(source: LinearSource | HasMembers) -> str:
    """Of a source that predicts: by the score that declares itself for what it has."""
    return f"{score_of_bars(_bars_of(source))}:{DEFAULT}"


def _bars_of(source: LinearSource | HasMembers) -> BarsOf:
    if keeps_forces(source):
        return "draws of energies"
    if isinstance(source, LinearSource):
        return "draws"
    alone = len(source.member_names) == 1 and (source.featured or running(source))  # one potential has no spread
    return "one potential" if alone else "unlike members"
