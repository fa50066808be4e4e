"""`assay compare`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

import click

from assay import ComparisonResult, FrameFiles, LabelKeys, LinearFit, Run, ScoreFit
from assay.cli import options
from assay.cli.build import parse_weights
from assay.cli.progress import Stages
from assay.cli.tables import listed, note, number, on_disk, percent, printed_json, show
from assay.results.visible import visible, visible_name
from assay.verbs.compare import CALIBRATED_BY, POSTERIORS, Cell, Overview, set_name, two
from assay.verbs.compare import compare as verb

ALL = "all"
SCORES_HELP = "Scores to compare, in one list (assay build has --score, once for each)."


@click.command()
@click.option("-t", "--train", type=options.INPUT, multiple=True, required=True, help="Labelled training frames.")
@click.option(
    "-c", "--calibration", type=options.INPUT, multiple=True, help="Held-out frames; by default a fifth of -t."
)
@click.option(
    "-e",
    "--test",
    "tests",
    multiple=True,
    required=True,
    metavar="[NAME=]FILE",
    help="Labelled frames to judge on; may be repeated, and files of one NAME are one set.",
)
@click.option("--source", required=True, metavar="SPEC", help="name:key=value,… or a TOML file.")
@click.option("--train-members", type=options.INPUT, multiple=True, help="Members file (.npz) of each -t.")
@click.option("--calibration-members", type=options.INPUT, multiple=True, help="Members file (.npz) of each -c.")
@click.option("--test-members", type=options.INPUT, multiple=True, help="Members file (.npz) of each -e.")
@click.option("--scores", default=ALL, show_default=True, metavar="NAME,…", help=SCORES_HELP)
@click.option(
    "--posteriors",
    default=",".join(POSTERIORS),
    show_default=True,
    metavar="NAME,…",
    help="What members of a linear potential are drawn from.",
)
@click.option("--calibrators", default=",".join(CALIBRATED_BY), show_default=True, metavar="NAME,…")
@click.option("--clusters", metavar="HOW", help="Of gamma_local: as in assay build.")
@click.option("--weights", default="uniform", show_default=True, metavar="SCHEME", help="As in assay build.")
@click.option("--ensemble-size", type=click.IntRange(2), metavar="M", help="Members; by default as in assay build.")
@click.option("--r-cut", type=float, default=5.0, show_default=True, help="Radius of a neighbourhood, Å.")
@click.option(
    "--resamples", type=click.IntRange(2), default=200, show_default=True, metavar="B", help="For 95 % intervals."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--allow-overlap", is_flag=True, help="Judge on frames that are also trained or calibrated on.")
@options.report
@options.json_option
@options.run()
@options.label_keys
@click.pass_obj
def compare(
    command: str,
    /,
    train: tuple[Path, ...],
    calibration: tuple[Path, ...],
    tests: tuple[str, ...],
    train_members: tuple[Path, ...],
    calibration_members: tuple[Path, ...],
    test_members: tuple[Path, ...],
    scores: str,
    posteriors: str,
    calibrators: str,
    clusters: str | None,
    weights: str,
    ensemble_size: int | None,
    seed: int,
    json_file: Path | None,
    run: Run,
    energy_key: str,
    forces_key: str,
    stress_key: str,
    **arguments: Any,
) -> None:
    """Which uncertainty to use: every score and error bar of one potential, judged on the same frames.

    Scores are held against real errors on the calibration frames and on each set of test frames, beside a constant
    error bar and a ranking at random; the recommendation says which to use, and why.
    """
    names, files = zip(*test_sets(tests), strict=True)
    if test_members and len(test_members) != len(files):
        raise click.UsageError(f"{len(test_members)} members files for {len(files)} test files; give one for each")
    members = _by_name(names, test_members) if test_members else {}
    keys = LabelKeys(energy_key, forces_key, stress_key)

    def frames(files: Sequence[Path], members: Sequence[Path]) -> FrameFiles:
        return FrameFiles(files, members or None, keys, skip_bad=run.skip_bad)

    with Stages() as stage:
        result = verb(
            **arguments,
            train=frames(train, train_members),
            calibration=frames(calibration, calibration_members) if calibration else None,
            tests={name: frames(of, members.get(name, ())) for name, of in _by_name(names, files).items()},
            scores=None if scores == ALL else _names(scores),
            posteriors=_names(posteriors),
            calibrators=_names(calibrators),
            linear_fit=LinearFit(parse_weights(weights), ensemble_size=ensemble_size, seed=seed),
            score_fit=ScoreFit(clusters),
            keys=keys,
            json_file=on_disk(json_file),
            run=replace(run, progress=stage),
            command=command,
        )
    for split in result.splits:
        listed(f"left out of {split.name}", split.failed)
    if not printed_json(json_file, result.summary()):
        show_comparison(result)
    if arguments["report"] is not None:
        note(f"written to {arguments['report']}")


def test_sets(given: Sequence[str]) -> list[tuple[str, Path]]:
    """Files with the name of their set: `NAME=FILE`, or FILE with its stem, and a number where another has that.

    Raises `click.BadParameter` for files that are not there.
    """
    found: list[tuple[str, Path]] = []
    for text in given:
        name, file = _named(text)
        if not name and text.startswith("="):
            raise click.BadParameter(f"{text!r} has no name before '='.", param_hint="'-e' / '--test'")
        if not file.is_file():
            raise click.BadParameter(f"File {str(file)!r} does not exist.", param_hint="'-e' / '--test'")
        found.append((name or set_name(file, [each for each, _ in found]), file))
    return found


def _named(text: str) -> tuple[str, Path]:
    """The name, "" without, and the file; a file whose name has a `=` is taken for what it is."""
    name, equals, file = text.partition("=")
    return ("", Path(text)) if not equals or Path(text).is_file() else (name, Path(file))


def _by_name(names: Iterable[str], files: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name, file in zip(names, files, strict=True):
        found.setdefault(name, []).append(file)
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def show_comparison(result: ComparisonResult) -> None:
    """A row a method: ranking, skill and cost; then the recommendation with its reasons."""
    overview = Overview.of(result)
    home, tests = overview.home, overview.tests
    rows = [
        [
            name,
            _two(overview.ranking(name, "force_frame", "spearman", home)),
            _two(overview.ranking(name, "force_frame", "spearman", tests)),
            _two(overview.skill(name, "force", home)),
            _two(overview.skill(name, "force", tests)),
            percent(overview.coverage(name, "force", tests).estimate.value),
            number(result.methods[name].microseconds_per_atom),
            number(result.methods[name].fit_seconds),
        ]
        for name in overview.methods()
    ]
    worst = tests[0] if len(tests) == 1 else "worst test set"
    show(
        f"Frames (Spearman) and force bars by {overview.calibrator}: calibration, {worst}; "
        "* none is significantly better",
        ["method", "frames", "…, test", "skill", "…, test", "in 95 %, test", "µs/atom", "fit, s"],
        rows,
    )
    for purpose, part in result.recommendation.by_purpose().items():
        _listing(f"{purpose}: {part.name or 'none'}", part.reasons)
    if result.recommendation.warnings:
        _listing("Mind", result.recommendation.warnings)


def _listing(heading: str, sentences: Sequence[str]) -> None:
    print(f"\n{visible_name(heading)}")
    for sentence in sentences:
        print(fill(visible(sentence), 120, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False))


def _two(cell: Cell) -> str:
    value = cell.estimate.value
    return "–" if value is None else f"{two(value)}{'*' if cell.mark else ' '}"
