"""`assay info`: what a gauge is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.gauge.gauge import Gauge
from assay.sources.capabilities import HasCoefficients
from assay.verbs.loading import loaded


def info(gauge: Gauge | str | Path, *, allow_import: tuple[str, ...] = ()) -> dict[str, Any]:
    """Source, scores with thresholds, error bars and provenance of a gauge, as a JSON-ready dictionary.

    `allow_import`: as of `assay.Gauge.load`.
    """
    gauge = loaded(gauge, allow_import)
    thresholds: dict[str, dict[str, float]] = {}
    for (name, level), value in gauge.thresholds.items():
        thresholds.setdefault(name, {})[level] = value
    return {
        "source": gauge.source.label,
        "species": list(gauge.species),
        "scores": [score.name for score in gauge.scores],
        "thresholds": thresholds,
        "neighbourhood_radius_A": gauge.r_cut,
        "error_bar": gauge.bar,
        "calibrated": [quantity for quantity, _ in gauge.calibrators.items()],
        "calibration": {q: getattr(c, "alpha", None) for q, c in gauge.calibrators.items()},
        "provenance": _used(gauge),
    }


def _used(gauge: Gauge) -> dict[str, Any]:
    """Its provenance without hashes, and without what only the fit of a linear potential or of features reads."""
    provenance = gauge.provenance
    unused = {key for key, value in provenance.items() if key.endswith("_hashes")}
    if not isinstance(gauge.source, HasCoefficients):
        unused |= {"posterior", "weights"}
    if not any(provenance.get("fitted_to", {}).values()):
        unused.add("fitted_to")
    return {key: value for key, value in provenance.items() if key not in unused}
