"""`assay export`: the potential of a gauge in files that LAMMPS runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from assay.gauge.gauge import Gauge
from assay.linear.export.lammps import write_guard, write_snap
from assay.linear.export.pacemaker import write_pace
from assay.linear.potential import LinearPotential
from assay.scores.protocol import OfActiveSets
from assay.sources.snap.rows import Snap
from assay.verbs.loading import loaded

FORMATS = {"snap": "snap", "ace": "pace"}
"""Kind of potential → the format that it has."""


def export(
    gauge: Gauge | str | Path,
    out: str | Path,
    *,
    file_format: str | None = None,
    members: int | Literal["all"] = 0,
) -> list[Path]:
    """Write a fitted potential, and γ if the gauge has it, in files for LAMMPS.

    | format | files |
    |---|---|
    | snap | `OUT.snapcoeff`, `OUT.snapparam`, the LAMMPS input `OUT.snap`; `OUT.guard` stops a run by γ |
    | pace | `OUT.yaml`, `OUT.yace`, the LAMMPS input `OUT.pace`; `OUT.asi` is pacemaker's active set |

    The format is the potential's own. `members`: so many of the M members as well, the first ones, each a potential
    like the best fit in files of its own: `OUT-000.snapcoeff` and so on.

    Returns the paths written. Raises `ValueError` for another format, more members than there are, or a source that
    is not a fitted SNAP or ACE potential.
    """
    gauge = loaded(gauge)
    if file_format not in (None, *FORMATS.values()):
        raise ValueError(f"unknown format {file_format!r}; there are {', '.join(FORMATS.values())}")
    source = gauge.source
    if not isinstance(source, LinearPotential) or source.rows.kind not in FORMATS:
        raise ValueError(f"only a fitted SNAP or ACE potential can be exported; this gauge has {source.label}")
    count = len(source.members) if members == "all" else members
    if not 0 <= count <= len(source.members):
        raise ValueError(f"{count} members of an ensemble of {len(source.members)}: give 0 to {len(source.members)}")
    grade = next((score for score in gauge.scores if isinstance(score, OfActiveSets)), None)
    stem = Path(out)
    stems = [stem.with_name(f"{stem.name}-{i:03d}") for i in range(count)]
    each = [replace(source, theta=theta) for theta in source.members[:count]]
    if (file_format or FORMATS[source.rows.kind]) == "pace":
        written = write_pace(source, stem, grade)
        return written + [path for member, name in zip(each, stems, strict=True) for path in write_pace(member, name)]
    written = write_snap(source, stem)
    if grade is not None and isinstance(source.rows, Snap):
        written += write_guard(source.rows, grade, stem)
    return written + [path for member, name in zip(each, stems, strict=True) for path in write_snap(member, name)]
