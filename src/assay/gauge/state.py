"""What a gauge file holds of sources, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.ensembles.referenced import Referenced
from assay.linear.potential import LinearPotential
from assay.sources import registry
from assay.sources.capabilities import HasMembers, LinearSource, Source


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
