"""Linear sources by name: the one list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from assay.sources import LinearSource
from assay.sources.ace import Ace
from assay.sources.corrector import Corrector
from assay.sources.model_names import needs_permission
from assay.sources.snap import Snap

LINEAR: Mapping[str, type[Snap] | type[Ace] | type[Corrector]] = {each.kind: each for each in (Snap, Ace, Corrector)}


def only_energies(settings: Mapping[str, Any]) -> bool:
    """Whether a source of these settings (`source`, …) leaves forces as they are: a corrector does by default."""
    return settings["source"] == Corrector.kind and not settings.get("forces", False)


def linear_source_from_state(state: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> LinearSource:
    """The source of this `kind` (or `source`) and these settings; modules that it may import beyond the known ones.

    Raises `ValueError` for settings that it does not have.
    """
    kind = state["kind"] if "kind" in state else state["source"]
    found = LINEAR[kind].from_state({key: value for key, value in state.items() if key not in ("kind", "source")})
    if not isinstance(found, Corrector):
        return found
    by_user = needs_permission(found.member) if "source" in state else ()  # named here and now, not by a gauge file
    return replace(found, allow_import=(*allow_import, *by_user))
