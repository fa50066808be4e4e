"""What becomes the error bar: what is asked for, or what suits the source."""

from __future__ import annotations

from collections.abc import Sequence

from assay.calibration import DEFAULT
from assay.calibration.bar_name import AskedBar, BarName
from assay.gauge.gauge import require_multiples
from assay.gauge.score_choice import CLUSTERED, has_clusters
from assay.results.batch import NO_PREDICTIONS
from assay.results.score import BarsOf
from assay.scores.registry import Asked, resolved, score_of_bars
from assay.sources.capabilities import HasMembers, LinearSource, OnlyFeatures, keeps_forces, running


def chosen_bar(
    source: LinearSource | HasMembers | OnlyFeatures, asked: AskedBar | None, scores: Sequence[Asked] | None
) -> BarName | None:
    """The error bar that is asked for, or that of `default_bar`; `None` for features without predictions.

    Raises `ValueError` for one that there can't be with this source, or with these scores.
    """
    if isinstance(source, OnlyFeatures):
        if asked:
            raise ValueError(f"no error bar {asked!r}: {NO_PREDICTIONS}")
        return None
    named = BarName.of(asked or default_bar(source))
    every = resolved([*(scores or ()), named.score])
    require_multiples(named, next(score for score in every if score.name == named.score))
    if named.grouping == "cluster" and scores and not has_clusters(every):
        raise ValueError(f"error bar {str(named)!r}: its clusters are those of {CLUSTERED}, which is not asked for")
    return named


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
