"""`assay info`: what a gauge is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.gauge.gauge import Gauge
from assay.results.per_quantity import Quantity
from assay.results.score import Key
from assay.sources.capabilities import HasCoefficients
from assay.verbs.loading import loaded


@dataclass(frozen=True)
class GaugeInfo:
    """What a gauge is.

    | field | meaning |
    |---|---|
    | source | what predicts, in words |
    | species, scores | by name |
    | thresholds | of scores, by name and level |
    | r_cut | radius of a neighbourhood, Å |
    | error_bar | its name; `""` without predictions |
    | calibration | of the quantities that are calibrated: the factor α of the calibrator, `None` where it has none |
    | provenance | how it was made: of its archive, without hashes |
    """

    source: str
    species: tuple[str, ...]
    scores: tuple[str, ...]
    thresholds: Mapping[Key, float]
    r_cut: float
    error_bar: str
    calibration: Mapping[Quantity, float | None]
    provenance: Mapping[str, Any]

    def summary(self) -> dict[str, Any]:
        """What `assay info --json` writes."""
        thresholds: dict[str, dict[str, float]] = {}
        for (name, level), value in self.thresholds.items():
            thresholds.setdefault(name, {})[level] = value
        return {
            "source": self.source,
            "species": list(self.species),
            "scores": list(self.scores),
            "thresholds": thresholds,
            "neighbourhood_radius_A": self.r_cut,
            "error_bar": self.error_bar,
            "calibrated": list(self.calibration),
            "calibration": dict(self.calibration),
            "provenance": dict(self.provenance),
        }


def info(gauge: Gauge | str | Path, *, allow_import: tuple[str, ...] = ()) -> GaugeInfo:
    """Source, scores with thresholds, error bars and provenance of a gauge; `allow_import` as of `assay.Gauge.load`."""
    gauge = loaded(gauge, allow_import)
    return GaugeInfo(
        source=gauge.source.label,
        species=tuple(gauge.species),
        scores=tuple(score.name for score in gauge.scores),
        thresholds=dict(gauge.thresholds),
        r_cut=gauge.r_cut,
        error_bar=gauge.bar,
        calibration={q: getattr(c, "alpha", None) for q, c in gauge.calibrators.items()},
        provenance=_used(gauge),
    )


def _used(gauge: Gauge) -> dict[str, Any]:
    """Its provenance without hashes, and without what only the fit of a linear potential or of features reads."""
    provenance = gauge.provenance
    unused = {key for key, value in provenance.items() if key.endswith("_hashes")}
    if not isinstance(gauge.source, HasCoefficients):
        unused |= {"posterior", "weights"}
    if not any(provenance.get("fitted_to", {}).values()):
        unused.add("fitted_to")
    return {key: value for key, value in provenance.items() if key not in unused}
