"""Trained on one group, judged on the others: do errors, bars and flags transfer between phases or compositions?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.execution.workers import Failure, Progress
from assay.frames.frame import Frame, content_hash
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.metrics import coverage, ence, rmse, spearman
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA, Gaussian

GroupBy = str | Callable[[Atoms], object]


EVERYTHING = "all groups"
"""The row of the potential that is fitted to the training frames of every group."""


LEAST = 3
"""Frames of a group that can be fitted: one to fit to, one to calibrate on, one to judge on."""


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


def group_of(atoms: Atoms, group_by: GroupBy) -> str:
    """The name of the group of a frame; `""` where `info` does not have the key."""
    if callable(group_by):
        return str(group_by(atoms))
    if group_by == "composition":
        return str(atoms.symbols.formula.reduce()[0].format("metal"))
    return str(atoms.info.get(group_by, ""))


def _distinct(frames: Sequence[Frame], used: Sequence[Frame] = ()) -> list[Frame]:
    """Of equal frames the first, and none that equals one of `used`."""
    seen = {content_hash(frame.atoms) for frame in used}
    found = []
    for frame in frames:
        if (digest := content_hash(frame.atoms)) not in seen:
            seen.add(digest)
            found.append(frame)
    return found


def _divided(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Frames to fit, to calibrate on and to judge on, of a group; a group of too few is judged on as a whole."""
    n = len(frames)
    if n < LEAST:
        return [], [], list(frames)
    block = np.arange(n) * 5 // n
    train, held_out, test = (
        [frame for frame, b in zip(frames, block, strict=True) if b in chosen] for chosen in ((0, 2, 4), (3,), (1,))
    )
    return train, held_out, test


def _flag(gauge: Gauge) -> str:
    names = [name for name, level in gauge.thresholds if level == "frame"]
    return "gamma" if "gamma" in names else next(iter(names), "")


def _judged(
    gauge: Gauge,
    frames: Sequence[Frame],
    column: NDArray[np.int64],
    columns: int,
    flag: str,
    workers: int,
    progress: Progress | None,
) -> list[dict[str, float]]:
    """The figures of one gauge on the frames of each group."""
    pairs = list(gauge.stream(frames, workers=workers, progress=progress))
    kept = np.array([not isinstance(result, Failure) for _, result in pairs])
    scored, failed = Gauge.split(pairs)
    found = gauge.assessment(collect(scored), failed) if scored else None
    return [
        {
            **dict.fromkeys(TABLES, np.nan),
            **({} if found is None else _cell(found, column[kept] == j, flag)),
            "failed": 1.0 - float(np.mean(kept[column == j])) if np.any(column == j) else np.nan,
        }
        for j in range(columns)
    ]


def _cell(found: Assessment, here: NDArray[np.bool_], flag: str) -> dict[str, float]:
    """The figures of the frames `here` `(F,)`; what is not defined is left out."""
    batch, labels = found.batch, found.batch.labels
    if labels is None or not here.any():
        return {}
    moving = here[batch.frame_of_atom][:, None] & ~batch.still
    force, energy = batch.force_error(labels), batch.energy_error(labels)[here]
    figures = {
        "force_rmse_eV_per_A": rmse(force[here[batch.frame_of_atom]]),
        "energy_rmse_meV_per_atom": 1000 * rmse(energy),
    }
    if found.bars.energy is not None:
        figures["energy_coverage_95"] = coverage(energy, found.bars.energy.half_width(0.95)[here])
    limit = found.scores.get((flag, "frame"))
    if limit is not None and limit.threshold is not None:
        figures["flagged"] = float(np.mean(limit.flagged[here]))
    bar = found.bars.force
    if bar is None or not moving.any():
        return figures
    e = force[moving]
    figures |= {f"force_coverage_{100 * p:.0f}": coverage(e, bar.half_width(p)[moving]) for p in (0.68, 0.95)}
    atoms = moving.any(axis=1)
    size = np.linalg.norm(bar.half_width(ONE_SIGMA), axis=1)[atoms]
    figures["force_spearman"] = spearman(size, np.linalg.norm(force, axis=1)[atoms])
    if isinstance(bar, Gaussian):
        std = bar.std[moving]
        if np.all(np.isfinite(std) & (std > 0)):
            figures |= {"force_z_mean_square": float(np.mean((e / std) ** 2)), "force_ence": ence(e, std)}
    return figures
