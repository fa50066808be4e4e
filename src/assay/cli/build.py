"""`assay build`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from assay import Built, FrameFiles, LabelKeys, LinearFit, MemberChoice, Run, ScoreFit, Weights
from assay.cli import options
from assay.cli.progress import Stages
from assay.cli.tables import envelope, errors_and_bars, flagged, listed, members, note
from assay.results.warning import remark
from assay.verbs.build import build as verb
from assay.verbs.evaluate import evaluated

FEW = 50
"""Labels per coefficient below which POPS was seen to bound fewer of the errors: docs/perez2025.md."""


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in (text or "").split(",") if number.strip())
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not number,number,…") from error


def _count(context: click.Context, option: click.Parameter, text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither a number nor auto") from error


@click.command()
@click.option(
    "-t",
    "--train",
    type=options.INPUT,
    multiple=True,
    required=True,
    help="Training frames, labelled if the source predicts.",
)
@click.option(
    "-c", "--calibration", type=options.INPUT, multiple=True, help="Frames to calibrate on, kept apart from training."
)
@click.option("--heldout", type=options.INPUT, multiple=True, hidden=True)
@click.option(
    "-m", "--train-members", type=options.INPUT, multiple=True, help="Members or features file (.npz) of each -t."
)
@click.option(
    "--calibration-members", type=options.INPUT, multiple=True, help="Members or features file (.npz) of each -c."
)
@click.option("--heldout-members", type=options.INPUT, multiple=True, hidden=True)
@click.option("--source", required=True, metavar="SPEC", help="name:key=value,… or a TOML file.")
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="NAME",
    help="A score; may be repeated. By default all that the source supports but those on request (docs/scores.md).",
)
@click.option(
    "--clusters",
    metavar="HOW",
    help="Of gamma_local: config_type, kmeans or birch, with :K clusters and :atoms to divide atoms, e.g. kmeans:4.",
)
@click.option(
    "--cluster-thresholds",
    is_flag=True,
    help="Add committee_force_clusterwise and gamma_local_clusterwise, with thresholds of clusters.",
)
@click.option(
    "--without-outliers", is_flag=True, help="Fit scores without atoms of outlying force error (a second pass)."
)
@click.option("--core", metavar="ARRAY", help="Fit scores to the atoms for which this array of the frames is true.")
@click.option("-o", "--out", type=options.OUTPUT, required=True, metavar="NAME.gauge")
@options.error_bar
@click.option(
    "--weights",
    default="uniform",
    show_default=True,
    metavar="SCHEME",
    help="uniform, exponential[:a=2,b=50], or config_type:NAME=W,…",
)
@click.option(
    "--posterior",
    default="pops",
    show_default=True,
    metavar="SPEC",
    help="What members of a linear potential are drawn from: pops[:leverage_percentile=50,…], bootstrap or bayesian.",
)
@click.option(
    "--ensemble-size", type=click.IntRange(2), metavar="M", help="Members; by default 100, or 16 of the bootstrap."
)
@click.option(
    "--references",
    default="",
    metavar="ONTO",
    help="Onto what energies of members are shifted, per element: labels (the default), a member, or none.",
)
@click.option("--rmse", metavar="R,R,…", callback=_numbers, help="Force RMSE of each member, eV/Å, for their weights.")
@click.option(
    "--best-members",
    metavar="K|auto",
    callback=_count,
    help="Keep the K members of the lowest RMSE; auto: as many as rank the largest force errors best.",
)
@click.option("--r-cut", type=float, default=5.0, show_default=True, help="Radius of a neighbourhood, Å.")
@click.option("--seed", type=int, default=0, show_default=True)
@options.run()
@options.label_keys
@click.pass_obj
def build(
    command: str,
    /,
    train: tuple[Path, ...],
    train_members: tuple[Path, ...],
    calibration: tuple[Path, ...],
    calibration_members: tuple[Path, ...],
    heldout: tuple[Path, ...],
    heldout_members: tuple[Path, ...],
    source: str,
    scores: tuple[str, ...],
    clusters: str | None,
    cluster_thresholds: bool,
    without_outliers: bool,
    core: str | None,
    out: Path,
    error_bar: str | None,
    weights: str,
    posterior: str,
    ensemble_size: int | None,
    references: str,
    rmse: tuple[float, ...],
    best_members: int | Literal["auto"] | None,
    r_cut: float,
    seed: int,
    run: Run,
    energy_key: str,
    forces_key: str,
    stress_key: str,
) -> None:
    """Fit a gauge to training frames and calibrate it on frames kept apart.

    A source that has features and no predictions (features, callable, soap) needs no labels; its gauge has scores and
    thresholds, and no error bars.
    """
    if heldout or heldout_members:
        remark("--heldout and --heldout-members are now --calibration and --calibration-members")
    apart = calibration + heldout
    with Stages() as stage:
        built = verb(
            FrameFiles(train, train_members),
            source=source,
            calibration=FrameFiles(apart, calibration_members + heldout_members) if apart else None,
            scores=scores or None,
            error_bar=error_bar,
            linear_fit=LinearFit(parse_weights(weights), posterior, ensemble_size, seed),
            members=MemberChoice(references, rmse, best_members),
            score_fit=ScoreFit(clusters, cluster_thresholds, without_outliers, core),
            r_cut=r_cut,
            keys=LabelKeys(energy_key, forces_key, stress_key),
            out=out,
            run=replace(run, progress=stage),
            command=command,
        )
    show(built, out)


def show(built: Built, out: Path) -> None:
    """What was noticed, errors and bars of the frames kept apart, and remarks on the fit."""
    listed("frames left out", built.skipped)
    for sentence in built.partly:
        note(sentence)
    listed("duplicates in the training frames", built.duplicates)
    listed("calibration frames that are also training frames (not calibrated on)", built.overlap)
    listed("frames with labels far from the others' (kept)", built.outliers)
    gauge = built.gauge
    if told := gauge.provenance.get("members"):
        members(told)
    if gauge.bar and built.held_out:
        found = evaluated(gauge.assessment(built.held_out), gauge.constant_bar)
        errors_and_bars(found, "Held-out frames, which the error bars were fitted to")
        envelope(found)
    else:
        flagged(gauge.thresholds, built.training.scores, built.held_out.scores if built.held_out else {})
    clusters = gauge.provenance["fitted_to"]["clusters"]
    if len(clusters) > 1:
        local = next(score.name for score in gauge.scores if score.facts.clusters)
        note(f"{local}: {len(clusters)} clusters: {', '.join(clusters)}")
    labels, coefficients = (gauge.provenance.get(key, 0) for key in ("labels", "coefficients"))
    if coefficients and labels < FEW * coefficients:
        note(
            f"{labels} labels for {coefficients} coefficients: below about {FEW} each, members spread less than the "
            "errors, and error bars of properties are too small. Give more frames, or fewer coefficients"
        )
    if built.energies_alone:
        note(
            "forces are those of the universal potential, and no member differs in them: their error bars are those of "
            f"{gauge.bar}, scaled to force errors. For bars of each atom take leverage:scale, or build with forces=true"
        )
    note(f"{gauge.source.label}\nwritten to {out}")


def parse_weights(text: str) -> Weights:
    """`SCHEME[:key=value,…]` as `Weights`; raises `ValueError` where it is not that."""
    scheme, _, rest = text.partition(":")
    try:
        pairs = {k: float(v) for k, v in (pair.rsplit("=", 1) for pair in rest.split(",") if pair)}
    except ValueError as error:
        raise ValueError(f"weights {text!r} are not SCHEME:key=number,…") from error
    if scheme == "config_type":
        return Weights(scheme, factors=pairs)
    unknown = set(pairs) - {"a", "b"}
    if unknown:
        raise ValueError(f"weights {text!r}: unknown setting {', '.join(sorted(unknown))}; there are a and b")
    return Weights(scheme, a=pairs.get("a", Weights.a), b=pairs.get("b", Weights.b))
