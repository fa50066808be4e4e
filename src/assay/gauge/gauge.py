"""A gauge: source + scores + aggregation + calibration, fitted on training frames. Call it on frames.

Immutable; `calibrated` and `load` give new gauges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import assay
from assay.calibration import BY_ORDER, Calibrator, CalibratorClass
from assay.calibration.bar_name import BarName
from assay.execution.workers import Failure, Progress, Workers, map_frames
from assay.frames.frame import Frame, FrameError
from assay.gauge import state
from assay.gauge.batch import Scored, collect
from assay.gauge.calibrating import fitted
from assay.gauge.groups import Groups, groups, require_clusters
from assay.gauge.scorer import FrameScorer
from assay.results.arrays import Array, ReadOnly
from assay.results.assessment import Assessment
from assay.results.batch import Batch
from assay.results.error_bars import ONE_SIGMA, ErrorBar
from assay.results.per_quantity import UNITS, PerQuantity, Quantity, together
from assay.results.score import Key, Score
from assay.results.warning import AssayFutureWarning, warn
from assay.scores.features.emptiness import EMPTINESS, Emptiness
from assay.scores.protocol import Declared, FittedScore
from assay.sources.capabilities import HasMembers, Source


@dataclass(frozen=True)
class Gauge(ReadOnly):
    """Everything that turns frames into predictions, scores and error bars.

    | field | meaning |
    |---|---|
    | source | the potential or ensemble |
    | scores | fitted scores |
    | r_cut | radius of the neighbourhood, Å |
    | bar | `SCORE:CALIBRATOR[:GROUPING]` that makes the error bar; `""` where there are features and no predictions |
    | species | chemical symbols of the training frames |
    | thresholds | by (score, level) |
    | calibrators | of `energy` (per atom), `force`, `stress` |
    | constant | the same calibrators fitted to a spread of one everywhere: the bar to beat |
    | training | by (score, level): 512 quantiles over training frames, for figures |
    | provenance | versions, data hashes, settings, counts |
    | calibrator | class of the calibrator of the bar, where that is none of Assay's |
    | emptiness | what tells surroundings that are emptier than in training, where the source has features |
    """

    source: Source
    scores: tuple[FittedScore, ...]
    r_cut: float
    bar: str
    species: tuple[str, ...]
    thresholds: Mapping[Key, float] = field(default_factory=dict)
    calibrators: PerQuantity[Calibrator] = field(default_factory=PerQuantity)
    constant: PerQuantity[Calibrator] = field(default_factory=PerQuantity)
    training: Mapping[Key, Array] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    calibrator: CalibratorClass | None = None
    emptiness: Emptiness | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bar:
            return
        bar, names = self.bar_name, [each.name for each in self.scores]
        if bar.score not in names:
            raise ValueError(f"error bar {self.bar!r}: no score {bar.score!r} in this gauge; it has {', '.join(names)}")
        require_multiples(bar, self.scores[names.index(bar.score)])
        if bar.grouping == "cluster":
            require_clusters(self.scores)

    @property
    def bar_name(self) -> BarName:
        """The parts of `bar`; raises `ValueError` where there is none."""
        return BarName.parse(self.bar, self.calibrator)

    @property
    def scorer(self) -> FrameScorer:
        """The part that runs on one frame, in any process."""
        bars = (self.bar_name.score,) if self.bar else ()
        return FrameScorer(self.source, self.scores, self.r_cut, bars, self.bound_to, self.emptiness)

    @property
    def bound_to(self) -> tuple[str, ...] | None:
        """The species that frames may have: `None`, any, where nothing but the members themselves is asked.

        What is fitted to features knows the training frames' alone. Energy references say for themselves what they
        lack.
        """
        members_alone = isinstance(self.source, HasMembers)
        fitted = any(score.facts.of_features for score in self.scores)
        return None if members_alone and not fitted else self.species

    def stream(
        self, frames: Iterable[Frame], *, workers: Workers = 1, progress: Progress | None = None
    ) -> Iterator[tuple[Frame, Scored | Failure]]:
        """Frames with what the scorer says of them, in order; frames that can't be evaluated give a `Failure`."""
        return map_frames(self.scorer, frames, workers=workers, progress=progress)

    def assess(
        self, frames: Iterable[Frame | Atoms], *, workers: Workers = 1, progress: Progress | None = None
    ) -> Assessment:
        """Predictions, scores and error bars of frames; those that fail are listed in `failed`.

        Raises `FrameError` where every frame fails.
        """
        scored, failed = self.split(self.stream(map(as_frame, frames, count()), workers=workers, progress=progress))
        if not scored:
            raise FrameError(f"no frame could be evaluated; the first: {failed[0][1] if failed else 'no frames'}")
        return self.assessment(collect(scored), failed)

    @staticmethod
    def split(
        stream: Iterable[tuple[Frame, Scored | Failure]],
    ) -> tuple[list[tuple[Frame, Scored]], tuple[tuple[str, str], ...]]:
        """What could be scored, and `(origin, reason)` of what could not."""
        scored: list[tuple[Frame, Scored]] = []
        failed: list[tuple[str, str]] = []
        for frame, result in stream:
            if isinstance(result, Failure):
                failed.append((result.origin, result.reason))
            else:
                scored.append((frame, result))
        return scored, tuple(failed)

    def assessment(self, batch: Batch, failed: tuple[tuple[str, str], ...] = ()) -> Assessment:
        """A batch with thresholds and error bars."""
        group = self._groups(batch)
        bars = {
            quantity: calibrator.bar(mean, spread, UNITS[quantity], group[quantity])
            for quantity, calibrator, mean, spread in together(self.calibrators, batch.predicted, self._spreads(batch))
        }
        bars = {quantity: self._no_narrower(bar, quantity, batch) for quantity, bar in bars.items()}
        facts = {score.name: score.facts for score in self.scores}
        return Assessment(
            batch=batch,
            scores={
                key: Score(*key, values, self.thresholds.get(key), facts[key[0]])
                for key, values in batch.scores.items()
            },
            bars=PerQuantity.of(bars),
            bar=self.bar,
            failed=failed,
            global_bars=PerQuantity.of(
                {
                    quantity: int(np.isin(of_each, calibrator.groups, invert=True).sum())
                    for quantity, of_each, calibrator in together(group, self.calibrators)
                    if quantity in bars
                }
            ),
        )

    def _spreads(self, batch: Batch) -> PerQuantity[Array]:
        """What the error bars are made of; nothing where there are none, or not of all frames."""
        return batch.spreads.get(self.bar_name.score, PerQuantity()) if self.bar else PerQuantity()

    def _groups(self, batch: Batch) -> PerQuantity[Groups]:
        """The group of each value by quantity; empty where the error bar has no grouping."""
        grouping = self.bar_name.grouping if self.bar else ""
        return groups(batch, grouping, self.scores) if grouping else PerQuantity()

    def constant_bar(self, quantity: Quantity, mean: Array) -> ErrorBar | None:
        """The error bar that is the same for everything, calibrated on the same held-out frames."""
        calibrator, unit = self.constant[quantity], UNITS[quantity]
        return None if calibrator is None or unit is None else calibrator.bar(mean, np.ones(mean.shape), unit)

    def _no_narrower(self, bar: ErrorBar, quantity: Quantity, batch: Batch) -> ErrorBar:
        """The bar, where surroundings are emptier than in training no narrower than the constant one.

        Of energies and stresses those of frames with such an atom: members may agree on an atom that none of them
        knows.
        """
        constant = self.constant_bar(quantity, bar.mean)
        if EMPTINESS not in batch.companions or constant is None:
            return bar
        beyond = batch.of_values(batch.companions[EMPTINESS] > 1.0)[quantity]
        return bar if beyond is None else bar.no_narrower(np.where(beyond, constant.half_width(ONE_SIGMA), 0.0))

    def calibrated(self, batch: Batch) -> Gauge:
        """This gauge with error bars fitted to a labelled batch of frames that were not trained on.

        Raises `ValueError` without labels or predictions. Warns of what makes the bars doubtful.
        """
        bar = self.bar_name
        facts = next(score.facts for score in self.scores if score.name == bar.score)
        calibrators, constant = fitted(batch, self._spreads(batch), bar, facts, self._groups(batch))
        return replace(self, calibrators=calibrators, constant=constant)

    def calculator(self, **options: Any) -> Any:
        """The old name of `assay.calculator(gauge)`, for one version more."""
        remark = "gauge.calculator(…) is now assay.calculator(gauge, …); the old name goes with the next version"
        warn(remark, category=AssayFutureWarning, stacklevel=2)
        return assay.calculator(self, **options)

    def save(self, path: str | Path) -> None:
        """Write `NAME.gauge`, whole or not at all.

        Raises `ValueError` for a source, a score or a calibrator that could not be loaded again: neither Assay's, nor
        of a package with entry points, nor of a module that can be imported.
        """
        state.save(path, vars(self))

    @classmethod
    def load(cls, path: str | Path, *, allow_import: tuple[str, ...] = ()) -> Gauge:
        """Read a gauge; what it names of packages that have entry points is imported, and else nothing.

        `allow_import` names modules that further scores, sources and calibrators may be imported from, and functions
        and calculators later. Raises `assay.storage.archive.GaugeFileError` for a file that is not a gauge, is damaged
        or too new; `PermissionError` for a class of another module; `ModuleNotFoundError` for one of a package that is
        not installed.
        """
        allowed = (allow_import,) if isinstance(allow_import, str) else tuple(allow_import)
        return cls(**state.load(path, allowed))


def require_multiples(bar: BarName, score: Declared) -> None:
    """Raises `ValueError` where an error bar of this score would be a multiple of what has an order alone."""
    if score.facts.kind == "order" and not bar.kind.by_order:
        raise ValueError(
            f"error bar {bar.score}:{bar.calibrator}: {bar.score} is a logarithm, and no error is a multiple of it; "
            f"calibrate it by its order, {bar.score}:{BY_ORDER[0]}"
        )


def as_frame(frame: Frame | Atoms, index: int) -> Frame:
    """A bare `Atoms` as a frame without labels, named by its index."""
    if isinstance(frame, Frame):
        return frame
    return Frame(frame, f"atoms:{index}", str(frame.info.get("config_type", "")))
