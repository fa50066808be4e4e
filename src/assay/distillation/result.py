"""`assay distil`: one fast student from many teachers, and DFT labels only where these disagree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Skipped
from assay.results.arrays import Array


@dataclass(frozen=True)
class Distilled:
    """What `distil` made and noticed.

    | field | meaning |
    |---|---|
    | models, weights | the K teachers, and their weights `(K,)` |
    | rmse, rmse_frames | what weights come from, `None`: all are equal; over how many labelled frames of the pool, \
`None`: given |
    | uncertainty, natoms | U `(F,)` eV/Å, infinite where a teacher failed, and atoms of each frame of the pool |
    | students | for each cut-off, the largest first: a row of `summary.json` |
    | jobs | how many frames wait for a DFT calculation, in `OUT/dft-jobs.extxyz` |
    | noisy | DFT labels that were dropped: (origin, reason) |
    | failed | frames of the pool on which a teacher failed, which need DFT: (origin, reason) |
    | skipped | frames left out: (origin, reason) |
    | unmatched | labelled frames that are not in the pool |
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    rmse: tuple[float, ...] | None
    rmse_frames: int | None
    uncertainty: Array
    natoms: NDArray[np.int64]
    students: tuple[dict[str, Any], ...]
    jobs: int
    noisy: Skipped = field(default_factory=list)
    failed: Skipped = field(default_factory=list)
    skipped: Skipped = field(default_factory=list)
    unmatched: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds."""
        certain = self.uncertainty[np.isfinite(self.uncertainty)]
        quantiles = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
        return {
            "provenance": self.provenance,
            "teachers": dict(zip(self.models, self.weights, strict=True)),
            "teachers_rmse_eV_per_A": None if self.rmse is None else list(self.rmse),
            "teachers_rmse_frames": self.rmse_frames,
            "pool": {"frames": len(self.natoms), "atoms": int(self.natoms.sum())},
            "teachers_failed": [{"frame": origin, "reason": reason} for origin, reason in self.failed],
            "uncertainty_quantiles_eV_per_A": {str(q): float(np.quantile(certain, q)) for q in quantiles},
            "dft_jobs": self.jobs,
            "noisy_labels": [{"frame": origin, "reason": reason} for origin, reason in self.noisy],
            "skipped": [{"frame": origin, "reason": reason} for origin, reason in self.skipped],
            "labels_not_in_pool": self.unmatched,
            "students": list(self.students),
        }
