"""The picture and the numbers of `assay demo` in README.md and docs/, from a new run.

    python docs/demo_results.py

writes docs/error-bars.svg, and the tables between `<!-- demo -->` and `<!-- /demo -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import assay
from assay.evaluation.figures import BarFigures, Part
from assay.evaluation.result import EvaluationResult
from assay.metrics import coverage
from assay.results.assessment import Assessment
from assay.results.error_bars import ErrorBar
from assay.verbs.demo import Demo, demo_data

DOCS = Path(__file__).parent
STYLE = {
    "svg.hashsalt": "assay",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
NAMES = {"test": "like the training frames (test)", "ood": "unlike them (ood)"}
COLOURS = {"test": "#0072B2", "ood": "#D55E00"}  # Okabe and Ito's: told apart by colour-blind eyes


def picture(gauge: assay.Gauge, frames: dict[str, Assessment]) -> None:
    """Force errors against error bars, and the share of errors inside the bars against the share promised."""
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(9.5, 4.6), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        errors_against_bars(left, frames)
        coverages(right, frames, gauge)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(DOCS / "error-bars.svg", dpi=200, metadata=nothing)


def errors_against_bars(ax: Axes, frames: dict[str, Assessment]) -> None:
    for name in reversed(frames):  # the fewer points on top
        bar, error, moving = forces(frames[name])
        x, y = bar.half_width(0.6827)[moving], np.abs(error[moving])
        ax.plot(x, y, ".", ms=3, alpha=0.5, color=COLOURS[name], label=NAMES[name], rasterized=True)
    ax.set(xscale="log", yscale="log", xlabel="error bar of a force component, 1σ (eV/Å)", ylabel="its error (eV/Å)")
    low, high = ax.get_xlim()
    for factor, line in ((1, "-"), (2, "--")):
        ax.plot([low, high], [factor * low, factor * high], line, color="black", lw=1, label=f"{factor}σ")
    ax.set_xlim(low, high)
    ax.set_ylim(low / 100, 10 * high)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    legend_above(ax)


def coverages(ax: Axes, frames: dict[str, Assessment], gauge: assay.Gauge) -> None:
    ax.plot([0, 1], [0, 1], color="black", lw=1, label="as promised")
    promised = np.linspace(0.02, 0.98, 49)
    for name, assessment in frames.items():
        bar, error, moving = forces(assessment)
        constant = gauge.constant_bar("force", bar.mean)
        assert constant is not None
        for each, line, what in ((bar, "-", "error bars"), (constant, ":", "one bar for all")):
            found = [coverage(error[moving], each.half_width(level)[moving]) for level in promised]
            ax.plot(promised, found, line, color=COLOURS[name], label=f"{what}, {name}")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of errors promised inside", ylabel="share found inside")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    legend_above(ax)


def legend_above(ax: Axes) -> None:
    """Name the lines where they can't cover data."""
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, markerscale=3, columnspacing=1.2)


def forces(assessment: Assessment) -> tuple[ErrorBar, Any, Any]:
    """Bars and errors of force components `(A, 3)`, and which of them do not vanish by symmetry."""
    batch, bar = assessment.batch, assessment.bars.force
    assert bar is not None
    assert batch.labels is not None
    return bar, batch.force_error(batch.labels), ~batch.still


def table(demo: Demo) -> str:
    """Errors, widths and coverage of both sets of frames, of each kind in the second."""
    kinds = {f"– {kind}": part for kind, part in demo.ood.by_config_type.items()}
    parts = {NAMES["test"]: demo.test, NAMES["ood"]: demo.ood, **kinds}
    columns: dict[str, Callable[[EvaluationResult | Part], str]] = {
        "frames": lambda part: str(part.frames),
        "force RMSE, eV/Å": lambda part: f"{part.errors.force.rmse:.3g}",
        "68 % bars, mean width": lambda part: f"{part.bars.force.figures.mean_width:.3g}",
        "forces in 68 %": lambda part: share(part.bars.force.figures, 0.68),
        "in 95 %": lambda part: share(part.bars.force.figures, 0.95),
        "in 95 % of one bar for all": lambda part: share(part.bars.force.constant, 0.95),
        "energy RMSE, meV/atom": lambda part: f"{part.errors.energy.rmse:.3g}",
        "energies in 95 %": lambda part: share(part.bars.energy.figures, 0.95),
        "atoms with γ > 1": lambda part: f"{100 * part.scores['gamma'].atom.flagged:.0f} %",
    }
    rows = [["", *columns], ["---"] + ["---:"] * len(columns)]
    rows += [[name, *(column(part) for column in columns.values())] for name, part in parts.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def share(figures: BarFigures, level: float) -> str:
    return f"{100 * figures.coverage[level]:.0f} %"


def sentence(demo: Demo) -> str:
    """What the fit was, and by how much its raw spread was scaled."""
    alphas = {quantity: calibrator.state()["alpha"] for quantity, calibrator in demo.gauge.calibrators.items()}
    training, held_out = (demo.gauge.provenance[name]["frames"] for name in ("training", "held_out"))
    scaled = ", ".join(f"{alpha:.2g} for {quantity}" for quantity, alpha in alphas.items())
    text = (
        f"{demo.gauge.source.label}; fitted to {training} frames, calibrated on {held_out}. "
        f"The raw spread of the members was multiplied by α = {scaled}."
    )
    return fill(text, 120)


def main() -> None:
    demo = assay.demo()
    frames = {name: demo.gauge.assess(assay.read_frames(demo_data(name), labels="needed")) for name in NAMES}
    picture(demo.gauge, frames)
    text = f"<!-- demo -->\n{table(demo)}\n\n{sentence(demo)}\n<!-- /demo -->"
    for page in (DOCS.parent / "README.md", DOCS / "concepts.md"):
        page.write_text(re.sub("<!-- demo -->.*?<!-- /demo -->", lambda _: text, page.read_text(), flags=re.S))
    print(text)


if __name__ == "__main__":
    main()
