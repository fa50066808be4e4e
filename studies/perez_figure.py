"""Fig. 3 of Perez et al. from our numbers: how errors compare with the spread, and parity with the envelope."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from perez_fits import EDGES, Told

from assay.metrics.envelope import error_ratio_histogram

SHOWN = 120
"""Values of a parity plot."""


def draw(path: Path, parts: Mapping[str, tuple[Told, Told]]) -> None:
    """Of test frames: energies per atom above, force components below."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "assay"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.subplots(2, 2)
    for row, (name, unit) in enumerate((("energy", "eV/atom"), ("force", "eV/Å"))):
        left, right = axes[row]
        for posterior in ("pops", "bayesian", "bootstrap"):
            told = parts[posterior][row]
            shares, normal = error_ratio_histogram(told.best - told.label, told.envelope.std, EDGES)
            left.stairs(shares, EDGES, label=f"{posterior}, {1 - shares.sum():.0%} beyond")
        left.stairs(normal, EDGES, color="0.6", linestyle="--", label="normal")
        left.set(xlabel=f"{name}: error / std", ylabel="share")
        left.legend(frameon=False, fontsize=8)
        told = parts["pops"][row]
        kept = told[np.random.default_rng(0).choice(len(told.label), min(SHOWN, len(told.label)), replace=False)]
        right.vlines(kept.label, kept.envelope.low, kept.envelope.high, color="0.75", linewidth=1)
        right.plot(kept.label, kept.best, ".", markersize=3)
        ends = [kept.label.min(), kept.label.max()]
        right.plot(ends, ends, color="k", linewidth=0.7)
        right.set(xlabel=f"{name}, DFT ({unit})", ylabel=f"best fit and envelope ({unit})")
        spread = 1.5 * (ends[1] - ends[0])
        right.set_ylim(np.mean(ends) - spread, np.mean(ends) + spread)
    figure.savefig(path, metadata={"Date": None})
