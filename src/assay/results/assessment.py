"""What a gauge says about a batch of frames: thresholds for its scores, error bars for its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.results.arrays import ReadOnly
from assay.results.batch import Batch
from assay.results.error_bars import ErrorBar
from assay.results.per_quantity import PerQuantity
from assay.results.score import Key, Score


@dataclass(frozen=True)
class Assessment(ReadOnly):
    """Predictions, scores and error bars of F frames with A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | batch | the frames with predictions, members' envelopes and labels | | |
    | scores | by (name, level), with thresholds; frame scores are `(F,)`, the others `(A,)` | | |
    | bars.energy | error bar of the energy **per atom**; `None` where there is none, as of the others | `(F,)` | eV |
    | bars.force | error bar of the force components | `(A, 3)` | eV/Å |
    | bars.stress | error bar of the stress components | `(F, 6)` | eV/Å³ |
    | bar | name of the error bar, `SCORE:CALIBRATOR[:GROUPING]`; `""` for features without predictions | | |
    | failed | frames left out: `file:index` and the reason | | |
    | global_bars | of bars by group: how many values of each quantity have the bar of all, as their group was not \
calibrated | | |
    """

    batch: Batch
    scores: Mapping[Key, Score]
    bars: PerQuantity[ErrorBar]
    bar: str
    failed: tuple[tuple[str, str], ...] = ()
    global_bars: PerQuantity[int] = field(default_factory=PerQuantity)
