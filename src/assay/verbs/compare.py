"""`assay compare`: every way to an uncertainty, on one potential and the same frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path

from assay.comparison.compare import CALIBRATED_BY, POSTERIORS, MethodChoice
from assay.comparison.compare import compare as compare_frames
from assay.comparison.result import CALIBRATION, TRAINING, ComparisonResult
from assay.comparison.sets import FrameSets
from assay.execution.progress import Stage
from assay.frames.frame import LabelKeys, file_hash
from assay.linear.weights import Weights
from assay.report.kit.plotting import require_plotting
from assay.scores.registry import Asked
from assay.sources.frame_files import Paths, listed
from assay.sources.registry import GivenSource, given_source
from assay.storage.files import require_folders, write_json
from assay.verbs.given_frames import Given, Stored, are_paths, given_frames, stored


def compare(
    train: Given,
    tests: Mapping[str, Given] | Given,
    *,
    source: GivenSource,
    calibration: Given | None = None,
    train_members: Paths | None = None,
    calibration_members: Paths | None = None,
    tests_members: Mapping[str, Paths] | Paths | None = None,
    scores: Sequence[Asked] | None = None,
    posteriors: Sequence[str] = POSTERIORS,
    calibrators: Sequence[str] = CALIBRATED_BY,
    clusters: str | None = None,
    r_cut: float = 5.0,
    weights: Weights | None = None,
    ensemble_size: int | None = None,
    resamples: int = 200,
    seed: int = 0,
    workers: int = 1,
    allow_overlap: bool = False,
    skip_bad: bool = False,
    keys: LabelKeys | None = None,
    report: str | Path | None = None,
    json_file: str | Path | None = None,
    allow_import: tuple[str, ...] = (),
    stage: Stage | None = None,
    command: str | None = None,
) -> ComparisonResult:
    """Which uncertainty to use for a potential and its data: rankings, detection, error bars and cost of every method.

    The potential is fitted once, its features are computed once, and all methods are judged on the same frames. Every
    figure has a 95 % interval by resampling whole frames; methods that can't be told from the best are named.

    Parameters
    ----------
    train, calibration
        labelled frames: files, or `ase.Atoms` or `Frame` objects, which are kept in memory. Without `calibration`, a
        fifth of the training frames is kept out of the fit, in contiguous blocks of file order within each config_type
    tests
        sets of labelled frames to judge on, by the name of the set; or files that give their names, a set each; or
        structures of one set, `test`
    source
        as in `assay.build`: a linear potential (all methods), or a committee or recorded members (the spread of those)
    train_members, calibration_members, tests_members
        members files of the `recorded` source, one for each frames file; those of tests in the form of `tests`
    scores
        names of scores, or classes with the contract of `assay.scores.protocol.ScoreClass`; by default all that the
        source supports
    posteriors, ensemble_size
        of the members of a linear potential, and how many members each has: see `assay.build`
    calibrators
        names, from scores to error bars: see `assay.calibration`; those of groups with their grouping, as in
        `mondrian:species`
    resamples
        of the frames, for intervals
    allow_overlap
        judge on frames that are also trained or calibrated on: errors there are too small

    Returns what `docs/compare.md` describes; its `summary()` is the JSON. Raises `FrameError` for frames that can't be
    used and sets that share frames, `ValueError` for unknown names or settings and a source without predictions.
    """
    require_folders(report, json_file)
    if report is not None:
        with require_plotting():
            import_module("assay.report.comparison.page")
    asked, settings = given_source(source, allow_import)
    keys = keys or LabelKeys()
    test_sets = by_name(tests)
    given: dict[str, Stored] = {TRAINING: stored(train), **test_sets}
    if calibration is not None:
        given[CALIBRATION] = stored(calibration)
    members = {TRAINING: train_members, CALIBRATION: calibration_members, **_members(tests_members, test_sets)}
    result = compare_frames(
        FrameSets({name: given_frames(of, members.get(name), keys, skip_bad, name) for name, of in given.items()}),
        asked,
        settings,
        MethodChoice(scores, posteriors, ensemble_size, calibrators, clusters),
        weights=weights, r_cut=r_cut, resamples=resamples, seed=seed, keys=keys, allow_overlap=allow_overlap,
        skip_bad=skip_bad, workers=workers, stage=stage,
    )  # fmt: skip
    splits = tuple(replace(split, files=_hashes(given.get(split.name, ()))) for split in result.splits)
    result = replace(result, splits=splits, command=command or result.command)
    if json_file is not None:
        write_json(json_file, result.summary())
    if report is not None:
        from assay.report.comparison.page import write_comparison_report

        write_comparison_report(report, result)
    return result


def by_name(given: Mapping[str, Given] | Given) -> dict[str, Stored]:
    """Test sets by name: files name themselves, those of equal names are counted, and structures are `test`."""
    if isinstance(given, Mapping):
        if reserved := {TRAINING, CALIBRATION} & given.keys():
            raise ValueError(f"a test set can't have the name {', '.join(sorted(reserved))}")
        return {name: stored(each) for name, each in given.items()}
    files = stored(given)
    if not are_paths(files):
        return {"test": files}
    found: dict[str, Stored] = {}
    for path in listed(files):
        stem = name = Path(path).name.partition(".")[0]
        numbers = count(2)
        while name in found or name in (TRAINING, CALIBRATION):
            name = f"{stem}-{next(numbers)}"
        found[name] = path
    return found


def _hashes(given: Stored) -> dict[str, str]:
    return {str(path): file_hash(path) for path in listed(given)} if are_paths(given) else {}


def _members(given: Mapping[str, Paths] | Paths | None, tests: Mapping[str, object]) -> dict[str, Paths]:
    """Members files of test sets by name, or in their order."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        given = dict(zip(tests, listed(given), strict=True))
    if unknown := given.keys() - tests.keys():
        raise ValueError(f"members of {', '.join(sorted(unknown))}, but the test sets are {', '.join(tests)}")
    return dict(given)
