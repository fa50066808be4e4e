"""A gauge: source + scores + aggregation + calibration, fitted on training frames. Call it on frames.

Immutable; `calibrated` and `load` give new gauges.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.calibration import BY_ORDER, CALIBRATORS, Calibrator, HeldOut, fit_calibrator
from assay.calibration.bar_name import BarName
from assay.calibration.remarks import remarks, too_wide
from assay.execution.workers import Failure, Progress, map_frames
from assay.frames.compositions import foreign_zero
from assay.frames.frame import Frame, FrameError
from assay.gauge.batch import Batch, Scored
from assay.gauge.groups import Groups, cluster_names, groups
from assay.gauge.scorer import FrameScorer
from assay.gauge.spreads import sampled
from assay.gauge.state import source_from_state, source_state
from assay.results.arrays import Array
from assay.results.assessment import NO_PREDICTIONS, Assessment
from assay.results.error_bars import ErrorBar
from assay.results.score import Key, Score
from assay.scores.protocol import FittedScore
from assay.scores.registry import FROM_DERIVATIVES, FROM_FEATURES, LOGARITHMS, score_from_state
from assay.sources.capabilities import HasMembers, Source
from assay.storage.archive import GaugeFileError, load_state, save_state

if TYPE_CHECKING:
    from assay.gauge.calculator import GaugeCalculator

UNITS = {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å³"}


@dataclass(frozen=True)
class Gauge:
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
    """

    source: Source
    scores: tuple[FittedScore, ...]
    r_cut: float
    bar: str
    species: tuple[str, ...]
    thresholds: Mapping[Key, float] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    constant: Mapping[str, Calibrator] = field(default_factory=dict)
    training: Mapping[Key, Array] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.bar:
            return
        bar, names = BarName.parse(self.bar), [each.name for each in self.scores]
        if bar.score not in names:
            raise ValueError(f"error bar {self.bar!r}: no score {bar.score!r} in this gauge; it has {', '.join(names)}")
        require_multiples(bar)
        if bar.grouping == "cluster":
            cluster_names(self.scores)

    @property
    def scorer(self) -> FrameScorer:
        """The part that runs on one frame, in any process."""
        bar_score = BarName.parse(self.bar).score if self.bar else ""
        return FrameScorer(self.source, self.scores, self.r_cut, bar_score, self.bound_to)

    @property
    def bound_to(self) -> tuple[str, ...] | None:
        """The species that frames may have: `None`, any, where nothing but the members themselves is asked.

        What is fitted to features knows the training frames' alone. Energy references say for themselves what they
        lack.
        """
        members_alone = isinstance(self.source, HasMembers)
        fitted = any(score.name in FROM_FEATURES or score.name in FROM_DERIVATIVES for score in self.scores)
        return None if members_alone and not fitted else self.species

    def stream(
        self, frames: Iterable[Frame], *, workers: int = 1, progress: Progress | None = None
    ) -> Iterator[tuple[Frame, Scored | Failure]]:
        """Frames with what the scorer says of them, in order; frames that can't be evaluated give a `Failure`."""
        return map_frames(self.scorer, frames, workers=workers, progress=progress)

    def assess(
        self, frames: Iterable[Frame | Atoms], *, workers: int = 1, progress: Progress | None = None
    ) -> Assessment:
        """Predictions, scores and error bars of frames; those that fail are listed in `failed`.

        Raises `FrameError` where every frame fails.
        """
        scored, failed = self.split(self.stream(map(as_frame, frames, count()), workers=workers, progress=progress))
        if not scored:
            raise FrameError(f"no frame could be evaluated; the first: {failed[0][1] if failed else 'no frames'}")
        return self.assessment(Batch.collect(scored), failed)

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
        energy_per_atom = None if batch.energy is None else batch.energy / batch.natoms
        group = self._groups(batch)
        means = {"energy": energy_per_atom, "force": batch.forces, "stress": batch.stress}
        spreads = {"energy": batch.energy_spread, "force": batch.force_spread, "stress": batch.stress_spread}
        bars = {q: self._bar(q, mean, spreads[q], group.get(q)) for q, mean in means.items()}
        return Assessment(
            names=batch.names,
            config_types=batch.config_types,
            offsets=batch.offsets,
            numbers=batch.numbers,
            energy=batch.energy,
            forces=batch.forces,
            stress=batch.stress,
            scores={
                key: Score(key[0], key[1], values, self.thresholds.get(key)) for key, values in batch.scores.items()
            },
            still=batch.still,
            bar=self.bar,
            energy_bar=bars["energy"],
            force_bar=bars["force"],
            stress_bar=bars["stress"],
            labels=batch.labels,
            neighbourhood_error=batch.neighbourhood_error,
            failed=failed,
            companions=batch.companions,
            envelopes=batch.envelopes,
            members=batch.members,
            global_bars={
                q: int(np.isin(group[q], self.calibrators[q].groups, invert=True).sum())
                for q, bar in bars.items()
                if bar is not None and q in group
            },
        )

    def _groups(self, batch: Batch) -> Mapping[str, Groups]:
        """The group of each value by quantity; empty where the error bar has no grouping."""
        grouping = BarName.parse(self.bar).grouping if self.bar else ""
        return groups(batch, grouping, self.scores) if grouping else {}

    def _bar(self, quantity: str, mean: Array | None, spread: Array | None, group: Groups | None) -> ErrorBar | None:
        calibrator = self.calibrators.get(quantity)
        if calibrator is None or mean is None or spread is None:
            return None
        return calibrator.bar(mean, spread, UNITS[quantity], group)

    def constant_bar(self, quantity: str, mean: Array) -> ErrorBar | None:
        """The error bar that is the same for everything, calibrated on the same held-out frames."""
        calibrator = self.constant.get(quantity)
        return None if calibrator is None else calibrator.bar(mean, np.ones(mean.shape), UNITS[quantity])

    def calibrated(self, batch: Batch) -> Gauge:
        """This gauge with error bars fitted to a labelled batch of frames that were not trained on.

        Force components that vanish by symmetry are left out of ratios. Raises `ValueError` without
        labels or predictions.
        """
        if batch.energy is None or batch.forces is None or batch.energy_spread is None or batch.force_spread is None:
            raise ValueError(NO_PREDICTIONS)
        labels = batch.labels
        if labels is None:
            raise ValueError("calibration needs labelled frames")
        name = BarName.parse(self.bar)
        n, moving, group = len(batch.names), ~batch.still, self._groups(batch)

        def held_out(quantity: str, error: Array, spread: Array, frame: NDArray[np.int64], here: Any = ...) -> HeldOut:
            """Some of the values (all by default) as columns; `frame` gives each row of `error` its frame."""
            own = np.broadcast_to(frame.reshape(-1, *(1,) * (error.ndim - 1)), error.shape)
            return HeldOut(
                error[here].ravel(),
                spread[here].ravel(),
                own[here].ravel(),
                group[quantity][here].ravel() if quantity in group else None,
                *sampled(name.score, quantity, batch.members),
            )

        frame = np.arange(n)
        values = {
            "energy": held_out("energy", (batch.energy - labels.energy) / batch.natoms, batch.energy_spread, frame),
            "force": held_out(
                "force", batch.forces - labels.forces, batch.force_spread, np.repeat(frame, batch.natoms), moving
            ),
        }
        if labels.stress is not None and batch.stress is not None and batch.stress_spread is not None:
            values["stress"] = held_out("stress", batch.stress - labels.stress, batch.stress_spread, frame)
        least = -np.inf if name.calibrator in BY_ORDER else 0.0
        usable = {q: v for q, v in values.items() if np.any(np.isfinite(v.spread) & (v.spread > least))}
        if not usable:
            raise ValueError(
                f"nothing to calibrate on: none of {n} held-out frames has a value with a positive "
                f"spread ({int(batch.still.sum())} of {batch.still.size} force components vanish by symmetry). Members "
                "that agree exactly were fitted to too few frames: give more, and others to calibrate on with -c"
            )
        for quantity in values.keys() - usable.keys():
            warnings.warn(
                f"no error bar of the {quantity}: no held-out value has a positive finite spread", stacklevel=2
            )
        for quantity, v in usable.items():
            for remark in remarks(name.calibrator, v):
                warnings.warn(f"error bar of the {quantity}: {remark}", stacklevel=2)
        errors = values["energy"].error
        if "energy" in usable and foreign_zero(batch.fractions, errors):
            warnings.warn(
                f"error bar of the energy: the energies have another zero than the labels ({np.mean(errors):+.3g} "
                "eV/atom in the mean), and the bars contain that offset. Shift energies onto the labels (--references "
                "labels), or take bars of forces alone",
                stacklevel=2,
            )
        calibrators = {q: fit_calibrator(name.calibrator, v) for q, v in usable.items()}
        constant = {q: fit_calibrator(name.calibrator, _constant(v)) for q, v in usable.items()}
        for quantity, v in usable.items():
            for remark in too_wide(name.score, calibrators[quantity], constant[quantity], v):
                warnings.warn(f"error bar of the {quantity}: {remark}", stacklevel=2)
        return replace(self, calibrators=calibrators, constant=constant)

    def calculator(self, **options: Any) -> GaugeCalculator:
        """An ASE calculator with error bars: see `assay.gauge.calculator.GaugeCalculator`."""
        from assay.gauge.calculator import GaugeCalculator

        return GaugeCalculator(self, **options)

    def save(self, path: str | Path) -> None:
        """Write `NAME.gauge`, whole or not at all."""
        save_state(
            path,
            {
                "source": source_state(self.source),
                "scores": [{"name": score.name, "state": score.state()} for score in self.scores],
                "r_cut": self.r_cut,
                "bar": self.bar,
                "species": self.species,
                "thresholds": [[*key, value] for key, value in self.thresholds.items()],
                "calibrators": {q: c.state() for q, c in self.calibrators.items()},
                "constant": {q: c.state() for q, c in self.constant.items()},
                "training": [[*key, values] for key, values in self.training.items()],
                "provenance": self.provenance,
            },
        )

    @classmethod
    def load(cls, path: str | Path, *, allow_import: tuple[str, ...] = ()) -> Gauge:
        """Read a gauge. Nothing is imported or run by it; `allow_import` names modules that it may import later.

        Raises `assay.storage.archive.GaugeFileError` for a file that is not a gauge, is damaged or too new.
        """
        state = load_state(path)
        try:
            return cls(
                source=source_from_state(state["source"], allow_import),
                scores=tuple(score_from_state(each["name"], each["state"]) for each in state["scores"]),
                r_cut=state["r_cut"],
                bar=state["bar"],
                species=tuple(state["species"]),
                thresholds={(name, level): value for name, level, value in state["thresholds"]},
                calibrators=_calibrators(state["bar"], state["calibrators"]),
                constant=_calibrators(state["bar"], state["constant"]),
                training={(name, level): values for name, level, values in state["training"]},
                provenance=state["provenance"],
            )
        except (KeyError, TypeError) as error:
            raise GaugeFileError(f"{path}: not a gauge that this Assay can read ({error!r}); build it again") from error


def require_multiples(bar: BarName) -> None:
    """Raises `ValueError` where an error bar would be a multiple of a logarithm."""
    if bar.score in LOGARITHMS and bar.calibrator not in BY_ORDER:
        raise ValueError(
            f"error bar {bar.score}:{bar.calibrator}: {bar.score} is a logarithm, and no error is a multiple of it; "
            f"calibrate it by its order, {bar.score}:{BY_ORDER[0]}"
        )


def _constant(held_out: HeldOut) -> HeldOut:
    """The same errors with a spread of one everywhere."""
    return replace(held_out, spread=np.ones(held_out.spread.shape), members=None, components=1)


def _calibrators(bar: str, states: Mapping[str, Any]) -> dict[str, Calibrator]:
    return {q: CALIBRATORS[BarName.parse(bar).calibrator].from_state(state) for q, state in states.items()}


def as_frame(frame: Frame | Atoms, index: int) -> Frame:
    """A bare `Atoms` as a frame without labels, named by its index."""
    if isinstance(frame, Frame):
        return frame
    return Frame(frame, f"atoms:{index}", str(frame.info.get("config_type", "")))
