"""Trained on one group, judged on the others: do errors, bars and flags transfer between phases or compositions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assay.ensembles.fit import MemberChoice
from assay.evaluation.transferability import GroupBy, judge_transfer
from assay.evaluation.transferability_result import Transferability
from assay.execution.run import Run
from assay.frames.frame import Frames, LabelKeys
from assay.gauge.bar_choice import AskedBar
from assay.gauge.fit import fit_gauge
from assay.gauge.gauge import Gauge
from assay.gauge.score_fit import ScoreFit
from assay.linear.linear_fit import LinearFit
from assay.results.warning import heard, listens, with_warnings
from assay.scores.registry import Asked
from assay.sources.capabilities import ByOrder
from assay.sources.frame_files import FrameFiles, Given, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import write_json
from assay.verbs.arguments import settled
from assay.verbs.outputs import require_outputs


@settled
@listens
def transferability(
    frames: Given,
    *,
    source: GivenSource,
    group_by: GroupBy = "config_type",
    scores: Sequence[Asked] | None = None,
    error_bar: AskedBar | None = None,
    linear_fit: LinearFit = LinearFit(),
    members: MemberChoice = MemberChoice(),
    score_fit: ScoreFit = ScoreFit(),
    r_cut: float = 5.0,
    flag: str | None = None,
    keys: LabelKeys | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    run: Run = Run(),
) -> Transferability:
    """Fit a gauge to each group of frames, and to all of them, and judge each on the test frames of every group.

    Each group is divided in five blocks of file order: three are fitted, one is calibrated on, one is judged. So all
    numbers of a column are of the same frames, and those on the diagonal are of frames like the fitted ones. Of equal
    frames of a group the first counts, and test frames that equal a frame of any fit or calibration are left out.

    Parameters
    ----------
    frames, keys
        as `train` of `assay.build`; they are held in memory
    source, scores, error_bar, linear_fit, members, score_fit, r_cut
        as of `assay.build`: every gauge is built with them
    group_by
        a key of `atoms.info`, `"composition"` (formula in lowest terms), or a function of `ase.Atoms`
    flag
        the score whose threshold flags frames; by default `gamma`, else the first one with a threshold
    report, json_file
        files to write the tables to
    run
        how work is done; with `skip_bad`, frames that can't be used are left out

    Raises
    ------
    ValueError
        fewer than two groups, and no group that can be fitted, for settings such as an unknown source or for its frames
    FrameError
        frames that can't be read, or have no labels

    Reference: Grasselli et al. 2025, sections 2.6 and 3.3.
    """
    require_outputs(frames, source, report=report, json=json_file)
    given, settings = given_source(source, run.allow_import)
    by_order, given = given.detached() if isinstance(given, ByOrder) else ("", given)
    labelled = frames_of(frames, members=by_order or None, keys=keys, skip_bad=run.skip_bad, memory=0)
    under = labelled.keys if isinstance(labelled, FrameFiles) else keys or LabelKeys()

    def fit(train: Frames, calibration: Frames) -> Gauge:
        return fit_gauge(
            train, given, calibration=calibration, scores=scores, error_bar=error_bar, linear_fit=linear_fit,
            members=members, score_fit=score_fit, r_cut=r_cut, keys=under, settings=settings,
            run=replace(run, progress=None),
        ).gauge  # fmt: skip

    result = judge_transfer(labelled, fit, group_by=group_by, flag=flag or "", run=run)
    if json_file is not None:
        write_json(json_file, with_warnings(result.summary()))
    if report is not None:
        from assay.report.kit.plotting import require_plotting
        from assay.report.transferability.page import write_transfer_report

        with require_plotting():
            write_transfer_report(report, result, warnings=heard())
    return result
