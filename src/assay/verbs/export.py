"""`assay export`: the potential of a gauge in files that LAMMPS runs."""

from __future__ import annotations

from pathlib import Path

from assay.gauge import Gauge
from assay.linear.lammps_files import write_guard, write_snap
from assay.linear.pace_files import write_pace
from assay.linear.potential import LinearPotential
from assay.scores.d_optimality import ExtrapolationGrade
from assay.sources.snap import Snap

FORMATS = {"snap": "snap", "ace": "pace"}
"""Kind of potential → the format that it has."""


def export(gauge: Gauge | str | Path, out: str | Path, *, file_format: str | None = None) -> list[Path]:
    """Write a fitted potential, and γ if the gauge has it, in files for LAMMPS.

    | format | files |
    |---|---|
    | snap | `OUT.snapcoeff`, `OUT.snapparam`, the LAMMPS input `OUT.snap`; `OUT.guard` stops a run by γ |
    | pace | `OUT.yaml`, `OUT.yace`, the LAMMPS input `OUT.pace`; `OUT.asi` is pacemaker's active set |

    The format is the potential's own. Returns the paths written. Raises `ValueError` for another format, or a source
    that is not a fitted SNAP or ACE potential.
    """
    gauge = gauge if isinstance(gauge, Gauge) else Gauge.load(gauge)
    if file_format not in (None, *FORMATS.values()):
        raise ValueError(f"unknown format {file_format!r}; there are {', '.join(FORMATS.values())}")
    source = gauge.source
    if not isinstance(source, LinearPotential):
        raise ValueError(f"only a fitted SNAP or ACE potential can be exported; this gauge has {source.label}")
    grade = next((score for score in gauge.scores if isinstance(score, ExtrapolationGrade)), None)
    if (file_format or FORMATS[source.rows.kind]) == "pace":
        return write_pace(source, out, grade)
    written = write_snap(source, out)
    if grade is not None and isinstance(source.rows, Snap):
        written += write_guard(source.rows, grade, out)
    return written
