"""What a calibration must not keep to itself: too few values, constant scores, outliers, groups that are too small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assay.calibration import BY_ORDER, Calibrator, CalibratorClass, calibrator_kind
from assay.calibration.binned import Binned
from assay.calibration.conformal import Conformal
from assay.calibration.frame_conformal import FrameConformal
from assay.calibration.grouped import FEWEST as FEWEST_VALUES
from assay.calibration.grouped import Grouped
from assay.calibration.isotonic import Isotonic
from assay.calibration.mondrian import FEWEST as FEWEST_FRAMES
from assay.calibration.mondrian import Mondrian
from assay.calibration.scale import Scale
from assay.calibration.simultaneous_conformal import SimultaneousConformal
from assay.results.residuals import Residuals

PROMISED = 0.95
"""Coverage that intervals are asked for at most, as in `assay evaluate`."""
OUTLIERS = 0.5
"""Share of α² that the largest 1 % of e²/s² may carry; normal errors have 0.085, Student errors of 3 degrees 0.35."""
TOO_WIDE = 10.0
"""Times the constant bar, from which on the median bar says nothing of the errors that it is fitted to."""
FEW = 100
"""Values below which 1 % of them is not one."""
ALONE = 0.999
"""Share of α² that one of fewer values may carry: thirty times the α of the others."""
TOO_FEW = 3
"""Values below which a scale is known to no better than a factor of 2."""


def needed(level: float) -> int:
    """The fewest exchangeable values (or frames) that can promise coverage `level`: n ≥ level / (1 - level).

    Raises `ValueError` for a level that no number of values can promise.
    """
    if not 0 <= level < 1:
        raise ValueError(f"coverage {level:g} can't be promised: give a level below 1")
    return int(np.ceil(level / (1 - level) - 1e-9))


def outlier_share(held_out: Residuals) -> float:
    """Share of `Σ e²/s²` that the largest 1 % (at least one) of n values carry."""
    squares = np.square(held_out.ratios)
    top = max(1, len(squares) // 100)
    total = squares.sum()
    return float(np.partition(squares, -top)[-top:].sum() / total) if total > 0 else 0.0


def remarks(given: str | CalibratorClass, held_out: Residuals) -> Iterator[str]:
    """What to know of a calibrator, by name or class, on these values, a sentence each; nothing where all is well."""
    kind = calibrator_kind(given)
    name, used = kind.name, held_out.usable(kind.by_order)
    n, frames = len(used.error), len(np.unique(used.frame))
    if frames > 1 and np.ptp(used.spread) == 0:
        more = {Isotonic.name: ", as there is nothing to be monotone in", Binned.name: ", as there are no bins of it"}
        yield f"the score is the same for all {n} held-out values: the bar is a constant" + more.get(name, "")
    if n < TOO_FEW:
        values = "a single held-out value" if n == 1 else f"{n} held-out values"
        yield f"it rests on {values}, and the size of errors is known to a factor of 2 at best: give more frames"
    units = {Conformal.name: ("values", n), FrameConformal.name: ("frames", frames)}
    units |= {SimultaneousConformal.name: ("frames", frames), Mondrian.name: ("frames", frames)}
    if name in units and units[name][1] < (least := needed(PROMISED)):
        what, count = units[name]
        yield (
            f"{count} held-out {what} promise a coverage of {count / (count + 1):.1%} at most: intervals above that "
            f"are infinite, {PROMISED:.0%} needs {least} {what}"
        )
    if name in (Scale.name, Grouped.name) and n >= FEW and (share := outlier_share(used)) > OUTLIERS:
        yield (
            f"the largest 1 % of e²/s² carry {share:.0%} of α²: a few values set the scale. Look at the labels of "
            "those frames; the calibrators ratio and conformal are swayed less"
        )
    if name in (Grouped.name, Mondrian.name) and used.group is not None:
        fewest, unit = (FEWEST_VALUES, "values") if name == Grouped.name else (FEWEST_FRAMES, "frames")
        count_of = {
            str(g): int(here.sum()) if name == Grouped.name else len(np.unique(used.frame[here]))
            for g in np.unique(used.group)
            if g and (here := used.group == g).any()
        }
        small = [f"{g} ({count})" for g, count in count_of.items() if count < fewest]
        if small:
            yield (
                f"{len(small)} of {len(count_of)} groups have fewer than {fewest} held-out {unit} and the bar of all: "
                + ", ".join(small[:10])
                + (", …" if len(small) > 10 else "")
            )


def too_wide(score: str, calibrator: Calibrator, constant: Calibrator, held_out: Residuals) -> Iterator[str]:
    """What to know of bars of `score` that are far wider than the constant one, at the median of the same values.

    A score that is out by orders of magnitude on a few of them takes the others along where bars are multiples of it:
    a leverage where training frames span little, or two members that happen to agree.
    """
    used = held_out.usable(calibrator.by_order)
    zero, one = np.zeros(len(used.error)), np.ones(len(used.error))
    width = float(np.median(calibrator.bar(zero, used.spread, "", used.group).half_width(0.68)))
    usual = float(np.median(constant.bar(zero, one, "", used.group).half_width(0.68)))
    if width > TOO_WIDE * usual:
        yield (
            f"the median 68 % bar is ± {width:.3g}, and one that is the same for all ± {usual:.3g}: multiples of "
            f"{score} mean nothing here. Take its order alone ({score}:{BY_ORDER[0]}), another score, or more "
            "potentials as members"
        )
