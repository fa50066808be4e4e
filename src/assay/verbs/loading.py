"""A gauge, or the file that it is in."""

from __future__ import annotations

from pathlib import Path

from assay.gauge.gauge import Gauge


def loaded(gauge: Gauge | str | Path, allow_import: tuple[str, ...] = ()) -> Gauge:
    """The gauge itself; raises `assay.storage.archive.GaugeFileError` for a file that is none."""
    return gauge if isinstance(gauge, Gauge) else Gauge.load(gauge, allow_import=allow_import)
