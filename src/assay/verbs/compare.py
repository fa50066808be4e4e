"""`assay compare`: every way to an uncertainty, on one potential and the same frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import chain, count
from pathlib import Path

from ase import Atoms

from assay.calibration.bar_name import AskedCalibrator
from assay.comparison.compare import CALIBRATED_BY, POSTERIORS, MethodChoice
from assay.comparison.compare import compare as compare_frames
from assay.comparison.overview import Cell, Overview
from assay.comparison.reasons import two
from assay.comparison.result import CALIBRATION, TRAINING, ComparisonResult
from assay.comparison.sets import FrameSets
from assay.execution.run import Run
from assay.frames.frame import Frame, LabelKeys
from assay.gauge.score_fit import ScoreFit
from assay.linear.linear_fit import LinearFit
from assay.report.kit.plotting import require_plotting
from assay.results.warning import heard, listens, with_warnings
from assay.scores.registry import Asked
from assay.sources.frame_files import FrameFiles, FrameObjects, Given, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.outputs import require_outputs

__all__ = ["CALIBRATED_BY", "POSTERIORS", "Cell", "Overview", "by_name", "compare", "set_name", "two"]


@settled
@listens
def compare(
    train: Given,
    tests: Mapping[str, Given] | Given,
    *,
    source: GivenSource,
    calibration: Given | None = None,
    scores: Sequence[Asked] | None = None,
    posteriors: Sequence[str] = POSTERIORS,
    calibrators: Sequence[AskedCalibrator] = CALIBRATED_BY,
    linear_fit: LinearFit = LinearFit(),
    score_fit: ScoreFit = ScoreFit(),
    r_cut: float = 5.0,
    resamples: int = 200,
    allow_overlap: bool = False,
    keys: LabelKeys | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    run: Run = Run(),
    command: str | None = None,
) -> ComparisonResult:
    """Which uncertainty to use for a potential and its data: rankings, detection, error bars and cost of every method.

    The potential is fitted once, its features are computed once, and all methods are judged on the same frames. Every
    figure has a 95 % interval by resampling whole frames; methods that can't be told from the best are named.

    Parameters
    ----------
    train, calibration
        labelled frames: `ase.Atoms`, several of them, or files; `assay.FrameFiles` are files with members files of the
        `recorded` source, or with label keys of their own. Without `calibration`, a fifth of the training frames is
        kept out of the fit, in contiguous blocks of file order within each config_type
    tests
        sets of labelled frames to judge on, by the name of the set; or files that give their names, a set each; or
        frames of one set, `test`
    source
        as in `assay.build`: a linear potential (all methods), or a committee or recorded members (the spread of those)
    scores
        names of scores, or classes with the contract of `assay.scores.protocol.ScoreClass`; by default all that the
        source supports
    posteriors
        what members of a linear potential are drawn from, each set of them compared: see `LinearFit.posterior`
    calibrators
        names or classes, from scores to error bars: see `assay.calibration`; those of groups with their grouping, as in
        `mondrian:species` or `(MyCalibrator, "species")`
    linear_fit
        of a linear potential: weights of its labels, how many members each posterior has, and the seed, which is that
        of the resamples too
    score_fit
        as in `assay.build`, but for thresholds by cluster
    r_cut
        radius of a neighbourhood, Å
    resamples
        of the frames, for intervals
    keys
        where the labels are
    allow_overlap
        judge on frames that are also trained or calibrated on: errors there are too small
    run
        how work is done; without `skip_bad` a frame that can't be used raises

    Returns what `docs/compare.md` describes; its `summary()` is the JSON. Raises `FrameError` for frames that can't be
    used and sets that share frames, `ValueError` for unknown names or settings and a source without predictions.
    """
    require_outputs(train, tests, calibration, source, report=report, json=json_file)
    if report is not None:
        with require_plotting():
            import_module("assay.report.comparison.page")
    asked, settings = given_source(source, run.allow_import)
    given = {TRAINING: train, **by_name(tests)} | ({} if calibration is None else {CALIBRATION: calibration})
    frames = {name: frames_of(of, keys=keys, skip_bad=run.skip_bad, name=name) for name, of in given.items()}
    trained = frames[TRAINING]
    result = compare_frames(
        FrameSets(frames, linear_fit.weights.b),
        asked,
        settings,
        MethodChoice(scores, posteriors, calibrators),
        linear_fit=linear_fit,
        score_fit=score_fit,
        r_cut=r_cut,
        resamples=resamples,
        keys=trained.keys if isinstance(trained, FrameFiles) else keys or LabelKeys(),
        allow_overlap=allow_overlap,
        run=run,
    )
    result = replace(result, command=command or result.command)
    if json_file is not None:
        write_json(json_file, with_warnings(result.summary()))
    if report is not None:
        from assay.report.comparison.page import write_comparison_report

        write_comparison_report(report, result, warnings=heard())
    return result


def by_name(given: Mapping[str, Given] | Given) -> dict[str, Given]:
    """Test sets by name: files name themselves, those of equal names are counted, and other frames are `test`."""
    if isinstance(given, Mapping):
        if reserved := {TRAINING, CALIBRATION} & given.keys():
            raise ValueError(f"a test set can't have the name {', '.join(sorted(reserved))}")
        return dict(given)
    if isinstance(given, Atoms | Frame | FrameFiles | FrameObjects):
        return {"test": given}
    each = [given] if isinstance(given, str | Path) else list(given)
    paths = [path for path in each if isinstance(path, str | Path)]
    if len(paths) < len(each):
        return {"test": each}
    found: dict[str, Given] = {}
    for path in paths:
        found[set_name(path, found)] = path
    return found


def set_name(path: str | Path, taken: Collection[str]) -> str:
    """The name that a file gives its test set: its stem, with a number where other sets have that name."""
    name = Path(path).name
    stem = name.partition(".")[0] or name
    numbered = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(each for each in numbered if each not in taken and each not in (TRAINING, CALIBRATION))
