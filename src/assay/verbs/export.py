"""`assay export`: the potential of a gauge in files that LAMMPS runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from assay.gauge.gauge import Gauge
from assay.linear.export import potential_files, write_files
from assay.scores.protocol import OfActiveSets
from assay.sources.capabilities import Exports, HasCoefficients
from assay.verbs.loading import loaded
from assay.verbs.outputs import require_outputs


def export(
    gauge: Gauge | str | Path,
    out: str | Path,
    *,
    file_format: str | None = None,
    members: int | Literal["all"] = 0,
    allow_import: tuple[str, ...] = (),
) -> list[Path]:
    """Write a fitted potential, and γ if the gauge has it, in files for LAMMPS.

    | format | files |
    |---|---|
    | snap | `OUT.snapcoeff`, `OUT.snapparam`, the LAMMPS input `OUT.snap`; `OUT.guard` stops a run by γ |
    | pace | `OUT.yaml`, `OUT.yace`, the LAMMPS input `OUT.pace`; `OUT.asi` is pacemaker's active set |

    The format is the potential's own. `members`: so many of the M members as well, the first ones, each a potential
    like the best fit in files of its own: `OUT-000.snapcoeff` and so on. `allow_import`: as of `assay.Gauge.load`.

    Returns the paths written. Raises `ValueError` for another format, more members than there are, or a source that
    is not a fitted SNAP or ACE potential, or files that are the gauge's.
    """
    given, gauge = gauge, loaded(gauge, allow_import)
    source = gauge.source
    if not (isinstance(source, HasCoefficients) and isinstance(source.rows, Exports)):
        raise ValueError(f"only a fitted SNAP or ACE potential can be exported; this gauge has {source.label}")
    if file_format not in (None, source.rows.export_format):
        raise ValueError(f"format {file_format!r} is not that of this potential, {source.rows.export_format}")
    count = len(source.members) if members == "all" else members
    if not 0 <= count <= len(source.members):
        raise ValueError(f"{count} members of an ensemble of {len(source.members)}: give 0 to {len(source.members)}")
    grade = next((score for score in gauge.scores if isinstance(score, OfActiveSets)), None)
    stem, emptiness = Path(out), gauge.emptiness.coefficients() if gauge.emptiness else None
    rows, inverses = source.rows, grade.active_sets if grade else None
    files = potential_files(rows, source.theta, stem, inverses, emptiness)
    for i, theta in enumerate(source.members[:count]):
        files |= potential_files(rows, theta, stem.with_name(f"{stem.name}-{i:03d}"))
    require_outputs(given, own=files)
    return write_files(files)
