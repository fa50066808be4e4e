"""What a gauge file holds, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.calibration import CALIBRATORS, Calibrator
from assay.calibration.bar_name import BarName
from assay.ensembles.referenced import Referenced
from assay.linear.potential import LinearPotential
from assay.results.per_quantity import PerQuantity
from assay.scores.registry import score_from_state
from assay.sources import registry
from assay.sources.capabilities import HasMembers, LinearSource, Source
from assay.storage.archive import GaugeFileError, load_state, save_state


def save(path: str | Path, fields: Mapping[str, Any]) -> None:
    """Write a gauge, given as the fields of `assay.gauge.gauge.Gauge` by name, whole or not at all."""
    save_state(
        path,
        {
            **fields,
            "source": source_state(fields["source"]),
            "scores": [{"name": score.name, "state": score.state()} for score in fields["scores"]],
            "thresholds": [[*key, value] for key, value in fields["thresholds"].items()],
            "calibrators": {quantity: each.state() for quantity, each in fields["calibrators"].items()},
            "constant": {quantity: each.state() for quantity, each in fields["constant"].items()},
            "training": [[*key, values] for key, values in fields["training"].items()],
        },
    )


def load(path: str | Path, allow_import: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a gauge by name; raises as `assay.gauge.gauge.Gauge.load`."""
    state = load_state(path)
    try:
        return {
            "source": source_from_state(state["source"], allow_import),
            "scores": tuple(score_from_state(each["name"], each["state"]) for each in state["scores"]),
            "r_cut": state["r_cut"],
            "bar": state["bar"],
            "species": tuple(state["species"]),
            "thresholds": {(name, level): value for name, level, value in state["thresholds"]},
            "calibrators": _calibrators(state["bar"], state["calibrators"]),
            "constant": _calibrators(state["bar"], state["constant"]),
            "training": {(name, level): values for name, level, values in state["training"]},
            "provenance": state["provenance"],
        }
    except (KeyError, TypeError) as error:
        raise GaugeFileError(f"{path}: not a gauge that this Assay can read ({error!r}); build it again") from error


def source_state(source: Source) -> dict[str, Any]:
    """What a gauge file holds of a source."""
    return {"kind": source.kind, **source.state()}


def source_from_state(state: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> Source:
    """The source of a gauge file, around which one may have been fitted. Nothing is imported for it until it evaluates
    a frame. Raises `ValueError` for an unknown kind, or what does not fit together."""
    if state["kind"] == LinearPotential.kind:
        rows = registry.source_from_state(state["rows"], allow_import)
        if isinstance(rows, LinearSource):
            return LinearPotential.from_state(state, rows)
    elif state["kind"] == Referenced.kind:
        members = registry.source_from_state(state["source"], allow_import)
        if isinstance(members, HasMembers):
            return Referenced.from_state(state, members)
    else:
        source = registry.source_from_state(state, allow_import)
        if isinstance(source, Source):
            return source
    raise ValueError(f"the gauge file has a source {state['kind']!r} that can't be used")


def _calibrators(bar: str, states: Mapping[str, Any]) -> PerQuantity[Calibrator]:
    return PerQuantity.of(
        {quantity: CALIBRATORS[BarName.parse(bar).calibrator].from_state(state) for quantity, state in states.items()}
    )
