"""How errors, bars and flags of gauges that were fitted to one group hold on the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.results.arrays import Array

EVERYTHING = "all groups"
"""The row of the potential that is fitted to the training frames of every group."""
TABLES = {
    "force_rmse_eV_per_A": "RMSE of force components, eV/Å",
    "energy_rmse_meV_per_atom": "RMSE of energies, meV/atom",
    "force_coverage_68": "share of force components in their 68 % bars",
    "force_coverage_95": "share of force components in their 95 % bars",
    "energy_coverage_95": "share of energies in their 95 % bars",
    "force_z_mean_square": "⟨(error/bar)²⟩ of force components",
    "force_ence": "ENCE of force components",
    "force_spearman": "Spearman correlation of force bar and force error, atoms",
    "flagged": "share of frames flagged",
    "failed": "share of frames that could not be evaluated",
}


@dataclass(frozen=True)
class Transferability:
    """Tables group × group: row i is the gauge fitted to group i, column j the test frames of group j.

    | field | meaning | shape |
    |---|---|---|
    | rows | groups that were fitted, and `all groups` | R |
    | columns | groups that were judged | G |
    | tables | by name, as in `TABLES`; NaN where not defined | each `(R, G)` |
    | frames | (fitted, calibrated on, judged) of each group; what could not be fitted has no first two | |
    | flag | name of the score whose threshold flags frames, `""` without one | |
    | failed | groups that could not be fitted, and why | |
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    tables: Mapping[str, Array]
    frames: Mapping[str, tuple[int, int, int]]
    flag: str
    failed: tuple[tuple[str, str], ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """Everything, JSON-ready: `None` for what is not defined."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "frames": {
                name: dict(zip(("fitted", "calibrated_on", "judged"), counts, strict=True))
                for name, counts in self.frames.items()
            },
            "flag": self.flag,
            "failed": [{"group": name, "reason": reason} for name, reason in self.failed],
            "tables": {
                name: [[float(v) if np.isfinite(v) else None for v in row] for row in table]
                for name, table in self.tables.items()
            },
        }
