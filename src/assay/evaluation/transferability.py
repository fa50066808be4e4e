"""Trained on one group, judged on the others: do errors, bars and flags transfer between phases or compositions?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.execution.run import Run
from assay.execution.workers import Failure, Progress, Workers
from assay.frames.frame import Frame, Frames, content_hash
from assay.gauge.batch import collect
from assay.gauge.gauge import Gauge
from assay.metrics import coverage, ence, rmse, spearman
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA, Gaussian
from assay.sources.frame_files import FrameObjects

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


def judge_transfer(
    frames: Iterable[Frame],
    fit: Callable[[Frames, Frames], Gauge],
    *,
    group_by: GroupBy = "config_type",
    flag: str = "",
    run: Run = Run(),
) -> Transferability:
    """Fit a gauge to each group of labelled frames, and to all of them; judge each on the test frames of all groups.

    | argument | meaning |
    |---|---|
    | frames | held in memory |
    | fit | makes a gauge of frames to fit and frames to calibrate on |
    | group_by, flag | as in `assay.transferability` |

    Raises `ValueError` for fewer than two groups, and where no group can be fitted.
    """
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(group_of(frame.atoms, group_by), []).append(frame)
    if len(groups) < 2:
        raise ValueError(f"one group, {next(iter(groups))!r}: transferability needs two or more; choose group_by")
    groups = {name: _distinct(of_group) for name, of_group in sorted(groups.items())}
    parts = _parts(groups)
    fitted = {name: part for name, part in parts.items() if part.train}
    if len(fitted) > 1:
        train, calibration = (
            _distinct([frame for part in fitted.values() for frame in getattr(part, which)])
            for which in ("train", "calibration")
        )
        fitted[EVERYTHING] = _Parts(train, _distinct(calibration, train), [])
    judged = [frame for part in parts.values() for frame in part.test]
    column = np.repeat(np.arange(len(parts)), [len(part.test) for part in parts.values()])
    failed = [(name, f"{len(groups[name])} frames; {LEAST} are needed") for name in parts.keys() - fitted.keys()]
    rows: dict[str, list[dict[str, float]]] = {}
    for name, part in fitted.items():
        progress = run.stage(f"fitting {name}")
        try:
            gauge = fit(FrameObjects(tuple(part.train)), FrameObjects(tuple(part.calibration)))
        except (ValueError, np.linalg.LinAlgError) as error:  # of settings too: then no group can be fitted
            failed.append((name, str(error)))
            continue
        flag = flag or _flag(gauge)
        rows[name] = _judged(gauge, judged, column, len(parts), flag, run.workers, progress)
    if not rows:
        raise ValueError(f"no group could be fitted; the first: {': '.join(failed[0])}")
    tables = {name: np.array([[cell[name] for cell in row] for row in rows.values()]) for name in TABLES}
    counts = {name: (len(part.train), len(part.calibration), len(part.test)) for name, part in (parts | fitted).items()}
    return Transferability(tuple(rows), tuple(parts), tables, counts, flag, tuple(sorted(failed)))


@dataclass(frozen=True)
class _Parts:
    """Frames of a group: to fit, to calibrate on, and to judge on."""

    train: list[Frame]
    calibration: list[Frame]
    test: list[Frame]


def _parts(groups: Mapping[str, Sequence[Frame]]) -> dict[str, _Parts]:
    """Of each group; no test frame equals a frame of any fit or calibration."""
    parts = {name: _divided(of_group) for name, of_group in groups.items()}
    used = [frame for part in parts.values() for frame in (*part.train, *part.calibration)]
    return {name: replace(part, test=_distinct(part.test, used)) for name, part in parts.items()}


def _distinct(frames: Sequence[Frame], used: Sequence[Frame] = ()) -> list[Frame]:
    """Of equal frames the first, and none that equals one of `used`."""
    seen = {content_hash(frame.atoms) for frame in used}
    found = []
    for frame in frames:
        if (digest := content_hash(frame.atoms)) not in seen:
            seen.add(digest)
            found.append(frame)
    return found


def _divided(frames: Sequence[Frame]) -> _Parts:
    """Five blocks in order: three to fit, one to calibrate on, one to judge on; a group of too few is judged on as a
    whole."""
    n = len(frames)
    if n < LEAST:
        return _Parts([], [], list(frames))
    block = np.arange(n) * 5 // n
    return _Parts(
        *([frame for frame, b in zip(frames, block, strict=True) if b in chosen] for chosen in ((0, 2, 4), (3,), (1,)))
    )


def _flag(gauge: Gauge) -> str:
    names = [name for name, level in gauge.thresholds if level == "frame"]
    return "gamma" if "gamma" in names else next(iter(names), "")


def _judged(
    gauge: Gauge,
    frames: Sequence[Frame],
    column: NDArray[np.int64],
    columns: int,
    flag: str,
    workers: Workers,
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
    force, energy = batch.force_error(labels), batch.energy_error(labels)
    of_atoms, of_frames = here[batch.frame_of_atom] & ~np.isnan(force[:, 0]), here & ~np.isnan(energy)
    moving = of_atoms[:, None] & ~batch.still
    figures = {}
    if of_atoms.any():
        figures["force_rmse_eV_per_A"] = rmse(force[of_atoms])
    if of_frames.any():
        figures["energy_rmse_meV_per_atom"] = 1000 * rmse(energy[of_frames])
        if found.bars.energy is not None:
            half = found.bars.energy.half_width(0.95)[of_frames]
            figures["energy_coverage_95"] = coverage(energy[of_frames], half)
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
