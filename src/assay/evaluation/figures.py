"""The figures of an evaluation: errors, how scores rank them, error bars and members' envelopes held against them.

Mappings have names of scores, levels of coverage or names of divisions as keys, and are not to be changed. What is not
defined (a rank correlation of constants, a likelihood of intervals) is `None`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

from assay.results.arrays import Array, ReadOnly
from assay.results.per_quantity import PerQuantity

Ends = tuple[float, float]
"""Of a 95 % interval by resampling whole frames."""
ScoreLevel = Literal["atom", "frame_mean", "neighbourhood", "frame"]
SCORE_LEVELS: tuple[ScoreLevel, ...] = get_args(ScoreLevel)
"""What a score is held against errors of; `frame_mean`: means over the atoms of a frame (Heid et al., Eqs. 7-8)."""

T = TypeVar("T")


@dataclass(frozen=True)
class PerLevel(Generic[T]):
    """One thing each for the levels of a score; `None` where there is none."""

    atom: T | None = None
    frame_mean: T | None = None
    neighbourhood: T | None = None
    frame: T | None = None

    def __getitem__(self, level: ScoreLevel) -> T | None:
        value: T | None = getattr(self, level)
        return value

    def items(self) -> Iterator[tuple[ScoreLevel, T]]:
        """The levels that have one, with what they have."""
        for level in SCORE_LEVELS:
            if (value := self[level]) is not None:
                yield level, value


@dataclass(frozen=True)
class ErrorSize:
    """Root mean square and mean of absolute errors."""

    rmse: float | None
    mae: float | None


@dataclass(frozen=True)
class Errors:
    """Errors of the predictions.

    | field | meaning | unit |
    |---|---|---|
    | energy | of energies per atom | meV/atom |
    | force | of force components | eV/Å |
    | force_vector | norms of the errors of forces | eV/Å |
    | largest_of_frame | the largest such norm of each frame | eV/Å |
    | largest | the largest of all | eV/Å |
    | stress | of stress components; `None` without predictions or labels of them | meV/Å³ |
    """

    energy: ErrorSize
    force: ErrorSize
    force_vector: ErrorSize
    largest_of_frame: ErrorSize
    largest: float | None
    stress: ErrorSize | None = None


@dataclass(frozen=True)
class RankingFigures:
    """How well a score ranks the errors, and what it flags.

    | field | meaning |
    |---|---|
    | spearman | rank correlation of score and error; next, without what vanishes by symmetry |
    | auroc | how surely one of the worst tenth comes before one of the others |
    | flagged | share of values above `threshold`, where there is one |
    """

    spearman: float | None
    spearman_without_symmetry_zeros: float | None
    auroc: float | None
    flagged: float | None
    threshold: float | None


@dataclass(frozen=True)
class BarFigures:
    """Coverage with width of error bars, and ratios of error and bar and proper scores where they are distributions.

    | field | meaning |
    |---|---|
    | values | how many errors they are held against |
    | mean_width | mean full width of the 68 % intervals; `None` where one is infinite |
    | coverage, width, interval_score | by level, 0.5 to 0.95: share of errors inside; mean full width; score |
    | error_over_bar | of normal bars: quantiles of \\|error\\|/σ by level |
    | without_bar | of normal bars: errors with a zero or infinite bar, which leave no likelihood |
    | ence, ence_95, ence_by_chance | with its interval, and the mean and the 95 % quantile of what right bars have |
    | nll, crps | of normal bars |
    | miscalibration_area, signed_area | the signed one is above 0 for bars that are too small |
    """

    values: int
    mean_width: float | None
    coverage: Mapping[float, float | None]
    width: Mapping[float, float | None]
    interval_score: Mapping[float, float | None]
    error_over_bar: Mapping[float, float | None] | None = None
    without_bar: int | None = None
    ence: float | None = None
    nll: float | None = None
    crps: float | None = None
    miscalibration_area: float | None = None
    signed_area: float | None = None
    ence_95: Ends | None = None
    ence_by_chance: Ends | None = None


@dataclass(frozen=True)
class BarAgainstErrors:
    """The error bar of one quantity held against its errors, beside the bar that is the same everywhere.

    | field | meaning |
    |---|---|
    | name, unit | `SCORE:CALIBRATOR[:GROUPING]`; energies are per atom |
    | figures, constant | of the bar, and of the constant one where there is one |
    | ause | area between its sparsification curve and the oracle's |
    | vector_coverage | of normal bars of forces: share of whole vectors inside the ellipsoid of each level |
    """

    name: str
    unit: str
    figures: BarFigures
    constant: BarFigures | None
    ause: float | None
    vector_coverage: Mapping[float, float] | None = None


@dataclass(frozen=True)
class RatioHistogram(ReadOnly):
    """Shares of the ratios of error and spread in B bins, and those of a standard normal distribution.

    | field | shape |
    |---|---|
    | edges | `(B+1,)` |
    | share, normal | `(B,)`; what is left of 1 is beyond the edges |
    """

    edges: Array
    share: Array
    normal: Array


@dataclass(frozen=True)
class EnvelopeFigures:
    """What members span held against labels: nothing is calibrated.

    | field | meaning |
    |---|---|
    | violation, violation_95 | share of labels outside the envelope |
    | mean_range, mean_std | mean distance of its ends, mean deviation of members: eV (energies per atom), eV/Å, eV/Å³ |
    | error_over_std | quantiles of \\|error\\| over the members' deviation, by level |
    | histogram | of error over deviation; of all frames, not of parts |
    """

    values: int
    violation: float
    violation_95: Ends | None
    mean_range: float
    mean_std: float
    error_over_std: Mapping[float, float | None]
    histogram: RatioHistogram | None = None


@dataclass(frozen=True)
class Stratum:
    """Error bars held against errors in one part of the values: see `assay.evaluation.strata.by_strata`.

    | field | meaning |
    |---|---|
    | stratum | its name |
    | bar | root mean variance, or the mean half width at 68 % of intervals |
    | z_mean_square | ⟨(e/σ)²⟩: 1 where bars are right; `None` for intervals, which have no σ |
    | coverage | by level |
    | rmse_95, z_mean_square_95, coverage_95 | intervals; `None` with one frame |
    """

    stratum: str
    values: int
    frames: int
    bar: float | None
    rmse: float
    rmse_95: Ends | None
    z_mean_square: float | None
    z_mean_square_95: Ends | None
    coverage: Mapping[float, float]
    coverage_95: Mapping[float, Ends | None]


@dataclass(frozen=True)
class Part:
    """The figures of some frames and atoms: all, those of a config_type, or the atoms of an element (no frames)."""

    frames: int
    atoms: int
    errors: Errors
    scores: Mapping[str, PerLevel[RankingFigures]]
    bars: PerQuantity[BarAgainstErrors]
    envelopes: PerQuantity[EnvelopeFigures]
