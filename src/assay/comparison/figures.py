"""The figures of a comparison: how well each method ranks the errors, and how good the bars made of it are.

Mappings have names of methods or calibrators as keys, and are not to be changed. What could not be had is `None`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, get_args

from assay.results.per_quantity import PerQuantity, Quantity

Target = Literal["force_atom", "force_neighbourhood", "force_frame", "energy_frame"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""What is ranked: the norm of the force error of an atom, its mean over the neighbourhood, its maximum over the frame;
and the absolute energy error per atom of the frame."""
RankingFigure = Literal["spearman", "auroc", "detection", "flagged"]
FIGURES: tuple[RankingFigure, ...] = get_args(RankingFigure)
BARRED: tuple[Quantity, ...] = ("force", "energy")
"""What error bars are compared of, in the order of the summary."""

T = TypeVar("T")


@dataclass(frozen=True)
class PerTarget(Generic[T]):
    """One thing each for what is ranked; `None` where there is none."""

    force_atom: T | None = None
    force_neighbourhood: T | None = None
    force_frame: T | None = None
    energy_frame: T | None = None

    def __getitem__(self, target: Target) -> T | None:
        value: T | None = getattr(self, target)
        return value

    def items(self) -> Iterator[tuple[Target, T]]:
        """The targets that have one, with what they have."""
        for target in TARGETS:
            if (value := self[target]) is not None:
                yield target, value


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval by resampling whole frames; `None` where it is not defined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ranking:
    """How one method ranks the errors of one target on one set.

    | field | meaning |
    |---|---|
    | spearman | rank correlation of score and error |
    | auroc | how surely one of the worst tenth comes before one of the others |
    | detection | share of the bad errors that the alarm finds; `None` where calibration frames set no alarm |
    | flagged | share of all values for which the alarm is raised |
    """

    spearman: Estimate
    auroc: Estimate
    detection: Estimate | None = None
    flagged: Estimate | None = None

    def __getitem__(self, figure: RankingFigure) -> Estimate | None:
        value: Estimate | None = getattr(self, figure)
        return value


@dataclass(frozen=True)
class Bad:
    """Above which error a value of a target is bad (eV/Å, eV), and the share of the set that is."""

    limit: float
    share: float


@dataclass(frozen=True)
class Leaders:
    """The best method of a figure, those that are not significantly worse (it among them), and whether it surely beats
    the control: chance, or the constant bar."""

    best: str
    tied: tuple[str, ...]
    better_than_control: bool


@dataclass(frozen=True)
class RankingLeaders:
    """Who leads in each figure of a ranking; `None` where no method has it."""

    spearman: Leaders | None = None
    auroc: Leaders | None = None
    detection: Leaders | None = None

    def __getitem__(self, figure: RankingFigure) -> Leaders | None:
        value: Leaders | None = getattr(self, figure, None)
        return value


@dataclass(frozen=True)
class BarLeaders:
    """Which `METHOD:CALIBRATOR` lead in the interval score."""

    interval_score: Leaders | None = None


@dataclass(frozen=True)
class Best:
    """The leaders on one set, by target and by quantity of the error bars."""

    ranking: PerTarget[RankingLeaders] = field(default_factory=PerTarget)
    bars: PerQuantity[BarLeaders] = field(default_factory=PerQuantity)


@dataclass(frozen=True)
class BarFigures:
    """How good the error bars of one method by one calibrator are, in eV/Å (forces) or eV (energies per atom).

    | field | meaning |
    |---|---|
    | coverage | by level, 0.5 to 0.95 |
    | mean_width | of 68 % intervals; `None` where one is infinite |
    | interval_score | at 90 % |
    | skill | against the constant bar by the same calibrator: 0 as good, 1 perfect |
    | ence, nll, crps, area | of normal bars; area: signed miscalibration area, above 0 where bars are too small |
    | remarks | on its calibration |
    """

    coverage: Mapping[float, Estimate]
    mean_width: float | None
    interval_score: Estimate
    skill: Estimate
    ence: Estimate | None = None
    nll: float | None = None
    crps: float | None = None
    area: float | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodBars:
    """The error bars of one method by calibrator: figures, or `None` with the reason in `not_applicable`."""

    by_calibrator: Mapping[str, BarFigures | None]
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, calibrator: str) -> BarFigures | None:
        return self.by_calibrator[calibrator]
