"""What a gauge file holds, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.calibration import CALIBRATORS, Calibrator
from assay.calibration.bar_name import BarName
from assay.linear.potential import LinearPotential
from assay.results.per_quantity import PerQuantity
from assay.scores.registry import score_from_state
from assay.sources.capabilities import Source
from assay.sources.committees.committee import AseCommittee
from assay.sources.recorded.recorded import Recorded
from assay.sources.referenced import Referenced
from assay.sources.registry import feature_source, linear_source_from_state
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
    """The source of a gauge file. Nothing is imported for it until it evaluates a frame."""
    settings = {key: value for key, value in state.items() if key != "kind"}
    match state["kind"]:
        case "linear":
            return LinearPotential.from_state(settings, linear_source_from_state(settings["rows"], allow_import))
        case "ase_committee":
            return AseCommittee.from_state(settings, allow_import=allow_import)
        case "recorded":
            return Recorded.from_state(settings)
        case "referenced":
            return Referenced.from_state(settings, allow_import)
    if (source := feature_source({"source": state["kind"], **settings}, allow_import)) is not None:
        return source
    raise ValueError(f"unknown source {state['kind']!r} in the gauge file")


def _calibrators(bar: str, states: Mapping[str, Any]) -> PerQuantity[Calibrator]:
    return PerQuantity.of(
        {quantity: CALIBRATORS[BarName.parse(bar).calibrator].from_state(state) for quantity, state in states.items()}
    )
