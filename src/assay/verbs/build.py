"""`assay build`: fit a gauge to training frames and calibrate it on frames kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from assay.ensembles.fit import MemberChoice
from assay.execution.run import Run
from assay.frames.frame import LabelKeys, Labelled
from assay.gauge.bar_choice import AskedBar, ChosenBar
from assay.gauge.fit import Built, fit_gauge
from assay.gauge.score_fit import ScoreFit
from assay.gauge.state import require_loadable
from assay.linear.linear_fit import LinearFit
from assay.results.warning import heard, listens
from assay.scores.registry import Asked, resolved
from assay.sources.capabilities import ByOrder, OnlyFeatures
from assay.sources.frame_files import FrameFiles, Given, frames_of
from assay.sources.registry import GivenSource, given_source
from assay.verbs.arguments import settled
from assay.verbs.outputs import require_outputs


@settled
@listens
def build(
    train: Given,
    *,
    source: GivenSource,
    calibration: Given | None = None,
    scores: Sequence[Asked] | None = None,
    error_bar: AskedBar | None = None,
    linear_fit: LinearFit = LinearFit(),
    members: MemberChoice = MemberChoice(),
    score_fit: ScoreFit = ScoreFit(),
    r_cut: float = 5.0,
    keys: LabelKeys | None = None,
    out: str | Path | None = None,
    run: Run = Run(),
    command: str | None = None,
) -> Built:
    """Fit a gauge: survey the labels, fit the potential and the scores in one pass, calibrate on frames kept apart.

    From a source that has features and no predictions (`features`, `callable`, `soap`) comes a gauge with scores and
    thresholds alone: no frame needs labels, and calibration frames set the thresholds of scores that have none of their
    own.

    Parameters
    ----------
    train, calibration
        labelled frames: files, `ase.Atoms` or several of them; `assay.FrameFiles(paths, members=…)` for files with
        members files (`recorded`) or features files (`features`) beside them. Without `calibration`, a tenth of the
        training frames is kept out of the fit, in contiguous blocks of file order within each config_type, and never
        fitted again
    source
        `name:key=value,…`, a TOML file, or the same as a dictionary with the key `source`; a function of `ase.Atoms`
        that returns features `(A, D)`; or an object that can do as `assay.sources.capabilities` says: design rows
        (`LinearSource`), members (`HasMembers`) or features alone (`OnlyFeatures`)
    scores
        names of scores, or classes with the contract of `assay.scores.protocol.ScoreClass`; by default all that the
        source supports, but for those on request (docs/scores.md)
    error_bar
        `SCORE:CALIBRATOR[:GROUPING]` (docs/calibration.md), or `(SCORE, CALIBRATOR)` of names and classes, with the
        contracts of `ScoreClass` and of `assay.calibration.CalibratorClass`. By default `committee_force:scale` of a
        linear potential's posterior (`committee_energy:scale` of a corrector of energies), `heterogeneous_force:scale`
        of unlike members, `leverage:scale` of one potential with features, and none without predictions
    linear_fit
        of a linear potential (`snap`, `ace`, `corrector`): weights of its labels, posterior, size and seed of its
        ensemble
    members
        of members that a source brings along (`ase_committee`, `recorded`): onto what their energies are shifted, their
        force RMSEs, and how many are kept
    score_fit
        of scores of features: which atoms they are fitted to, and how these are divided into clusters
    r_cut
        radius of a neighbourhood, Å
    keys
        where the labels are
    out
        file to write the gauge to
    run
        how work is done; with `skip_bad`, frames that can't be used are left out, and listed

    Raises
    ------
    FrameError
        frames that can't be used: see `assay.frames.reading.read_frames`
    ValueError
        unknown source, score, calibrator or setting
    """
    require_outputs(train, calibration, source, gauge=out)
    given, settings = given_source(source, run.allow_import)
    if out is not None:  # what a file could not name is refused before anything long is run
        bar = ChosenBar.of(error_bar, scores or ()) if error_bar else None
        every = resolved([*(scores or ()), *([bar.score] if bar else [])])
        require_loadable(given, every, bar.name.own if bar else None)
    by_order, given = given.detached() if isinstance(given, ByOrder) else ("", given)
    labels: Labelled = "if present" if isinstance(given, OnlyFeatures) else "needed"
    read = partial(frames_of, keys=keys, labels=labels, skip_bad=run.skip_bad)
    frames = read(train, members=by_order or None)
    built = fit_gauge(
        frames,
        given,
        calibration=None if calibration is None else read(calibration),
        scores=scores,
        error_bar=error_bar,
        linear_fit=linear_fit,
        members=members,
        score_fit=score_fit,
        r_cut=r_cut,
        keys=frames.keys if isinstance(frames, FrameFiles) else keys or LabelKeys(),
        settings=settings,
        run=run,
        command=command or "assay.build(...)",
    )
    if heard():
        gauge = replace(built.gauge, provenance={**built.gauge.provenance, "warnings": [*heard()]})
        built = replace(built, gauge=gauge)
    if out is not None:
        built.gauge.save(out)
    return built
