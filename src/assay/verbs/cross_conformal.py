"""Intervals where labels are too few to keep any out: CV+ of a linear potential."""

from __future__ import annotations

from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.linear.cross_conformal import CrossConformal, cross_conformal_intervals
from assay.linear.weights import Weights
from assay.sources.capabilities import LinearSource
from assay.sources.frame_files import Given, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.verbs.arguments import settled


@settled
def cross_conformal(
    train: Given,
    frames: Given,
    *,
    source: GivenSource,
    level: float = 0.9,
    folds: int = 20,
    weights: Weights | None = None,
    keys: LabelKeys | None = None,
    run: Run = Run(),
) -> CrossConformal:
    """Fit a linear potential to all labels, and give its predictions intervals from fits that left a part of them out.

    CV+ (`assay.calibration.jackknife_plus`): nothing is kept out for calibration, which pays where there are tens of
    labelled frames. With as many folds as frames, intervals of energies are those of the jackknife+. One pass over the
    training frames makes all fits, and a second one the residuals.

    Parameters
    ----------
    train
        labelled `ase.Atoms`, or files of them
    frames
        what to predict, likewise; labels are not needed
    source
        of a linear potential, as in `assay.build`
    level
        nominal coverage; guaranteed, for frames exchangeable with those of training, is `1 - 2 (1 - level)` less a
        little (see there)
    folds
        K: contiguous blocks of file order within each config_type; fewer where memory or the number of frames asks so
    weights, keys
        as in `assay.build`
    run
        how work is done; with `skip_bad`, bad frames are left out of `frames`, and listed

    Raises
    ------
    FrameError
        training frames that can't be used or evaluated, fewer than two of them, no frame that can be predicted
    ValueError
        a source that is no linear potential, an impossible level, or fewer than two folds
    """
    given, _ = given_source(source, run.allow_import)
    if not isinstance(given, LinearSource):
        raise ValueError(f"cross_conformal fits a linear potential such as snap or ace, which {given.kind!r} is not")
    labelled = frames_of(train, keys=keys)
    asked = frames_of(frames, keys=keys, labels="if present", skip_bad=run.skip_bad, memory=0)
    return cross_conformal_intervals(labelled, asked, given, run, level=level, folds=folds, weights=weights)
