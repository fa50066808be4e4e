"""`assay export`: the potential of a gauge in files that LAMMPS runs."""

from __future__ import annotations

from pathlib import Path

from assay.gauge import Gauge
from assay.linear.lammps_files import write_guard, write_snap
from assay.linear.potential import LinearPotential
from assay.scores.d_optimality import ExtrapolationGrade


def export(gauge: Gauge | str | Path, out: str | Path, *, file_format: str = "snap") -> list[Path]:
    """Write `OUT.snapcoeff`, `OUT.snapparam`, the LAMMPS input `OUT.snap`, and `OUT.guard` if the gauge has γ.

    Returns the paths written. Raises `ValueError` for another format, or a source that is not SNAP.
    """
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge)
    if file_format != "snap":
        raise ValueError(f"unknown format {file_format!r}; there is snap")
    if not isinstance(gauge.source, LinearPotential):
        raise ValueError(f"only a fitted SNAP potential can be exported; this gauge has {gauge.source.label}")
    written = write_snap(gauge.source, out)
    grade = next((score for score in gauge.scores if isinstance(score, ExtrapolationGrade)), None)
    if grade is not None:
        written += write_guard(gauge.source.rows, grade, out)
    return written
