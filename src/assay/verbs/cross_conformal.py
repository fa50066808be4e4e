"""Intervals where labels are too few to keep any out: CV+ of a linear potential."""

from __future__ import annotations

from typing import Any

from assay.execution.run import Run
from assay.frames.frame import LabelKeys
from assay.linear.cross_conformal import CrossConformal, cross_conformal_intervals
from assay.linear.weights import Weights
from assay.sources.frame_files import Given, frames_of
from assay.sources.registry import LINEAR, parse_spec


def cross_conformal(
    train: Given,
    frames: Given,
    *,
    source: str | dict[str, Any],
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
    settings = parse_spec(source)
    if settings["source"] not in LINEAR:
        raise ValueError(
            f"cross_conformal fits a linear potential ({', '.join(LINEAR)}), which {settings['source']!r} is not"
        )
    own = {key: value for key, value in settings.items() if key != "source"}
    labelled = frames_of(train, keys=keys)
    asked = frames_of(frames, keys=keys, labels="if present", skip_bad=run.skip_bad, memory=0)
    rows = LINEAR[settings["source"]].from_state(own)
    return cross_conformal_intervals(labelled, asked, rows, run, level=level, folds=folds, weights=weights)
