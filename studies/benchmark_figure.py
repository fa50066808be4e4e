"""The picture of docs/benchmark.md from the results of `benchmark.py`: methods × runs, as a map of colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from benchmark_page import CONSTANT, LIKE, NEW, RANDOM, Run, kinds, mean_over, methods_of
from matplotlib.figure import Figure


def draw(path: Path, runs: Sequence[Run]) -> None:
    """Methods × runs, like the training frames and new: rank correlation of frames, and skill of force bars."""
    panels = [
        (f"{label}, frames {'like the training frames' if kind == LIKE else 'unlike them'}", kind, where)
        for label, *where in (
            ("rank correlation with the largest force error", "ranking", "force_frame", "spearman/value"),
            ("skill of force bars", "bars", "force", "skill/value"),
        )
        for kind in (LIKE, NEW)
    ]
    names = [name for name in methods_of(runs) if name not in (RANDOM, CONSTANT)]
    columns = {kind: [run for run in runs if kinds(run)[kind]] for kind in (LIKE, NEW)}
    figure = Figure(figsize=(13, 2.6 + 0.42 * len(names)), layout="constrained")
    axes = figure.subplots(
        2, 2, sharex="col", sharey=True, width_ratios=[max(1, len(columns[kind])) for kind in (LIKE, NEW)]
    )
    for axis, (title, kind, (table_name, what, column)) in zip(axes.flat, panels, strict=True):
        shown = columns[kind]
        values = np.array([[mean_over(run, kind, table_name, what, m, column) for run in shown] for m in names])
        axis.imshow(np.clip(values, -1, 1), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                text = "≪ 0" if value < -9.95 else f"{value:.1f}" if abs(value) > 0.995 else f"{value:.2f}"
                colour = "white" if abs(value) > 0.65 else "black"
                axis.text(j, i, text.replace("-", "−"), ha="center", va="center", fontsize=6, color=colour)
        axis.set_title(title, fontsize=9)
        axis.set_xticks(range(len(shown)), [f"{r['dataset']}, {r['source']}" for r in shown], rotation=90, fontsize=6)
        axis.set_yticks(range(len(names)), names, fontsize=7)
    with matplotlib.rc_context({"svg.hashsalt": "assay", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
