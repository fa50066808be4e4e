"""What to mind beside a recommendation: few frames, odd labels, bars that collapse away from home, and what failed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from assay.comparison.candidates import SLACK
from assay.comparison.methods import CONSTANT
from assay.comparison.reasons import by_split, share
from assay.comparison.recommended import RecommendedBar
from assay.comparison.result import CALIBRATION, ComparisonResult
from assay.results.per_quantity import Quantity
from assay.results.wording import many

FEW = 50
"""Calibration frames below which the coverage at 95 % scatters by more than 3 points from their choice alone."""
FEW_TESTED = 20
"""Frames of a test set below which its numbers are rough."""


def caveats(
    result: ComparisonResult, bars: Mapping[Quantity, RecommendedBar], whole_frames: Sequence[str] = ()
) -> tuple[str, ...]:
    """Sentences, those on the sets of frames first.

    `bars`: those that are recommended, by quantity; `whole_frames`: calibrators whose bars are of these.
    """
    return (
        *(f"{remark.removesuffix('.')}." for remark in result.remarks),
        *_few(result),
        *_calibrations(result, bars),
        *_collapses(result, bars),
        *_whole_frames(whole_frames),
        *(f"{name} could not be compared: {of.failed}" for name, of in result.methods.items() if of.failed),
    )


def _few(result: ComparisonResult) -> Iterator[str]:
    for split in result.splits:
        frames = split.frames
        if split.role == CALIBRATION and frames < FEW:
            scatter = 100 * math.sqrt(0.95 * 0.05 / (frames + 2))
            yield (
                f"{many(frames, 'calibration frame')} {'is' if frames == 1 else 'are'} few: with others of the same "
                f"kind the coverage of 95 % bars changes by {scatter:.0f} points (standard deviation of energies; less "
                f"for forces). Give {FEW} or more."
            )
        elif split.role == "test" and frames < FEW_TESTED:
            yield f"{split.name} has {many(frames, 'frame')} only: take its numbers as rough."


def _calibrations(result: ComparisonResult, bars: Mapping[Quantity, RecommendedBar]) -> Iterator[str]:
    """What was noticed when the recommended bars were calibrated."""
    for quantity, bar in bars.items():
        figures = result.bar(CALIBRATION, quantity, bar.method, bar.calibrator)
        for remark in figures.remarks if figures else ():
            yield f"{bar.name}, bars of the {quantity}: {remark.removesuffix('.')}."


def _collapses(result: ComparisonResult, bars: Mapping[Quantity, RecommendedBar]) -> Iterator[str]:
    """Where the recommended bars surely hold too few errors, and where a constant bar would be better."""
    for quantity, bar in bars.items():
        narrow, worse = {}, {}
        for split in [each for each in result.bars if each != CALIBRATION]:
            figures = result.bar(split, quantity, bar.method, bar.calibrator)
            if figures is None:
                continue
            held, skill = figures.coverage[0.95], figures.skill
            most = held.value if held.high is None else held.high
            if most is not None and most < 0.95 - SLACK[0.95]:
                narrow[split] = held
            if bar.method != CONSTANT.name and skill.high is not None and skill.high < 0:
                worse[split] = skill
        if narrow:
            yield f"Too narrow: 95 % bars of the {quantity} hold {by_split(narrow, share)}."
        if worse:
            yield f"One constant bar of the {quantity} is better than this: skill {by_split(worse)}."


def _whole_frames(calibrators: Sequence[str]) -> Iterator[str]:
    if calibrators:
        promise, are = ("promises", "it is") if len(calibrators) == 1 else ("promise", "they are")
        yield (
            f"{', '.join(calibrators)} {promise} bars that hold all values of a frame at once. Coverage and interval "
            f"scores of single values don't judge that, so {are} not among those that are recommended."
        )
