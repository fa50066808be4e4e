"""What a gauge file holds of sources, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.linear.potential import LinearPotential
from assay.sources.capabilities import Source
from assay.sources.committees.committee import AseCommittee
from assay.sources.recorded.recorded import Recorded
from assay.sources.referenced import Referenced
from assay.sources.registry import feature_source, linear_source_from_state


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
